//! A transfer that is cut off goes on; what is not of the same state is sent anew.

use std::collections::BTreeMap;

use aws_sdk_s3::types::{Tag, Tagging};
use rstest::rstest;
use s3_replicator::local::faults::{Effect, Fault, Scope, When};

use crate::support::MASTER;
use crate::support::services::{Seen, Services, bytes};

const PARTS: &[usize] = &[1_000; 60];

/// With how many places the handler works in these tests.
const PLACES: usize = 4;

async fn services() -> Services {
    let places = PLACES.to_string();
    let environment = [("S3_REPLICATOR_CONCURRENCY", places.as_str())];
    Services::configured(1, 1, &environment).await
}

fn moved(services: &Services, replica: &str) -> Vec<Seen> {
    let operation = match replica {
        "near-1" => "UploadPartCopy",
        _ => "UploadPart",
    };
    let mut seen = services.seen(operation);
    seen.retain(|seen| seen.bucket == replica);
    seen
}

/// Slows every part down, so that there is something to cut off.
fn slow(services: &Services, replica: &str) {
    for operation in ["UploadPartCopy", "UploadPart"] {
        services.faults.arm(Fault {
            on: Some(operation.parse().unwrap()),
            scope: Scope::Bucket(replica.to_owned()),
            times: None,
            ..Fault::new(Effect::Delay(100, When::Before))
        });
    }
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn killed_transfer_goes_on_and_sends_no_part_twice_but_those_in_flight(
    #[values(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)] seed: u64,
) {
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..10 {
        let mut services = services().await;
        services.upload("k", 1, PARTS, |create| create).await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        slow(&services, "near-1");
        slow(&services, "far-1");
        let mut kills = 0;
        let mut lost: BTreeMap<(String, i32), usize> = BTreeMap::new();
        while kills < 5 {
            let answered = services.log_length();
            assert!(
                services.invoke_and_kill("k", 30 + random.usize(..25)).await,
                "it ended before its fifth kill"
            );
            kills += 1;
            for seen in services.since(answered) {
                if let (false, Some(part)) = (seen.answered, seen.part) {
                    *lost.entry((seen.bucket, part)).or_default() += 1;
                }
            }
            // As at AWS, what was in flight has ended before the event comes again.
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            services.restart();
        }
        services.invoke(&["k"], 900).await.unwrap();
        for replica in ["near-1", "far-1"] {
            services.assert_equal(replica, "k").await;
            let mut sent: BTreeMap<i32, usize> = BTreeMap::new();
            for seen in moved(&services, replica) {
                *sent.entry(seen.part.unwrap()).or_default() += 1;
            }
            assert_eq!(sent.len(), PARTS.len());
            for (part, times) in sent {
                let in_flight = lost.get(&(replica.to_owned(), part)).copied().unwrap_or(0);
                assert!(
                    times <= 1 + in_flight,
                    "{replica}, part {part}: {times} times"
                );
            }
        }
        assert!(
            lost.len() <= kills * PLACES,
            "{} parts in flight",
            lost.len()
        );
        let begun = services.seen("CreateMultipartUpload").len();
        assert_eq!(
            begun, 2,
            "one upload for each target, whoever goes on with it"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn deadline_leaves_an_upload_that_the_next_delivery_takes_up() {
    let services = services().await;
    services.upload("k", 1, PARTS, |create| create).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    slow(&services, "near-1");
    slow(&services, "far-1");
    let failed = services.invoke(&["k"], 2).await.unwrap_err();
    assert!(failed.message.contains("of 60 parts"), "{}", failed.message);
    for replica in ["near-1", "far-1"] {
        assert_eq!(services.uploads(replica).await.len(), 1, "{replica}");
        assert!(services.head(replica, "k").await.is_none());
    }
    services.invoke(&["k"], 900).await.unwrap();
    services.assert_equal("near-1", "k").await;
    services.assert_equal("far-1", "k").await;
    assert_eq!(services.seen("CreateMultipartUpload").len(), 2);
}

/// By their ends and their number these parts would be equal; that they are not shows when all of
/// them have been moved.
#[tokio::test(start_paused = true)]
async fn refuted_boundaries_are_not_assumed_again_by_each_delivery() {
    let services = services().await;
    let mut parts = PARTS.to_vec();
    (parts[50], parts[51]) = (900, 1_100);
    services.upload("k", 1, &parts, |create| create).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    slow(&services, "near-1");
    slow(&services, "far-1");
    let mut deliveries = 1;
    while services.invoke(&["k"], 2).await.is_err() {
        deliveries += 1;
        assert!(deliveries < 20, "it starts over and over");
    }
    assert!(deliveries > 3, "too short to be cut off");
    services.assert_equal("near-1", "k").await;
    services.assert_equal("far-1", "k").await;
    let begun = services.seen("CreateMultipartUpload").len();
    assert_eq!(
        begun, 4,
        "one upload of assumed parts and one of the master's"
    );
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn overwrite_of_the_same_size_and_parts_leaves_no_mixed_bytes(
    #[values("near-1", "far-1")] replica: &str,
    #[values(0, 1, 2, 120)] seconds_between: u64,
) {
    let mut services = services().await;
    services
        .upload("k", 1, PARTS, |create| create.metadata("of", "first"))
        .await;
    slow(&services, replica);
    assert!(services.invoke_and_kill("k", 40).await);
    tokio::time::sleep(std::time::Duration::from_secs(seconds_between)).await;
    services
        .upload("k", 2, PARTS, |create| create.metadata("of", "second"))
        .await;
    services.restart();
    services.invoke(&["k"], 900).await.unwrap();
    services.assert_equal(replica, "k").await;
    assert_eq!(services.get(replica, "k").await, Some(bytes(2, 60_000)));
    let completed = services.seen("CompleteMultipartUpload");
    let completed = completed.iter().filter(|seen| seen.bucket == replica);
    assert_eq!(completed.count(), 1, "mixed bytes are never to be seen");
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn retag_between_two_invocations_leaves_no_old_tags(
    #[values("near-1", "far-1")] replica: &str,
) {
    let mut services = services().await;
    services
        .upload("k", 1, PARTS, |create| create.tagging("of=first"))
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    slow(&services, replica);
    assert!(services.invoke_and_kill("k", 40).await);
    let tag = Tag::builder().key("of").value("second").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag).build().unwrap();
    let request = services.user(MASTER).put_object_tagging().bucket(MASTER);
    request.key("k").tagging(tagging).send().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    services.restart();
    services.invoke(&["k"], 900).await.unwrap();
    services.assert_equal(replica, "k").await;
    assert_eq!(
        services.tags(replica, "k").await,
        [("of".into(), "second".into())]
    );
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn two_invocations_at_once_end_in_a_right_replica(
    #[values("near-1", "far-1")] replica: &str,
    #[values(0, 20)] begun_before: usize,
) {
    let mut services = services().await;
    services.upload("k", 1, PARTS, |create| create).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    slow(&services, replica);
    if begun_before > 0 {
        assert!(services.invoke_and_kill("k", begun_before).await);
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        services.restart();
    }
    let (one, other) = tokio::join!(services.invoke(&["k"], 900), services.invoke(&["k"], 900));
    if one.is_err() || other.is_err() {
        services.invoke(&["k"], 900).await.unwrap();
    }
    services.assert_equal(replica, "k").await;
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn upload_that_is_none_of_this_object_is_aborted(#[values("near-1", "far-1")] replica: &str) {
    let services = services().await;
    services.upload("k", 1, PARTS, |create| create).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let client = services.user(replica);
    for key in ["k", "k", "k-is-a-prefix"] {
        let created = client.create_multipart_upload().bucket(replica).key(key);
        let id = created.send().await.unwrap().upload_id.unwrap();
        let part = client.upload_part().bucket(replica).key(key).upload_id(id);
        let part = part.part_number(1).body(vec![0; 999].into());
        part.send().await.unwrap();
    }
    services.invoke(&["k"], 900).await.unwrap();
    let left = services.uploads(replica).await;
    let left: Vec<_> = left.iter().map(|upload| upload.key().unwrap()).collect();
    assert_eq!(left, ["k-is-a-prefix"], "another key's is none of ours");
    assert_eq!(
        services.get(replica, "k").await,
        services.get(MASTER, "k").await
    );
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn failure_that_is_no_deadline_leaves_no_upload(#[values("near-1", "far-1")] replica: &str) {
    let services = services().await;
    services.upload("k", 1, PARTS, |create| create).await;
    for operation in ["UploadPartCopy", "UploadPart"] {
        services.faults.arm(Fault {
            on: Some(operation.parse().unwrap()),
            scope: Scope::Bucket(replica.to_owned()),
            after: 20,
            times: None,
            ..Fault::new(Effect::Answer(403))
        });
    }
    services.invoke(&["k"], 900).await.unwrap_err();
    assert!(services.uploads(replica).await.is_empty());
    assert!(services.head(replica, "k").await.is_none());
}
