//! Input that is wrong, and places that are not what they should be: a clear message each.

use rstest::rstest;
use s3_replicator::local::faults::Effect;

use super::place::Place;

#[rstest]
#[case::no_uri(&["verify", "master"], "s3://BUCKET")]
#[case::no_bucket_name(&["sync", "s3://a..b"], "no bucket name")]
#[case::page_size(&["verify", "s3://master", "--page-size", "1001"], "1001")]
#[case::no_rate(&["sync", "s3://master", "--requests-per-second", "0"], "0")]
#[case::two_levels(&["verify", "s3://master", "--fast", "--bytes"], "--bytes")]
#[case::inventory_is_not_compared(
    &["verify", "s3://master", "--fast", "--from-inventory", "s3://lists/manifest.json"], "--fast")]
#[case::inventory_deletes_nothing(
    &["sync", "s3://master", "--delete", "--from-inventory", "s3://lists/manifest.json"], "--delete")]
#[case::limit_without_deletes(&["sync", "s3://master", "--max-delete", "5"], "--delete")]
#[case::empty_key(&["sync", "s3://master", "--start-after", ""], "empty")]
#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_ends_with_2_and_says_why(#[case] arguments: &[&str], #[case] named: &str) {
    let place = Place::embedded(1).await;
    let ran = place.run(arguments).await;
    assert_eq!(ran.code, Some(2), "{}", ran.errors);
    assert!(ran.errors.contains(named), "{}", ran.errors);
    assert_eq!(ran.text, "");
}

#[rstest]
#[case::pattern_that_matches_nothing(&["s3://master", "--exclude", "*"], "matches the patterns", 2)]
#[case::prefix_of_nothing(&["s3://master/nothing/"], "begins with `nothing/`", 2)]
#[case::no_master(&["s3://replica-1"], "no tag ReplicatedTargetBuckets", 2)]
#[case::no_bucket(&["s3://nobody"], "s3://nobody", 1)]
#[case::no_site(&["s3://master", "--from-inventory", "s3://nobody/manifest.json"], "s3://nobody", 1)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_named_by_both_commands(
    #[case] arguments: &[&str],
    #[case] named: &str,
    #[case] code: i32,
) {
    let place = Place::embedded(1).await;
    place.put("master", "k", "x").await;
    for command in ["verify", "sync"] {
        let ran = place.run(&[&[command], arguments].concat()).await;
        assert_eq!(ran.code, Some(code), "{}", ran.errors);
        assert!(ran.errors.contains(named), "{}", ran.errors);
        assert!(place.keys("replica-1").await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_names_every_exit_code() {
    let place = Place::embedded(0).await;
    for command in ["verify", "sync"] {
        let help = place.run(&[command, "--help"]).await.text;
        for code in [
            "Exit code 0:",
            "1: one",
            "2: wrong usage",
            "130: interrupted",
        ] {
            assert!(help.contains(code), "{command}: {code}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_master_and_empty_targets_are_right() {
    let place = Place::embedded(1).await;
    let verified = place.verify(&[]).await;
    assert_eq!(
        (verified.code, verified.said()),
        (Some(0), vec![]),
        "{}",
        verified.errors
    );
}

#[rstest]
#[case::while_it_counts(0)]
#[case::while_it_compares(1)]
#[tokio::test(flavor = "multi_thread")]
async fn missing_permission_to_list_is_named(#[case] after: u32) {
    let place = Place::embedded(1).await;
    place.put("master", "k", "x").await;
    place.fault("ListObjectsV2", "master", after, Effect::Answer(403));
    let verified = place.verify(&[]).await;
    assert_eq!(verified.code, Some(1));
    assert!(
        verified.errors.contains("s3:ListBucket"),
        "{}",
        verified.errors
    );
    assert!(
        verified.errors.contains("s3://master"),
        "{}",
        verified.errors
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn object_that_may_not_be_seen_is_failed_and_not_missing() {
    let place = Place::embedded(1).await;
    for bucket in ["master", "replica-1"] {
        place.put(bucket, "k", "x").await;
    }
    place.fault("HeadObject", "replica-1", 0, Effect::Answer(403));
    let verified = place.verify(&[]).await;
    assert_eq!(verified.said(), ["replica-1 k failed"]);
    assert_eq!(verified.code, Some(1));
    assert_eq!(verified.summary()["complete"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistake_in_the_tag_is_told_and_the_other_targets_are_verified() {
    let place = Place::embedded(1).await;
    place.put("master", "k", "x").await;
    let tags = [(
        "ReplicatedTargetBuckets",
        "replica-1@us-east-1 replica-2@mars",
    )];
    place.tag("master", &tags).await;
    let synced = place.sync(&[]).await;
    assert_eq!((synced.code, synced.count(0, "copied")), (Some(1), 1));
    assert!(
        synced.errors.contains("replica-2@mars"),
        "{}",
        synced.errors
    );
    let verified = place.verify(&[]).await;
    assert_eq!((verified.code, verified.count(0, "equal")), (Some(1), 1));
}
