//! The simulation: many schedules of the real code in virtual time.
//!
//! A plain `cargo test` runs some thousand schedules of each configuration and looks for the
//! mutants that are found soon. `just simulate` runs millions, and all mutants.

mod configurations;
mod determinism;
mod mutants;
mod sdk;
mod shrinking;

use s3_replicator::local::simulate::{Configuration, Tally};

/// Whether to run as many schedules as an optimised build can.
fn is_full() -> bool {
    std::env::var("S3_REPLICATOR_SIMULATION").is_ok_and(|value| value == "full")
}

/// Threads to run schedules on.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Nothing is wrong, and failing is no way out.
fn assert_converged(configuration: &Configuration, tally: &Tally) {
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
