//! What `dev` and `record` have in common: which buckets, where, and who replicates them.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;

use super::place::{Place, place, tags};
use crate::cli::{CommandError, FunctionArguments};
use crate::local::live::{Master, make_master, master, tagged_masters};
use crate::local::recording::{Bucket, Header, TargetBucket};
use crate::local::world::{Keys, RemoteStore};

/// Where the embedded S3 listens.
const S3: ([u8; 4], u16) = ([127, 0, 0, 1], 9000);
/// Where the webhook of the MinIO that `just up` starts is listened to.
const WEBHOOK: ([u8; 4], u16) = ([127, 0, 0, 1], 9180);

#[derive(Debug, Args)]
pub(in crate::cli) struct WorldArguments {
    /// Where the embedded S3 listens, port 0 for any that is free [default: 127.0.0.1:9000]; with
    /// a MinIO, where its webhook is listened to [default: 127.0.0.1:9180]. An address on loopback
    /// is then listened to on Docker's bridge as well, so that containers reach it
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The bucket that is replicated. In a real store it is made if need be, tagged and, with
    /// minio and localstack, wired; without one, every tagged bucket there is served. Embedded,
    /// there is then a plain S3
    #[arg(long, value_name = "NAME@REGION", value_parser = place)]
    pub(in crate::cli) master: Option<Place>,
    /// A bucket that it is replicated to; may be given more than once
    #[arg(long = "target", value_name = "NAME@REGION", value_parser = place, requires = "master")]
    pub(in crate::cli) targets: Vec<Place>,
    /// The access key that clients of the embedded S3 sign with [default: local]
    #[arg(long, value_name = "KEY")]
    access_key: Option<String>,
    /// The secret key that clients of the embedded S3 sign with [default: local-secret]
    #[arg(long, value_name = "KEY")]
    secret_key: Option<String>,
    /// Prints outcomes as JSON Lines
    #[arg(long)]
    pub(in crate::cli) json: bool,
    #[command(flatten)]
    pub(in crate::cli) function: FunctionArguments,
}

impl WorldArguments {
    /// Where the embedded S3 listens.
    pub(in crate::cli) fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or(S3.into())
    }

    /// Where webhooks are listened to.
    pub(in crate::cli) fn webhook(&self) -> SocketAddr {
        self.listen.unwrap_or(WEBHOOK.into())
    }

    /// Who clients of the embedded S3 are.
    pub(in crate::cli) fn keys(&self) -> Keys {
        let default = Keys::default();
        Keys {
            access_key: self.access_key.clone().unwrap_or(default.access_key),
            secret_key: self.secret_key.clone().unwrap_or(default.secret_key),
        }
    }

    /// The embedded world that the flags describe.
    pub(in crate::cli) fn header(
        &self,
        name: &str,
        master: &Place,
    ) -> Result<Header, CommandError> {
        self.check()?;
        let mut bucket = Bucket::new(&master.bucket, &master.region);
        bucket.tags = tags(&self.targets);
        let mut header = Header::new(name, bucket);
        header.function.concurrency = 4;
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

    /// The masters in a real store that the flags ask for.
    pub(in crate::cli) async fn masters(
        &self,
        store: &Arc<RemoteStore>,
    ) -> Result<Vec<Master>, CommandError> {
        if self.access_key.is_some() || self.secret_key.is_some() {
            let text = "--access-key and --secret-key are for the embedded S3; a store given by \
                        its URL takes AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            return Err(CommandError::Input(text.to_owned()));
        }
        let Some(place) = &self.master else {
            return Ok(tagged_masters(store).await?);
        };
        self.check()?;
        let wiring = self.function.store.wiring();
        if wiring.is_none() {
            // Before anything is made in a store where it would be of no use.
            let found = master(store, &place.bucket).await?;
            found.channels(store).await?;
            if self.targets.is_empty() {
                return Ok(vec![found]);
            }
        }
        let mut bucket = Bucket::new(&place.bucket, &place.region);
        bucket.tags = tags(&self.targets);
        let targets = self.targets.iter();
        let targets: Vec<Bucket> = targets
            .map(|target| Bucket::new(&target.bucket, &target.region))
            .collect();
        let made = make_master(store, &bucket, &targets, wiring.as_ref()).await?;
        Ok(vec![made])
    }

    /// Every bucket is named once.
    fn check(&self) -> Result<(), CommandError> {
        let mut names: Vec<&String> = self.master.iter().map(|place| &place.bucket).collect();
        for target in &self.targets {
            if names.contains(&&target.bucket) {
                let text = format!("--target {}: this bucket was named before", target.bucket);
                return Err(CommandError::Input(text));
            }
            names.push(&target.bucket);
        }
        Ok(())
    }
}
