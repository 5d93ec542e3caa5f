//! Versioned buckets.

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use rstest::rstest;

use crate::support::store::{MASTER, Store, failure};

async fn versioned() -> Store {
    let store = Store::with_master().await;
    set_versioning(&store, BucketVersioningStatus::Enabled).await;
    store
}

async fn set_versioning(store: &Store, status: BucketVersioningStatus) {
    let configuration = VersioningConfiguration::builder().status(status).build();
    let put = store.client.put_bucket_versioning().bucket(MASTER);
    put.versioning_configuration(configuration)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn delete_leaves_a_marker_whose_removal_brings_the_object_back() {
    let store = versioned().await;
    store.put("k", "hello").await;
    let deleted = store
        .client
        .delete_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.delete_marker(), Some(true));
    let marker = deleted.version_id().unwrap().to_owned();

    let get = store
        .client
        .get_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await;
    let response = get.as_ref().unwrap_err().raw_response().unwrap();
    assert_eq!(response.headers().get("x-amz-delete-marker"), Some("true"));
    assert_eq!(failure(get), ("NoSuchKey".into(), 404));
    let get = store
        .client
        .get_object()
        .bucket(MASTER)
        .key("k")
        .version_id(&marker)
        .send()
        .await;
    assert_eq!(failure(get), ("MethodNotAllowed".into(), 405));

    let removal = store
        .client
        .delete_object()
        .bucket(MASTER)
        .key("k")
        .version_id(&marker);
    assert_eq!(removal.send().await.unwrap().delete_marker(), Some(true));
    assert_eq!(store.get("k").await, b"hello");
}

#[tokio::test]
async fn every_version_can_be_read_copied_and_listed_page_by_page() {
    let store = versioned().await;
    for text in ["one", "two", "three"] {
        store.put("k", text).await;
    }
    store
        .client
        .delete_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();

    let mut listed = Vec::new();
    let mut markers = (None, None);
    loop {
        let list = store
            .client
            .list_object_versions()
            .bucket(MASTER)
            .max_keys(1);
        let list = list
            .set_key_marker(markers.0)
            .set_version_id_marker(markers.1);
        let list = list.send().await.unwrap();
        let versions = list
            .versions()
            .iter()
            .map(|v| (v.version_id.clone(), v.is_latest));
        let marked = list
            .delete_markers()
            .iter()
            .map(|m| (m.version_id.clone(), m.is_latest));
        listed.extend(versions.chain(marked));
        if list.is_truncated() != Some(true) {
            break;
        }
        markers = (list.next_key_marker, list.next_version_id_marker);
    }
    let latest: Vec<Option<bool>> = listed.iter().map(|(_, latest)| *latest).collect();
    assert_eq!(latest, [Some(true), Some(false), Some(false), Some(false)]);

    let oldest = listed[3].0.clone().unwrap();
    let get = store
        .client
        .get_object()
        .bucket(MASTER)
        .key("k")
        .version_id(&oldest);
    let got = get.send().await.unwrap();
    assert_eq!(got.version_id(), Some(oldest.as_str()));
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"one");
    let copy = store.client.copy_object().bucket(MASTER).key("k");
    let copied = copy
        .copy_source(format!("master/k?versionId={oldest}"))
        .send()
        .await
        .unwrap();
    assert_eq!(copied.copy_source_version_id(), Some(oldest.as_str()));
    assert_eq!(store.get("k").await, b"one");
}

#[tokio::test]
async fn suspended_bucket_writes_the_null_version() {
    let store = versioned().await;
    store.put("k", "kept").await;
    set_versioning(&store, BucketVersioningStatus::Suspended).await;
    store.put("k", "one").await;
    store.put("k", "two").await;
    let head = store
        .client
        .head_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(head.version_id(), Some("null"));
    let list = store
        .client
        .list_object_versions()
        .bucket(MASTER)
        .send()
        .await
        .unwrap();
    assert_eq!(list.versions().len(), 2);
    let deleted = store
        .client
        .delete_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(deleted.version_id(), Some("null"));
    let list = store
        .client
        .list_object_versions()
        .bucket(MASTER)
        .send()
        .await
        .unwrap();
    assert_eq!((list.versions().len(), list.delete_markers().len()), (1, 1));
}

#[rstest]
#[case::unknown("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "NoSuchVersion", 404)]
#[case::malformed("1", "InvalidArgument", 400)]
#[tokio::test]
async fn version_that_is_not_there(#[case] version: &str, #[case] code: &str, #[case] status: u16) {
    let store = versioned().await;
    store.put("k", "hello").await;
    let get = store
        .client
        .get_object()
        .bucket(MASTER)
        .key("k")
        .version_id(version)
        .send()
        .await;
    assert_eq!(failure(get), (code.into(), status));
}
