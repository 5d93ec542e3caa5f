//! The recordings of real stores' own events. That they replay is tested with all others.

use rstest::rstest;
use s3_replicator::local::recording::{Action, Recording};

#[rstest]
#[case::minio("minio-", "\"eventSource\":\"minio:s3\"")]
#[case::localstack("localstack-", "\"eventSource\":\"aws:sqs\"")]
fn two_recordings_have_the_stores_own_events(#[case] store: &str, #[case] mark: &str) {
    let files = std::fs::read_dir("fixtures/recordings/captured").unwrap();
    let files = files.map(|file| file.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(store) && name.ends_with(".jsonl")
    });
    let recordings: Vec<Recording> = files.map(|file| Recording::load(file).unwrap()).collect();
    assert!(
        recordings.len() >= 2,
        "{} recordings of {store}",
        recordings.len()
    );
    for recording in recordings {
        let events = recording
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Invoke(payload) => Some(payload.as_str()),
                _ => None,
            });
        let events: Vec<&str> = events.collect();
        assert!(!events.is_empty(), "{}", recording.path.display());
        assert!(
            events.iter().all(|event| event.contains(mark)),
            "{events:?}"
        );
        let last = &recording.steps.last().unwrap().action;
        assert!(matches!(last, Action::Expect(_)), "{last:?}");
    }
}
