//! CopyObject and UploadPartCopy: bytes that go from one key to another without a client.
//!
//! Invariant: the source is read at one moment and the target written at a later one, as in S3;
//! the conditions on the source hold at the first, those on the target at the second.

use std::ops::Range;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::super::answer::origin;
use super::super::api::Api;
use super::super::checksum::{Algorithm, digest};
use super::super::conditions::Conditions;
use super::super::events::Kind;
use super::super::object::{
    Attributes, Object, names_storage_class, requested_encryption, storage_class, website_redirect,
};
use super::super::receive::MAX_SIZE;
use super::super::store::Found;
use super::super::tags;
use super::super::time::shown_time;
use super::super::uploads::Part;
use super::multipart::{check_part_number, store_part};
use super::put::{Write, default_encryption, etag_for, write};

/// Where a copy comes from.
struct Source {
    bucket: String,
    key: String,
    version_id: Option<String>,
    conditions: Conditions,
}

/// Takes the fields that both inputs have alike.
macro_rules! source {
    ($input:expr) => {
        Source::new(
            $input.copy_source.clone(),
            Conditions {
                if_match: $input.copy_source_if_match.take(),
                if_none_match: $input.copy_source_if_none_match.take(),
                if_modified_since: $input.copy_source_if_modified_since.take(),
                if_unmodified_since: $input.copy_source_if_unmodified_since.take(),
            },
        )
    };
}

impl Source {
    fn new(source: CopySource, conditions: Conditions) -> S3Result<Source> {
        match source {
            CopySource::Bucket {
                bucket,
                key,
                version_id,
            } => Ok(Source {
                bucket: bucket.into(),
                key: key.into(),
                version_id: version_id.map(Into::into),
                conditions,
            }),
            _ => Err(s3_error!(NotImplemented)),
        }
    }

    /// The object as it is at this moment.
    fn read(&self, api: &Api) -> S3Result<Found> {
        let store = api.lock();
        let found = store
            .bucket(&self.bucket)?
            .find(&self.key, self.version_id.as_deref());
        let found = found.map_err(|error| match error.code() {
            s3s::S3ErrorCode::MethodNotAllowed => s3_error!(
                InvalidRequest,
                "The source of a copy request may not specifically refer to a delete marker by \
                 version id."
            ),
            _ => error,
        })?;
        // Whatever the condition was, a copy fails in one way.
        self.conditions
            .check(&found.object.etag, &shown_time(found.modified))
            .map_err(|_| s3_error!(PreconditionFailed))?;
        found.object.is_readable()?;
        found.object.attributes.encryption.admits(None)?;
        Ok(found)
    }
}

pub(in super::super) fn copy_object(
    api: &Api,
    mut request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let origin = origin(&request);
    let target_conditions = Conditions::of_write(&request.headers)?;
    let source = source!(request.input)?;
    let found = source.read(api)?;
    let from = &found.object;
    let S3Request {
        input,
        headers,
        extensions,
        ..
    } = request;

    let replaces_metadata = directive(input.metadata_directive.as_ref().map(|one| one.as_str()))?;
    let replaces_tags = directive(input.tagging_directive.as_ref().map(|one| one.as_str()))?;
    let changes_something = replaces_metadata
        || source.version_id.is_some()
        || names_storage_class(&headers)
        || input.website_redirect_location.is_some()
        || input.server_side_encryption.is_some();
    if source.bucket == input.bucket && source.key == input.key && !changes_something {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without \
             changing the object's metadata, storage class, website redirect location or \
             encryption attributes."
        ));
    }
    check_copy_size(from.content.length())?;
    let tags = if replaces_tags {
        tags::from_header(input.tagging.as_deref().unwrap_or_default())?
    } else {
        found.tags.clone()
    };
    let requested = input
        .checksum_algorithm
        .as_ref()
        .map(|one| Algorithm::parse(one.as_str()));
    let algorithm = requested
        .transpose()?
        .or(from.checksum.as_ref().map(|sum| sum.algorithm));
    let digested = digest(&from.content, algorithm);

    let mut store = api.lock();
    let default = default_encryption(&store, &input.bucket)?;
    let attributes = if replaces_metadata {
        Attributes::from_request(&headers, &extensions, input.metadata, &default)?
    } else {
        Attributes {
            // Neither of these is taken over from the source.
            website_redirect: website_redirect(&headers)?,
            storage_class: storage_class(&headers)?,
            encryption: requested_encryption(&headers)?.unwrap_or(default),
            ..from.attributes.clone()
        }
    };
    let object = Object {
        etag: etag_for(
            &mut store,
            &attributes.encryption,
            digested.md5,
            &input.bucket,
            &input.key,
        ),
        content: from.content.clone(),
        parts: Vec::new(),
        checksum: digested.checksum,
        attributes,
    };
    let modified = api.now();
    let copy = Write {
        bucket: &input.bucket,
        key: &input.key,
        object,
        tags,
        kind: Kind::Copy,
        origin: &origin,
        modified,
    };
    let written = write(api, &mut store, copy, &target_conditions)?;

    let sums = written
        .object
        .checksum
        .as_ref()
        .map(|sum| sum.to_dto())
        .unwrap_or_default();
    let mut response = S3Response::new(CopyObjectOutput {
        copy_object_result: Some(CopyObjectResult {
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
            e_tag: Some(ETag::Strong(written.object.etag.clone())),
            last_modified: Some(shown_time(modified)),
        }),
        copy_source_version_id: found.version_id,
        version_id: written.version_id,
        ..Default::default()
    });
    written
        .object
        .attributes
        .encryption
        .write_headers(&mut response.headers);
    Ok(response)
}

/// What is larger has to be copied in parts.
fn check_copy_size(size: u64) -> S3Result<()> {
    if size <= MAX_SIZE {
        return Ok(());
    }
    Err(s3_error!(
        InvalidRequest,
        "The specified copy source is larger than the maximum allowable size for a copy source: \
         {MAX_SIZE}"
    ))
}

/// Whether a directive says `REPLACE`; without one, it is `COPY`.
fn directive(directive: Option<&str>) -> S3Result<bool> {
    match directive {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(_) => Err(s3_error!(InvalidArgument, "Unknown directive.")),
    }
}

pub(in super::super) fn upload_part_copy(
    api: &Api,
    mut request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let source = source!(request.input)?;
    let input = request.input;
    check_part_number(input.part_number)?;
    let found = source.read(api)?;
    let size = found.object.content.length();
    let range = match &input.copy_source_range {
        Some(range) => copy_range(range, size)?,
        None => 0..size,
    };
    if range.end - range.start > MAX_SIZE {
        return Err(s3_error!(EntityTooLarge));
    }
    let content = found.object.content.slice(range);
    let algorithm = {
        let mut store = api.lock();
        let bucket = store.bucket_mut(&input.bucket)?;
        let upload = bucket.upload_mut(&input.key, &input.upload_id)?;
        upload.checksum.map(|(algorithm, _)| algorithm)
    };
    let digested = digest(&content, algorithm);
    let part = Part {
        content,
        md5: digested.md5,
        etag: String::new(),
        checksum: digested.checksum,
        modified: api.now(),
    };
    let (part, encryption) = store_part(
        api,
        &input.bucket,
        &input.key,
        &input.upload_id,
        input.part_number,
        part,
    )?;

    let sums = part
        .checksum
        .as_ref()
        .map(|sum| sum.to_dto())
        .unwrap_or_default();
    let mut response = S3Response::new(UploadPartCopyOutput {
        copy_part_result: Some(CopyPartResult {
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            e_tag: Some(ETag::Strong(part.etag)),
            last_modified: Some(shown_time(part.modified)),
        }),
        copy_source_version_id: found.version_id,
        ..Default::default()
    });
    encryption.write_headers(&mut response.headers);
    Ok(response)
}

/// The bytes that `x-amz-copy-source-range` names: both ends given, and within the source.
fn copy_range(range: &str, size: u64) -> S3Result<Range<u64>> {
    let ends = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'));
    let ends = ends
        .and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    match ends {
        Some((first, last)) if first <= last && last < size => Ok(first..last + 1),
        Some((first, last)) if first <= last => Err(s3_error!(
            InvalidArgument,
            "Range specified is not valid for source object of size: {size}"
        )),
        _ => Err(s3_error!(
            InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first \
             and last are the zero-based offsets of the first and last bytes to copy"
        )),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn at_most_5_gib_are_copied_at_once() {
        assert!(check_copy_size(5 << 30).is_ok());
        assert_eq!(
            check_copy_size((5 << 30) + 1).unwrap_err().code().as_str(),
            "InvalidRequest"
        );
    }

    #[rstest]
    #[case::all("bytes=0-9", Some(0..10))]
    #[case::inside("bytes=3-4", Some(3..5))]
    #[case::behind_the_end("bytes=3-10", None)]
    #[case::open("bytes=3-", None)]
    #[case::suffix("bytes=-3", None)]
    #[case::backwards("bytes=4-3", None)]
    #[case::no_unit("3-4", None)]
    fn copy_ranges(#[case] range: &str, #[case] expected: Option<Range<u64>>) {
        assert_eq!(copy_range(range, 10).ok(), expected);
    }
}
