//! Objects: put, get, head, delete and tags.

use std::time::Duration;

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    Delete, ObjectIdentifier, ServerSideEncryption, StorageClass, Tag, Tagging,
};
use rstest::rstest;

use crate::support::store::{MASTER, START, Store, failure};

#[tokio::test]
async fn head_shows_everything_that_was_put() {
    let store = Store::with_master().await;
    let put = store.client.put_object().bucket(MASTER).key("k");
    put.body(ByteStream::from_static(b"hello"))
        .cache_control("no-store")
        .content_disposition("attachment")
        .content_encoding("gzip")
        .content_language("de")
        .content_type("text/plain")
        .metadata("owner", "x")
        .metadata("name", "é")
        .storage_class(StorageClass::StandardIa)
        .tagging("a=1&b=2")
        .website_redirect_location("/there")
        .send()
        .await
        .unwrap();

    let head = store
        .client
        .head_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(head.content_length(), Some(5));
    assert_eq!(head.e_tag(), Some("\"5d41402abc4b2a76b9719d911017c592\""));
    assert_eq!(
        head.last_modified(),
        Some(&DateTime::from_secs(START as i64))
    );
    assert_eq!(head.cache_control(), Some("no-store"));
    assert_eq!(head.content_disposition(), Some("attachment"));
    assert_eq!(head.content_encoding(), Some("gzip"));
    assert_eq!(head.content_language(), Some("de"));
    assert_eq!(head.content_type(), Some("text/plain"));
    assert_eq!(head.metadata().unwrap()["owner"], "x");
    assert_eq!(head.metadata().unwrap()["name"], "=?UTF-8?B?w6k=?=");
    assert_eq!(head.storage_class(), Some(&StorageClass::StandardIa));
    assert_eq!(head.tag_count(), Some(2));
    assert_eq!(head.website_redirect_location(), Some("/there"));
    assert_eq!(
        head.server_side_encryption(),
        Some(&ServerSideEncryption::Aes256)
    );
    assert_eq!(head.version_id(), None);
}

#[tokio::test]
async fn plain_object_shows_only_defaults() {
    let store = Store::with_master().await;
    store.put("k", "hello").await;
    let head = store
        .client
        .head_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(head.storage_class(), None);
    assert_eq!(head.tag_count(), None);
    assert_eq!(head.website_redirect_location(), None);
    assert_eq!(head.parts_count(), None);
}

#[rstest]
#[case::date("Thu, 01 Dec 2044 16:00:00 GMT")]
#[case::no_date("when it suits")]
#[case::zero("0")]
#[tokio::test]
async fn expires_is_kept_as_text(#[case] expires: &'static str) {
    let store = Store::with_master().await;
    let put = store
        .client
        .put_object()
        .bucket(MASTER)
        .key("k")
        .tagging("a=1");
    put.body(ByteStream::from_static(b"hello"))
        .customize()
        .mutate_request(move |request| {
            request.headers_mut().insert("expires", expires);
        })
        .send()
        .await
        .unwrap();
    let head = store
        .client
        .head_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(head.expires_string(), Some(expires));
    assert_eq!(head.tag_count(), Some(1));
    assert_eq!(store.get("k").await, b"hello");
}

#[rstest]
#[case::first("bytes=0-0", "0", "bytes 0-0/10")]
#[case::middle("bytes=2-4", "234", "bytes 2-4/10")]
#[case::to_the_end("bytes=7-", "789", "bytes 7-9/10")]
#[case::beyond_the_end("bytes=7-99", "789", "bytes 7-9/10")]
#[case::suffix("bytes=-2", "89", "bytes 8-9/10")]
#[tokio::test]
async fn ranges(#[case] range: &str, #[case] text: &str, #[case] content_range: &str) {
    let store = Store::with_master().await;
    store.put("k", "0123456789").await;
    let get = store
        .client
        .get_object()
        .bucket(MASTER)
        .key("k")
        .range(range)
        .send()
        .await
        .unwrap();
    assert_eq!(get.content_range(), Some(content_range));
    assert_eq!(get.content_length(), Some(text.len() as i64));
    assert_eq!(get.body.collect().await.unwrap().to_vec(), text.as_bytes());
}

#[tokio::test]
async fn range_behind_the_end_is_not_satisfiable() {
    let store = Store::with_master().await;
    store.put("k", "0123456789").await;
    let get = store
        .client
        .get_object()
        .bucket(MASTER)
        .key("k")
        .range("bytes=10-")
        .send()
        .await;
    assert_eq!(failure(get), ("InvalidRange".into(), 416));
}

#[tokio::test]
async fn response_headers_can_be_overridden() {
    let store = Store::with_master().await;
    store.put("k", "hello").await;
    let get = store.client.get_object().bucket(MASTER).key("k");
    let get = get
        .response_content_type("text/html")
        .response_cache_control("no-cache");
    let get = get.send().await.unwrap();
    assert_eq!(get.content_type(), Some("text/html"));
    assert_eq!(get.cache_control(), Some("no-cache"));
}

#[rstest]
#[case::space_plus_percent("a b+c%2B%.txt")]
#[case::two_slashes("//a//b")]
#[case::dots("./a/../b")]
#[case::only_a_slash("/")]
#[case::newline_and_tab("a\nb\tc")]
#[case::markup("<a>&\"'")]
#[case::emoji("🦀 é")]
#[case::query_like("a?b=c#d")]
#[case::longest(&"k".repeat(1024))]
#[tokio::test]
async fn hostile_keys_round_trip(#[case] key: &str) {
    let store = Store::with_master().await;
    store.put(key, "hello").await;
    assert_eq!(store.get(key).await, b"hello");
    let list = store
        .client
        .list_objects_v2()
        .bucket(MASTER)
        .send()
        .await
        .unwrap();
    assert_eq!(list.contents()[0].key(), Some(key));

    let source = format!("{MASTER}/{}", urlencoded(key));
    let copy = store
        .client
        .copy_object()
        .bucket(MASTER)
        .key("copy")
        .copy_source(source);
    copy.send().await.unwrap();
    store
        .client
        .delete_object()
        .bucket(MASTER)
        .key(key)
        .send()
        .await
        .unwrap();
    let head = store
        .client
        .head_object()
        .bucket(MASTER)
        .key(key)
        .send()
        .await;
    assert_eq!(failure(head).1, 404);
}

fn urlencoded(key: &str) -> String {
    key.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn key_over_1024_bytes_is_too_long() {
    let store = Store::with_master().await;
    let put = store
        .client
        .put_object()
        .bucket(MASTER)
        .key("k".repeat(1025))
        .send()
        .await;
    assert_eq!(failure(put).0, "KeyTooLongError");
}

#[tokio::test]
async fn tags_are_put_read_counted_and_deleted() {
    let store = Store::with_master().await;
    store.put("k", "hello").await;
    let tag = |key: &str| Tag::builder().key(key).value("v").build().unwrap();
    let tagging = Tagging::builder()
        .tag_set(tag("a"))
        .tag_set(tag("b"))
        .build()
        .unwrap();
    let put = store
        .client
        .put_object_tagging()
        .bucket(MASTER)
        .key("k")
        .tagging(tagging);
    put.send().await.unwrap();
    let tags = store
        .client
        .get_object_tagging()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(tags.tag_set(), [tag("a"), tag("b")]);

    store
        .client
        .delete_object_tagging()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    let tags = store
        .client
        .get_object_tagging()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert!(tags.tag_set().is_empty());
    let absent = store
        .client
        .get_object_tagging()
        .bucket(MASTER)
        .key("x")
        .send()
        .await;
    assert_eq!(failure(absent), ("NoSuchKey".into(), 404));
}

#[tokio::test]
async fn several_objects_are_deleted_at_once() {
    let store = Store::with_master().await;
    store.put("a", "1").await;
    store.put("b", "2").await;
    let named = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let delete = Delete::builder()
        .objects(named("a"))
        .objects(named("absent"))
        .build()
        .unwrap();
    let deleted = store
        .client
        .delete_objects()
        .bucket(MASTER)
        .delete(delete)
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.deleted().len(), 2);
    assert!(deleted.errors().is_empty());
    let list = store
        .client
        .list_objects_v2()
        .bucket(MASTER)
        .send()
        .await
        .unwrap();
    assert_eq!(list.key_count(), Some(1));
}

#[tokio::test]
async fn last_modified_is_in_whole_seconds_of_the_injected_clock() {
    let store = Store::with_master().await;
    store.advance(90);
    store.put("k", "hello").await;
    let head = store
        .client
        .head_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    let expected = Duration::from_secs(START + 90);
    assert_eq!(
        head.last_modified(),
        Some(&DateTime::from_secs(expected.as_secs() as i64))
    );
}
