//! The queue's numbers: what they follow from, and a target that is down for as long as they allow.

use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use s3_replicator::local::faults::{Effect, Fault, Scope};
use tokio::time::{Instant, sleep};

use super::queue::{Deployed, Numbers};
use crate::support::event;
use crate::support::services::Services;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// docs/deploy.md says the same in words.
#[rstest]
fn queue_follows_from_the_largest_object_and_the_longest_outage(
    #[values(("5GiB", 5), ("100GiB", 100), ("1TiB", 1024))] (largest, gib): (&str, u64),
    #[values(("6h", 6), ("24h", 24), ("72h", 72))] (outage, hours): (&str, u64),
) {
    /// What one invocation streams at least, and what it keeps for the end.
    const MIB_PER_SECOND: u64 = 25;
    const KEPT: u64 = 30;
    const SPARE: u64 = 3;
    const LONGEST_WINDOW: u64 = 60;

    let numbers = Numbers::of(largest, outage);
    assert_eq!(numbers.visibility, 6 * numbers.timeout + LONGEST_WINDOW);
    let receipts = (hours * HOUR).div_ceil(numbers.visibility);
    let moved = (numbers.timeout - KEPT) * MIB_PER_SECOND;
    let invocations = (numbers.batch * gib * 1024).div_ceil(moved);
    assert_eq!(numbers.receives, receipts + invocations + SPARE);
    let all_receipts = numbers.receives * numbers.visibility;
    assert_eq!(numbers.retention, (all_receipts.div_ceil(DAY) + 1) * DAY);
    // The dead letters keep a message 14 days, counted from when it was first sent.
    assert!(numbers.retention <= 8 * DAY);
}

#[rstest]
#[case::small("5GiB", "6h", 6)]
#[case::large("100GiB", "6h", 6)]
#[case::largest("1TiB", "6h", 6)]
#[case::three_days("5GiB", "72h", 72)]
#[tokio::test(start_paused = true)]
async fn target_that_is_down_for_hours_puts_nothing_into_the_dead_letters(
    #[case] largest: &str,
    #[case] outage: &str,
    #[case] hours: u64,
) {
    let numbers = Numbers::of(largest, outage);
    let services = Services::with_targets(1, 1).await;
    let down = |is_down| Fault {
        scope: Scope::Bucket("far-1".to_owned()),
        times: None,
        ..Fault::new(Effect::SiteDown(is_down))
    };

    let mut deployed = Deployed::start(numbers);
    let (queue, activity) = (deployed.queue.clone(), deployed.activity.clone());
    let keys: Vec<String> = (0..24).map(|number| format!("k{number}")).collect();
    let story = async {
        let began = Instant::now();
        services.faults.arm(down(true));
        // Changes come at the beginning and all through the outage.
        let step = Duration::from_secs(hours * HOUR) / keys.len() as u32;
        for (number, key) in keys.iter().enumerate() {
            services.put(key, number as u64, 100).await;
            queue.send(event(&[key]).to_string());
            sleep(step).await;
        }
        assert_eq!(began.elapsed().as_secs(), hours * HOUR);
        let near = keys.iter().map(|key| services.assert_equal("near-1", key));
        join_all(near).await;
        assert!(services.head("far-1", "k0").await.is_none(), "it was down");
        services.faults.arm(down(false));
        activity.wait_idle().await;
        began.elapsed().as_secs()
    };
    let took = deployed.during(&services, story).await;
    assert_eq!(deployed.dead_letters.len(), 0, "dead letters");
    assert!(took < numbers.retention, "SQS has thrown messages away");
    for key in &keys {
        services.assert_equal("far-1", key).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_failing_messages_of_a_batch_of_ten_come_again_and_end_with_the_dead() {
    let numbers = Numbers::of("5GiB", "6h");
    let services = Services::with_targets(1, 1).await;
    services.faults.arm(Fault {
        scope: Scope::Bucket("far-1".to_owned()),
        key: Some("k8".to_owned()),
        times: None,
        ..Fault::new(Effect::Answer(403))
    });
    let mut deployed = Deployed::start(numbers);
    let (queue, activity) = (deployed.queue.clone(), deployed.activity.clone());
    let keys: Vec<String> = (0..9).map(|number| format!("k{number}")).collect();
    for key in &keys {
        services.put(key, 1, 100).await;
    }
    for key in &keys {
        queue.send(event(&[key]).to_string());
    }
    queue.send("poison");
    deployed.during(&services, activity.wait_idle()).await;

    assert_eq!(deployed.batches.len() as u64, numbers.receives);
    assert_eq!(deployed.batches[0].len(), 10);
    let failing = [event(&["k8"]).to_string(), "poison".to_owned()];
    for batch in &deployed.batches[1..] {
        assert_eq!(*batch, failing);
    }
    let dead = deployed.dead_letters.messages().into_iter();
    let dead: Vec<String> = dead.map(|message| message.body).collect();
    assert_eq!(dead, failing);
    for key in &keys[..8] {
        services.assert_equal("far-1", key).await;
    }
    services.assert_equal("near-1", "k8").await;
}
