//! A recording's operations, done by the user with the SDK.

use std::collections::BTreeMap;

use aws_sdk_s3::Config;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, MetadataDirective, TaggingDirective,
};
use bytes::{Bytes, BytesMut};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::WorldError;
use super::stores::{Stores, tagging};
use crate::local::recording::{Body, Copy, Delete, OperationKind, Put};

/// The versions that steps made, by the steps' ids.
pub(super) type Versions = BTreeMap<String, String>;

/// Does one operation; answers the version it made, where the bucket is versioned.
pub(super) async fn perform(
    stores: &Stores,
    bucket: &str,
    operation: &OperationKind,
    versions: &Versions,
) -> Result<Option<String>, WorldError> {
    let client = stores.client(bucket);
    match operation {
        OperationKind::Put(put) if put.parts.is_empty() => put_object(stores, bucket, put).await,
        OperationKind::Put(put) => upload(stores, bucket, put).await,
        OperationKind::Copy(copy) => copy_object(stores, bucket, copy, versions).await,
        OperationKind::Delete(Delete { key, version }) => {
            let version = version.as_ref().map(|step| versions[step].clone());
            let request = client
                .delete_object()
                .bucket(bucket)
                .key(key)
                .set_version_id(version)
                .send();
            let output = request
                .await
                .map_err(|e| failed("DeleteObject", bucket, key, e))?;
            Ok(output.version_id)
        }
        OperationKind::Tag(tag) => {
            let request = client.put_object_tagging().bucket(bucket).key(&tag.key);
            let answer = request.tagging(tagging(&tag.tags)).send().await;
            answer.map_err(|e| failed("PutObjectTagging", bucket, &tag.key, e))?;
            Ok(None)
        }
        OperationKind::Untag(untag) => {
            let request = client
                .delete_object_tagging()
                .bucket(bucket)
                .key(&untag.key);
            let answer = request.send().await;
            answer.map_err(|e| failed("DeleteObjectTagging", bucket, &untag.key, e))?;
            Ok(None)
        }
        OperationKind::Versioning(enabled) => {
            stores.set_versioning(bucket, *enabled).await.map(|()| None)
        }
        OperationKind::BucketTags(tags) => stores.set_tags(bucket, tags).await.map(|()| None),
    }
}

fn failed(
    operation: &'static str,
    bucket: &str,
    key: &str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> WorldError {
    WorldError::request(operation, bucket, Some(key), error)
}

/// All bytes of a body's range.
pub(super) fn bytes(body: &Body, offset: u64, length: u64) -> Result<Bytes, WorldError> {
    let mut all = BytesMut::new();
    for chunk in body.range(offset, length).map_err(WorldError::Body)? {
        all.extend_from_slice(&chunk.map_err(WorldError::Body)?);
    }
    Ok(all.freeze())
}

/// Metadata, system headers and tags go as plain headers, in the recording's own words.
fn set_headers(
    request: &mut aws_smithy_runtime_api::client::orchestrator::HttpRequest,
    metadata: &BTreeMap<String, String>,
    headers: &BTreeMap<String, String>,
    tags: &BTreeMap<String, String>,
) {
    let metadata = metadata
        .iter()
        .map(|(name, value)| (format!("x-amz-meta-{name}"), value));
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value));
    for (name, value) in metadata.chain(headers) {
        // What no header can carry is not sent, and an expectation will tell.
        let _ = request.headers_mut().try_insert(name, value.clone());
    }
    if !tags.is_empty() {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let pairs: Vec<String> = tags
            .iter()
            .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
            .collect();
        let _ = request
            .headers_mut()
            .try_insert("x-amz-tagging", pairs.join("&"));
    }
}

async fn put_object(
    stores: &Stores,
    bucket: &str,
    put: &Put,
) -> Result<Option<String>, WorldError> {
    let body = bytes(&put.body, 0, put.body.size())?;
    let sent = put.clone();
    let output = stores
        .client(bucket)
        .put_object()
        .bucket(bucket)
        .key(&put.key)
        .set_checksum_algorithm(algorithm(put))
        .body(ByteStream::from(body))
        .customize()
        .config_override(checksums(put))
        .mutate_request(move |request| {
            set_headers(request, &sent.metadata, &sent.headers, &sent.tags);
        })
        .send()
        .await
        .map_err(|error| failed("PutObject", bucket, &put.key, error))?;
    Ok(output.version_id)
}

fn algorithm(put: &Put) -> Option<ChecksumAlgorithm> {
    put.checksum
        .map(|checksum| ChecksumAlgorithm::from(checksum.as_str()))
}

/// A checksum that is named is sent: otherwise the SDK names the algorithm and sends no value.
fn checksums(put: &Put) -> aws_sdk_s3::config::Builder {
    Config::builder().request_checksum_calculation(match put.checksum {
        Some(_) => RequestChecksumCalculation::WhenSupported,
        None => RequestChecksumCalculation::WhenRequired,
    })
}

async fn upload(stores: &Stores, bucket: &str, put: &Put) -> Result<Option<String>, WorldError> {
    let (client, sent) = (stores.client(bucket), put.clone());
    let created = client
        .create_multipart_upload()
        .bucket(bucket)
        .key(&put.key)
        .set_checksum_algorithm(algorithm(put))
        .customize()
        .mutate_request(move |request| {
            set_headers(request, &sent.metadata, &sent.headers, &sent.tags);
        })
        .send()
        .await
        .map_err(|error| failed("CreateMultipartUpload", bucket, &put.key, error))?;
    let mut parts = Vec::new();
    let mut offset = 0;
    for (number, &size) in (1..).zip(&put.parts) {
        let answer = client
            .upload_part()
            .bucket(bucket)
            .key(&put.key)
            .set_upload_id(created.upload_id.clone())
            .part_number(number)
            .set_checksum_algorithm(algorithm(put))
            .body(ByteStream::from(bytes(&put.body, offset, size)?))
            .customize()
            .config_override(checksums(put))
            .send()
            .await
            .map_err(|error| failed("UploadPart", bucket, &put.key, error))?;
        offset += size;
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(answer.e_tag)
            .set_checksum_crc32(answer.checksum_crc32)
            .set_checksum_crc32_c(answer.checksum_crc32_c)
            .set_checksum_crc64_nvme(answer.checksum_crc64_nvme)
            .set_checksum_sha1(answer.checksum_sha1)
            .set_checksum_sha256(answer.checksum_sha256);
        parts.push(part.build());
    }
    let output = client
        .complete_multipart_upload()
        .bucket(bucket)
        .key(&put.key)
        .set_upload_id(created.upload_id)
        .multipart_upload(
            CompletedMultipartUpload::builder()
                .set_parts(Some(parts))
                .build(),
        )
        .send()
        .await
        .map_err(|error| failed("CompleteMultipartUpload", bucket, &put.key, error))?;
    Ok(output.version_id)
}

async fn copy_object(
    stores: &Stores,
    bucket: &str,
    copy: &Copy,
    versions: &Versions,
) -> Result<Option<String>, WorldError> {
    let mut source = format!(
        "{bucket}/{}",
        utf8_percent_encode(&copy.from, NON_ALPHANUMERIC)
    );
    if let Some(step) = &copy.from_version {
        source.push_str(&format!("?versionId={}", versions[step]));
    }
    let replaces = copy.metadata.is_some() || copy.headers.is_some();
    let sent = copy.clone();
    let output = stores
        .client(bucket)
        .copy_object()
        .bucket(bucket)
        .key(&copy.key)
        .copy_source(source)
        .set_metadata_directive(replaces.then_some(MetadataDirective::Replace))
        .set_tagging_directive(copy.tags.is_some().then_some(TaggingDirective::Replace))
        .customize()
        .mutate_request(move |request| {
            let (metadata, headers) = (sent.metadata.clone(), sent.headers.clone());
            let tags = sent.tags.clone().unwrap_or_default();
            set_headers(
                request,
                &metadata.unwrap_or_default(),
                &headers.unwrap_or_default(),
                &tags,
            );
        })
        .send()
        .await
        .map_err(|error| failed("CopyObject", bucket, &copy.key, error))?;
    Ok(output.version_id)
}
