//! What a change costs: the bounds on S3 requests, counted at the store.

use rstest::rstest;
use s3_replicator::local::faults::Entry;

use crate::support::{MASTER, Setting, Stage};

/// What the bounds leave out: cached reads of bucket tags.
fn counts(entry: &Entry) -> bool {
    entry.operation.as_str() != "GetBucketTagging"
}

/// Has the function look at `key` and answers how many requests that took.
async fn cost(stage: &Stage, key: &str) -> usize {
    let before = stage.requests(counts);
    stage.notify(&[key]).await.unwrap();
    stage.requests(counts) - before
}

#[rstest]
#[tokio::test]
async fn requests_for_n_targets_are_within_their_bounds(#[values(1, 2, 8)] targets: usize) {
    let stage = Setting::with_targets(targets).start().await;
    // Once a process and bucket, it is proven that a HEAD without a count means no tags.
    stage.put(MASTER, "first", "x").await;
    stage.notify(&["first"]).await.unwrap();
    stage.notify(&["first"]).await.unwrap();

    stage.put(MASTER, "k", "hello").await;
    assert_eq!(cost(&stage, "k").await, 2 + 2 * targets, "put");
    assert_eq!(cost(&stage, "k").await, 1 + targets, "duplicate");
    stage.put(MASTER, "k", "hello again").await;
    assert_eq!(cost(&stage, "k").await, 2 + 2 * targets, "overwrite");
    stage.delete(MASTER, "k").await;
    let with_head_bucket = 2 + 2 * targets + 1;
    assert_eq!(cost(&stage, "k").await, with_head_bucket, "delete");
    assert_eq!(cost(&stage, "k").await, 1 + targets, "duplicate delete");
}

#[tokio::test]
async fn tags_cost_two_reads_of_the_master_and_one_of_each_tagged_target() {
    let stage = Setting::with_targets(2).start().await;
    stage.put(MASTER, "first", "x").await;
    stage.notify(&["first"]).await.unwrap();
    stage.notify(&["first"]).await.unwrap();

    let put = stage
        .client
        .put_object()
        .bucket(MASTER)
        .key("k")
        .tagging("a=1");
    put.send().await.unwrap();
    assert_eq!(cost(&stage, "k").await, 2 + 2 * 2 + 2, "put with tags");
    assert_eq!(
        cost(&stage, "k").await,
        1 + 2 + 1 + 2,
        "duplicate with tags"
    );
}

#[tokio::test]
async fn a_batch_asks_once_whether_the_master_exists() {
    let stage = Setting::with_targets(1).start().await;
    let keys: Vec<String> = (0..20).map(|number| format!("k{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for key in &keys {
        stage.put("replica-1", key, "stale").await;
    }
    stage.notify(&keys).await.unwrap();
    let head_bucket = |entry: &Entry| entry.operation.as_str() == "HeadBucket";
    assert_eq!(stage.requests(head_bucket), 1);
    for key in keys {
        assert_eq!(stage.text("replica-1", key).await, None, "{key}");
    }
}

#[tokio::test]
async fn one_key_named_often_is_looked_at_once() {
    let stage = Setting::with_targets(1).start().await;
    stage.put(MASTER, "k", "x").await;
    stage.notify(&["k"; 50]).await.unwrap();
    let copies = |entry: &Entry| entry.operation.as_str() == "CopyObject";
    assert_eq!(stage.requests(copies), 1);
}
