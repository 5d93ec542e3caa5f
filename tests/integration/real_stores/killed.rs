//! A store that is killed in the middle of a replay and started again: nothing is lost.
//!
//! That a killed function loses nothing is a recording of its own, which runs on every store.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use rstest::rstest;
use s3_replicator::local::recording::Recording;
use s3_replicator::local::world::{Happening, OutcomeLine, Store, WorldOptions, replay};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::servers::{Kind, Server};
use crate::support::bootstrap;

const KEYS: usize = 60;

/// The server is killed after so many outcomes, out of two for every key.
const BEFORE: usize = 20;

#[rstest]
// Messages come again until they are handled.
#[case::by_a_queue("sqs")]
// An event comes again twice; the SDK's own attempts bridge what is left of the outage.
#[case::directly("s3")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_store_loses_nothing(#[case] source: &str) {
    if !Kind::Minio.is_on("a server that is killed") {
        return;
    }
    let server = Kind::Minio.own_server().await;
    let store = Arc::new(server.store().await);
    let options = WorldOptions::of(&recording(source), bootstrap(), Store::Remote(store));
    let (spectator, mut happenings) = mpsc::unbounded_channel();
    let recording = recording(source);
    let (replayed, outcomes) = tokio::join!(
        replay(&recording, options, spectator),
        kill_in_the_middle(&server, &mut happenings)
    );
    let (replayed, world) = replayed.unwrap();
    world.stop().await;
    let mut log = String::new();
    let mut all = outcomes;
    while let Ok(happening) = happenings.try_recv() {
        let _ = writeln!(log, "{happening:?}");
        all.extend(outcome(happening));
    }
    assert_eq!(replayed.failed, 0, "{log}");
    assert_eq!(
        (replayed.on_failure, replayed.dead_letters),
        (0, 0),
        "{log}"
    );
    let failed = all.iter().filter(|outcome| outcome.outcome == "failed");
    let failed: Vec<_> = failed.collect();
    assert!(!failed.is_empty(), "nobody noticed the outage: {log}");
    assert!(
        failed.iter().all(|outcome| outcome.retryable == Some(true)),
        "{failed:?}"
    );
}

/// Kills the server once some of the replay is done, and starts it again.
async fn kill_in_the_middle(
    server: &Server,
    happenings: &mut UnboundedReceiver<Happening>,
) -> Vec<OutcomeLine> {
    let mut outcomes = Vec::new();
    while outcomes.len() < BEFORE {
        let happening = happenings.recv().await;
        outcomes.extend(outcome(happening.expect("the replay has not ended")));
    }
    let name = server.container().to_owned();
    let docker = move || {
        for verb in ["kill", "start"] {
            let done = Command::new("docker").args([verb, &name]).output().unwrap();
            assert!(done.status.success(), "{done:?}");
        }
    };
    tokio::task::spawn_blocking(docker).await.unwrap();
    outcomes
}

fn outcome(happening: Happening) -> Option<OutcomeLine> {
    match happening {
        Happening::Outcome { outcome, .. } => Some(outcome),
        _ => None,
    }
}

/// Many objects, whose events are held until all are there, handled slowly by one instance.
fn recording(source: &str) -> Recording {
    let batch = match source {
        "sqs" => r#", "batch": {"size": 10, "max_receives": 20}"#,
        _ => "",
    };
    let mut text = format!(
        r#"{{"recording": 1, "name": "killed", "source": "{source}", "master": {{"bucket": "master", "region": "us-east-1", "tags": {{"ReplicatedTargetBuckets": "replica-1@us-east-1 replica-2@us-east-1"}}}}, "targets": [{{"bucket": "replica-1", "region": "us-east-1"}}, {{"bucket": "replica-2", "region": "us-east-1"}}], "function": {{"concurrency": 2, "environment": {{"S3_REPLICATOR_CONCURRENCY": "2"}}}}{batch}}}"#
    );
    let ids: Vec<String> = (0..KEYS).map(|number| format!("p{number}")).collect();
    for id in &ids {
        let _ = write!(
            text,
            "\n{{\"id\": \"{id}\", \"put\": {{\"key\": \"{id}\", \"body\": {{\"text\": \"{id}\"}}}}, \"deliver\": \"held\"}}"
        );
    }
    let _ = write!(
        text,
        r#"
{{"fault": {{"on": "CopyObject", "delay_ms": 100, "times": 1000}}}}
{{"deliver": {ids:?}}}
{{"settle": {{"within_s": 120}}}}
{{"expect": {{"equal": true}}}}
{{"expect": {{"key": "p{}", "body": {{"text": "p{}"}}}}}}
"#,
        KEYS - 1,
        KEYS - 1,
    );
    Recording::parse(&text, Path::new("killed.jsonl")).unwrap()
}
