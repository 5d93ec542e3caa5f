//! What sync deletes, and everything that keeps it from deleting.

use rstest::rstest;

use s3_replicator::local::faults::{Effect, Fault, Scope, When};

use super::place::Place;

/// A master with a key, and a target with that and three more.
async fn with_extra_keys() -> Place {
    let place = Place::embedded(1).await;
    place.put("master", "kept", "x").await;
    for key in ["extra-1", "extra-2", "extra-3", "kept"] {
        place.put("replica-1", key, "x").await;
    }
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_keys_stay_unless_deletes_are_asked_for() {
    let place = with_extra_keys().await;
    let synced = place.sync(&[]).await;
    assert_eq!(synced.code, Some(0));
    assert_eq!(synced.count(0, "extra"), 3);
    assert_eq!(place.keys("replica-1").await.len(), 4);
    let deleted = place.sync(&["--delete", "--max-delete", "3"]).await;
    assert_eq!(deleted.code, Some(0), "{}", deleted.errors);
    assert_eq!(
        (deleted.count(0, "deleted"), deleted.count(0, "extra")),
        (3, 0)
    );
    assert_eq!(place.keys("replica-1").await, ["kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_delete_asks_for_the_master_and_its_bucket_once_more() {
    let place = with_extra_keys().await;
    let before = place.requests("HeadBucket").len();
    let deleted = place.sync(&["--delete"]).await;
    assert_eq!(deleted.count(0, "deleted"), 3, "{}", deleted.errors);
    let all = place.requests("HeadBucket").into_iter().skip(before);
    let of_master = all.filter(|entry| entry.bucket.as_deref() == Some("master"));
    // To find its region, and to see that it is there.
    assert_eq!(of_master.count(), 2 + 3);
}

#[rstest]
#[case::too_many(&["--delete", "--max-delete", "2"], "more than --max-delete 2")]
#[case::none_allowed(&["--delete", "--max-delete", "0"], "more than --max-delete 0")]
#[tokio::test(flavor = "multi_thread")]
async fn more_than_was_allowed_deletes_nothing(#[case] arguments: &[&str], #[case] named: &str) {
    let place = with_extra_keys().await;
    let refused = place.sync(arguments).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.errors.contains(named), "{}", refused.errors);
    assert_eq!(place.keys("replica-1").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_master_empties_no_target_unless_it_may() {
    let place = with_extra_keys().await;
    place.delete("master", "kept").await;
    let refused = place.sync(&["--delete"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.errors.contains("--allow-empty-master"),
        "{}",
        refused.errors
    );
    assert_eq!(refused.summary()["complete"], false);
    assert_eq!(place.keys("replica-1").await.len(), 4);
    let allowed = place.sync(&["--delete", "--allow-empty-master"]).await;
    assert_eq!(allowed.code, Some(0), "{}", allowed.errors);
    assert!(place.keys("replica-1").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn master_whose_keys_are_all_before_the_beginning_is_not_empty() {
    let place = with_extra_keys().await;
    place.delete("master", "kept").await;
    place.put("master", "a", "x").await;
    place.put("replica-1", "a", "x").await;
    let deleted = place.sync(&["--delete", "--start-after", "b"]).await;
    assert_eq!(deleted.code, Some(0), "{}", deleted.errors);
    assert_eq!(place.keys("replica-1").await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_key_that_is_spared_does_not_hold_the_position_back() {
    let place = with_extra_keys().await;
    place.put("master", "kept-2", "x").await;
    place.put("master", "kept-3", "x").await;
    place.create("other-master").await;
    let targets = [("ReplicatedTargetBuckets", "replica-1@eu-west-1")];
    place.tag("other-master", &targets).await;
    // The first page comes, and no other one.
    place.fault("ListObjectsV2", "master", 4, Effect::Answer(403));
    let failed = place.sync(&["--delete", "--page-size", "1"]).await;
    assert_eq!(failed.summary()["start_after"], "kept", "{}", failed.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_extra_is_said_in_the_last_line() {
    let place = with_extra_keys().await;
    let synced = place.run(&["sync", "s3://master"]).await;
    assert_eq!(synced.code, Some(0), "{}", synced.errors);
    let last = synced.text.lines().last().unwrap();
    assert!(last.contains("3 extra replicas left"), "{last}");
    assert!(last.contains("the same command with --delete"), "{last}");
    let help = place.run(&["sync", "--help"]).await.text;
    assert!(help.contains("extra replicas may be left"), "{help}");
}

#[tokio::test(flavor = "multi_thread")]
async fn listing_of_the_master_that_breaks_off_deletes_nothing() {
    let place = with_extra_keys().await;
    place.put("master", "kept-2", "x").await;
    place.put("master", "kept-3", "x").await;
    // The first page comes, and no other one.
    place.fault("ListObjectsV2", "master", 4, Effect::Answer(403));
    let failed = place.sync(&["--delete", "--page-size", "1"]).await;
    assert_eq!(failed.code, Some(1));
    assert!(
        failed.errors.contains("not every key was seen"),
        "{}",
        failed.errors
    );
    assert!(failed.errors.contains("s3:ListBucket"), "{}", failed.errors);
    assert_eq!(failed.summary()["complete"], false);
    for key in ["extra-1", "extra-2", "extra-3"] {
        assert!(
            place.text("replica-1", key).await.is_some(),
            "{key} is there"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_where_another_master_replicates_as_well() {
    let place = with_extra_keys().await;
    place.create("other-master").await;
    let targets = [("ReplicatedTargetBuckets", "replica-1@eu-west-1")];
    place.tag("other-master", &targets).await;
    let synced = place.sync(&["--delete"]).await;
    assert!(
        synced
            .errors
            .contains("the tags of s3://other-master name it"),
        "{}",
        synced.errors
    );
    assert_eq!(place.keys("replica-1").await.len(), 4);
    assert_eq!(synced.count(0, "extra"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_masters_that_cannot_be_looked_for_forbid_deletes() {
    let place = with_extra_keys().await;
    place.fault("ListBuckets", "", 0, Effect::Answer(403));
    let refused = place.sync(&["--delete"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.errors.contains("--assume-only-master"),
        "{}",
        refused.errors
    );
    assert_eq!(place.keys("replica-1").await.len(), 4);
    let sure = place.sync(&["--delete", "--assume-only-master"]).await;
    assert_eq!(sure.code, Some(0), "{}", sure.errors);
    assert_eq!(place.keys("replica-1").await, ["kept"]);
}

#[rstest]
#[case::profile_of_theirs("replica-1@dc-frankfurt")]
#[case::misspelt("replica-1=us-east-1")]
#[tokio::test(flavor = "multi_thread")]
async fn entry_that_only_its_owner_understands_forbids_deletes_at_its_target(#[case] entry: &str) {
    let place = with_extra_keys().await;
    place.create("other-master").await;
    let targets = [("ReplicatedTargetBuckets", entry)];
    place.tag("other-master", &targets).await;
    let synced = place.sync(&["--delete"]).await;
    assert!(
        synced.errors.contains("s3://other-master"),
        "{}",
        synced.errors
    );
    assert_eq!(place.keys("replica-1").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn bucket_whose_tags_cannot_be_read_may_be_another_master() {
    let place = with_extra_keys().await;
    place.create("other-master").await;
    place.fault("GetBucketTagging", "other-master", 0, Effect::Answer(403));
    let refused = place.sync(&["--delete"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.errors.contains("--assume-only-master")
            && refused.errors.contains("s3://other-master"),
        "{}",
        refused.errors
    );
    assert_eq!(place.keys("replica-1").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_verify_suggests_reaches_no_further_than_verify_did() {
    let place = with_extra_keys().await;
    let place_of_keys = ["s3://master", "--exclude", "extra-1", "--exclude", "*-2"];
    let child = place.start(&[&["verify"], &place_of_keys[..]].concat());
    let told = place.ran(child).await;
    let suggested =
        "`s3-replicator sync s3://master --exclude extra-1 --exclude '*-2' --delete` repairs them";
    assert!(told.text.contains(suggested), "{}", told.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_removals_are_not_replicated_extra_keys_are_kept_and_no_drift() {
    let place = with_extra_keys().await;
    let tags = [
        ("ReplicatedTargetBuckets", "replica-1@us-east-1"),
        ("ReplicatedDeletes", "false"),
    ];
    place.tag("master", &tags).await;
    let verified = place.verify(&[]).await;
    assert_eq!((verified.code, verified.said()), (Some(0), vec![]));
    assert_eq!(verified.count(0, "kept"), 3);
    let synced = place.sync(&["--delete"]).await;
    assert!(
        synced.errors.contains("ReplicatedDeletes"),
        "{}",
        synced.errors
    );
    assert_eq!((synced.code, synced.count(0, "kept")), (Some(0), 3));
    assert_eq!(place.keys("replica-1").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_that_appears_in_the_master_meanwhile_is_not_deleted() {
    let place = with_extra_keys().await;
    // The deletes begin with a look at the master's bucket, which takes a while.
    place.faults.arm(Fault {
        on: Some("HeadObject".parse().unwrap()),
        scope: Scope::Bucket("master".to_owned()),
        key: Some("extra-2".to_owned()),
        after: 1,
        ..Fault::new(Effect::Delay(2000, When::Before))
    });
    let child = place.start(&["sync", "s3://master", "--json", "--delete"]);
    let deleted = || !place.requests("DeleteObject").is_empty();
    place.until("the others are deleted", deleted).await;
    place.put("master", "extra-2", "now it is there").await;
    let synced = place.ran(child).await;
    assert_eq!(synced.code, Some(0), "{}", synced.errors);
    assert_eq!(place.keys("replica-1").await, ["extra-2", "kept"]);
    let text = place.text("replica-1", "extra-2").await;
    assert_eq!(text.as_deref(), Some("now it is there"));
}
