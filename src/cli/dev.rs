//! `dev`: a local world that stays up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tokio::net::TcpListener;

use super::spectator::{json, line, show_outcome};
use super::{CommandError, Ended, FunctionArguments, told_to_end};
use crate::local::http::serve;
use crate::local::recording::{Bucket, Header, TargetBucket};
use crate::local::s3::{Credentials, EmbeddedS3, Options};
use crate::local::world::{Keys, World, WorldError, WorldOptions};
use crate::targets::{TARGETS_TAG, is_bucket_name, is_region};

pub(super) const EXAMPLES: &str = "\
Examples:
  s3-replicator dev --master artifacts@us-east-1 --target copy-1@ap-southeast-1 \\
      --target copy-2@eu-central-1
  s3-replicator dev --listen 127.0.0.1:9000        # a plain embedded S3";

/// A tag value holds no more: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/CostAllocTagging.html>
const TAG_VALUE_LIMIT: usize = 256;

#[derive(Debug, Args)]
pub(super) struct Dev {
    /// Where the S3 listens; port 0 for any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// The bucket that is replicated; without one, this is a plain S3
    #[arg(long, value_name = "NAME@REGION", value_parser = place)]
    master: Option<Place>,
    /// A bucket that it is replicated to; may be given more than once
    #[arg(long = "target", value_name = "NAME@REGION", value_parser = place, requires = "master")]
    targets: Vec<Place>,
    /// The access key that clients sign with
    #[arg(long, value_name = "KEY", default_value_t = Keys::default().access_key)]
    access_key: String,
    /// The secret key that clients sign with
    #[arg(long, value_name = "KEY", default_value_t = Keys::default().secret_key)]
    secret_key: String,
    /// Prints outcomes as JSON Lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    function: FunctionArguments,
}

/// A bucket in a region.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    bucket: String,
    region: String,
}

fn place(text: &str) -> Result<Place, String> {
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

impl Dev {
    pub(super) async fn run(self) -> Result<Ended, CommandError> {
        match &self.master {
            Some(master) => self.replicate(master).await,
            None => self.plain().await,
        }
    }

    async fn replicate(&self, master: &Place) -> Result<Ended, CommandError> {
        let function = self.function.program()?;
        let header = self.header(master)?;
        let is_json = self.json;
        let options = WorldOptions {
            notifying: vec![header.master.name.clone()],
            header,
            program: function.program.clone(),
            listen: self.listen,
            keys: self.keys(),
            store: self.function.store.open().await?,
            temporary: false,
        };
        let mut world = World::start(options, move |_, outcome| match outcome {
            Some(outcome) if is_json => json(outcome),
            Some(outcome) => show_outcome(&[], outcome),
            None => {}
        })
        .await?;
        let mut end = std::pin::pin!(told_to_end());
        self.greet(world.address());
        loop {
            tokio::select! {
                () = world.forward_next() => {}
                () = &mut end => break,
            }
        }
        world.stop().await;
        Ok(Ended::Well)
    }

    async fn plain(&self) -> Result<Ended, CommandError> {
        let Keys {
            access_key,
            secret_key,
        } = self.keys();
        let service = EmbeddedS3::new(Options {
            credentials: vec![Credentials {
                access_key,
                secret_key,
            }],
            ..Options::default()
        });
        let address = self.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| WorldError::Listen { address, source })?;
        let server = serve(listener, Arc::new(service)).await;
        let end = told_to_end();
        self.greet(server.address());
        end.await;
        server.stop().await;
        Ok(Ended::Well)
    }

    fn keys(&self) -> Keys {
        Keys {
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
        }
    }

    /// The world that the flags describe.
    fn header(&self, master: &Place) -> Result<Header, CommandError> {
        let mut names = vec![&master.bucket];
        for target in &self.targets {
            if names.contains(&&target.bucket) {
                let text = format!("--target {}: this bucket was named before", target.bucket);
                return Err(CommandError::Input(text));
            }
            names.push(&target.bucket);
        }
        let mut bucket = Bucket::new(&master.bucket, &master.region);
        bucket.tags = tags(&self.targets);
        let mut header = Header::new("dev", bucket);
        header.function.concurrency = 4;
        // Any bucket that is tagged and notifies us is served, as a user would try it on AWS.
        let masters = ("S3_REPLICATOR_MASTERS".to_owned(), String::new());
        header.function.environment.extend([masters]);
        header.targets = self
            .targets
            .iter()
            .map(|target| TargetBucket {
                bucket: Bucket::new(&target.bucket, &target.region),
                separate: false,
                create: true,
            })
            .collect();
        Ok(header)
    }

    /// Says what is there, and how to try it.
    fn greet(&self, address: SocketAddr) {
        #[derive(Serialize)]
        struct Ready<'a> {
            ready: bool,
            endpoint: &'a str,
            access_key: &'a str,
            secret_key: &'a str,
        }

        let (endpoint, access_key, secret_key) = (
            format!("http://{address}"),
            &self.access_key,
            &self.secret_key,
        );
        if self.json {
            return json(&Ready {
                ready: true,
                endpoint: &endpoint,
                access_key,
                secret_key,
            });
        }
        let bucket = self
            .master
            .as_ref()
            .map_or("my-bucket", |master| &master.bucket);
        let region = self
            .master
            .as_ref()
            .map_or("us-east-1", |master| &master.region);
        line(format_args!("S3 at {endpoint}, Ctrl-C ends it"));
        line(format_args!(""));
        line(format_args!(
            "  export AWS_ENDPOINT_URL={endpoint} AWS_REGION={region}"
        ));
        line(format_args!(
            "  export AWS_ACCESS_KEY_ID={access_key} AWS_SECRET_ACCESS_KEY={secret_key}"
        ));
        if self.master.is_none() {
            line(format_args!("  aws s3 mb s3://{bucket}"));
        }
        line(format_args!(
            "  echo hello | aws s3 cp - s3://{bucket}/hello.txt"
        ));
        let listed = self.targets.first().map_or(bucket, |target| &target.bucket);
        line(format_args!("  aws s3 ls s3://{listed}"));
        line(format_args!(""));
    }
}

/// The targets as tags of the master, continued where one value cannot hold them.
fn tags(targets: &[Place]) -> BTreeMap<String, String> {
    let mut values: Vec<String> = Vec::new();
    for Place { bucket, region } in targets {
        let entry = format!("{bucket}@{region}");
        match values.last_mut() {
            Some(value) if value.len() + 1 + entry.len() <= TAG_VALUE_LIMIT => {
                value.push(' ');
                value.push_str(&entry);
            }
            _ => values.push(entry),
        }
    }
    let names = std::iter::once(TARGETS_TAG.to_owned())
        .chain((2..).map(|number| format!("{TARGETS_TAG}.{number}")));
    names.zip(values).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

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
