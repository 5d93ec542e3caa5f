//! UploadPartCopy: a large object goes from bucket to bucket of one service part by part, and no
//! byte passes through us.

use aws_sdk_s3::types::CopyPartResult;
use futures_util::stream::{self, StreamExt};
use tokio::time::timeout_at;

use super::boundaries::Boundaries;
use super::layout::Part;
use super::proof::Done;
use super::upload::{Cut, Ended, PartChecksum, Upload, part_checksum};
use super::{Job, checksum_of, done_of};
use crate::error::{Failure, Kind};
use crate::reconcile::Written;
use crate::s3::exact::copy_source;
use crate::s3::send;
use crate::site::Bucket;

const UPLOAD_PART_COPY: &str = "UploadPartCopy";

/// Copies all parts that `target` lacks, and completes the upload.
///
/// Not every store that keeps checksums of parts computes them of a part that it copies itself
/// (MinIO refuses such a copy): there the replica goes without.
pub(super) async fn copy_parts(job: &Job<'_>, target: &Bucket, boundaries: &Boundaries) -> Ended {
    let checksum = part_checksum(job);
    let keeps_checksum = checksum.is_some();
    match copy_with(job, target, boundaries, checksum).await {
        Ended::Written(Written {
            result: Err(failure),
            ..
        }) if keeps_checksum
            && failure.kind == Kind::InvalidArgument
            && failure.attempted == UPLOAD_PART_COPY =>
        {
            copy_with(job, target, boundaries, None).await
        }
        ended => ended,
    }
}

async fn copy_with(
    job: &Job<'_>,
    target: &Bucket,
    boundaries: &Boundaries,
    checksum: Option<PartChecksum>,
) -> Ended {
    let mut upload = match Upload::open(job, target, boundaries, checksum).await {
        Ok(Some(upload)) => upload,
        Ok(None) => return Ended::Refuted,
        Err(failure) => return Ended::Written(Written::failed(failure)),
    };
    let cut = {
        let id = upload.id.clone();
        let mut missing = boundaries.in_turn();
        missing.retain(|part| upload.lacks(part));
        let mut copies = stream::iter(missing)
            .map(async |part| (part.number, copy_part(job, target, &id, part).await))
            .buffer_unordered(job.limits.places());
        loop {
            match copies.next().await {
                Some((number, Ok(done))) => upload.add(number, done),
                Some((_, Err(failure))) => break Some(Cut::by(job, failure)),
                None => break None,
            }
        }
    };
    upload.finish(boundaries, cut).await
}

async fn copy_part(
    job: &Job<'_>,
    target: &Bucket,
    upload_id: &str,
    part: &Part,
) -> Result<Done, Failure> {
    let attempted = UPLOAD_PART_COPY;
    let _places = timeout_at(job.until, async {
        let at_site = target.site.parts.acquire().await.expect("never closed");
        (at_site, job.limits.place().await)
    })
    .await
    .map_err(|_| job.not_started(attempted, target))?;
    let request = target
        .site
        .client
        .upload_part_copy()
        .bucket(&target.name)
        .key(job.key.as_str())
        .upload_id(upload_id)
        .part_number(part.number)
        .copy_source(copy_source(&job.master.name, job.key.as_str()))
        .copy_source_if_match(format!("\"{}\"", job.object.etag))
        .copy_source_range(part.range());
    let output = send(target, Some(job.key), attempted, job.until, request.send()).await?;
    let copied = output
        .copy_part_result
        .unwrap_or_else(|| CopyPartResult::builder().build());
    Ok(done_of!(copied, part.size))
}
