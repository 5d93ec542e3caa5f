//! Drift of every kind, made by hand: found and named, repaired, and gone.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::HeaderValue;
use s3_replicator::local::http::{Hangup, Request, Response, Service, SharedService};

use super::place::Place;

/// Makes one key of each kind drift at the first target, which keeps versions; the second stays.
pub(crate) async fn drift_of_every_kind(place: &Place) {
    let [master, replica] = [&place.master, &place.targets[0]];
    place.version(replica).await;
    let keys = [
        "a/content",
        "a/equal",
        "a/marker",
        "a/metadata",
        "a/missing",
        "a/overwritten",
        "a/size",
        "a/tags",
        "a/header",
        "a/ключ ☂ +%",
    ];
    for key in keys {
        place.put(master, key, &format!("text of {key}")).await;
    }
    place.tag_object(master, "a/equal", "v").await;
    let filled = place.sync(&[]).await;
    assert_eq!(filled.code, Some(0), "{}", filled.errors);
    assert_eq!(filled.count(0, "copied"), 10);
    let clean = place.verify(&[]).await;
    assert_eq!(
        (clean.code, clean.said()),
        (Some(0), vec![]),
        "{}",
        clean.errors
    );

    place.put(replica, "a/content", "TEXT of a/content").await;
    place.put(replica, "a/size", "longer than it was").await;
    place
        .put(replica, "a/overwritten", "TEXT of a/overwritten")
        .await;
    place.put(replica, "b/extra", "x").await;
    place.delete(replica, "a/marker").await;
    place.tag_object(replica, "a/tags", "v").await;
    let other = || {
        let request = place.client.put_object().bucket(replica);
        request.body(b"text of a/metadata".to_vec().into())
    };
    let metadata = other().key("a/metadata").metadata("owner", "x");
    metadata.send().await.unwrap();
    let body = b"text of a/header".to_vec().into();
    let header = other().key("a/header").cache_control("no-store").body(body);
    header.send().await.unwrap();
    // A version that is deleted for good, and not behind a marker.
    let head = place.client.head_object().bucket(replica).key("a/missing");
    let version = head.send().await.unwrap().version_id;
    let gone = place
        .client
        .delete_object()
        .bucket(replica)
        .key("a/missing");
    gone.set_version_id(version).send().await.unwrap();
}

/// What verify has to say of it.
pub(crate) fn expected(replica: &str) -> Vec<String> {
    let mut expected = [
        "a/content differing content",
        "a/header differing cache-control",
        "a/marker missing delete marker",
        "a/metadata differing metadata",
        "a/missing missing",
        "a/overwritten differing content",
        "a/size differing size",
        "a/tags differing tags",
        "b/extra extra",
    ]
    .map(|said| format!("{replica} {said}"));
    expected.sort();
    expected.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_of_every_kind_is_found_named_and_repaired() {
    let place = Place::embedded(2).await;
    drift_of_every_kind(&place).await;
    let found = place.verify(&[]).await;
    assert_eq!(found.code, Some(1));
    assert_eq!(found.said(), expected("replica-1"));
    assert_eq!(found.count(1, "equal"), 10);

    let versions_before = versions(&place).await;
    let rehearsed = place.sync(&["--delete", "--dry-run"]).await;
    assert_eq!(
        place.verify(&[]).await.said(),
        expected("replica-1"),
        "it was dry"
    );
    let repaired = place.sync(&["--delete"]).await;
    assert_eq!(repaired.code, Some(0), "{}", repaired.errors);
    assert_eq!(repaired.said(), rehearsed.said(), "as the dry run said");
    let outcomes = ["copied", "tagged", "deleted"].map(|outcome| repaired.count(0, outcome));
    assert_eq!(outcomes, [7, 1, 1]);
    assert_eq!(repaired.count(1, "equal"), 10);

    let clean = place.verify(&["--bytes"]).await;
    assert_eq!(
        (clean.code, clean.said()),
        (Some(0), vec![]),
        "{}",
        clean.errors
    );
    let versions_after = versions(&place).await;
    assert!(
        versions_before
            .iter()
            .all(|version| versions_after.contains(version)),
        "older versions are left as they are"
    );
}

/// All versions in the first target.
async fn versions(place: &Place) -> Vec<(String, String)> {
    let request = place
        .client
        .list_object_versions()
        .bucket(&place.targets[0]);
    let versions = request.send().await.unwrap().versions.unwrap_or_default();
    let version = |it: aws_sdk_s3::types::ObjectVersion| (it.key.unwrap(), it.version_id.unwrap());
    versions.into_iter().map(version).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn listing_alone_finds_other_bytes_and_says_what_it_does_not_see() {
    let place = Place::embedded(1).await;
    for key in ["content", "equal", "metadata"] {
        place.put("master", key, "one").await;
        place.put("replica-1", key, "one").await;
    }
    place.put("replica-1", "content", "two").await;
    let other = place
        .client
        .put_object()
        .bucket("replica-1")
        .key("metadata");
    let other = other.body(b"one".to_vec().into()).metadata("k", "v");
    other.send().await.unwrap();
    let fast = place.verify(&["--fast"]).await;
    assert_eq!(fast.said(), ["replica-1 content differing content"]);
    assert_eq!(fast.summary()["metadata_checked"], false);
    assert_eq!(fast.code, Some(1));
    let heads = place.requests("HeadObject").len();
    assert_eq!(heads, 4, "two looks at the one key that seems to differ");
    let shown = place
        .run(&["verify", "s3://master", "--fast", "--settle", "0"])
        .await;
    assert!(
        shown.text.contains("metadata not checked"),
        "{}",
        shown.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_read_and_compared_whatever_etags_say() {
    let place = Place::embedded(1).await;
    // An ETag of parts proves nothing beside one of a whole object.
    let created = place
        .client
        .create_multipart_upload()
        .bucket("master")
        .key("k");
    let id = created.send().await.unwrap().upload_id.unwrap();
    let part = place
        .client
        .upload_part()
        .bucket("master")
        .key("k")
        .upload_id(&id);
    let part = part
        .part_number(1)
        .body(b"text".to_vec().into())
        .send()
        .await
        .unwrap();
    let part = aws_sdk_s3::types::CompletedPart::builder()
        .part_number(1)
        .set_e_tag(part.e_tag)
        .build();
    let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(part);
    let complete = place
        .client
        .complete_multipart_upload()
        .bucket("master")
        .key("k");
    let complete = complete.upload_id(id).multipart_upload(parts.build());
    complete.send().await.unwrap();

    let put = async |text: &'static str| {
        let request = place.client.put_object().bucket("replica-1").key("k");
        let request = request.content_type("binary/octet-stream");
        request
            .body(text.as_bytes().to_vec().into())
            .send()
            .await
            .unwrap();
    };
    put("text").await;
    let unproven = place.verify(&[]).await;
    assert_eq!(unproven.said(), ["replica-1 k unproven"]);
    assert_eq!(unproven.code, Some(0), "nothing is known to differ");
    let proven = place.verify(&["--bytes"]).await;
    assert_eq!((proven.code, proven.said()), (Some(0), vec![]));
    assert_eq!(proven.count(0, "equal"), 1);
    put("TEXT").await;
    let different = place.verify(&["--bytes"]).await;
    assert_eq!(different.said(), ["replica-1 k differing content"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn replication_under_way_is_in_flight_and_no_drift() {
    let place = Place::embedded(1).await;
    place.put("master", "late", "x").await;
    place.put("master", "rewritten", "x").await;
    place.put("master", "drift", "x").await;
    let child = place.start(&["verify", "s3://master", "--json", "--settle", "3"]);
    // All three were seen to be missing; now one arrives, and one is written again.
    let seen = |key: &str| {
        let heads = place.requests("HeadObject").into_iter();
        heads
            .filter(|entry| entry.key.as_deref() == Some(key) && entry.ending.is_some())
            .count()
            >= 2
    };
    let keys = ["late", "rewritten", "drift"];
    let all = || keys.iter().all(|key| seen(key));
    place.until("all were looked at", all).await;
    place.put("replica-1", "late", "x").await;
    place.put("master", "rewritten", "y").await;
    let verified = place.ran(child).await;
    assert_eq!(
        verified.said(),
        [
            "replica-1 drift missing",
            "replica-1 late in flight",
            "replica-1 rewritten in flight"
        ]
    );
    assert_eq!(verified.code, Some(1), "for the one that is drift");
}

/// A store in which every object is years old.
struct Old(SharedService);

impl Service for Old {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            if let Some(written) = answer.headers_mut().get_mut("last-modified") {
                *written = HeaderValue::from_static("Wed, 01 Jan 2020 00:00:00 GMT");
            }
            Ok(answer)
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_tags_of_an_old_object_are_in_flight_and_no_drift() {
    let place = Place::behind(1, |store| Arc::new(Old(store))).await;
    for bucket in ["master", "replica-1"] {
        place.put(bucket, "k", "x").await;
    }
    place.tag_object("master", "k", "new").await;
    // Long enough that it cannot be over before the tags are there.
    let child = place.start(&["verify", "s3://master", "--json", "--settle", "3"]);
    let seen = || {
        let tags = place.requests("GetObjectTagging").into_iter();
        tags.filter(|entry| entry.ending.is_some()).count() >= 1
    };
    place.until("the tags were looked at", seen).await;
    place.tag_object("replica-1", "k", "new").await;
    let verified = place.ran(child).await;
    let expected = ["replica-1 k in flight"];
    assert_eq!(verified.said(), expected, "{}", verified.errors);
    assert_eq!(verified.code, Some(0));
}
