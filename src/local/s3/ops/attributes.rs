//! GetObjectAttributes.
//!
//! Parts are listed one by one only where they have checksums; otherwise only their number is.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::super::answer::BareEtag;
use super::super::api::Api;
use super::super::object::Object;
use super::super::time::shown_time;

pub(in super::super) fn get_object_attributes(
    api: &Api,
    request: S3Request<GetObjectAttributesInput>,
) -> S3Result<S3Response<GetObjectAttributesOutput>> {
    let input = request.input;
    let found = {
        let store = api.lock();
        store
            .bucket(&input.bucket)?
            .find(&input.key, input.version_id.as_deref())?
    };
    let object = &found.object;
    // The header may come once with commas, or several times.
    let wants = |name: &str| {
        let mut names = input
            .object_attributes
            .iter()
            .flat_map(|one| one.as_str().split(','));
        names.any(|one| one.trim() == name)
    };
    let output = GetObjectAttributesOutput {
        checksum: object
            .checksum
            .as_ref()
            .filter(|_| wants(ObjectAttributes::CHECKSUM))
            .map(|checksum| checksum.to_dto()),
        e_tag: wants(ObjectAttributes::ETAG).then(|| ETag::Strong(object.etag.clone())),
        last_modified: Some(shown_time(found.modified)),
        object_parts: (wants(ObjectAttributes::OBJECT_PARTS) && !object.parts.is_empty())
            .then(|| parts(object, input.max_parts, input.part_number_marker)),
        object_size: wants(ObjectAttributes::OBJECT_SIZE)
            .then(|| object.content.length() as ObjectSize),
        storage_class: wants(ObjectAttributes::STORAGE_CLASS)
            .then(|| object.attributes.storage_class.clone().into()),
        version_id: found.version_id,
        ..Default::default()
    };
    let mut response = S3Response::new(output);
    response.extensions.insert(BareEtag);
    Ok(response)
}

fn parts(object: &Object, max_parts: Option<i32>, marker: Option<i32>) -> GetObjectAttributesParts {
    let count = object.parts.len() as i32;
    let mut parts = GetObjectAttributesParts {
        total_parts_count: Some(count),
        ..Default::default()
    };
    if object.parts.iter().any(|part| part.checksum.is_none()) {
        return parts;
    }
    let marker = marker.unwrap_or(0).clamp(0, count);
    let max_parts = max_parts.unwrap_or(1000).clamp(0, 1000);
    let last = (marker + max_parts).min(count);
    let listed = object.parts[marker as usize..last as usize]
        .iter()
        .zip(marker + 1..);
    let listed = listed.map(|(part, number)| {
        let sums = part
            .checksum
            .as_ref()
            .map(|checksum| checksum.to_dto())
            .unwrap_or_default();
        ObjectPart {
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            part_number: Some(number),
            size: Some(part.size as Size),
        }
    });
    parts.parts = Some(listed.collect());
    parts.is_truncated = Some(last < count);
    parts.max_parts = Some(max_parts);
    parts.part_number_marker = Some(marker);
    parts.next_part_number_marker = Some(last);
    parts
}
