//! The command line as users and scripts meet it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use rstest::rstest;
use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_s3-replicator"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[rstest]
#[case(&["--help"])]
#[case(&["demo", "--help"])]
#[case(&["dev", "--help"])]
#[case(&["replay", "--help"])]
#[case(&["setup", "--help"])]
#[case(&["doctor", "--help"])]
#[case(&["verify", "--help"])]
#[case(&["sync", "--help"])]
fn help_is_no_error(#[case] arguments: &[&str]) {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("Usage:"));
}

#[rstest]
#[case::no_command(&[], "Usage:")]
#[case::unknown_command(&["replicate"], "replicate")]
#[case::no_file(&["replay"], "<FILE>")]
#[case::missing_file(&["replay", "no-such-file.jsonl"], "no-such-file.jsonl")]
#[case::unknown_store(&["replay", "--store", "floppy", "x"], "floppy")]
#[case::bad_master(&["dev", "--master", "Master@us-east-1"], "Master")]
#[case::bad_region(&["dev", "--master", "master@mars"], "mars")]
#[case::target_without_master(&["dev", "--target", "replica@us-east-1"], "--master")]
#[case::bad_address(&["dev", "--listen", "here"], "here")]
#[case::no_function(&["demo", "--function", "/no/such/bootstrap"], "/no/such/bootstrap")]
#[case::function_that_is_none(&["demo", "--function", "Cargo.toml"], "not an executable")]
fn wrong_usage_ends_with_2_and_says_why(#[case] arguments: &[&str], #[case] named: &str) {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains(named),
        "{}",
        text(&output.stderr)
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn every_problem_of_a_recording_is_shown_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.jsonl");
    std::fs::write(
        &file,
        "{\"recording\": 1, \"master\": {\"bucket\": \"M\"}}\n{\"put\": {}}\n",
    )
    .unwrap();
    let output = run(&["replay", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(errors.contains("bad.jsonl:1: "), "{errors}");
    assert!(errors.contains("bad.jsonl:2: "), "{errors}");
}

#[test]
fn failed_expectation_ends_with_1_and_shows_the_difference() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("unmet.jsonl");
    let lines = [
        r#"{"recording": 1, "master": {"bucket": "master", "tags": {"ReplicatedTargetBuckets": "replica-1@eu-west-1"}}, "targets": [{"bucket": "replica-1", "region": "eu-west-1"}]}"#,
        r#"{"id": "p", "put": {"key": "k", "body": {"text": "x"}}, "deliver": "held"}"#,
        r#"{"expect": {"equal": true}}"#,
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let output = run(&["replay", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stdout).contains("replica-1/k: missing"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn the_tour_shows_objects_appear_in_two_regions_and_vanish() {
    let output = run(&["demo"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    for expected in [
        "@ap-southeast-1",
        "@eu-central-1",
        "copied",
        "deleted",
        "0 failed",
    ] {
        assert!(shown.contains(expected), "{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "no colours in a pipe");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn json_is_one_object_a_line() {
    let output = run(&["replay", "--json", "fixtures/recordings/put.jsonl"]);
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output.stdout);
    let lines: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        lines.iter().any(|line| line["happened"] == "outcome"),
        "{shown}"
    );
    assert_eq!(lines.last().unwrap()["happened"], "end");
    assert_eq!(lines.last().unwrap()["failed"], 0);
}

#[test]
fn function_comes_out_of_its_package() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("package.zip");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&package).unwrap());
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("bootstrap", options).unwrap();
    let mut function = std::fs::File::open(env!("CARGO_BIN_EXE_bootstrap")).unwrap();
    std::io::copy(&mut function, &mut archive).unwrap();
    archive.finish().unwrap();
    let package = package.to_str().unwrap();
    let output = run(&[
        "replay",
        "--function",
        package,
        "fixtures/recordings/put.jsonl",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["dev", "--listen", &address]);
    assert_eq!(output.status.code(), Some(1));
    let errors = text(&output.stderr);
    assert!(
        errors.contains(&address) && errors.contains("--listen"),
        "{errors}"
    );
}

#[test]
fn dev_says_where_it_is_and_ends_cleanly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_s3-replicator"))
        .args([
            "dev",
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--master",
            "master@us-east-1",
        ])
        .args(["--target", "replica@eu-west-1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let ready: Value = serde_json::from_str(&first).unwrap();
    assert_eq!(ready["ready"], true);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
