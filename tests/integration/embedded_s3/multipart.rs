//! Multipart uploads, part copies, and what objects made of parts show.

use aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
    ObjectAttributes,
};
use rstest::rstest;

use crate::support::store::{MASTER, START, Store, failure};

const MIB: usize = 1024 * 1024;
/// Of 5 MiB of `a` and 1 MiB of `b`.
const ETAG: &str = "\"88fc978485924ccd87ceb19c90195b35-2\"";

fn part(letter: u8, size: usize) -> ByteStream {
    ByteStream::from(vec![letter; size])
}

async fn create(store: &Store, key: &str) -> String {
    let create = store
        .client
        .create_multipart_upload()
        .bucket(MASTER)
        .key(key);
    let create = create.metadata("owner", "x").tagging("a=1").customize();
    let created = create
        .config_override(without_default_checksum())
        .send()
        .await
        .unwrap();
    created.upload_id.unwrap()
}

fn without_default_checksum() -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder()
        .request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired)
}

async fn upload(
    store: &Store,
    key: &str,
    id: &str,
    number: i32,
    body: ByteStream,
) -> CompletedPart {
    let upload = store
        .client
        .upload_part()
        .bucket(MASTER)
        .key(key)
        .upload_id(id);
    let uploaded = upload.part_number(number).body(body).send().await.unwrap();
    CompletedPart::builder()
        .part_number(number)
        .set_e_tag(uploaded.e_tag)
        .build()
}

async fn complete(
    store: &Store,
    key: &str,
    id: &str,
    parts: Vec<CompletedPart>,
) -> Result<
    CompleteMultipartUploadOutput,
    aws_sdk_s3::error::SdkError<
        aws_sdk_s3::operation::complete_multipart_upload::CompleteMultipartUploadError,
    >,
> {
    let parts = CompletedMultipartUpload::builder()
        .set_parts(Some(parts))
        .build();
    let complete = store
        .client
        .complete_multipart_upload()
        .bucket(MASTER)
        .key(key);
    complete.upload_id(id).multipart_upload(parts).send().await
}

async fn store_with_two_parts() -> Store {
    let store = Store::with_master().await;
    let id = create(&store, "k").await;
    store.advance(30);
    let parts = vec![
        upload(&store, "k", &id, 1, part(b'a', 5 * MIB)).await,
        upload(&store, "k", &id, 2, part(b'b', MIB)).await,
    ];
    complete(&store, "k", &id, parts).await.unwrap();
    store
}

#[tokio::test]
async fn object_made_of_parts_shows_its_parts() {
    let store = store_with_two_parts().await;
    let head = store
        .client
        .head_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(head.e_tag(), Some(ETAG));
    assert_eq!(head.content_length(), Some(6 * MIB as i64));
    assert_eq!(head.metadata().unwrap()["owner"], "x");
    assert_eq!(head.tag_count(), Some(1));
    assert_eq!(head.parts_count(), None);
    // S3 dates it to the beginning of its upload.
    assert_eq!(
        head.last_modified(),
        Some(&DateTime::from_secs(START as i64))
    );

    let head = store
        .client
        .head_object()
        .bucket(MASTER)
        .key("k")
        .part_number(2);
    let head = head.send().await.unwrap();
    assert_eq!(head.parts_count(), Some(2));
    assert_eq!(head.content_length(), Some(MIB as i64));
    let range = format!("bytes {}-{}/{}", 5 * MIB, 6 * MIB - 1, 6 * MIB);
    assert_eq!(head.content_range(), Some(range.as_str()));

    let get = store
        .client
        .get_object()
        .bucket(MASTER)
        .key("k")
        .part_number(2);
    let body = get
        .send()
        .await
        .unwrap()
        .body
        .collect()
        .await
        .unwrap()
        .to_vec();
    assert_eq!(body, vec![b'b'; MIB]);
    let beyond = store
        .client
        .get_object()
        .bucket(MASTER)
        .key("k")
        .part_number(3)
        .send()
        .await;
    assert_eq!(failure(beyond), ("InvalidPartNumber".into(), 416));
}

#[tokio::test]
async fn completed_upload_is_gone() {
    let store = Store::with_master().await;
    let id = create(&store, "k").await;
    let parts = vec![upload(&store, "k", &id, 1, part(b'a', 1)).await];
    complete(&store, "k", &id, parts.clone()).await.unwrap();
    assert_eq!(
        failure(complete(&store, "k", &id, parts).await),
        ("NoSuchUpload".into(), 404)
    );
    let uploads = store
        .client
        .list_multipart_uploads()
        .bucket(MASTER)
        .send()
        .await
        .unwrap();
    assert!(uploads.uploads().is_empty());
}

#[tokio::test]
async fn copy_of_an_object_made_of_parts_has_a_plain_etag() {
    let store = store_with_two_parts().await;
    let copy = store
        .client
        .copy_object()
        .bucket(MASTER)
        .key("to")
        .copy_source("master/k");
    let copied = copy.send().await.unwrap();
    let etag = copied
        .copy_object_result()
        .unwrap()
        .e_tag()
        .unwrap()
        .to_owned();
    assert_eq!(etag.len(), 34, "{etag}");
    assert_ne!(etag, ETAG);
}

#[tokio::test]
async fn part_copies_with_the_same_boundaries_give_the_same_etag() {
    let store = store_with_two_parts().await;
    let id = create(&store, "to").await;
    let mut parts = Vec::new();
    for (number, range) in [(1, (0, 5 * MIB - 1)), (2, (5 * MIB, 6 * MIB - 1))] {
        let copy = store
            .client
            .upload_part_copy()
            .bucket(MASTER)
            .key("to")
            .upload_id(&id);
        let copy = copy
            .part_number(number)
            .copy_source("master/k")
            .copy_source_if_match(ETAG);
        let copied = copy
            .copy_source_range(format!("bytes={}-{}", range.0, range.1))
            .send()
            .await
            .unwrap();
        let etag = copied.copy_part_result.unwrap().e_tag;
        parts.push(
            CompletedPart::builder()
                .part_number(number)
                .set_e_tag(etag)
                .build(),
        );
    }
    assert_eq!(
        complete(&store, "to", &id, parts).await.unwrap().e_tag(),
        Some(ETAG)
    );
    assert_eq!(store.get("to").await, store.get("k").await);
}

#[tokio::test]
async fn part_copy_is_bound_to_its_source() {
    let store = store_with_two_parts().await;
    let id = create(&store, "to").await;
    let copy = store
        .client
        .upload_part_copy()
        .bucket(MASTER)
        .key("to")
        .upload_id(&id);
    let copy = copy
        .part_number(1)
        .copy_source("master/k")
        .copy_source_if_match("\"x\"");
    assert_eq!(
        failure(copy.send().await),
        ("PreconditionFailed".into(), 412)
    );
}

#[rstest]
#[case::too_small(vec![(1, MIB), (2, MIB)], "EntityTooSmall")]
#[case::out_of_order(vec![(2, 5 * MIB), (1, MIB)], "InvalidPartOrder")]
#[tokio::test]
async fn parts_that_do_not_fit(#[case] parts: Vec<(i32, usize)>, #[case] code: &str) {
    let store = Store::with_master().await;
    let id = create(&store, "k").await;
    let mut completed = Vec::new();
    for (number, size) in parts {
        completed.push(upload(&store, "k", &id, number, part(b'a', size)).await);
    }
    assert_eq!(
        failure(complete(&store, "k", &id, completed).await),
        (code.into(), 400)
    );
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
async fn unfinished_uploads_and_their_parts_are_listed_until_aborted() {
    let store = Store::with_master().await;
    let id = create(&store, "k").await;
    upload(&store, "k", &id, 3, part(b'a', 10)).await;
    upload(&store, "k", &id, 3, part(b'b', 20)).await;
    let uploads = store
        .client
        .list_multipart_uploads()
        .bucket(MASTER)
        .send()
        .await
        .unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id.as_str()));
    let parts = store
        .client
        .list_parts()
        .bucket(MASTER)
        .key("k")
        .upload_id(&id);
    let parts = parts.send().await.unwrap();
    assert_eq!(parts.parts().len(), 1);
    assert_eq!(parts.parts()[0].size(), Some(20));

    let abort = || {
        store
            .client
            .abort_multipart_upload()
            .bucket(MASTER)
            .key("k")
            .upload_id(&id)
    };
    abort().send().await.unwrap();
    assert_eq!(failure(abort().send().await), ("NoSuchUpload".into(), 404));
    let upload = store
        .client
        .upload_part()
        .bucket(MASTER)
        .key("k")
        .upload_id(&id);
    let upload = upload.part_number(1).body(part(b'a', 1)).send().await;
    assert_eq!(failure(upload), ("NoSuchUpload".into(), 404));
    let uploads = store
        .client
        .list_multipart_uploads()
        .bucket(MASTER)
        .send()
        .await
        .unwrap();
    assert!(uploads.uploads().is_empty());
}

#[rstest]
#[case::composite(ChecksumAlgorithm::Crc32, ChecksumType::Composite)]
#[case::composite_sha(ChecksumAlgorithm::Sha256, ChecksumType::Composite)]
#[case::full_object(ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject)]
#[tokio::test]
async fn checksummed_upload_lists_its_parts(
    #[case] algorithm: ChecksumAlgorithm,
    #[case] coverage: ChecksumType,
) {
    let store = Store::with_master().await;
    let create = store
        .client
        .create_multipart_upload()
        .bucket(MASTER)
        .key("k");
    let create = create
        .checksum_algorithm(algorithm.clone())
        .checksum_type(coverage.clone());
    let id = create.send().await.unwrap().upload_id.unwrap();
    let upload = store
        .client
        .upload_part()
        .bucket(MASTER)
        .key("k")
        .upload_id(&id);
    let upload = upload
        .part_number(1)
        .checksum_algorithm(algorithm)
        .body(part(b'a', MIB));
    let uploaded = upload.send().await.unwrap();
    let named = CompletedPart::builder()
        .part_number(1)
        .set_e_tag(uploaded.e_tag)
        .set_checksum_crc32(uploaded.checksum_crc32)
        .set_checksum_crc64_nvme(uploaded.checksum_crc64_nvme)
        .set_checksum_sha256(uploaded.checksum_sha256)
        .build();
    complete(&store, "k", &id, vec![named]).await.unwrap();

    let attributes = store.client.get_object_attributes().bucket(MASTER).key("k");
    let attributes = attributes
        .object_attributes(ObjectAttributes::ObjectParts)
        .object_attributes(ObjectAttributes::Checksum)
        .object_attributes(ObjectAttributes::Etag)
        .send()
        .await
        .unwrap();
    assert_eq!(
        attributes.checksum().unwrap().checksum_type(),
        Some(&coverage)
    );
    assert!(attributes.e_tag().unwrap().ends_with("-1"));
    let parts = attributes.object_parts().unwrap();
    assert_eq!(parts.total_parts_count(), Some(1));
    assert_eq!(parts.parts()[0].size(), Some(MIB as i64));
    // The SDK compares what it reads with a full-object checksum.
    let get = store.client.get_object().bucket(MASTER).key("k");
    let get = get
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    assert_eq!(get.body.collect().await.unwrap().into_bytes().len(), MIB);
}

#[tokio::test]
async fn parts_without_checksums_are_only_counted() {
    let store = store_with_two_parts().await;
    let attributes = store.client.get_object_attributes().bucket(MASTER).key("k");
    let attributes = attributes
        .object_attributes(ObjectAttributes::ObjectParts)
        .object_attributes(ObjectAttributes::Etag)
        .send()
        .await
        .unwrap();
    assert_eq!(attributes.e_tag(), Some(ETAG.trim_matches('"')));
    let parts = attributes.object_parts().unwrap();
    assert_eq!(parts.total_parts_count(), Some(2));
    assert!(parts.parts().is_empty());
}
