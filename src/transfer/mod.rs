//! Moving the bytes: within one service by the service itself, between services through us.
//!
//! - `layout`, `proof`: how an object is cut into parts, and what its parts prove; pure
//! - `boundaries`: where the master's own parts begin
//! - `server_side`, `part_copy`: no byte passes through us
//! - `source`, `relay`, `stream`: one read of the master, all targets written at once
//! - `upload`, `unfinished`: a multipart upload at one target, and those that others have left
//! - `compare`: two objects side by side
//! - `limits`: what the whole process moves at once

mod boundaries;
mod compare;
mod layout;
mod limits;
mod part_copy;
mod proof;
mod relay;
mod server_side;
mod source;
mod stream;
mod unfinished;
mod upload;

pub use compare::compare;
pub use limits::{Limits, Turn};

use std::future::Future;
use std::time::Duration;

use aws_sdk_s3::types::{ChecksumAlgorithm, StorageClass};
use futures_util::future::{join, join_all};
use tokio::time::{Instant, timeout_at};

use crate::change::ObjectKey;
use crate::error::{Failure, Kind};
use crate::object::Object;
use crate::reconcile::Written;
use crate::s3::request::NotStarted;
use crate::site::Bucket;
use boundaries::Boundaries;
use layout::{Form, server_side_form, streamed_form};
use upload::Ended;

/// How long a body may stand still.
const SILENCE: Duration = Duration::from_secs(20);

/// One object to be moved.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// The key, the same everywhere.
    pub key: &'a ObjectKey,
    /// Where it comes from.
    pub master: &'a Bucket,
    /// The observed state of the key there, which is written exactly.
    pub object: &'a Object,
    /// What the process moves at once.
    pub limits: &'a Limits,
    /// The key's place among those in work.
    pub turn: &'a Turn<'a>,
    /// When moving bytes ends.
    pub until: Instant,
    /// When all ends; in between, what cannot be taken up again is aborted.
    pub deadline: Instant,
}

impl Job<'_> {
    /// Whether the master's service is the target's as well, so that it copies by itself.
    fn is_near(&self, target: &Bucket) -> bool {
        target.site.service == self.master.site.service
    }

    /// There was no time left to attempt it.
    fn not_started(&self, attempted: &'static str, bucket: &Bucket) -> Failure {
        let place = bucket.place(Some(self.key));
        Failure::new(Kind::Retryable, attempted, place, NotStarted)
    }
}

/// Moves the object to all of `targets`; the answers are in their order.
pub async fn copy(job: Job<'_>, targets: &[&Bucket]) -> Vec<Written> {
    let (near, far): (Vec<&Bucket>, Vec<&Bucket>) =
        targets.iter().partition(|target| job.is_near(target));
    let server_side = async {
        match server_side_form(job.object) {
            Form::Whole => {
                let copies = near.iter().map(|target| server_side::copy(&job, target));
                join_all(copies).await
            }
            form => Box::pin(by_parts(&job, &near, form, Way::ServerSide)).await,
        }
    };
    let streamed = async {
        match streamed_form(job.object, job.limits.threshold) {
            _ if far.is_empty() => Vec::new(),
            Form::Whole => Box::pin(stream::send_whole(&job, &far)).await,
            form => Box::pin(by_parts(&job, &far, form, Way::Streamed)).await,
        }
    };
    let (near, far) = join(server_side, streamed).await;
    let (mut near, mut far) = (near.into_iter(), far.into_iter());
    let answers = targets.iter().map(|target| match job.is_near(target) {
        true => near.next().expect("one for each target"),
        false => far.next().expect("one for each target"),
    });
    answers.collect()
}

#[derive(Debug, Clone, Copy)]
enum Way {
    ServerSide,
    Streamed,
}

/// Moves the object part by part, once more where the boundaries that were assumed are refuted.
async fn by_parts(job: &Job<'_>, targets: &[&Bucket], form: Form, way: Way) -> Vec<Written> {
    if targets.is_empty() {
        return Vec::new();
    }
    if timeout_at(job.until, job.turn.step_aside()).await.is_err() {
        let failure = job.not_started("waiting for other keys", job.master);
        return targets
            .iter()
            .map(|_| Written::failed(failure.clone()))
            .collect();
    }
    let mut written: Vec<Option<Written>> = targets.iter().map(|_| None).collect();
    for refuted in [false, true] {
        let open: Vec<usize> = (0..targets.len())
            .filter(|&i| written[i].is_none())
            .collect();
        if open.is_empty() {
            break;
        }
        let boundaries = match Boundaries::read(job, form, refuted).await {
            Ok(boundaries) => boundaries,
            Err(failure) => {
                for index in open {
                    written[index] = Some(Written::failed(failure.clone()));
                }
                break;
            }
        };
        let buckets: Vec<&Bucket> = open.iter().map(|&i| targets[i]).collect();
        let ended = match way {
            Way::ServerSide => {
                let copies = buckets
                    .iter()
                    .map(|t| part_copy::copy_parts(job, t, &boundaries));
                join_all(copies).await
            }
            Way::Streamed => stream::send_parts(job, &buckets, &boundaries).await,
        };
        for (index, ended) in open.into_iter().zip(ended) {
            if let Ended::Written(answer) = ended {
                written[index] = Some(answer);
            }
        }
    }
    let written = written.into_iter();
    written
        .map(|one| one.expect("exact boundaries are not refuted"))
        .collect()
}

/// The algorithm that the master keeps a checksum by.
fn checksum_algorithm(object: &Object) -> Option<ChecksumAlgorithm> {
    let name = *object.checksums.values.keys().next()?;
    Some(ChecksumAlgorithm::from(name.to_ascii_uppercase().as_str()))
}

/// The one checksum of an answer about a part, whatever its algorithm.
macro_rules! checksum_of {
    ($answer:expr) => {{
        let answer = &$answer;
        [
            answer.checksum_crc32(),
            answer.checksum_crc32_c(),
            answer.checksum_crc64_nvme(),
            answer.checksum_sha1(),
            answer.checksum_sha256(),
        ]
        .into_iter()
        .flatten()
        .next()
        .map(ToOwned::to_owned)
    }};
}
use checksum_of;

/// A part of that size, as an answer about it tells.
macro_rules! done_of {
    ($answer:expr, $size:expr) => {{
        let answer = &$answer;
        Done {
            etag: answer
                .e_tag()
                .unwrap_or_default()
                .trim_matches('"')
                .to_owned(),
            size: $size,
            checksum: checksum_of!(answer),
        }
    }};
}
use done_of;

/// Writes with the master's storage class, and without where the target has no such class.
async fn with_storage_class<F>(
    object: &Object,
    write: impl Fn(Option<StorageClass>) -> F,
) -> Written
where
    F: Future<Output = Written>,
{
    let class = object.storage_class.0.as_deref().map(StorageClass::from);
    let first = write(class).await;
    match &first.result {
        Err(failure) if failure.kind == Kind::NoSuchStorageClass => {
            let second = write(None).await;
            Written {
                ambiguous: second.ambiguous || first.ambiguous,
                ..second
            }
        }
        _ => first,
    }
}
