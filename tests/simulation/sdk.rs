//! The whole handler with the real SDK, on the same plans.

use rstest::rstest;
use s3_replicator::local::simulate::{Configuration, Layer, campaign};

use crate::{is_full, threads};

#[rstest]
fn every_schedule_converges(
    #[values(
        "calm",
        "slow",
        "faults",
        "kills",
        "metadata-and-tags",
        "versioned",
        "batches",
        "chain",
        "streams",
        "encrypted",
        "parts",
        "sync"
    )]
    name: &str,
) {
    let configuration: Configuration = name.parse().unwrap();
    let schedules = if is_full() { 625 } else { 25 };
    let tally = campaign(&configuration, 0..schedules, Layer::Sdk, threads(), |_| {
        true
    });
    println!("{name}: {tally:?}");
    assert_eq!(
        tally.diverged, 0,
        "first at seed {:?}: {:?}",
        tally.first, tally.kinds
    );
    assert!(
        tally.failed_percent() <= configuration.failed_percent as f64,
        "{:.1} % of the invocations failed",
        tally.failed_percent()
    );
}
