//! The whole handler with the real SDK, on the same plans.

use rstest::rstest;
use s3_replicator::local::simulate::{Configuration, Layer, campaign};

use crate::{assert_converged, is_full, threads};

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
    assert_converged(&configuration, &tally);
}
