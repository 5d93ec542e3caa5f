//! CopyObject.

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{MetadataDirective, ServerSideEncryption, StorageClass, TaggingDirective};
use rstest::rstest;

use crate::support::store::{MASTER, START, Store, failure};

async fn store_with_source() -> Store {
    let store = Store::with_master().await;
    let put = store
        .client
        .put_object()
        .bucket(MASTER)
        .key("from")
        .tagging("a=1");
    put.body(ByteStream::from_static(b"hello"))
        .content_type("text/plain")
        .metadata("owner", "x")
        .storage_class(StorageClass::StandardIa)
        .website_redirect_location("/there")
        .send()
        .await
        .unwrap();
    let bucket = store.client.create_bucket().bucket("replica");
    bucket.send().await.unwrap();
    store
}

#[tokio::test]
async fn copy_takes_metadata_and_tags_but_neither_redirect_nor_storage_class() {
    let store = store_with_source().await;
    let copy = store
        .client
        .copy_object()
        .bucket("replica")
        .key("to")
        .copy_source("master/from");
    let copy = copy.send().await.unwrap();
    let result = copy.copy_object_result().unwrap();
    assert_eq!(result.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    assert_eq!(
        result.last_modified(),
        Some(&DateTime::from_secs(START as i64))
    );

    let head = store
        .client
        .head_object()
        .bucket("replica")
        .key("to")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_type(), Some("text/plain"));
    assert_eq!(head.metadata().unwrap()["owner"], "x");
    assert_eq!(head.tag_count(), Some(1));
    assert_eq!(head.website_redirect_location(), None);
    assert_eq!(head.storage_class(), None);
}

#[tokio::test]
async fn replace_takes_what_the_request_says() {
    let store = store_with_source().await;
    let copy = store
        .client
        .copy_object()
        .bucket("replica")
        .key("to")
        .copy_source("master/from");
    copy.metadata_directive(MetadataDirective::Replace)
        .tagging_directive(TaggingDirective::Replace)
        .metadata("other", "y")
        .tagging("b=2&c=3")
        .website_redirect_location("/elsewhere")
        .send()
        .await
        .unwrap();
    let head = store
        .client
        .head_object()
        .bucket("replica")
        .key("to")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_type(), Some("binary/octet-stream"));
    assert_eq!(head.metadata().unwrap().get("owner"), None);
    assert_eq!(head.metadata().unwrap()["other"], "y");
    assert_eq!(head.tag_count(), Some(2));
    assert_eq!(head.website_redirect_location(), Some("/elsewhere"));
}

const HELLO: &str = "5d41402abc4b2a76b9719d911017c592";
const OTHER: &str = "00000000000000000000000000000000";

#[rstest]
#[case::same(Some(HELLO), None, None, true)]
#[case::other(Some(OTHER), None, None, false)]
#[case::none_match(None, Some(HELLO), None, false)]
#[case::none_match_other(None, Some(OTHER), None, true)]
#[case::modified_since(None, None, Some(START as i64 - 1), false)]
#[tokio::test]
async fn conditions_on_the_source(
    #[case] if_match: Option<&str>,
    #[case] if_none_match: Option<&str>,
    #[case] unmodified_since: Option<i64>,
    #[case] holds: bool,
) {
    let store = store_with_source().await;
    let copy = store
        .client
        .copy_object()
        .bucket("replica")
        .key("to")
        .copy_source("master/from");
    let copy = copy
        .set_copy_source_if_match(if_match.map(str::to_owned))
        .set_copy_source_if_none_match(if_none_match.map(str::to_owned))
        .set_copy_source_if_unmodified_since(unmodified_since.map(DateTime::from_secs))
        .send()
        .await;
    if holds {
        copy.unwrap();
    } else {
        assert_eq!(failure(copy), ("PreconditionFailed".into(), 412));
        let head = store
            .client
            .head_object()
            .bucket("replica")
            .key("to")
            .send()
            .await;
        assert_eq!(failure(head).1, 404);
    }
}

#[rstest]
#[case::none_match("if-none-match", "*")]
#[case::other_etag("if-match", "\"00000000000000000000000000000000\"")]
#[tokio::test]
async fn conditions_on_the_target(#[case] header: &'static str, #[case] value: &'static str) {
    let store = store_with_source().await;
    store.put("to", "there").await;
    let copy = store
        .client
        .copy_object()
        .bucket(MASTER)
        .key("to")
        .copy_source("master/from");
    let copy = copy.customize().mutate_request(move |request| {
        request.headers_mut().insert(header, value);
    });
    assert_eq!(
        failure(copy.send().await),
        ("PreconditionFailed".into(), 412)
    );
    assert_eq!(store.get("to").await, b"there");
}

#[tokio::test]
async fn copy_onto_itself_must_change_something() {
    let store = store_with_source().await;
    let copy = || {
        store
            .client
            .copy_object()
            .bucket(MASTER)
            .key("from")
            .copy_source("master/from")
    };
    assert_eq!(failure(copy().send().await), ("InvalidRequest".into(), 400));
    let tags_only = copy()
        .tagging_directive(TaggingDirective::Replace)
        .tagging("b=2");
    assert_eq!(
        failure(tags_only.send().await),
        ("InvalidRequest".into(), 400)
    );
    copy()
        .metadata_directive(MetadataDirective::Replace)
        .send()
        .await
        .unwrap();
    copy()
        .storage_class(StorageClass::Standard)
        .send()
        .await
        .unwrap();
    copy()
        .server_side_encryption(ServerSideEncryption::Aes256)
        .send()
        .await
        .unwrap();
}

#[rstest]
#[case::key("master/absent", "NoSuchKey")]
#[case::bucket("absent/from", "NoSuchBucket")]
#[tokio::test]
async fn source_that_is_not_there(#[case] source: &str, #[case] code: &str) {
    let store = store_with_source().await;
    let copy = store
        .client
        .copy_object()
        .bucket("replica")
        .key("to")
        .copy_source(source);
    assert_eq!(failure(copy.send().await), (code.into(), 404));
}
