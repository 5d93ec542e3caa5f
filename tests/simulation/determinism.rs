//! The same seed is the same run, bit by bit, in any process.

use std::fmt::Write;
use std::process::Command;

use s3_replicator::local::simulate::{Configuration, Layer, Rules, Trace, generate};

const CHILD: &str = "S3_REPLICATOR_SIMULATION_CHILD";

fn of_the_model() -> String {
    let mut text = String::new();
    for seed in 0..200 {
        for configuration in Configuration::ALL {
            let plan = generate(&configuration, seed);
            let run = Layer::Model(Rules::default()).run(&plan, Trace::kept());
            let _ = writeln!(text, "{plan:?}\n{}{:?}", run.trace, run.divergences);
        }
    }
    text
}

fn of_the_sdk() -> String {
    let mut text = String::new();
    for seed in 0..200 {
        let configuration = Configuration::ALL[seed as usize % Configuration::ALL.len()];
        let run = Layer::Sdk.run(&generate(&configuration, seed), Trace::kept());
        let _ = writeln!(
            text,
            "{configuration} {seed}\n{}{:?}",
            run.trace, run.divergences
        );
    }
    text
}

/// Runs the same test in another process, which writes its traces to a file.
fn compare(test: &str, traces: fn() -> String) {
    if let Ok(file) = std::env::var(CHILD) {
        std::fs::write(file, traces()).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("traces");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(CHILD, &file)
        .status()
        .unwrap();
    assert!(child.success());
    let (ours, theirs) = (traces(), std::fs::read_to_string(file).unwrap());
    assert!(
        ours.len() > 1_000_000,
        "{} bytes are too few to compare",
        ours.len()
    );
    let differs = ours.lines().zip(theirs.lines()).find(|(a, b)| a != b);
    assert!(ours == theirs, "the traces differ: {differs:?}");
}

#[test]
fn two_processes_have_the_same_traces_of_the_model() {
    compare(
        "determinism::two_processes_have_the_same_traces_of_the_model",
        of_the_model,
    );
}

#[test]
fn two_processes_have_the_same_traces_of_the_sdk() {
    compare(
        "determinism::two_processes_have_the_same_traces_of_the_sdk",
        of_the_sdk,
    );
}
