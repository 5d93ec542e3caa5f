//! Multipart uploads: create, upload a part, complete, abort.

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::super::answer::{Status, origin};
use super::super::api::Api;
use super::super::checksum::{Algorithm, Checksum, Coverage};
use super::super::claim::verify;
use super::super::conditions::Conditions;
use super::super::etag::opaque_etag;
use super::super::events::Kind;
use super::super::ids;
use super::super::object::{Attributes, Encryption, Object};
use super::super::receive::{Expected, receive};
use super::super::store::{Bucket, Store};
use super::super::tags;
use super::super::uploads::{NamedPart, Part as UploadedPart, Upload, upload_checksum};
use super::put::{Write, default_encryption, etag_for, write};

impl Bucket {
    /// The upload of that id, if it is one of that key.
    pub(super) fn upload_mut(&mut self, key: &str, upload_id: &str) -> S3Result<&mut Upload> {
        let id = (key.to_owned(), upload_id.to_owned());
        self.uploads
            .get_mut(&id)
            .ok_or_else(|| s3_error!(NoSuchUpload))
    }
}

pub(super) fn check_part_number(number: PartNumber) -> S3Result<()> {
    if (1..=10_000).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(
        InvalidArgument,
        "Part number must be an integer between 1 and 10000, inclusive"
    ))
}

pub(in super::super) fn create(
    api: &Api,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let S3Request {
        input,
        headers,
        extensions,
        ..
    } = request;
    let checksum = upload_checksum(
        input.checksum_algorithm.as_ref().map(|one| one.as_str()),
        input.checksum_type.as_ref().map(|one| one.as_str()),
    )?;
    let tags = tags::from_header(input.tagging.as_deref().unwrap_or_default())?;

    let mut store = api.lock();
    let default = default_encryption(&store, &input.bucket)?;
    let attributes = Attributes::from_request(&headers, &extensions, input.metadata, &default)?;
    let upload_id = ids::opaque(store.next_serial());
    let encryption = attributes.encryption.clone();
    let upload = Upload {
        initiated: api.now(),
        attributes,
        tags,
        checksum,
        parts: Default::default(),
    };
    let id = (input.key.clone(), upload_id.clone());
    store.bucket_mut(&input.bucket)?.uploads.insert(id, upload);

    let mut response = S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: checksum
            .map(|(algorithm, _)| ChecksumAlgorithm::from_static(algorithm.name())),
        checksum_type: checksum.map(|(_, coverage)| ChecksumType::from_static(coverage.name())),
        key: Some(input.key),
        upload_id: Some(upload_id),
        ..Default::default()
    });
    encryption.write_headers(&mut response.headers);
    Ok(response)
}

pub(in super::super) async fn upload_part(
    api: &Api,
    mut request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let body = request.input.body.take();
    let mut expected = Expected::from_request(&request)?;
    let input = request.input;
    check_part_number(input.part_number)?;
    let algorithm = {
        let mut store = api.lock();
        let bucket = store.bucket_mut(&input.bucket)?;
        let upload = bucket.upload_mut(&input.key, &input.upload_id)?;
        upload.part_algorithm(expected.algorithm())?
    };
    expected.compute(algorithm);
    let received = receive(body, expected).await?;
    let part = UploadedPart {
        content: received.content,
        md5: received.md5,
        etag: String::new(),
        checksum: received.checksum,
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

    let mut response = S3Response::new(UploadPartOutput {
        e_tag: Some(ETag::Strong(part.etag)),
        ..Default::default()
    });
    encryption.write_headers(&mut response.headers);
    if let Some(checksum) = &part.checksum {
        checksum.write_headers(&mut response.headers);
        response.headers.remove("x-amz-checksum-type");
    }
    Ok(response)
}

/// Makes `part` the part of that number, with the ETag that the upload's encryption gives it.
pub(super) fn store_part(
    api: &Api,
    bucket: &str,
    key: &str,
    upload_id: &str,
    number: PartNumber,
    mut part: UploadedPart,
) -> S3Result<(UploadedPart, Encryption)> {
    let mut store = api.lock();
    let encryption = {
        let upload = store.bucket_mut(bucket)?.upload_mut(key, upload_id)?;
        upload.attributes.encryption.clone()
    };
    part.etag = etag_for(&mut store, &encryption, part.md5, bucket, key);
    let upload = store.bucket_mut(bucket)?.upload_mut(key, upload_id)?;
    upload.parts.insert(number, part.clone());
    Ok((part, encryption))
}

pub(in super::super) fn abort(
    api: &Api,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let input = request.input;
    let mut store = api.lock();
    let removed = store
        .bucket_mut(&input.bucket)?
        .uploads
        .remove(&(input.key, input.upload_id));
    removed.ok_or_else(|| s3_error!(NoSuchUpload))?;
    let mut response = S3Response::new(AbortMultipartUploadOutput::default());
    response.extensions.insert(Status(StatusCode::NO_CONTENT));
    Ok(response)
}

pub(in super::super) fn complete(
    api: &Api,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let origin = origin(&request);
    let mut input = request.input;
    let named = input
        .multipart_upload
        .take()
        .and_then(|upload| upload.parts);
    let named: Vec<NamedPart> = named
        .unwrap_or_default()
        .into_iter()
        .map(named_part)
        .collect::<S3Result<_>>()?;
    let conditions = Conditions {
        if_match: input.if_match.take(),
        if_none_match: input.if_none_match.take(),
        ..Default::default()
    };

    let mut store = api.lock();
    let upload = store
        .bucket_mut(&input.bucket)?
        .upload_mut(&input.key, &input.upload_id)?;
    let assembled = upload.assemble(&named, api.smallest_part())?;
    check_claims(
        &input,
        upload,
        assembled.checksum.as_ref(),
        assembled.content.length(),
    )?;
    let object = Object {
        content: assembled.content,
        etag: assembled.etag,
        parts: assembled.parts,
        checksum: assembled.checksum,
        attributes: upload.attributes.clone(),
    };
    let tags = upload.tags.clone();
    // S3 dates an object made of parts to the beginning of its upload.
    let initiated = upload.initiated;
    let object = with_encrypted_etag(&mut store, object, &input.bucket, &input.key);
    let complete = Write {
        bucket: &input.bucket,
        key: &input.key,
        object,
        tags,
        kind: Kind::CompleteMultipartUpload,
        origin: &origin,
        modified: initiated,
    };
    let written = write(api, &mut store, complete, &conditions)?;
    let upload_key = (input.key.clone(), input.upload_id);
    store.bucket_mut(&input.bucket)?.uploads.remove(&upload_key);

    let sums = written
        .object
        .checksum
        .as_ref()
        .map(|sum| sum.to_dto())
        .unwrap_or_default();
    let mut response = S3Response::new(CompleteMultipartUploadOutput {
        location: Some(format!(
            "/{}/{}",
            input.bucket,
            super::super::names::encode_key(&input.key)
        )),
        bucket: Some(input.bucket),
        checksum_crc32: sums.checksum_crc32,
        checksum_crc32c: sums.checksum_crc32c,
        checksum_crc64nvme: sums.checksum_crc64nvme,
        checksum_sha1: sums.checksum_sha1,
        checksum_sha256: sums.checksum_sha256,
        checksum_type: sums.checksum_type,
        e_tag: Some(ETag::Strong(written.object.etag.clone())),
        key: Some(input.key),
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

fn named_part(part: CompletedPart) -> S3Result<NamedPart> {
    let number = part.part_number.ok_or_else(|| s3_error!(MalformedXML))?;
    let etag = part
        .e_tag
        .ok_or_else(|| s3_error!(MalformedXML))?
        .into_value();
    let sums = [
        (Algorithm::Crc32, part.checksum_crc32),
        (Algorithm::Crc32c, part.checksum_crc32c),
        (Algorithm::Crc64Nvme, part.checksum_crc64nvme),
        (Algorithm::Sha1, part.checksum_sha1),
        (Algorithm::Sha256, part.checksum_sha256),
    ];
    let checksum = sums
        .into_iter()
        .find_map(|(algorithm, value)| Some((algorithm, value?)));
    Ok(NamedPart {
        number,
        etag,
        checksum,
    })
}

/// Compares what the client says about the whole object with what the parts amount to.
fn check_claims(
    input: &CompleteMultipartUploadInput,
    upload: &Upload,
    checksum: Option<&Checksum>,
    size: u64,
) -> S3Result<()> {
    if input
        .mpu_object_size
        .is_some_and(|claimed| u64::try_from(claimed) != Ok(size))
    {
        return Err(s3_error!(
            InvalidRequest,
            "The provided 'x-amz-mp-object-size' header value does not match what was computed."
        ));
    }
    if let (Some(claimed), Some((_, coverage))) = (&input.checksum_type, upload.checksum)
        && claimed.as_str() != coverage.name()
    {
        return Err(s3_error!(
            InvalidRequest,
            "The upload was created using the {} checksum mode. The complete request must use the \
             same checksum mode.",
            coverage.name()
        ));
    }
    let Some(checksum) = checksum else {
        return Ok(());
    };
    let claimed = match checksum.algorithm {
        Algorithm::Crc32 => &input.checksum_crc32,
        Algorithm::Crc32c => &input.checksum_crc32c,
        Algorithm::Crc64Nvme => &input.checksum_crc64nvme,
        Algorithm::Sha1 => &input.checksum_sha1,
        Algorithm::Sha256 => &input.checksum_sha256,
    };
    match (claimed, checksum.coverage) {
        (None, _) => Ok(()),
        (Some(claimed), Coverage::FullObject) => verify(checksum, claimed),
        (Some(claimed), Coverage::Composite) => {
            let bare = |value: &str| {
                value
                    .split_once('-')
                    .map_or(value, |(sum, _)| sum)
                    .to_owned()
            };
            let sum = Checksum {
                value: bare(&checksum.value),
                ..checksum.clone()
            };
            verify(&sum, &bare(claimed))
        }
    }
}

/// Hides the ETag of parts that are encrypted, leaving their number.
fn with_encrypted_etag(store: &mut Store, mut object: Object, bucket: &str, key: &str) -> Object {
    if !object.attributes.encryption.has_plain_etags() {
        let place = format!("{bucket}/{key}/{}", object.etag);
        let hidden = opaque_etag([0; 16], &place, store.next_serial());
        object.etag = format!("{hidden}-{}", object.parts.len());
    }
    object
}
