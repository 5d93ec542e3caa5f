//! Listings of uploads under way, and of their parts.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::super::api::Api;
use super::super::events::CANONICAL_ID;
use super::super::listing::{Row, page};
use super::super::time::shown_time;
use super::super::uploads::Upload;
use super::buckets::owner;
use super::list::{Encoder, max_rows, query, split};

/// An upload, with its key and id.
type Listing<'a> = (&'a str, &'a str, &'a Upload);

pub(in super::super) fn uploads(
    api: &Api,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    let input = request.input;
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let max = max_rows(input.max_uploads, "max-uploads")?;
    let key_marker = input
        .key_marker
        .as_deref()
        .filter(|marker| !marker.is_empty());
    // Without a key, S3 takes no notice of the other marker.
    let id_marker = input
        .upload_id_marker
        .as_deref()
        .filter(|_| key_marker.is_some());
    let query = query(
        input.prefix.as_deref(),
        input.delimiter.as_deref(),
        key_marker,
        max,
    );
    let store = api.lock();
    let bucket = store.bucket(&input.bucket)?;
    let is_behind_marker = |key: &str, id: &str| match (key_marker, id_marker) {
        (None, _) => true,
        (Some(marker), None) => key > marker,
        (Some(marker), Some(id_marker)) => (key, id) > (marker, id_marker),
    };
    let listed = bucket
        .uploads
        .iter()
        .filter(|((key, id), _)| is_behind_marker(key, id))
        .map(|((key, id), upload)| (key.as_str(), (key.as_str(), id.as_str(), upload)));
    let page = page(listed, query);
    let last_id = match page.rows.last() {
        Some(Row::Item((_, id, _))) => Some((*id).to_owned()),
        _ => None,
    };
    let (items, prefixes, last) = split(page.rows, |(key, ..): &Listing<'_>| *key);
    Ok(S3Response::new(ListMultipartUploadsOutput {
        uploads: Some(items.iter().map(|item| to_upload(item, encoder)).collect()),
        common_prefixes: encoder.write_all(prefixes),
        is_truncated: Some(page.is_truncated),
        next_key_marker: last
            .filter(|_| page.is_truncated)
            .map(|last| encoder.write(&last)),
        next_upload_id_marker: last_id.filter(|_| page.is_truncated),
        bucket: Some(input.bucket.clone()),
        key_marker: Some(encoder.write(key_marker.unwrap_or_default())),
        upload_id_marker: Some(id_marker.unwrap_or_default().to_owned()),
        max_uploads: Some(max as MaxUploads),
        prefix: Some(encoder.write(query.prefix)),
        delimiter: query.delimiter.map(|delimiter| encoder.write(delimiter)),
        encoding_type: input.encoding_type.clone(),
        ..Default::default()
    }))
}

fn initiator() -> Initiator {
    Initiator {
        display_name: None,
        id: Some(CANONICAL_ID.to_owned()),
    }
}

fn to_upload((key, id, upload): &Listing<'_>, encoder: Encoder) -> MultipartUpload {
    let checksum = upload.checksum;
    MultipartUpload {
        checksum_algorithm: checksum
            .map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: checksum.map(|(_, coverage)| ChecksumType::from_static(coverage.name())),
        initiated: Some(shown_time(upload.initiated)),
        initiator: Some(initiator()),
        key: Some(encoder.write(key)),
        owner: Some(owner()),
        storage_class: Some(upload.attributes.storage_class.clone().into()),
        upload_id: Some((*id).to_owned()),
    }
}

pub(in super::super) fn parts(
    api: &Api,
    request: S3Request<ListPartsInput>,
) -> S3Result<S3Response<ListPartsOutput>> {
    let input = request.input;
    let max = max_rows(input.max_parts, "max-parts")?;
    let marker = input.part_number_marker.unwrap_or(0);
    let mut store = api.lock();
    let upload = store
        .bucket_mut(&input.bucket)?
        .upload_mut(&input.key, &input.upload_id)?;
    let mut behind = upload.parts.range(marker.saturating_add(1)..);
    let parts: Vec<Part> = behind
        .by_ref()
        .take(max)
        .map(|(number, part)| {
            let sums = part
                .checksum
                .as_ref()
                .map(|sum| sum.to_dto())
                .unwrap_or_default();
            Part {
                checksum_crc32: sums.checksum_crc32,
                checksum_crc32c: sums.checksum_crc32c,
                checksum_crc64nvme: sums.checksum_crc64nvme,
                checksum_sha1: sums.checksum_sha1,
                checksum_sha256: sums.checksum_sha256,
                e_tag: Some(ETag::Strong(part.etag.clone())),
                last_modified: Some(shown_time(part.modified)),
                part_number: Some(*number),
                size: Some(part.content.length() as Size),
            }
        })
        .collect();
    let is_truncated = behind.next().is_some();
    Ok(S3Response::new(ListPartsOutput {
        next_part_number_marker: parts.last().and_then(|part| part.part_number),
        parts: Some(parts),
        is_truncated: Some(is_truncated),
        bucket: Some(input.bucket),
        checksum_algorithm: upload
            .checksum
            .map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: upload
            .checksum
            .map(|(_, coverage)| ChecksumType::from_static(coverage.name())),
        initiator: Some(initiator()),
        key: Some(input.key),
        max_parts: Some(max as MaxParts),
        owner: Some(owner()),
        part_number_marker: Some(marker),
        storage_class: Some(upload.attributes.storage_class.clone().into()),
        upload_id: Some(input.upload_id),
        ..Default::default()
    }))
}
