//! `setup --wait`: an object is seen arriving, and nothing of it stays.

use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep, timeout};

use super::aws::FUNCTION;
use super::setup;
use super::stage::{Stage, Trouble, shown};
use crate::live::store::contents;

async fn is_empty(stage: &Stage) {
    for bucket in ["master", "replica-1", "replica-2"] {
        let left = contents(&stage.client, bucket).await;
        assert!(left.is_empty(), "{bucket} has {:?}", left.keys());
    }
}

#[rstest]
#[case::plain("in/")]
#[case::encoded_in_the_rule("a b+c/é")]
#[tokio::test(flavor = "multi_thread")]
async fn canary_arrives_by_the_rule_that_was_written(#[case] prefix: &str) {
    let stage = Stage::set().await;
    let arguments = [
        "--function",
        FUNCTION,
        "--prefix",
        prefix,
        "--suffix",
        ".txt",
        "--wait=60",
    ];
    let output = stage.run(&setup(&arguments)).await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(
        shown(&output).contains("arrived everywhere"),
        "{}",
        shown(&output)
    );
    is_empty(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn canary_that_does_not_arrive_is_an_error_and_taken_away() {
    let stage = Stage::set().await;
    stage.is_deaf.store(true, Ordering::Relaxed);
    let output = stage
        .run(&setup(&["--function", FUNCTION, "--wait=1"]))
        .await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    for target in ["replica-1", "replica-2"] {
        let expected = format!("did not arrive in s3://{target}");
        assert!(shown(&output).contains(&expected), "{}", shown(&output));
    }
    is_empty(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn canary_is_taken_away_when_nobody_waits_any_longer() {
    let stage = Stage::set().await;
    stage.run(&setup(&["--function", FUNCTION])).await;
    stage.is_deaf.store(true, Ordering::Relaxed);
    let mut waiting = stage
        .command(&["setup", "--master", "master", "--wait"])
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while contents(&stage.client, "master").await.is_empty() {
        assert!(Instant::now() < deadline, "no canary was put");
        sleep(Duration::from_millis(50)).await;
    }
    let pid = Pid::from_raw(waiting.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(waiting.wait().await.unwrap().code(), Some(130));
    is_empty(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_signal_ends_the_removal_and_what_is_left_is_told() {
    let stage = Stage::set().await;
    stage.run(&setup(&["--function", FUNCTION])).await;
    stage.is_deaf.store(true, Ordering::Relaxed);
    let mut command = stage.command(&["setup", "--master", "master", "--wait"]);
    let waiting = command.stdout(Stdio::piped()).spawn().unwrap();
    let pid = Pid::from_raw(waiting.id().unwrap().try_into().unwrap()).unwrap();
    until_master(&stage, |is_empty| !is_empty).await;
    stage.trouble.is(Trouble::TargetsHeld);
    kill_process(pid, Signal::INT).unwrap();
    until_master(&stage, |is_empty| is_empty).await;
    kill_process(pid, Signal::INT).unwrap();
    let ended = timeout(Duration::from_secs(15), waiting.wait_with_output()).await;
    let output = ended.expect("it waits for targets that do not answer");
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", shown(&output));
    for place in ["s3://replica-1/", "s3://replica-2/"] {
        assert!(shown(&output).contains(place), "{}", shown(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn target_that_is_named_already_and_gone_is_told() {
    let stage = Stage::set().await;
    stage.run(&setup(&["--function", FUNCTION])).await;
    let delete = stage.client.delete_bucket().bucket("replica-1");
    delete.send().await.unwrap();
    let output = stage.run(&["setup", "--master", "master"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let expected = "warning  target       s3://replica-1 does not exist";
    assert!(shown(&output).contains(expected), "{}", shown(&output));
}

/// Waits until the master is empty, or is not.
async fn until_master(stage: &Stage, is_so: fn(bool) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so(contents(&stage.client, "master").await.is_empty()) {
        assert!(Instant::now() < deadline, "the canary is not as expected");
        sleep(Duration::from_millis(50)).await;
    }
}
