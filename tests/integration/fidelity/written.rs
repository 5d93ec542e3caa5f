//! What a user writes and reads, with the plain SDK.

use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
};
use aws_sdk_s3::{Client, Config};

use super::things::{Shown, Thing};

/// The smallest part that S3 takes, and the rest.
const PARTS: [usize; 2] = [5 * 1024 * 1024, 1];

/// Without an algorithm, the SDK would choose one.
fn calculation(algorithm: Option<&ChecksumAlgorithm>) -> aws_sdk_s3::config::Builder {
    Config::builder().request_checksum_calculation(match algorithm {
        Some(_) => RequestChecksumCalculation::WhenSupported,
        None => RequestChecksumCalculation::WhenRequired,
    })
}

fn code<E: ProvideErrorMetadata>(error: SdkError<E>) -> String {
    error.code().unwrap_or("no code").to_owned()
}

/// Writes it in one piece; or the code of the store's refusal.
pub(super) async fn put(
    client: &Client,
    bucket: &str,
    key: &str,
    thing: &Thing,
) -> Result<(), String> {
    let algorithm = thing.checksum.as_ref().map(|(algorithm, _)| algorithm);
    let (headers, put) = (thing.headers, client.put_object().bucket(bucket).key(key));
    let put = put
        .body(b"hello".to_vec().into())
        .set_checksum_algorithm(algorithm.cloned())
        .customize()
        .config_override(calculation(algorithm))
        .mutate_request(move |request| {
            for (name, value) in headers {
                request.headers_mut().insert(*name, *value);
            }
        });
    put.send().await.map(drop).map_err(code)
}

/// Writes it in two parts; or the code of the store's refusal.
pub(super) async fn upload(
    client: &Client,
    bucket: &str,
    key: &str,
    thing: &Thing,
) -> Result<(), String> {
    let (algorithm, coverage) = thing.checksum.clone().unzip();
    let headers = thing.headers;
    let create = client.create_multipart_upload().bucket(bucket).key(key);
    let create = create
        .set_checksum_algorithm(algorithm.clone())
        .set_checksum_type(coverage)
        .customize()
        .config_override(calculation(algorithm.as_ref()))
        .mutate_request(move |request| {
            for (name, value) in headers {
                request.headers_mut().insert(*name, *value);
            }
        });
    let id = create.send().await.map_err(code)?.upload_id.unwrap();
    let mut parts = Vec::new();
    for (number, size) in (1..).zip(PARTS) {
        let part = client.upload_part().bucket(bucket).key(key).upload_id(&id);
        let part = part
            .part_number(number)
            .body(vec![number as u8; size].into())
            .set_checksum_algorithm(algorithm.clone())
            .customize()
            .config_override(calculation(algorithm.as_ref()));
        let sent = part.send().await.map_err(code)?;
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32)
            .set_checksum_crc32_c(sent.checksum_crc32_c)
            .set_checksum_crc64_nvme(sent.checksum_crc64_nvme)
            .set_checksum_sha1(sent.checksum_sha1)
            .set_checksum_sha256(sent.checksum_sha256);
        parts.push(part.build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
    let complete = client.complete_multipart_upload().bucket(bucket).key(key);
    let complete = complete.upload_id(id).multipart_upload(parts.build());
    complete.send().await.map(drop).map_err(code)
}

/// The thing as the store shows it.
pub(super) async fn shown(
    client: &Client,
    bucket: &str,
    key: &str,
    thing: &Thing,
) -> Option<String> {
    match thing.shown {
        Shown::Tags => {
            let request = client.get_object_tagging().bucket(bucket).key(key);
            let mut tags = request.send().await.ok()?.tag_set;
            tags.sort_by(|a, b| a.key.cmp(&b.key));
            (!tags.is_empty()).then(|| format!("{tags:?}"))
        }
        Shown::Head(read) => {
            let head = client.head_object().bucket(bucket).key(key);
            let head = head.checksum_mode(ChecksumMode::Enabled).send().await;
            read(&head.ok()?)
        }
    }
}

/// The code by which the store refuses to copy a part into an upload that keeps this checksum.
pub(super) async fn part_copy_refusal(
    client: &Client,
    master: &str,
    target: &str,
    key: &str,
    (algorithm, coverage): &(ChecksumAlgorithm, ChecksumType),
) -> Option<String> {
    let create = client.create_multipart_upload().bucket(target).key("probe");
    let create = create
        .checksum_algorithm(algorithm.clone())
        .checksum_type(coverage.clone());
    let id = create.send().await.ok()?.upload_id.unwrap();
    let encoded = key.replace(' ', "%20");
    let copy = client.upload_part_copy().bucket(target).key("probe");
    let copy = copy
        .upload_id(&id)
        .part_number(1)
        .copy_source(format!("{master}/{encoded}"))
        .copy_source_range("bytes=0-5242879");
    let refusal = copy.send().await.err().map(code);
    let abort = client.abort_multipart_upload().bucket(target).key("probe");
    abort.upload_id(id).send().await.ok()?;
    refusal
}

/// The code by which the store refuses a part whose checksum comes behind its bytes.
pub(super) async fn trailer_refusal(
    client: &Client,
    target: &str,
    (algorithm, coverage): &(ChecksumAlgorithm, ChecksumType),
) -> Option<String> {
    let create = client.create_multipart_upload().bucket(target).key("probe");
    let create = create
        .checksum_algorithm(algorithm.clone())
        .checksum_type(coverage.clone());
    let id = create.send().await.ok()?.upload_id.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("part");
    std::fs::write(&file, "hello").unwrap();
    // What comes from a file is streamed.
    let body = ByteStream::from_path(file).await.unwrap();
    let part = client.upload_part().bucket(target).key("probe");
    let part = part
        .upload_id(&id)
        .part_number(1)
        .checksum_algorithm(algorithm.clone())
        .body(body);
    let refusal = part.send().await.err().map(code);
    let abort = client.abort_multipart_upload().bucket(target).key("probe");
    abort.upload_id(id).send().await.ok()?;
    refusal
}
