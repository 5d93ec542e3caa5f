//! A multipart upload at one target: begun or taken up again, proven, completed or aborted.
//!
//! Only a deadline leaves an upload behind, and only where its parts can be proven to be of one
//! state; every other failure aborts it. What another invocation left is taken up if its parts
//! have our boundaries and, where one clock tells, if it was begun after the master's last change;
//! everything else under the key is aborted.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart, ServerSideEncryption,
    StorageClass,
};
use tokio::time::Instant;

use super::boundaries::Boundaries;
use super::layout::Part;
use super::proof::{Done, Proof, is_provable, proof};
use super::unfinished::{abort, fitting_parts, is_admissible, list};
use super::{Job, checksum_algorithm};
use crate::error::{Failure, Kind};
use crate::reconcile::Written;
use crate::s3::exact::ExactHeaders;
use crate::s3::{send, write};
use crate::site::Bucket;

/// An upload that is under way.
#[derive(Debug)]
pub(super) struct Upload<'a> {
    job: &'a Job<'a>,
    pub(super) target: &'a Bucket,
    pub(super) id: String,
    checksum: Option<PartChecksum>,
    done: BTreeMap<i32, Done>,
    /// Begun by another invocation, which may have observed another state.
    resumed: bool,
    /// The target's own encryption hides the MD5s of parts.
    opaque: bool,
}

/// The checksum that an upload keeps of its parts, and how the object's is made of them.
pub(super) type PartChecksum = (ChecksumAlgorithm, ChecksumType);

/// How an upload ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// As a write of the whole object.
    Written(Written),
    /// The boundaries that were assumed are not the master's: nothing was written.
    Refuted,
}

/// The deadline came before the last part.
#[derive(Debug, thiserror::Error)]
#[error(
    "the deadline came with {done} of {all} parts at the target, which the next delivery takes up"
)]
struct Unfinished {
    done: usize,
    all: usize,
}

/// Why an upload has not all of its parts.
#[derive(Debug)]
pub(super) struct Cut {
    failure: Failure,
    is_out_of_time: bool,
}

impl Cut {
    /// By a failure of now: the deadline's, or one of its own.
    pub(super) fn by(job: &Job<'_>, failure: Failure) -> Self {
        Self {
            failure,
            is_out_of_time: Instant::now() >= job.until,
        }
    }
}

/// The parts at the target are not what was read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the parts that arrived do not give the master's ETag, so the bytes were damaged on their way"
)]
struct Damaged;

/// The parts of an upload that was taken up are not those of the observed object.
#[derive(Debug, thiserror::Error)]
#[error("the parts that were there are not the master's; it is sent anew")]
struct OtherParts;

impl<'a> Upload<'a> {
    /// Takes up what an earlier invocation left, or begins anew.
    ///
    /// `None` where what was left has other parts than the assumed ones: an earlier invocation may
    /// have refuted them.
    pub(super) async fn open(
        job: &'a Job<'a>,
        target: &'a Bucket,
        boundaries: &Boundaries,
        checksum: Option<PartChecksum>,
    ) -> Result<Option<Self>, Failure> {
        let mut found: Option<Self> = None;
        for listed in list(job, target).await? {
            let Some(id) = listed.upload_id() else {
                continue;
            };
            let parts = match is_admissible(job, target, &listed, checksum.as_ref()) {
                true => {
                    let parts = fitting_parts(job, target, id, &boundaries.layout).await?;
                    if parts.is_none() && boundaries.assumed {
                        return Ok(None);
                    }
                    parts
                }
                false => None,
            };
            let candidate = parts.map(|done| Self {
                job,
                target,
                id: id.to_owned(),
                checksum: checksum.clone(),
                done,
                resumed: true,
                opaque: false,
            });
            let dropped = match (candidate, &found) {
                (Some(one), Some(best)) if one.done.len() <= best.done.len() => Some(one.id),
                (Some(one), _) => found.replace(one).map(|other| other.id),
                (None, _) => Some(id.to_owned()),
            };
            if let Some(id) = dropped {
                abort(job, target, &id).await;
            }
        }
        match found {
            Some(upload) => Ok(Some(upload)),
            None => Self::begin(job, target, checksum).await.map(Some),
        }
    }

    async fn begin(
        job: &'a Job<'a>,
        target: &'a Bucket,
        checksum: Option<PartChecksum>,
    ) -> Result<Self, Failure> {
        let class = job
            .object
            .storage_class
            .0
            .as_deref()
            .map(StorageClass::from);
        let created = match create(job, target, class, checksum.clone()).await {
            Err(failure) if failure.kind == Kind::NoSuchStorageClass => {
                create(job, target, None, checksum.clone()).await
            }
            created => created,
        };
        let (id, encryption) = created?;
        Ok(Self {
            job,
            target,
            id,
            checksum,
            done: BTreeMap::new(),
            resumed: false,
            opaque: matches!(
                encryption,
                Some(ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse)
            ),
        })
    }

    /// Whether the target lacks that part.
    pub(super) fn lacks(&self, part: &Part) -> bool {
        !self.done.contains_key(&part.number)
    }

    /// Remembers a part that has arrived.
    pub(super) fn add(&mut self, number: i32, done: Done) {
        self.done.insert(number, done);
    }

    /// Completes the upload if all went well, else leaves or aborts it.
    pub(super) async fn finish(self, boundaries: &Boundaries, cut: Option<Cut>) -> Ended {
        let in_order: Vec<&Done> = self.done.values().collect();
        let proof = if cut.is_none() {
            proof(self.job.object, &in_order)
        } else {
            Proof::None
        };
        let place = || self.target.place(Some(self.job.key));
        let failure = match (cut, proof) {
            (Some(cut), _) if cut.is_out_of_time && self.can_be_proven() => {
                let unfinished = Unfinished {
                    done: self.done.len(),
                    all: boundaries.layout.parts().len(),
                };
                let attempted = cut.failure.attempted;
                let unfinished = Failure::new(Kind::Retryable, attempted, place(), unfinished);
                return Ended::Written(Written::failed(unfinished));
            }
            (Some(cut), _) => cut.failure,
            (None, Proof::Same) => return Ended::Written(self.complete().await),
            (None, _) if boundaries.assumed && !self.opaque => {
                abort(self.job, self.target, &self.id).await;
                return Ended::Refuted;
            }
            (None, _) if self.resumed => {
                Failure::new(Kind::Raced, "ListParts", place(), OtherParts)
            }
            // Within one service every part was bound to the observed object. What passed through
            // us must be what was read.
            (None, Proof::Different) if !self.job.is_near(self.target) && !self.opaque => {
                Failure::new(Kind::Retryable, "UploadPart", place(), Damaged)
            }
            (None, _) => return Ended::Written(self.complete().await),
        };
        abort(self.job, self.target, &self.id).await;
        Ended::Written(Written::failed(failure))
    }

    /// Whether what is there can be proven later to be of one state.
    fn can_be_proven(&self) -> bool {
        let by_checksum = !self.job.object.checksums.values.is_empty();
        is_provable(self.job.object) && (by_checksum || !self.opaque)
    }

    async fn complete(self) -> Written {
        let can_be_proven = self.can_be_proven();
        let Self { job, target, .. } = self;
        let algorithm = self.checksum;
        let parts = self.done.into_iter().map(|(number, done)| {
            let part = CompletedPart::builder()
                .part_number(number)
                .e_tag(done.etag);
            let algorithm = algorithm.as_ref().map(|(algorithm, _)| algorithm);
            match (algorithm, done.checksum) {
                (Some(ChecksumAlgorithm::Crc32), Some(sum)) => part.checksum_crc32(sum),
                (Some(ChecksumAlgorithm::Crc32C), Some(sum)) => part.checksum_crc32_c(sum),
                (Some(ChecksumAlgorithm::Crc64Nvme), Some(sum)) => part.checksum_crc64_nvme(sum),
                (Some(ChecksumAlgorithm::Sha1), Some(sum)) => part.checksum_sha1(sum),
                (Some(ChecksumAlgorithm::Sha256), Some(sum)) => part.checksum_sha256(sum),
                _ => part,
            }
            .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect()));
        // S3 compares what the parts amount to with the master's own checksum.
        let claimed = job.object.checksums.values.iter().next();
        let claims = match (&algorithm, claimed) {
            (Some(_), Some((name, value))) => {
                ExactHeaders::default().with(&format!("x-amz-checksum-{name}"), value)
            }
            _ => ExactHeaders::default(),
        };
        let mut written = write(
            target,
            job.key,
            "CompleteMultipartUpload",
            job.until,
            |unanswered| {
                target
                    .site
                    .client
                    .complete_multipart_upload()
                    .bucket(&target.name)
                    .key(job.key.as_str())
                    .upload_id(&self.id)
                    .set_checksum_type(algorithm.map(|(_, coverage)| coverage))
                    .multipart_upload(parts.build())
                    .customize()
                    .interceptor(claims)
                    .interceptor(unanswered)
                    .send()
            },
        )
        .await;
        written.resumed = self.resumed;
        if let Err(failure) = &mut written.result
            && (Instant::now() < job.until || !can_be_proven)
        {
            abort(job, target, &self.id).await;
            // What another invocation began may have been begun otherwise: it is sent anew.
            if self.resumed {
                failure.kind = Kind::Raced;
            }
        }
        written
    }
}

/// The checksum to keep of parts, so that the replica's can be compared with the master's.
/// Whole-object checksums other than CRCs cannot be put together from parts.
pub(super) fn part_checksum(job: &Job<'_>) -> Option<PartChecksum> {
    let checksums = &job.object.checksums;
    let name = *checksums.values.keys().next()?;
    let coverage = match (checksums.composite, name.starts_with("crc")) {
        (true, _) => ChecksumType::Composite,
        (false, true) => ChecksumType::FullObject,
        (false, false) => return None,
    };
    Some((checksum_algorithm(job.object)?, coverage))
}

async fn create(
    job: &Job<'_>,
    target: &Bucket,
    class: Option<StorageClass>,
    checksum: Option<PartChecksum>,
) -> Result<(String, Option<ServerSideEncryption>), Failure> {
    let (algorithm, coverage) = checksum.unzip();
    let request = target
        .site
        .client
        .create_multipart_upload()
        .bucket(&target.name)
        .key(job.key.as_str())
        .set_checksum_algorithm(algorithm)
        .set_checksum_type(coverage)
        .set_storage_class(class)
        .customize()
        .interceptor(ExactHeaders::of(job.object));
    let attempted = "CreateMultipartUpload";
    let output = send(target, Some(job.key), attempted, job.until, request.send()).await?;
    Ok((
        output.upload_id.unwrap_or_default(),
        output.server_side_encryption,
    ))
}
