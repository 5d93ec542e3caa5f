//! Uploads that are under way at a target: found, told apart, aborted.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{EncodingType, MultipartUpload};
use tracing::warn;

use super::layout::Layout;
use super::proof::{Done, is_provable};
use super::upload::PartChecksum;
use super::{Job, checksum_of, done_of};
use crate::change::ObjectKey;
use crate::error::{Failure, Kind};
use crate::s3::send;
use crate::site::Bucket;

/// The uploads under way of just this key.
pub(super) async fn list(job: &Job<'_>, target: &Bucket) -> Result<Vec<MultipartUpload>, Failure> {
    let (mut uploads, mut key_marker, mut id_marker) = (Vec::new(), None, None);
    loop {
        let request = target
            .site
            .client
            .list_multipart_uploads()
            .bucket(&target.name)
            .prefix(job.key.as_str())
            .encoding_type(EncodingType::Url)
            .set_key_marker(key_marker)
            .set_upload_id_marker(id_marker);
        let attempted = "ListMultipartUploads";
        let output = send(target, Some(job.key), attempted, job.until, request.send()).await?;
        let is_encoded = output.encoding_type == Some(EncodingType::Url);
        let decode = |key: &str| match is_encoded {
            true => ObjectKey::from_form_urlencoded(key).ok(),
            false => ObjectKey::new(key).ok(),
        };
        let of_key = |upload: &MultipartUpload| {
            upload
                .key()
                .and_then(decode)
                .is_some_and(|key| key == *job.key)
        };
        uploads.extend(
            output
                .uploads
                .unwrap_or_default()
                .into_iter()
                .filter(of_key),
        );
        // Longer keys come after ours: what is not on the first page may be on the next.
        (key_marker, id_marker) = (
            output.next_key_marker.map(|key| match decode(&key) {
                Some(decoded) => decoded.as_str().to_owned(),
                None => key,
            }),
            output.next_upload_id_marker,
        );
        let is_ours = key_marker.as_deref() == Some(job.key.as_str());
        if !output.is_truncated.unwrap_or_default() || !is_ours {
            return Ok(uploads);
        }
    }
}

/// Whether an upload may be of the observed state, as far as can be told before its parts are seen.
/// The clocks of two services are never compared.
pub(super) fn is_admissible(
    job: &Job<'_>,
    target: &Bucket,
    upload: &MultipartUpload,
    checksum: Option<&PartChecksum>,
) -> bool {
    let later =
        |initiated: &aws_sdk_s3::primitives::DateTime| initiated.secs() > job.object.last_modified;
    let ours = checksum.map(|(algorithm, _)| algorithm);
    let has_our_checksum = match upload.checksum_algorithm() {
        Some(theirs) => ours == Some(theirs),
        // Not every store tells.
        None => true,
    };
    has_our_checksum
        && is_provable(job.object)
        && (!job.is_near(target) || upload.initiated().is_some_and(later))
}

/// The parts of an upload, if all of them lie within our boundaries.
pub(super) async fn fitting_parts(
    job: &Job<'_>,
    target: &Bucket,
    id: &str,
    layout: &Layout,
) -> Result<Option<BTreeMap<i32, Done>>, Failure> {
    let (mut parts, mut marker) = (BTreeMap::new(), None);
    loop {
        let request = target
            .site
            .client
            .list_parts()
            .bucket(&target.name)
            .key(job.key.as_str())
            .upload_id(id)
            .set_part_number_marker(marker);
        let output = send(
            target,
            Some(job.key),
            "ListParts",
            job.until,
            request.send(),
        )
        .await?;
        for part in output.parts.unwrap_or_default() {
            let number = part.part_number.unwrap_or_default();
            let done = done_of!(part, part.size.unwrap_or_default().unsigned_abs());
            if layout
                .part(number)
                .is_none_or(|ours| ours.size != done.size)
            {
                return Ok(None);
            }
            parts.insert(number, done);
        }
        marker = output.next_part_number_marker;
        if !output.is_truncated.unwrap_or_default() {
            return Ok(Some(parts));
        }
    }
}

/// Gives an upload up. One that is gone already needs no more; one that cannot be aborted is left
/// to the bucket's lifecycle rule.
pub(super) async fn abort(job: &Job<'_>, target: &Bucket, id: &str) {
    let request = target
        .site
        .client
        .abort_multipart_upload()
        .bucket(&target.name)
        .key(job.key.as_str())
        .upload_id(id);
    let attempted = "AbortMultipartUpload";
    let aborted = send(
        target,
        Some(job.key),
        attempted,
        job.deadline,
        request.send(),
    )
    .await;
    match aborted {
        Ok(_) => {}
        Err(failure) if failure.kind == Kind::Raced => {}
        Err(failure) => warn!(
            target = target.name,
            key = job.key.as_str(),
            error = failure.chain(),
            "upload left behind"
        ),
    }
}
