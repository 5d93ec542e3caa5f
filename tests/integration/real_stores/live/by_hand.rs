//! `dev` and `record` with a real store, as a person uses them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use rstest::rstest;
use s3_replicator::local::recording::Recording;

use super::super::seaweedfs::free_ports;
use super::super::servers::{Kind, Server};
use super::localstack::Queues;
use super::world::minio;
use crate::live::command::{Running, run};
use crate::live::store::{client, contents, create, put};

/// What is skipped where a store is not switched on.
const WHAT: &str = "dev and record by hand";

/// A server, as `just up` prepares one, and what `dev` needs to be told to find it.
struct Prepared {
    server: Server,
    variable: &'static str,
    listen: String,
}

async fn prepare(kind: Kind) -> Prepared {
    let [port] = free_ports();
    let (server, variable) = match kind {
        Kind::Minio => (minio(port).await, "S3_REPLICATOR_MINIO_URL"),
        _ => {
            let server = Kind::LocalStack.own_server().await;
            Queues::create(&server, Duration::from_secs(30)).await;
            (server, "S3_REPLICATOR_LOCALSTACK_URL")
        }
    };
    Prepared {
        server,
        variable,
        listen: format!("127.0.0.1:{port}"),
    }
}

const MASTER: [&str; 6] = [
    "--master",
    "master@us-east-1",
    "--target",
    "replica-1@ap-southeast-1",
    "--target",
    "replica-2@eu-central-1",
];

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_by_hand_is_replicated_and_nothing_is_left_behind(
    #[values(Kind::Minio, Kind::LocalStack)] kind: Kind,
) {
    if !kind.is_on(WHAT) {
        return;
    }
    let prepared = prepare(kind).await;
    let (endpoint, key) = prepared.server.access();
    let store = kind.switch();
    let temporary = tempfile::tempdir().unwrap();
    let environment = [
        (prepared.variable, endpoint),
        ("TMPDIR", temporary.path().to_str().unwrap()),
    ];
    let base = ["dev", "--store", store, "--listen", &prepared.listen];
    let running = Running::start(&[&base[..], &MASTER].concat(), &environment);
    let client = client(endpoint, (key, key));
    put(&client, "master", "a b+c/é.txt", "hello").await;
    let outcomes = running.outcomes("replica-2", &["a b+c/é.txt"]);
    assert!(
        outcomes.iter().any(|it| it["outcome"] == "copied"),
        "{outcomes:?}"
    );
    assert_eq!(running.interrupt(), Some(0));
    let found = contents(&client, "replica-1").await;
    assert_eq!(found["a b+c/é.txt"], b"hello");
    let left: Vec<PathBuf> = std::fs::read_dir(temporary.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(left.is_empty(), "{left:?}");

    // A second time nothing needs to be said: the bucket is tagged and wired.
    let running = Running::start(&base, &environment);
    assert_eq!(running.ready["masters"][0], "master");
    put(&client, "master", "second", "hello").await;
    running.outcomes("replica-1", &["second"]);
    assert_eq!(running.interrupt(), Some(0));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_in_a_real_store_can_be_replayed(
    #[values(Kind::Minio, Kind::LocalStack)] kind: Kind,
) {
    if !kind.is_on(WHAT) {
        return;
    }
    let prepared = prepare(kind).await;
    let (endpoint, key) = prepared.server.access();
    let store = kind.switch();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("it.jsonl");
    let environment = [(prepared.variable, endpoint)];
    let base = ["record", "--out", out.to_str().unwrap(), "--store", store];
    let listen = ["--listen", prepared.listen.as_str()];
    let running = Running::start(&[&base[..], &listen, &MASTER].concat(), &environment);
    let client = client(endpoint, (key, key));
    put(&client, "master", "a b+c/é.txt", "hello").await;
    put(&client, "master", "gone", "x").await;
    running.outcomes("replica-2", &["a b+c/é.txt", "gone"]);
    let delete = client.delete_object().bucket("master").key("gone");
    delete.send().await.unwrap();
    running.outcomes("replica-2", &["gone"]);
    assert_eq!(running.interrupt(), Some(0));

    let recording = Recording::load(&out).unwrap();
    let keys = recording
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            s3_replicator::local::recording::Action::Operation(operation) => operation.kind.key(),
            _ => None,
        });
    let keys: BTreeSet<&str> = keys.collect();
    assert_eq!(keys, ["a b+c/é.txt", "gone"].into());
    let output = run(&["replay", out.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_given_by_its_url_is_listened_to_as_it_is_configured() {
    if !Kind::LocalStack.is_on(WHAT) {
        return;
    }
    let prepared = prepare(Kind::LocalStack).await;
    let (endpoint, key) = prepared.server.access();
    let client = client(endpoint, (key, key));
    create(&client, "other-replica", None).await;
    create(&client, "other", Some("other-replica@us-east-1")).await;
    let keys = [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", key)];
    let arguments = ["dev", "--store", endpoint, "--master", "other@us-east-1"];
    let refused = run(&arguments, &keys);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    notify_queue(&client, "other").await;
    let running = Running::start(&arguments, &keys);
    put(&client, "other", "k", "x").await;
    running.outcomes("other-replica", &["k"]);
    assert_eq!(running.interrupt(), Some(0));
}

async fn notify_queue(client: &aws_sdk_s3::Client, bucket: &str) {
    use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
    let queue = QueueConfiguration::builder()
        .queue_arn("arn:aws:sqs:us-east-1:000000000000:s3-replicator-events")
        .events(Event::from("s3:ObjectCreated:*"))
        .build()
        .unwrap();
    let configuration = NotificationConfiguration::builder().queue_configurations(queue);
    client
        .put_bucket_notification_configuration()
        .bucket(bucket)
        .notification_configuration(configuration.build())
        .send()
        .await
        .unwrap();
}
