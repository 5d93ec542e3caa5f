//! `replay --store URL` against a running server, as a user meets it.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};

use super::servers::{Kind, Server};

const WHAT: &str = "replay --store URL";

fn replay(server: &Server, file: &str) -> Command {
    let keys = &server.place.credentials;
    let mut command = Command::new(env!("CARGO_BIN_EXE_s3-replicator"));
    command
        .args(["replay", file, "--store", &server.place.endpoint])
        .env("AWS_ACCESS_KEY_ID", keys.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", keys.secret_access_key());
    command
}

/// Writes some versions and markers, then lets time pass.
fn slow_recording(folder: &Path, name: &str, versioning: bool) -> String {
    let recording = format!(
        r#"{{"recording": 1, "master": {{"bucket": "{name}-master", "region": "us-east-1", "versioning": true, "tags": {{"ReplicatedTargetBuckets": "{name}-replica@us-east-1"}}}}, "targets": [{{"bucket": "{name}-replica", "region": "us-east-1"}}]}}
{{"put": {{"key": "a", "body": {{"text": "a"}}}}}}
{{"versioning": {versioning}}}
{{"delete": {{"key": "a"}}}}
{{"put": {{"key": "b", "body": {{"text": "b"}}}}}}
{{"settle": {{"within_s": 30}}}}
{{"pause": {{"ms": 60000}}}}
"#
    );
    let file = folder.join("slow.jsonl");
    std::fs::write(&file, recording).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Starts to replay it, up to where it lets time pass.
fn start(server: &Server, file: &str) -> Child {
    let mut command = replay(server, file);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    assert!(lines.any(|line| line.contains("settle")), "it has ended");
    process
}

/// Waits for its end; answers its exit code and what it wrote as errors.
fn end(mut process: Child) -> (Option<i32>, String) {
    let mut errors = String::new();
    let mut output = process.stderr.take().unwrap();
    output.read_to_string(&mut errors).unwrap();
    (process.wait().unwrap().code(), errors)
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

/// The store's buckets whose names begin so.
async fn buckets(server: &Server, prefix: &str) -> Vec<String> {
    let list = server.store().await.client("us-east-1").list_buckets();
    let buckets = list.send().await.unwrap().buckets.unwrap_or_default();
    let names = buckets.into_iter().filter_map(|bucket| bucket.name);
    names.filter(|name| name.starts_with(prefix)).collect()
}

#[rstest]
#[case::minio(Kind::Minio)]
#[case::localstack(Kind::LocalStack)]
#[case::seaweedfs(Kind::SeaweedFs)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_replay_leaves_no_bucket(
    #[case] kind: Kind,
    #[values(Signal::INT, Signal::TERM)] signal: Signal,
) {
    let Some(server) = kind.server(WHAT).await else {
        return;
    };
    let name = format!("{}-{}", kind.name().to_lowercase(), signal.as_raw());
    // Versions and markers make a bucket hard to remove. SeaweedFS would skip a suspension.
    let versioning = kind == Kind::SeaweedFs;
    let folder = tempfile::tempdir().unwrap();
    let file = slow_recording(folder.path(), &name, versioning);
    let process = start(server, &file);
    assert_eq!(buckets(server, &name).await.len(), 2);
    kill_process(Pid::from_child(&process), signal).unwrap();
    assert_eq!(end(process), (Some(130), String::new()));
    assert!(buckets(server, &name).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_signal_ends_a_replay_whose_store_has_stopped_to_answer() {
    if !Kind::Minio.is_on("a server that stops to answer") {
        return;
    }
    let server = Kind::Minio.own_server().await;
    let folder = tempfile::tempdir().unwrap();
    let process = start(&server, &slow_recording(folder.path(), "paused", true));
    let mut left = buckets(&server, "paused").await;
    let docker = |verb: &str| {
        let command = &mut Command::new("docker");
        let done = command.args([verb, server.container()]).output();
        assert!(done.unwrap().status.success());
    };
    docker("pause");
    let pid = Pid::from_child(&process);
    kill_process(pid, Signal::INT).unwrap();
    // The first is followed by an attempt to clean up, which takes a moment to begin.
    let ended = tokio::task::spawn_blocking(|| end(process));
    while !ended.is_finished() {
        tokio::time::sleep(Duration::from_millis(500)).await;
        // It may have ended just now.
        let _ = kill_process(pid, Signal::INT);
    }
    docker("unpause");
    let (code, errors) = ended.await.unwrap();
    left.sort();
    let expected: String = left
        .iter()
        .map(|bucket| format!("warning: bucket {bucket} could not be removed\n"))
        .collect();
    assert_eq!((code, errors), (Some(130), expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_that_does_not_know_the_user_is_told_with_what_to_do() {
    let Some(server) = Kind::Minio.server(WHAT).await else {
        return;
    };
    let mut command = replay(server, "fixtures/recordings/put.jsonl");
    let output = command
        .env("AWS_SECRET_ACCESS_KEY", "wrong")
        .output()
        .unwrap();
    let words = words(&output);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.contains("check the address and the AWS variables or profile"),
        "{words}"
    );
    assert!(words.contains("SignatureDoesNotMatch"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replay_says_what_a_store_lacks() {
    let Some(server) = Kind::Minio.server(WHAT).await else {
        return;
    };
    let output = replay(server, "fixtures/recordings/path-like-keys.jsonl")
        .output()
        .unwrap();
    let words = words(&output);
    assert_eq!(output.status.code(), Some(0), "{words}");
    assert!(
        words.starts_with("skipped keys that a file system would refuse or change: key \"./a\": "),
        "{words}"
    );
}
