//! One read for all targets; none of them stops the others.

use std::num::NonZeroU32;

use rstest::rstest;
use s3_replicator::local::faults::{Effect, Fault, Scope, When};
use tokio::time::Instant;

use crate::support::MASTER;
use crate::support::services::Services;

fn always(on: &str, bucket: &str, effect: Effect) -> Fault {
    Fault {
        on: Some(on.parse().unwrap()),
        scope: Scope::Bucket(bucket.to_owned()),
        times: None,
        ..Fault::new(effect)
    }
}

fn once(on: &str, bucket: &str, effect: Effect) -> Fault {
    Fault {
        times: Some(NonZeroU32::MIN),
        ..always(on, bucket, effect)
    }
}

#[rstest]
#[case::one_piece(&[])]
#[case::parts(&[200_000, 70_000, 300_000])]
#[tokio::test(start_paused = true)]
async fn master_is_read_once_for_three_targets(#[case] parts: &[usize]) {
    let services = Services::with_targets(0, 3).await;
    match parts {
        [] => services.put("k", 1, 570_000).await,
        parts => drop(services.upload("k", 1, parts, |create| create).await),
    }
    services.invoke(&["k"], 60).await.unwrap();
    assert_eq!(services.seen("GetObject").len(), parts.len().max(1));
    let journal = services.faults.journal();
    let read: u64 = journal
        .iter()
        .filter(|entry| entry.operation.as_str() == "GetObject")
        .map(|entry| entry.bytes_out)
        .sum();
    assert_eq!(read, 570_000);
    for replica in ["far-1", "far-2", "far-3"] {
        services.assert_equal(replica, "k").await;
    }
}

#[rstest]
#[case::part_is_refused("UploadPart", Effect::Answer(500), &[200_000, 70_000, 300_000])]
#[case::part_hangs("UploadPart", Effect::Delay(3_600_000, When::Before), &[200_000, 70_000, 300_000])]
#[case::part_is_never_answered(
    "UploadPart", Effect::Delay(3_600_000, When::After), &[200_000, 70_000, 300_000])]
#[case::upload_cannot_begin("CreateMultipartUpload", Effect::Answer(403), &[200_000, 70_000])]
#[case::put_is_refused("PutObject", Effect::Answer(500), &[])]
#[case::put_hangs("PutObject", Effect::Delay(3_600_000, When::Before), &[])]
#[tokio::test(start_paused = true)]
async fn one_target_neither_stops_nor_corrupts_the_others(
    #[case] on: &str,
    #[case] effect: Effect,
    #[case] parts: &[usize],
) {
    let services = Services::with_targets(0, 3).await;
    match parts {
        [] => services.put("k", 1, 5_000_000).await,
        parts => drop(services.upload("k", 1, parts, |create| create).await),
    }
    services.faults.arm(always(on, "far-2", effect));
    let begun = Instant::now();
    let failed = services.invoke(&["k"], 300).await.unwrap_err();
    assert!(
        failed.message.contains("s3://far-2/k"),
        "{}",
        failed.message
    );
    assert!(!failed.message.contains("far-1"), "{}", failed.message);
    assert!(begun.elapsed().as_secs() <= 300);
    services.assert_equal("far-1", "k").await;
    services.assert_equal("far-3", "k").await;
    assert_eq!(services.head("far-2", "k").await.map(drop), None);
}

#[tokio::test(start_paused = true)]
async fn target_that_stalled_catches_up_in_a_round_of_its_own() {
    let services = Services::with_targets(0, 3).await;
    services.put("k", 1, 5_000_000).await;
    services.faults.arm(once(
        "PutObject",
        "far-2",
        Effect::Delay(3_600_000, When::Before),
    ));
    services.invoke(&["k"], 300).await.unwrap();
    for replica in ["far-1", "far-2", "far-3"] {
        services.assert_equal(replica, "k").await;
    }
    let puts = services.seen("PutObject");
    assert_eq!(puts.iter().filter(|put| put.bucket == "far-1").count(), 1);
    assert_eq!(services.seen("GetObject").len(), 2);
}

#[rstest]
#[case::throttled(Effect::Answer(503))]
#[case::cut_off(Effect::Reset(When::After))]
#[tokio::test(start_paused = true)]
async fn part_that_failed_once_is_sent_again_from_the_master(#[case] effect: Effect) {
    let services = Services::with_targets(0, 2).await;
    services
        .upload("k", 1, &[400_000, 400_000], |create| create)
        .await;
    services.faults.arm(once("UploadPart", "far-2", effect));
    services.invoke(&["k"], 60).await.unwrap();
    services.assert_equal("far-1", "k").await;
    services.assert_equal("far-2", "k").await;
    assert_eq!(services.seen("CreateMultipartUpload").len(), 2);
    assert_eq!(services.seen("UploadPart").len(), 5);
}

#[rstest]
#[case::by_parts(&[400_000, 400_000])]
#[case::in_one_piece(&[])]
#[tokio::test(start_paused = true)]
async fn masters_answer_that_is_cut_off_is_read_again(#[case] parts: &[usize]) {
    let services = Services::with_targets(0, 2).await;
    match parts {
        [] => services.put("k", 1, 800_000).await,
        parts => drop(services.upload("k", 1, parts, |create| create).await),
    }
    services
        .faults
        .arm(once("GetObject", MASTER, Effect::CutAfter(150_000)));
    services.invoke(&["k"], 60).await.unwrap();
    services.assert_equal("far-1", "k").await;
    services.assert_equal("far-2", "k").await;
}

#[tokio::test(start_paused = true)]
async fn target_that_fails_at_once_shows_nothing_of_how_long_the_others_may_take() {
    let services = Services::with_targets(0, 3).await;
    services.put("k", 1, 500_000).await;
    services
        .faults
        .arm(always("PutObject", "far-1", Effect::Answer(403)));
    for slow in ["far-2", "far-3"] {
        let delay = Effect::Delay(60_000, When::After);
        services.faults.arm(always("PutObject", slow, delay));
    }
    services.invoke(&["k"], 900).await.unwrap_err();
    for replica in ["far-2", "far-3"] {
        services.assert_equal(replica, "k").await;
        let puts = services.seen("PutObject");
        let puts = puts.iter().filter(|put| put.bucket == replica);
        assert_eq!(puts.count(), 1, "{replica} is not sent it again");
    }
}

#[tokio::test(start_paused = true)]
async fn failure_of_its_own_is_told_though_the_deadline_ends_the_others() {
    let services = Services::with_targets(0, 2).await;
    services.upload("k", 1, &[1_000; 60], |create| create).await;
    services
        .faults
        .arm(always("UploadPart", "far-1", Effect::Answer(403)));
    let delay = Effect::Delay(1_000, When::After);
    services.faults.arm(always("UploadPart", "far-2", delay));
    let failed = services.invoke(&["k"], 4).await.unwrap_err();
    assert!(
        failed.message.contains("far-1/k at ap-southeast-1: 403"),
        "{}",
        failed.message
    );
    assert!(failed.message.contains("of 60 parts"), "{}", failed.message);
    assert!(services.uploads("far-1").await.is_empty());
    assert_eq!(services.uploads("far-2").await.len(), 1);
}
