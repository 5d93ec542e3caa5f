//! Conditional reads and writes.

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use rstest::rstest;

use crate::support::store::{MASTER, START, Store, failure};

/// How a read is conditioned; the object was written a minute after the clock's start.
#[derive(Debug, Default)]
struct When {
    matches: Option<&'static str>,
    none_matches: Option<&'static str>,
    modified_since: Option<i64>,
    unmodified_since: Option<i64>,
}

const HELLO: &str = "\"5d41402abc4b2a76b9719d911017c592\"";
const OTHER: &str = "\"00000000000000000000000000000000\"";

#[rstest]
#[case::same_etag(When { matches: Some(HELLO), ..Default::default() }, None)]
#[case::other_etag(When { matches: Some(OTHER), ..Default::default() }, Some(412))]
#[case::known_etag(When { none_matches: Some(HELLO), ..Default::default() }, Some(304))]
#[case::new_etag(When { none_matches: Some(OTHER), ..Default::default() }, None)]
#[case::not_modified(When { modified_since: Some(60), ..Default::default() }, Some(304))]
#[case::modified(When { modified_since: Some(59), ..Default::default() }, None)]
#[case::modified_since(When { unmodified_since: Some(59), ..Default::default() }, Some(412))]
#[case::unmodified(When { unmodified_since: Some(60), ..Default::default() }, None)]
#[tokio::test]
async fn conditional_reads(#[case] when: When, #[case] status: Option<u16>) {
    let store = Store::with_master().await;
    store.advance(60);
    store.put("k", "hello").await;
    let date =
        |offset: Option<i64>| offset.map(|offset| DateTime::from_secs(START as i64 + offset));
    let get = store.client.get_object().bucket(MASTER).key("k");
    let get = get
        .set_if_match(when.matches.map(str::to_owned))
        .set_if_none_match(when.none_matches.map(str::to_owned))
        .set_if_modified_since(date(when.modified_since))
        .set_if_unmodified_since(date(when.unmodified_since))
        .send()
        .await;
    let head = store.client.head_object().bucket(MASTER).key("k");
    let head = head
        .set_if_match(when.matches.map(str::to_owned))
        .set_if_none_match(when.none_matches.map(str::to_owned))
        .set_if_modified_since(date(when.modified_since))
        .set_if_unmodified_since(date(when.unmodified_since))
        .send()
        .await;
    match status {
        None => assert!(get.is_ok() && head.is_ok(), "{get:?} {head:?}"),
        Some(status) => {
            assert_eq!(failure(get).1, status);
            assert_eq!(failure(head).1, status);
        }
    }
}

#[rstest]
#[case::create(false, None, Some("*"), None)]
#[case::create_existing(true, None, Some("*"), Some("PreconditionFailed"))]
#[case::replace_known(true, Some(HELLO), None, None)]
#[case::replace_other(true, Some(OTHER), None, Some("PreconditionFailed"))]
#[case::replace_nothing(false, Some(HELLO), None, Some("NoSuchKey"))]
#[tokio::test]
async fn conditional_puts(
    #[case] exists: bool,
    #[case] if_match: Option<&str>,
    #[case] if_none_match: Option<&str>,
    #[case] code: Option<&str>,
) {
    let store = Store::with_master().await;
    if exists {
        store.put("k", "hello").await;
    }
    let put = store.client.put_object().bucket(MASTER).key("k");
    let put = put
        .body(ByteStream::from_static(b"new"))
        .set_if_match(if_match.map(str::to_owned))
        .set_if_none_match(if_none_match.map(str::to_owned))
        .send()
        .await;
    match code {
        None => assert_eq!(store.get("k").await, b"new"),
        Some(code) => {
            assert_eq!(failure(put).0, code);
            let head = store
                .client
                .head_object()
                .bucket(MASTER)
                .key("k")
                .send()
                .await;
            assert_eq!(
                head.ok().and_then(|head| head.e_tag),
                exists.then(|| HELLO.to_owned())
            );
        }
    }
}
