//! What both commands take.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use clap::Args;

use super::form::quoted;
use super::patterns::Patterns;
use crate::change::ObjectKey;
use crate::targets::is_bucket_name;

/// `s3://bucket[/key or prefix]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct S3Uri {
    pub(crate) bucket: String,
    /// What stands behind the bucket's slash; `None` where there is no slash.
    pub(crate) rest: Option<String>,
}

impl FromStr for S3Uri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix("s3://");
        let path = path.ok_or_else(|| "expected s3://BUCKET or s3://BUCKET/PREFIX".to_owned())?;
        let (bucket, rest) = match path.split_once('/') {
            Some((bucket, rest)) => (bucket, Some(rest.to_owned())),
            None => (path, None),
        };
        // What was created before the rules are what they are may have capitals.
        if !is_bucket_name(&bucket.to_ascii_lowercase().replace('_', "-")) {
            return Err(format!("`{bucket}` is no bucket name"));
        }
        let bucket = bucket.to_owned();
        Ok(Self { bucket, rest })
    }
}

impl fmt::Display for S3Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        match &self.rest {
            Some(rest) => write!(f, "/{rest}"),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct WalkArguments {
    /// The master. Without a prefix, the keys that its notification rules cover; with one, the keys
    /// that begin so; with a slash alone, all
    #[arg(value_name = "s3://MASTER[/PREFIX]")]
    pub(crate) master: S3Uri,
    /// The master's region, or the profile for it [default: the region that the bucket says]
    #[arg(long, value_name = "SITE")]
    pub(crate) site: Option<String>,
    /// Compares listings only: size and ETag, not metadata, headers and tags. What seems to differ
    /// is looked at all the same
    #[arg(long)]
    pub(crate) fast: bool,
    #[command(flatten)]
    pub(crate) patterns: Patterns,
    /// Begins behind this key, as an interrupted run has printed it
    #[arg(long, value_name = "KEY", value_parser = key)]
    pub(crate) start_after: Option<ObjectKey>,
    /// Takes the keys from an S3 Inventory (CSV) of the master or of a target, and lists no bucket
    #[arg(
        long,
        value_name = "s3://BUCKET/…/manifest.json",
        conflicts_with_all = ["fast", "start_after"]
    )]
    pub(crate) from_inventory: Option<S3Uri>,
    /// Keys by one listing request
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(i32).range(1..=1000)
    )]
    pub(crate) page_size: Option<i32>,
    /// Keys in work at once
    #[arg(
        long,
        value_name = "N",
        default_value = "64",
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    pub(crate) concurrency: u16,
    /// Sends no more requests than this, to all buckets together
    #[arg(long, value_name = "N")]
    pub(crate) requests_per_second: Option<NonZeroU32>,
    /// Prints JSON Lines
    #[arg(long)]
    pub(crate) json: bool,
}

impl WalkArguments {
    /// What says which keys are meant, as it is typed again: no more may be repaired, or deleted,
    /// than was looked at.
    pub(crate) fn scope(&self) -> String {
        let mut scope = quoted(&self.master.to_string());
        let mut add = |name: &str, value: &str| {
            scope.push_str(&format!(" --{name} {}", quoted(value)));
        };
        if let Some(site) = &self.site {
            add("site", site);
        }
        for pattern in &self.patterns.0 {
            let name = if pattern.include {
                "include"
            } else {
                "exclude"
            };
            add(name, &pattern.glob);
        }
        if let Some(key) = &self.start_after {
            add("start-after", key.as_str());
        }
        scope
    }
}

fn key(text: &str) -> Result<ObjectKey, String> {
    ObjectKey::new(text).map_err(|invalid| invalid.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Parser)]
    struct Walk {
        #[command(flatten)]
        arguments: WalkArguments,
    }

    #[rstest]
    #[case::no_rate(&[], 3, 64)]
    #[case::less_than_a_key_a_second(&["--requests-per-second", "1"], 3, 1)]
    #[case::by_the_rate(&["--requests-per-second", "100"], 3, 33)]
    #[case::by_the_concurrency(&["--requests-per-second", "1000", "--concurrency", "8"], 3, 8)]
    fn keys_at_once_are_no_more_than_there_are_requests_for(
        #[case] options: &[&str],
        #[case] buckets: usize,
        #[case] expected: usize,
    ) {
        let words = ["walk", "s3://master"].iter().chain(options);
        let walk = Walk::try_parse_from(words).expect("right usage");
        assert_eq!(walk.arguments.keys_at_once(buckets), expected);
    }

    #[rstest]
    #[case::bucket("s3://master", "master", None)]
    #[case::everything("s3://master/", "master", Some(""))]
    #[case::prefix("s3://master/a b/c", "master", Some("a b/c"))]
    #[case::old_bucket("s3://My_Bucket", "My_Bucket", None)]
    fn bucket_and_prefix_are_told_apart(
        #[case] text: &str,
        #[case] bucket: &str,
        #[case] rest: Option<&str>,
    ) {
        let expected = S3Uri {
            bucket: bucket.to_owned(),
            rest: rest.map(str::to_owned),
        };
        assert_eq!(text.parse(), Ok(expected));
    }

    #[rstest]
    #[case("master")]
    #[case("s3://")]
    #[case("s3:///key")]
    #[case("https://master.s3.amazonaws.com")]
    #[case("s3://a..b/x")]
    fn anything_else_is_refused(#[case] text: &str) {
        assert!(text.parse::<S3Uri>().is_err());
    }
}
