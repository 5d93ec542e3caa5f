//! What was given up in a LocalStack: recorded, and put back.

use std::time::Duration;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use s3_replicator::local::live::Wiring;
use serde_json::{Value, json};

use super::super::servers::{Kind, Server};
use super::localstack::Queues;
use super::world::{MASTER, stage};
use crate::live::command::{errors, run};
use crate::live::store::put;
use crate::support::event;

const WHAT: &str = "dead letters";

/// What every AWS tool is told of a server.
fn environment(server: &Server) -> [(&str, &str); 4] {
    let (endpoint, key) = server.access();
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", key),
        ("AWS_REGION", "us-east-1"),
    ]
}

/// A message about a key, one about nothing, and the record of an asynchronous event.
fn given_up() -> [String; 3] {
    let record = json!({"version": "1.0", "requestPayload": event(&["gone"])});
    [
        event(&["a b"]).to_string(),
        "poison".to_owned(),
        record.to_string(),
    ]
}

async fn server_with_dead_letters() -> (Server, Queues) {
    let server = Kind::LocalStack.own_server().await;
    let queues = Queues::create(&server, Duration::from_secs(30)).await;
    let (client, _) = stage(&server, &Wiring::localstack()).await;
    put(&client, MASTER, "a b", "hello").await;
    for body in given_up() {
        let send = queues.client.send_message().queue_url(&queues.dead_url);
        send.message_body(body).send().await.unwrap();
    }
    (server, queues)
}

/// The bodies of all messages in a queue, which are deleted.
async fn bodies(queues: &Queues, url: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let receive = queues.client.receive_message().queue_url(url);
        let receive = receive
            .max_number_of_messages(10)
            .wait_time_seconds(1)
            .message_system_attribute_names(MessageSystemAttributeName::All);
        let messages = receive.send().await.unwrap().messages.unwrap_or_default();
        if messages.is_empty() {
            bodies.sort();
            return bodies;
        }
        for message in messages {
            let delete = queues.client.delete_message().queue_url(url);
            let delete = delete.set_receipt_handle(message.receipt_handle);
            delete.send().await.unwrap();
            bodies.push(message.body.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_put_back_with_their_records_opened_and_none_is_left() {
    if !Kind::LocalStack.is_on(WHAT) {
        return;
    }
    let (server, queues) = server_with_dead_letters().await;
    let environment = environment(&server);
    // The test event that LocalStack sends, and the one of the object.
    bodies(&queues, &queues.url).await;

    let shown = run(
        &["redrive", "--from", "dead", "--dry-run", "--json"],
        &environment,
    );
    assert_eq!(shown.status.code(), Some(0), "{}", errors(&shown));
    let shown = String::from_utf8(shown.stdout).unwrap();
    let shown: Vec<Value> = shown
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown.iter().all(|line| line["put_back"] == false));
    assert!(
        bodies(&queues, &queues.url).await.is_empty(),
        "it was a dry run"
    );

    let done = run(&["redrive", "--from", "dead"], &environment);
    assert_eq!(done.status.code(), Some(0), "{}", errors(&done));
    let mut expected = given_up();
    expected[2] = event(&["gone"]).to_string();
    expected.sort();
    assert_eq!(bodies(&queues, &queues.url).await, expected);
    assert!(bodies(&queues, &queues.dead_url).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_put_back_stays() {
    if !Kind::LocalStack.is_on(WHAT) {
        return;
    }
    let (server, queues) = server_with_dead_letters().await;
    let url = format!("{}-no-more", queues.url);
    let arguments = ["redrive", "--from", "dead", "--to", url.as_str()];
    let failed = run(&arguments, &environment(&server));
    assert_eq!(failed.status.code(), Some(1));
    assert!(errors(&failed).contains("3 messages could not be put back"));
    assert_eq!(bodies(&queues, &queues.dead_url).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_recorded_and_stay_where_they_are() {
    if !Kind::LocalStack.is_on(WHAT) {
        return;
    }
    let (server, queues) = server_with_dead_letters().await;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("bug.jsonl");
    let out = out.to_str().unwrap();
    let arguments = ["record", "--from-dead-letters", "dead", "--out", out];
    let recorded = run(&arguments, &environment(&server));
    assert_eq!(recorded.status.code(), Some(0), "{}", errors(&recorded));
    assert!(
        errors(&recorded).contains("3 events, 2 operations"),
        "{}",
        errors(&recorded)
    );
    assert_eq!(bodies(&queues, &queues.dead_url).await.len(), 3);

    // On another day, in another world.
    let replayed = run(&["replay", out, "--json"], &[]);
    let told = String::from_utf8(replayed.stdout).unwrap();
    assert_eq!(replayed.status.code(), Some(0), "{told}");
    assert!(
        told.contains("batchItemFailures"),
        "poison is refused again"
    );
}
