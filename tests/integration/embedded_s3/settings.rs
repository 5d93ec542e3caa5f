//! What a bucket is set to and has no effect here, and whose it is.

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleRule,
    LifecycleRuleFilter, ObjectOwnership,
};
use rstest::rstest;

use crate::support::store::{MASTER, Store, failure};

#[tokio::test]
async fn lifecycle_rules_are_kept() {
    let store = Store::with_master().await;
    let get = || {
        store
            .client
            .get_bucket_lifecycle_configuration()
            .bucket(MASTER)
            .send()
    };
    assert_eq!(failure(get().await).0, "NoSuchLifecycleConfiguration");
    let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(7);
    let rule = LifecycleRule::builder()
        .id("unfinished")
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix("").build())
        .abort_incomplete_multipart_upload(abort.build())
        .build()
        .unwrap();
    let rules = BucketLifecycleConfiguration::builder()
        .rules(rule.clone())
        .build();
    let put = store.client.put_bucket_lifecycle_configuration();
    let put = put.bucket(MASTER).lifecycle_configuration(rules.unwrap());
    put.send().await.unwrap();
    assert_eq!(get().await.unwrap().rules(), [rule]);
    let delete = store.client.delete_bucket_lifecycle().bucket(MASTER);
    delete.send().await.unwrap();
    assert_eq!(failure(get().await).0, "NoSuchLifecycleConfiguration");
}

#[tokio::test]
async fn new_bucket_owns_its_objects_until_the_controls_are_deleted() {
    let store = Store::with_master().await;
    let get = || {
        store
            .client
            .get_bucket_ownership_controls()
            .bucket(MASTER)
            .send()
    };
    let controls = get().await.unwrap().ownership_controls.unwrap();
    assert_eq!(
        controls.rules()[0].object_ownership,
        ObjectOwnership::BucketOwnerEnforced
    );
    let delete = store
        .client
        .delete_bucket_ownership_controls()
        .bucket(MASTER);
    delete.send().await.unwrap();
    assert_eq!(failure(get().await).0, "OwnershipControlsNotFoundError");
}

#[rstest]
#[case::of_this_account("000000000000", true)]
#[case::of_another("123456789012", false)]
#[tokio::test]
async fn bucket_belongs_to_one_account(#[case] account: &str, #[case] expected: bool) {
    let store = Store::with_master().await;
    let head = store.client.head_bucket().bucket(MASTER);
    let answer = head.expected_bucket_owner(account).send().await;
    let status = answer
        .err()
        .and_then(|it| it.raw_response().map(|it| it.status().as_u16()));
    assert_eq!(status, (!expected).then_some(403));
}
