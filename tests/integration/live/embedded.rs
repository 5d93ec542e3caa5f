//! `record` around the embedded S3, and stores that send no events; none of it needs Docker.

use std::path::Path;

use aws_sdk_s3::Client;
use rstest::rstest;
use s3_replicator::local::recording::{Action, Recording};

use super::command::{Running, errors, run};
use super::store::{client, create, put};

const KEYS: (&str, &str) = ("local", "local-secret");

/// `record` at work, and a client of its S3.
fn recording(out: &Path) -> (Running, Client) {
    let running = Running::start(
        &[
            "record",
            "--out",
            out.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
            "--master",
            "master@us-east-1",
            "--target",
            "replica@eu-west-1",
        ],
        &[],
    );
    let client = client(running.ready["endpoint"].as_str().unwrap(), KEYS);
    (running, client)
}

fn replayed(file: &Path) {
    let output = run(&["replay", file.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_by_hand_can_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("by-hand.jsonl");
    let (running, client) = recording(&out);
    put(&client, "master", "a b+c/é.txt", "one").await;
    put(&client, "master", "gone", "x").await;
    running.outcomes("replica", &["a b+c/é.txt", "gone"]);
    let delete = client.delete_object().bucket("master").key("gone");
    delete.send().await.unwrap();
    running.outcomes("replica", &["gone"]);
    assert_eq!(running.interrupt(), Some(0));
    let recording = Recording::load(&out).unwrap();
    let operations = recording
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Operation(operation) => Some((operation.kind.name(), operation.kind.key())),
            _ => None,
        });
    assert_eq!(
        operations.collect::<Vec<_>>(),
        [
            ("put", Some("a b+c/é.txt")),
            ("put", Some("gone")),
            ("delete", Some("gone"))
        ]
    );
    replayed(&out);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_before_ctrl_c_is_in_the_recording() {
    const WRITES: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("ended.jsonl");
    let (running, client) = recording(&out);
    let writes = (0..WRITES).map(|number| {
        let client = client.clone();
        async move { put(&client, "master", &format!("k{number}"), "x").await }
    });
    futures_util::future::join_all(writes).await;
    assert_eq!(running.interrupt(), Some(0));
    let recording = Recording::load(&out).unwrap();
    let puts = recording.steps.iter().filter(|step| match &step.action {
        Action::Operation(operation) => operation.kind.name() == "put",
        _ => false,
    });
    assert_eq!(puts.count(), WRITES);
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_whose_writer_was_killed_has_all_that_was_handled() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("killed.jsonl");
    let (running, client) = recording(&out);
    put(&client, "master", "k", "one").await;
    running.outcomes("replica", &["k"]);
    running.kill();
    let recording = Recording::load(&out).unwrap();
    assert_eq!(recording.steps.len(), 2, "{:?}", recording.steps);
    replayed(&out);
}

#[test]
fn recording_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("there.jsonl");
    std::fs::write(&out, "mine").unwrap();
    let out_text = out.to_str().unwrap();
    let output = run(
        &["record", "--out", out_text, "--master", "m-1@us-east-1"],
        &[],
    );
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("there.jsonl is there already"));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "mine");
}

#[test]
fn embedded_store_has_nothing_to_record_without_a_master() {
    let output = run(&["record", "--out", "/tmp/none.jsonl"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("--master"), "{}", errors(&output));
}

#[rstest]
#[case::none_is_tagged(None, "has the tag ReplicatedTargetBuckets")]
#[case::none_notifies(Some("replica@eu-west-1"), "sends no events that can be listened to")]
#[tokio::test(flavor = "multi_thread")]
async fn store_that_sends_no_events_is_refused_with_advice(
    #[case] targets: Option<&str>,
    #[case] expected: &str,
    #[values("dev", "record")] command: &str,
) {
    let store = Running::start(&["dev", "--listen", "127.0.0.1:0"], &[]);
    let endpoint = store.ready["endpoint"].as_str().unwrap();
    create(&client(endpoint, KEYS), "master", targets).await;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.jsonl");
    let mut arguments = vec![command, "--store", endpoint];
    if command == "record" {
        arguments.extend(["--out", out.to_str().unwrap()]);
    }
    let keys = [
        ("AWS_ACCESS_KEY_ID", KEYS.0),
        ("AWS_SECRET_ACCESS_KEY", KEYS.1),
    ];
    let output = run(&arguments, &keys);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors = errors(&output);
    assert!(
        errors.contains(expected) && errors.contains(endpoint),
        "{errors}"
    );
    assert!(!out.exists());
}

#[test]
fn keys_of_the_embedded_store_are_not_taken_for_a_real_one() {
    let store = Running::start(&["dev", "--listen", "127.0.0.1:0"], &[]);
    let endpoint = store.ready["endpoint"].as_str().unwrap();
    let keys = [
        ("AWS_ACCESS_KEY_ID", KEYS.0),
        ("AWS_SECRET_ACCESS_KEY", KEYS.1),
    ];
    let output = run(&["dev", "--store", endpoint, "--access-key", "x"], &keys);
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("AWS_ACCESS_KEY_ID"));
}
