//! An object that is put to see whether it arrives, and taken away again.
//!
//! Invariant: nothing of it stays behind, in master or targets, whatever happens but a kill or a
//! second signal; where that cannot be, it is said what is left.

use std::cell::RefCell;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;

use super::report::{Reporter, Said};
use crate::cli::account::ask;
use crate::cli::{CommandError, Ended, told_to_end};
use crate::error::Failure;
use crate::site::Bucket;

/// A new rule lets events pass unseen for minutes, so the canary is put again until it is seen.
const AGAIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);
/// How long the look may take that is taken when the time is over.
const LAST_LOOK: Duration = Duration::from_secs(5);

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
        let all = std::iter::once(&master).chain(&targets);
        let left = RefCell::new(all.map(|it| place(it, &key)).collect::<Vec<String>>());
        // Who waits no longer may be told twice.
        let told_again = async {
            if flight.is_some() {
                told_to_end().await;
            }
            told_to_end().await;
        };
        tokio::select! {
            () = remove(&master, &targets, &key, &left) => {}
            () = told_again => {}
        }
        let left = left.into_inner();
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
            Err(error) => reporter.say(&Said::NoCanary { error }),
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

/// Puts the canary until every target has it, at most for `patience`, and looks once more then.
async fn fly(
    master: &Bucket,
    targets: &[Bucket],
    key: &str,
    patience: Duration,
) -> Result<Flight, String> {
    let started = Instant::now();
    let deadline = started + patience;
    let mut put = None::<Instant>;
    loop {
        let is_last = Instant::now() >= deadline;
        if put.is_none_or(|at| at.elapsed() >= AGAIN && !is_last) {
            let body = format!("put by s3-replicator setup --wait, {:?}", started.elapsed());
            let request = master.site.client.put_object();
            let request = request.bucket(&master.name).key(key);
            let request = request.body(body.into_bytes().into()).send();
            let answer = timeout_at(deadline, ask(master, "PutObject", request)).await;
            match answer {
                Ok(answer) => drop(answer.map_err(|failure| failure.chain())?),
                Err(_) if put.is_none() => {
                    let place = place(master, key);
                    return Err(format!("no answer to PutObject for {place} in that time"));
                }
                Err(_) => {}
            }
            put = Some(Instant::now());
        }
        let until = if is_last {
            Instant::now() + LAST_LOOK
        } else {
            deadline
        };
        let missing = missing(targets, key, until).await;
        if missing.is_empty() || is_last {
            return Ok(Flight {
                missing,
                elapsed: started.elapsed(),
            });
        }
        sleep_until(deadline.min(Instant::now() + PAUSE)).await;
    }
}

/// Where it is not, with the error where there was one.
async fn missing(targets: &[Bucket], key: &str, until: Instant) -> Vec<(String, Option<String>)> {
    let of_each = targets.iter().map(async |target| {
        let error = match timeout_at(until, is_there(target, key)).await {
            Ok(Ok(true)) => return None,
            Ok(Ok(false)) => None,
            Ok(Err(failure)) => Some(failure.chain()),
            Err(_) => Some("ListObjectsV2 was not answered".to_owned()),
        };
        Some((target.name.clone(), error))
    });
    join_all(of_each).await.into_iter().flatten().collect()
}

async fn is_there(bucket: &Bucket, key: &str) -> Result<bool, Failure> {
    let list = bucket.site.client.list_objects_v2();
    let list = list.bucket(&bucket.name).prefix(key).max_keys(1).send();
    let found = ask(bucket, "ListObjectsV2", list).await?;
    Ok(found.contents().iter().any(|it| it.key() == Some(key)))
}

/// Removes the canary, from the master first, so that nobody makes a new replica of it, and takes
/// from `left` where it is gone.
async fn remove(master: &Bucket, targets: &[Bucket], key: &str, left: &RefCell<Vec<String>>) {
    let remove_from = async |bucket: &Bucket| {
        let is_gone = matches!(is_there(bucket, key).await, Ok(false)) || {
            let request = bucket.site.client.delete_object();
            let request = request.bucket(&bucket.name).key(key).send();
            ask(bucket, "DeleteObject", request).await.is_ok()
        };
        if is_gone {
            let gone = place(bucket, key);
            left.borrow_mut().retain(|it| *it != gone);
        }
    };
    remove_from(master).await;
    join_all(targets.iter().map(remove_from)).await;
}

fn place(bucket: &Bucket, key: &str) -> String {
    format!("s3://{}/{key}", bucket.name)
}
