//! A sync that is killed or interrupted, and started again.

use std::collections::BTreeSet;

use rustix::process::{Pid, Signal, kill_process};
use s3_replicator::local::faults::{Effect, Fault, When};
use tokio::process::Child;

use super::place::Place;

/// A master with so many keys, and a target with none.
async fn with_keys(count: usize) -> Place {
    let place = Place::embedded(1).await;
    for number in 0..count {
        place
            .put("master", &format!("k{number:03}"), &format!("{number}"))
            .await;
    }
    place
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_sync_ends_clean_and_copies_nothing_twice_but_what_was_in_flight() {
    const KEYS: usize = 150;
    const KILLS: usize = 10;
    let place = with_keys(KEYS).await;
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut in_flight = BTreeSet::new();
    for _ in 0..KILLS {
        let mut child = place.start(&["sync", "s3://master", "--json", "--concurrency", "4"]);
        let (copies, more) = (
            || place.requests("CopyObject"),
            random.usize(1..KEYS / KILLS),
        );
        let before = copies().len();
        place
            .until("it copies", || copies().len() >= before + more)
            .await;
        child.kill().await.unwrap();
        let unanswered = copies().into_iter().filter(|copy| copy.ending.is_none());
        in_flight.extend(unanswered.filter_map(|copy| copy.key));
        place.faults.quiesced().await;
    }
    let synced = place.sync(&[]).await;
    assert_eq!(synced.code, Some(0), "seed {seed}: {}", synced.errors);
    let clean = place.verify(&["--bytes"]).await;
    assert_eq!(
        (clean.code, clean.count(0, "equal")),
        (Some(0), KEYS as u64),
        "seed {seed}"
    );
    let mut copied = BTreeSet::new();
    for copy in place.requests("CopyObject") {
        let key = copy.key.unwrap();
        if !copied.insert(key.clone()) {
            assert!(
                in_flight.contains(&key),
                "seed {seed}: {key} was copied twice"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_sync_confirms_what_it_began_and_says_where_to_go_on() {
    let place = with_keys(60).await;
    place.fault(
        "CopyObject",
        "replica-1",
        0,
        Effect::Delay(100, When::Before),
    );
    let arguments = ["sync", "s3://master", "--json", "--concurrency", "3"];
    let child = place.start(&arguments);
    let copied = || place.requests("CopyObject").len() >= 10;
    place.until("it copies", copied).await;
    interrupt(&child);
    let interrupted = place.ran(child).await;
    assert_eq!(interrupted.code, Some(130), "{}", interrupted.errors);
    assert_eq!(interrupted.summary()["complete"], false);
    let position = interrupted.summary()["start_after"]
        .as_str()
        .unwrap()
        .to_owned();
    let there = place.keys("replica-1").await;
    assert!(there.len() < 60, "it was interrupted");
    // All that was begun has ended and is confirmed, so the position is the last key of all.
    assert_eq!(there.last(), Some(&position));
    let hint = format!("--start-after {position}");
    assert!(interrupted.errors.contains(&hint), "{}", interrupted.errors);
    let confirmed = place.requests("HeadObject").into_iter();
    let confirmed = confirmed.filter(|head| head.bucket.as_deref() == Some("master"));
    assert_eq!(
        confirmed.count(),
        2 * there.len(),
        "each was observed and confirmed"
    );

    let resumed = place.sync(&["--start-after", &position]).await;
    assert_eq!(resumed.code, Some(0), "{}", resumed.errors);
    assert_eq!(resumed.count(0, "copied") as usize, 60 - there.len());
    assert_eq!(place.verify(&[]).await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn position_to_go_on_from_is_before_what_failed() {
    let place = with_keys(60).await;
    place.faults.arm(Fault {
        on: Some("CopyObject".parse().unwrap()),
        key: Some("k004".to_owned()),
        ..Fault::new(Effect::Answer(403))
    });
    place.fault(
        "CopyObject",
        "replica-1",
        0,
        Effect::Delay(50, When::Before),
    );
    let child = place.start(&["sync", "s3://master", "--json", "--concurrency", "2"]);
    let copied = || place.requests("CopyObject").len() >= 12;
    place.until("it copies", copied).await;
    interrupt(&child);
    let interrupted = place.ran(child).await;
    assert_eq!(
        interrupted.summary()["start_after"],
        "k003",
        "{}",
        interrupted.errors
    );
    assert_eq!(interrupted.count(0, "failed"), 1);
}
