//! Every configuration converges, but for the known residue.

use rstest::rstest;
use s3_replicator::local::simulate::{Configuration, Layer, Rules, Tally, campaign};

use crate::{assert_converged, is_full, threads};

fn run(name: &str, schedules: u64) -> (Configuration, Tally) {
    let configuration: Configuration = name.parse().unwrap();
    let tally = campaign(
        &configuration,
        0..schedules,
        Layer::Model(Rules::default()),
        threads(),
        |_| true,
    );
    println!("{name}: {tally:?}");
    (configuration, tally)
}

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
    let (configuration, tally) = run(name, if is_full() { 1_000_000 } else { 5_000 });
    assert_converged(&configuration, &tally);
}

/// Two deliveries of one message share its acknowledgement; one is killed with a write under way,
/// the other succeeds and deletes the message. If this is ever closed, the documentation has to
/// say so.
#[test]
fn known_residue_is_there_and_rare() {
    let (_, tally) = run("residue", if is_full() { 1_000_000 } else { 20_000 });
    assert!(tally.diverged > 0, "the residue is gone");
    assert!(
        tally.diverged * 1000 < tally.schedules,
        "{} diverged",
        tally.diverged
    );
    assert!(
        tally.kinds.keys().all(|kind| *kind == "replica differs"),
        "{:?}",
        tally.kinds
    );
}

#[test]
fn no_two_configurations_have_one_name() {
    for configuration in Configuration::ALL {
        let found: Configuration = configuration.name.parse().unwrap();
        assert_eq!(found, configuration);
    }
}
