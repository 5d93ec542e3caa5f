//! The whole handler with the real SDK, on the same plans.

use rstest::rstest;
use s3_replicator::local::simulate::{Configuration, Run, Trace, generate, run_sdk};

use crate::{is_full, threads};

/// Runs one seed in a world of its own.
pub(crate) fn run(configuration: &Configuration, seed: u64, trace: Trace) -> Run {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(run_sdk(&generate(configuration, seed), trace))
}

/// The configurations that this layer has a world for: replicas tell nobody of their events here.
pub(crate) const NAMES: [&str; 10] = [
    "calm",
    "slow",
    "faults",
    "kills",
    "metadata-and-tags",
    "versioned",
    "batches",
    "streams",
    "encrypted",
    "parts",
];

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
        "streams",
        "encrypted",
        "parts"
    )]
    name: &str,
) {
    let configuration: Configuration = name.parse().unwrap();
    let schedules: u64 = if is_full() { 625 } else { 25 };
    let threads = threads() as u64;
    let (mut invocations, mut failed) = (0, 0);
    std::thread::scope(|scope| {
        let one = |thread: u64| {
            let (mut invocations, mut failed) = (0, 0);
            for seed in (thread..schedules).step_by(threads as usize) {
                let found = run(&configuration, seed, Trace::dropped());
                if !found.divergences.is_empty() {
                    let told = run(&configuration, seed, Trace::kept());
                    println!("{:#?}\n{}", generate(&configuration, seed), told.trace);
                    panic!("{name}, seed {seed}: {:?}", found.divergences);
                }
                invocations += found.invocations;
                failed += found.failed;
            }
            (invocations, failed)
        };
        let running: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || one(thread)))
            .collect();
        for running in running {
            let (more, more_failed) = running.join().unwrap();
            invocations += more;
            failed += more_failed;
        }
    });
    println!("{name}: {schedules} schedules, {failed} of {invocations} invocations failed");
    assert!(failed * 100 <= invocations * configuration.failed_percent);
}
