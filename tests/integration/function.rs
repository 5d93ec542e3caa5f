//! The real `bootstrap` at its edges: bad payloads, bad configuration, deadlines, signals.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;
use s3_replicator::local::faults::{Effect, Fault, When};
use serde_json::{Value, json};

use crate::support::{MASTER, Setting, event};

#[rstest]
#[case::nothing("")]
#[case::no_json("{\"Records\": [")]
#[case::null("null")]
#[case::empty_object("{}")]
#[case::number("17")]
#[case::other_service(r#"{"Records": [{"eventSource": "aws:dynamodb"}]}"#)]
#[case::deep(&"[".repeat(100_000))]
#[tokio::test]
async fn garbage_fails_and_the_next_good_event_is_served(#[case] garbage: &str) {
    let stage = Setting::with_targets(1).start().await;
    stage.put(MASTER, "k", "hello").await;
    let refused = stage.function.invoke(garbage).await;
    assert!(refused.result.is_err(), "{:?}", refused.result);
    let served = stage.function.invoke(event(&["k"]).to_string()).await;
    served.result.unwrap();
    assert_eq!(refused.instance, served.instance, "it survived");
    assert_eq!(stage.text("replica-1", "k").await.as_deref(), Some("hello"));
}

#[tokio::test]
async fn malformed_record_fails_the_event_after_its_siblings_were_served() {
    let stage = Setting::with_targets(1).start().await;
    stage.put(MASTER, "k", "hello").await;
    let mut payload = event(&["broken", "k"]);
    payload["Records"][0]["s3"]["object"]["key"] = json!("50%");
    let error = stage
        .function
        .invoke(payload.to_string())
        .await
        .result
        .unwrap_err();
    assert_eq!(error.kind, "MalformedEvent");
    assert!(error.message.contains("record 1"), "{}", error.message);
    assert_eq!(stage.text("replica-1", "k").await.as_deref(), Some("hello"));
}

#[tokio::test]
async fn only_the_messages_that_failed_come_again() {
    let stage = Setting::with_targets(1).start().await;
    for key in ["good", "bad"] {
        stage.put(MASTER, key, "x").await;
    }
    stage.faults.arm(Fault {
        key: Some("bad".to_owned()),
        times: None,
        ..Fault::new(Effect::Answer(403))
    });
    let message =
        |id: &str, body: String| json!({"messageId": id, "eventSource": "aws:sqs", "body": body});
    let payload = json!({"Records": [
        message("1", event(&["good"]).to_string()),
        message("2", event(&["bad"]).to_string()),
        message("3", "no json".to_owned()),
        message("4", event(&["good", "bad"]).to_string()),
        message("5", json!({"Records": []}).to_string()),
    ]});
    let answer = stage
        .function
        .invoke(payload.to_string())
        .await
        .result
        .unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let failed = json!([
        {"itemIdentifier": "2"}, {"itemIdentifier": "3"}, {"itemIdentifier": "4"},
    ]);
    assert_eq!(answer, json!({ "batchItemFailures": failed }));
}

#[tokio::test]
async fn batch_operations_tell_failures_that_pass_from_those_that_stay() {
    let stage = Setting::with_targets(1).start().await;
    for key in ["good", "denied", "down"] {
        stage.put(MASTER, key, "x").await;
    }
    for (key, status) in [("denied", 403), ("down", 503)] {
        stage.faults.arm(Fault {
            key: Some(key.to_owned()),
            times: None,
            ..Fault::new(Effect::Answer(status))
        });
    }
    let task = |id: &str, key: &str| json!({"taskId": id, "s3Key": key, "s3BucketArn": "arn:aws:s3:::master"});
    let payload = json!({
        "invocationSchemaVersion": "1.0",
        "invocationId": "i",
        "job": {"id": "j"},
        "tasks": [task("a", "good"), task("b", "denied"), task("c", "down"), task("d", "50%")],
    });
    let answer = stage
        .function
        .invoke(payload.to_string())
        .await
        .result
        .unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["treatMissingKeysAs"], "PermanentFailure");
    assert_eq!(answer["invocationId"], "i");
    let results = answer["results"].as_array().unwrap();
    let codes: Vec<_> = results
        .iter()
        .map(|result| result["resultCode"].as_str())
        .collect();
    let expected = [
        "Succeeded",
        "PermanentFailure",
        "TemporaryFailure",
        "PermanentFailure",
    ];
    assert_eq!(codes, expected.map(Some), "{answer}");
}

#[tokio::test]
async fn store_that_does_not_answer_is_an_error_before_the_deadline() {
    let stage = Setting::with_targets(2)
        .timeout(Duration::from_secs(5))
        .start()
        .await;
    stage.put(MASTER, "k", "x").await;
    stage.faults.arm(Fault {
        scope: s3_replicator::local::faults::Scope::Bucket("replica-2".to_owned()),
        times: None,
        ..Fault::new(Effect::Delay(60_000, When::Before))
    });
    let begun = Instant::now();
    let error = stage.notify(&["k"]).await.unwrap_err();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(error.kind, "ReplicationFailed");
    assert!(
        error.message.contains("s3://replica-2"),
        "{}",
        error.message
    );
    assert!(error.message.contains("deadline"), "{}", error.message);
}

#[tokio::test]
async fn every_outcome_is_one_json_line_without_secrets() {
    let stage = Setting::with_targets(2).start().await;
    let put = stage
        .client
        .put_object()
        .bucket(MASTER)
        .key("k")
        .metadata("owner", "s3cr3t-value");
    put.send().await.unwrap();
    stage.notify(&["k"]).await.unwrap();
    let lines = stage.end().await;
    let outcomes: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no json: {line}")))
        .filter(|line: &Value| line["message"] == "outcome")
        .collect();
    assert_eq!(outcomes.len(), 2);
    for outcome in outcomes {
        assert_eq!(outcome["level"], "INFO");
        assert_eq!(outcome["bucket"], MASTER);
        assert_eq!(outcome["key"], "k");
        assert_eq!(outcome["outcome"], "copied");
        assert_eq!(outcome["event"], "ObjectCreated:Put");
        assert!(
            outcome["request_id"]
                .as_str()
                .is_some_and(|id| !id.is_empty())
        );
    }
    let all = lines.join("\n");
    assert!(
        !all.contains("s3cr3t-value") && !all.contains("test-secret"),
        "{all}"
    );
}

#[test]
fn all_configuration_problems_are_reported_at_once_at_init() {
    let output = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
        .env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9")
        .env("S3_REPLICATOR_TAG_TTL", "soon")
        .env("S3_REPLICATOR_CONCURRENCY", "0")
        .env("S3_REPLICATOR_PART_SIZE", "8 apples")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    for name in [
        "S3_REPLICATOR_TAG_TTL",
        "S3_REPLICATOR_CONCURRENCY",
        "S3_REPLICATOR_PART_SIZE",
    ] {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn a_function_without_a_host_says_what_it_is() {
    let output = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("AWS_LAMBDA_RUNTIME_API") && text.contains("demo"),
        "{text}"
    );
}

#[tokio::test]
async fn sigterm_ends_the_function_cleanly() {
    // A Runtime API that never has an event.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
        .env(
            "AWS_LAMBDA_RUNTIME_API",
            listener.local_addr().unwrap().to_string(),
        )
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let _asked_for_an_event = listener.accept().await.unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap())
        .await
        .unwrap();
    assert_eq!(status.code(), Some(0));
}
