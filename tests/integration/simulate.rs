//! `s3-replicator simulate` as a person or a machine runs it.

use std::process::{Command, Output};

use rstest::rstest;

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_s3-replicator"))
        .arg("simulate")
        .args(arguments)
        .output()
        .unwrap()
}

#[rstest]
#[case::all_is_well(&["calm", "--schedules", "500"], 0)]
#[case::missing_clause(&["calm", "--schedules", "500", "--mutant", "always-failing"], 1)]
#[case::one_schedule(&["slow", "--seed", "7"], 0)]
#[case::whole_function(&["slow", "--sdk", "--schedules", "20"], 0)]
#[case::one_schedule_of_the_whole_function(&["chain", "--sdk", "--seed", "7"], 0)]
#[case::mutant_of_the_whole_function(&["slow", "--sdk", "--mutant", "naive"], 2)]
#[case::unknown_configuration(&["stormy"], 2)]
#[case::unknown_mutant(&["calm", "--mutant", "x"], 2)]
#[case::seed_of_what(&["--seed", "7"], 2)]
fn exit_code_tells_how_it_went(#[case] arguments: &[&str], #[case] code: i32) {
    let output = simulate(arguments);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

#[test]
fn machines_read_json_lines() {
    let arguments = ["calm", "kills", "--schedules", "500", "--json"];
    let output = String::from_utf8(simulate(&arguments).stdout).unwrap();
    let lines: Vec<serde_json::Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{output}");
    assert_eq!(lines[1]["configuration"], "kills");
    assert_eq!(lines[1]["schedules"], 500);
    assert_eq!(lines[1]["diverged"], 0);
}

#[test]
fn shrunk_schedule_is_a_recording_with_its_story() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bug.jsonl");
    let name = file.to_str().unwrap();
    let arguments = ["slow", "--mutant", "no-confirm", "--seed", "12", "--shrink"];
    let output = simulate(&[&arguments[..], &["--recording-to", name]].concat());
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("TAKES EFFECT") && shown.contains("wrong  replica-1/k0"),
        "{shown}"
    );
    s3_replicator::local::recording::Recording::load(&file).unwrap();
}
