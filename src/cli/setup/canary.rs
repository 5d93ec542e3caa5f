//! An object that is put to see whether it arrives, and taken away again.
//!
//! Invariant: nothing of it stays behind, in master or targets, whatever happens but a kill; where
//! that cannot be, it is said what is left.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::report::{Reporter, Said};
use crate::cli::account::ask;
use crate::cli::{CommandError, Ended, told_to_end};
use crate::error::Failure;
use crate::site::Bucket;

/// A new rule lets events pass unseen for minutes, so the canary is put again until it is seen.
const AGAIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// An object that is to be seen arriving.
pub(super) struct Watch {
    pub(super) master: Bucket,
    pub(super) targets: Vec<Bucket>,
    pub(super) key: String,
    pub(super) patience: Duration,
}

impl Watch {
    /// Puts it, waits for it everywhere, and takes it away again.
    pub(super) async fn fly(self, reporter: Reporter) -> Result<Ended, CommandError> {
        let Self {
            master,
            targets,
            key,
            patience,
        } = self;
        reporter.waiting(&master.name, &key);
        let flight = tokio::select! {
            flight = fly(&master, &targets, &key, patience) => Some(flight),
            () = told_to_end() => None,
        };
        let left = remove(&master, &targets, &key).await;
        let Some(flight) = flight else {
            reporter.say(&Said::Left { left: &left });
            return Ok(Ended::Interrupted);
        };
        let is_well = matches!(&flight, Ok(flight) if flight.missing.is_empty());
        match flight {
            Ok(flight) => reporter.say(&Said::Canary {
                key: &key,
                seconds: flight.elapsed.as_secs_f64(),
                missing: &flight.missing,
            }),
            Err(failure) => reporter.say(&Said::NoCanary {
                error: failure.chain(),
            }),
        }
        reporter.say(&Said::Left { left: &left });
        Ok(if is_well && left.is_empty() {
            Ended::Well
        } else {
            Ended::WithDifferences
        })
    }
}

/// How it ended.
#[derive(Debug)]
struct Flight {
    /// Targets that it did not reach, with the last error where there was one.
    pub(super) missing: Vec<(String, Option<String>)>,
    /// How long it took.
    pub(super) elapsed: Duration,
}

/// A canary's key, one that the rule is for.
pub(super) fn key(prefix: &str, suffix: &str) -> String {
    format!(
        "{prefix}s3-replicator-canary-{}{suffix}",
        Uuid::new_v4().simple()
    )
}

/// Puts the canary until every target has it, at most for `patience`.
async fn fly(
    master: &Bucket,
    targets: &[Bucket],
    key: &str,
    patience: Duration,
) -> Result<Flight, Failure> {
    let started = Instant::now();
    let mut put = None::<Instant>;
    loop {
        if put.is_none_or(|at| at.elapsed() >= AGAIN) {
            let body = format!("put by s3-replicator setup --wait, {:?}", started.elapsed());
            let request = master.site.client.put_object();
            let request = request.bucket(&master.name).key(key);
            let request = request.body(body.into_bytes().into()).send();
            ask(master, "PutObject", request).await?;
            put = Some(Instant::now());
        }
        let mut missing = Vec::new();
        for target in targets {
            match is_there(target, key).await {
                Ok(true) => {}
                Ok(false) => missing.push((target.name.clone(), None)),
                Err(failure) => missing.push((target.name.clone(), Some(failure.chain()))),
            }
        }
        if missing.is_empty() || started.elapsed() >= patience {
            return Ok(Flight {
                missing,
                elapsed: started.elapsed(),
            });
        }
        sleep(PAUSE).await;
    }
}

async fn is_there(bucket: &Bucket, key: &str) -> Result<bool, Failure> {
    let list = bucket.site.client.list_objects_v2();
    let list = list.bucket(&bucket.name).prefix(key).max_keys(1).send();
    let found = ask(bucket, "ListObjectsV2", list).await?;
    Ok(found.contents().iter().any(|it| it.key() == Some(key)))
}

/// Removes the canary, from the master first, so that nobody makes a new replica of it. Answers
/// where it is left.
async fn remove(master: &Bucket, targets: &[Bucket], key: &str) -> Vec<String> {
    let mut left = Vec::new();
    for bucket in std::iter::once(master).chain(targets) {
        if let Ok(false) = is_there(bucket, key).await {
            continue;
        }
        let request = bucket.site.client.delete_object();
        let request = request.bucket(&bucket.name).key(key).send();
        if ask(bucket, "DeleteObject", request).await.is_err() {
            left.push(format!("s3://{}/{key}", bucket.name));
        }
    }
    left
}
