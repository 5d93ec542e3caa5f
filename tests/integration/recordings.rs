//! Every recording, against the real function.

use std::path::PathBuf;

use rstest::rstest;
use s3_replicator::local::recording::Recording;
use s3_replicator::local::world::{Happening, Store, WorldOptions, replay};
use tokio::sync::mpsc;

use crate::support::bootstrap;

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recording_comes_out_as_expected(#[files("fixtures/recordings/**/*.jsonl")] file: PathBuf) {
    let recording = Recording::load(&file).unwrap();
    let options = WorldOptions::of(&recording, bootstrap(), Store::Embedded);
    let (spectator, mut happenings) = mpsc::unbounded_channel();
    let (replayed, world) = replay(&recording, options, spectator).await.unwrap();
    world.stop().await;
    if replayed.failed > 0 {
        while let Ok(happening) = happenings.try_recv() {
            println!("{happening:?}");
        }
        panic!("{} of {} steps failed", replayed.failed, replayed.steps);
    }
}

#[test]
fn every_recording_ends_with_an_expectation() {
    use s3_replicator::local::recording::Action;

    let files = std::fs::read_dir("fixtures/recordings").unwrap();
    let files: Vec<PathBuf> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    assert!(files.len() >= 15, "{} recordings", files.len());
    for file in files {
        let recording = Recording::load(&file).unwrap();
        let last = &recording.steps.last().unwrap().action;
        assert!(matches!(last, Action::Expect(_)), "{}", file.display());
    }
}

/// What a spectator is told stays readable by machines.
#[test]
fn happenings_are_json_objects() {
    let happening = Happening::Log {
        line: "a \"b\"".to_owned(),
    };
    let text = serde_json::to_string(&happening).unwrap();
    assert_eq!(text, r#"{"happened":"log","line":"a \"b\""}"#);
}
