//! Buckets and their listings.

use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, EncodingType, Tag, Tagging,
};
use rstest::rstest;

use crate::support::store::{MASTER, Store, failure};

async fn store_with_keys() -> Store {
    let store = Store::with_master().await;
    for key in ["a", "a/1", "a/2 x", "b//c", "z", "é"] {
        store.put(key, "x").await;
    }
    store
}

#[rstest]
#[case::one_by_one(1)]
#[case::by_two(2)]
#[case::at_once(1000)]
#[tokio::test]
async fn pages_of_v2_join_to_the_whole(#[case] max_keys: i32) {
    let store = store_with_keys().await;
    let mut listed = Vec::new();
    let mut token = None;
    loop {
        let list = store.client.list_objects_v2().bucket(MASTER).delimiter("/");
        let list = list
            .max_keys(max_keys)
            .set_continuation_token(token)
            .send()
            .await
            .unwrap();
        listed.extend(
            list.contents()
                .iter()
                .map(|object| object.key().unwrap().to_owned()),
        );
        let prefixes = list
            .common_prefixes()
            .iter()
            .map(|one| one.prefix().unwrap().to_owned());
        listed.extend(prefixes);
        token = list.next_continuation_token;
        if token.is_none() {
            break;
        }
    }
    listed.sort();
    assert_eq!(listed, ["a", "a/", "b/", "z", "é"]);
}

#[tokio::test]
async fn start_after_prefix_and_encoding() {
    let store = store_with_keys().await;
    let list = store
        .client
        .list_objects_v2()
        .bucket(MASTER)
        .prefix("a/")
        .start_after("a/1");
    let list = list.encoding_type(EncodingType::Url).send().await.unwrap();
    assert_eq!(list.contents().len(), 1);
    assert_eq!(list.contents()[0].key(), Some("a/2+x"));
    assert_eq!(list.key_count(), Some(1));
}

#[tokio::test]
async fn first_version_of_the_listing_pages_by_marker() {
    let store = store_with_keys().await;
    let list = store
        .client
        .list_objects()
        .bucket(MASTER)
        .delimiter("/")
        .max_keys(2);
    let first = list.send().await.unwrap();
    assert_eq!(first.next_marker(), Some("a/"));
    let list = store
        .client
        .list_objects()
        .bucket(MASTER)
        .delimiter("/")
        .marker("a/");
    let rest = list.send().await.unwrap();
    assert_eq!(rest.common_prefixes()[0].prefix(), Some("b/"));
    assert_eq!(rest.contents().len(), 2);
    assert_eq!(rest.is_truncated(), Some(false));
}

#[tokio::test]
async fn buckets_have_regions() {
    let store = Store::with_master().await;
    let configuration = CreateBucketConfiguration::builder()
        .location_constraint(BucketLocationConstraint::ApSoutheast1)
        .build();
    let create = store.client.create_bucket().bucket("replica");
    create
        .create_bucket_configuration(configuration)
        .send()
        .await
        .unwrap();
    for (bucket, region, constraint) in [
        ("replica", "ap-southeast-1", Some("ap-southeast-1")),
        (MASTER, "us-east-1", None),
    ] {
        let head = store
            .client
            .head_bucket()
            .bucket(bucket)
            .send()
            .await
            .unwrap();
        assert_eq!(head.bucket_region(), Some(region));
        let location = store
            .client
            .get_bucket_location()
            .bucket(bucket)
            .send()
            .await
            .unwrap();
        let found = location.location_constraint().map(|one| one.as_str());
        assert_eq!(found.filter(|one| !one.is_empty()), constraint);
    }
    let list = store.client.list_buckets().send().await.unwrap();
    let names: Vec<_> = list
        .buckets()
        .iter()
        .filter_map(|bucket| bucket.name())
        .collect();
    assert_eq!(names, [MASTER, "replica"]);
    let again = store.client.create_bucket().bucket("replica").send().await;
    assert_eq!(failure(again), ("BucketAlreadyOwnedByYou".into(), 409));
}

#[tokio::test]
async fn only_an_empty_bucket_is_deleted() {
    let store = Store::with_master().await;
    store.put("k", "x").await;
    let delete = || store.client.delete_bucket().bucket(MASTER);
    assert_eq!(
        failure(delete().send().await),
        ("BucketNotEmpty".into(), 409)
    );
    store
        .client
        .delete_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    delete().send().await.unwrap();
    assert_eq!(failure(delete().send().await), ("NoSuchBucket".into(), 404));
}

#[tokio::test]
async fn bucket_without_tags_differs_from_no_bucket() {
    let store = Store::with_master().await;
    let get = |bucket: &str| store.client.get_bucket_tagging().bucket(bucket).send();
    assert_eq!(failure(get(MASTER).await), ("NoSuchTagSet".into(), 404));
    assert_eq!(failure(get("absent").await), ("NoSuchBucket".into(), 404));

    let tag = Tag::builder()
        .key("ReplicatedTargetBuckets")
        .value("replica-1@ap-southeast-1 replica-2@eu-central-1")
        .build()
        .unwrap();
    let tagging = Tagging::builder().tag_set(tag.clone()).build().unwrap();
    let put = store
        .client
        .put_bucket_tagging()
        .bucket(MASTER)
        .tagging(tagging);
    put.send().await.unwrap();
    assert_eq!(get(MASTER).await.unwrap().tag_set(), [tag]);
    store
        .client
        .delete_bucket_tagging()
        .bucket(MASTER)
        .send()
        .await
        .unwrap();
    assert_eq!(failure(get(MASTER).await), ("NoSuchTagSet".into(), 404));
}

#[rstest]
#[case::get("NoSuchBucket")]
#[tokio::test]
async fn every_operation_names_a_missing_bucket(#[case] code: &str) {
    let store = Store::with_master().await;
    let client = &store.client;
    let expected = (code.to_owned(), 404);
    assert_eq!(
        failure(client.get_object().bucket("absent").key("k").send().await),
        expected
    );
    assert_eq!(
        failure(client.put_object().bucket("absent").key("k").send().await),
        expected
    );
    assert_eq!(
        failure(
            client
                .delete_object()
                .bucket("absent")
                .key("k")
                .send()
                .await
        ),
        expected
    );
    assert_eq!(
        failure(client.list_objects_v2().bucket("absent").send().await),
        expected
    );
    let create = client.create_multipart_upload().bucket("absent").key("k");
    assert_eq!(failure(create.send().await), expected);
}
