//! Checksums and ETags.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, ServerSideEncryption};
use rstest::rstest;

use crate::support::store::{MASTER, Store, failure};

const HELLO: &str = "\"5d41402abc4b2a76b9719d911017c592\"";

#[rstest]
#[case::crc32(ChecksumAlgorithm::Crc32)]
#[case::crc32c(ChecksumAlgorithm::Crc32C)]
#[case::crc64nvme(ChecksumAlgorithm::Crc64Nvme)]
#[case::sha1(ChecksumAlgorithm::Sha1)]
#[case::sha256(ChecksumAlgorithm::Sha256)]
#[tokio::test]
async fn checksum_of_the_sdk_is_verified_stored_and_returned(#[case] algorithm: ChecksumAlgorithm) {
    let store = Store::with_master().await;
    let put = store.client.put_object().bucket(MASTER).key("k");
    let put = put
        .body(ByteStream::from_static(b"hello"))
        .checksum_algorithm(algorithm.clone())
        .send()
        .await
        .unwrap();
    let head = store.client.head_object().bucket(MASTER).key("k");
    let head = head
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    let of_put = [
        put.checksum_crc32(),
        put.checksum_crc32_c(),
        put.checksum_crc64_nvme(),
        put.checksum_sha1(),
        put.checksum_sha256(),
    ];
    let of_head = [
        head.checksum_crc32(),
        head.checksum_crc32_c(),
        head.checksum_crc64_nvme(),
        head.checksum_sha1(),
        head.checksum_sha256(),
    ];
    assert_eq!(of_put, of_head);
    assert_eq!(of_put.iter().flatten().count(), 1);
    // The SDK compares what it reads with the checksum that comes along.
    let get = store.client.get_object().bucket(MASTER).key("k");
    let get = get
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(get.body.collect().await.unwrap().to_vec(), b"hello");
}

#[rstest]
#[case::checksum("x-amz-checksum-crc32", "AAAAAA==", "BadDigest")]
#[case::content_md5("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", "BadDigest")]
#[case::no_md5("content-md5", "AAAA", "InvalidDigest")]
#[tokio::test]
async fn body_that_is_not_what_was_claimed_is_not_stored(
    #[case] header: &'static str,
    #[case] value: &'static str,
    #[case] code: &str,
) {
    let store = Store::with_master().await;
    let put = store.client.put_object().bucket(MASTER).key("k");
    let put = put
        .body(ByteStream::from_static(b"hello"))
        .customize()
        .mutate_request(move |request| {
            request.headers_mut().insert(header, value);
        })
        .config_override(without_default_checksum())
        .send()
        .await;
    assert_eq!(failure(put), (code.into(), 400));
    let head = store
        .client
        .head_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await;
    assert_eq!(failure(head).1, 404);
}

#[tokio::test]
async fn put_without_checksum_stores_none() {
    let store = Store::with_master().await;
    let put = store.client.put_object().bucket(MASTER).key("k");
    let put = put.body(ByteStream::from_static(b"hello")).customize();
    put.config_override(without_default_checksum())
        .send()
        .await
        .unwrap();
    let head = store.client.head_object().bucket(MASTER).key("k");
    let head = head
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(head.checksum_type(), None);
}

fn without_default_checksum() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder()
        .request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired)
}

#[tokio::test]
async fn etag_under_kms_proves_nothing() {
    let store = Store::with_master().await;
    let put = || {
        let put = store.client.put_object().bucket(MASTER).key("k");
        put.body(ByteStream::from_static(b"hello"))
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .ssekms_key_id("key")
            .send()
    };
    let (first, second) = (put().await.unwrap(), put().await.unwrap());
    assert_ne!(first.e_tag(), second.e_tag());
    assert_ne!(first.e_tag(), Some(HELLO));
    let head = store
        .client
        .head_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(
        head.server_side_encryption(),
        Some(&ServerSideEncryption::AwsKms)
    );
    assert_eq!(head.ssekms_key_id(), Some("key"));
    assert_eq!(head.e_tag(), second.e_tag());
}
