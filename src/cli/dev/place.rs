//! `NAME@REGION`, as `--master` and `--target` take it.

use std::collections::BTreeMap;

use crate::targets::{is_bucket_name, is_region, to_tags};

/// A bucket in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Place {
    pub(in crate::cli) bucket: String,
    pub(in crate::cli) region: String,
}

pub(in crate::cli) fn place(text: &str) -> Result<Place, String> {
    let (bucket, region) = text
        .split_once('@')
        .ok_or("expected NAME@REGION, like a@us-east-1")?;
    if !is_bucket_name(bucket) {
        return Err(format!("{bucket:?} is no bucket name by S3's naming rules"));
    }
    if !is_region(region) {
        return Err(format!("{region:?} is no region, like us-east-1"));
    }
    Ok(Place {
        bucket: bucket.to_owned(),
        region: region.to_owned(),
    })
}

/// The targets as tags of the master, continued where one value cannot hold them.
pub(in crate::cli) fn tags(targets: &[Place]) -> BTreeMap<String, String> {
    to_tags(
        targets
            .iter()
            .map(|Place { bucket, region }| format!("{bucket}@{region}")),
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::targets::TAG_VALUE_LIMIT;

    #[rstest]
    #[case("bucket", "expected NAME@REGION")]
    #[case("B@us-east-1", "no bucket name")]
    #[case("bucket@mars", "no region")]
    fn a_mistaken_place_is_named(#[case] text: &str, #[case] expected: &str) {
        assert!(place(text).expect_err("it is mistaken").contains(expected));
    }

    #[test]
    fn targets_beyond_one_tag_value_continue_in_the_next() {
        let targets: Vec<Place> = (0..20)
            .map(|number| Place {
                bucket: format!("replica-number-{number}"),
                region: "ap-southeast-1".to_owned(),
            })
            .collect();
        let tags = tags(&targets);
        let pairs = tags
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        assert!(tags.values().all(|value| value.len() <= TAG_VALUE_LIMIT));
        let list = crate::targets::parse(pairs, |_| false);
        assert_eq!((list.targets.len(), list.problems.len()), (20, 0));
    }
}
