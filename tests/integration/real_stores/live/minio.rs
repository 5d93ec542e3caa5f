//! MinIO's webhook to our listener.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_s3::Client;
use s3_replicator::local::live::Wiring;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::super::seaweedfs::free_ports;
use super::super::servers::Kind;
use super::world::{MASTER, REPLICA, minio, stage, start};
use crate::live::store::{contents, put, wait_until_equal};

/// What is skipped where MinIO is not switched on.
const WHAT: &str = "events by its webhook";

/// Clients that write at the same time.
const WRITERS: usize = 16;

/// MinIO looks into its queue folder so often.
const QUEUE_PERIOD: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn write_is_replicated_ahead_of_the_queue_folder() {
    if !Kind::Minio.is_on(WHAT) {
        return;
    }
    let [port] = free_ports();
    let server = minio(port).await;
    let (client, mut options) = stage(&server, &Wiring::minio()).await;
    options.listen.set_port(port);
    let (world, outcomes) = start(options).await;
    let mut took = Vec::new();
    for number in 0..5 {
        put(&client, MASTER, &format!("a b+c/é-{number}.txt"), "x").await;
        took.push(wait_until_equal(&client, MASTER, REPLICA).await);
    }
    // By the folder alone every one of them takes up to three seconds, half of them more than 1.5.
    took.sort();
    assert!(took[3] < Duration::from_secs(1), "{took:?}");
    let delete = client
        .delete_object()
        .bucket(MASTER)
        .key("a b+c/é-0.txt")
        .send();
    delete.await.unwrap();
    wait_until_equal(&client, MASTER, REPLICA).await;
    // The copies out of the folder have come by then, and woken nobody.
    sleep(QUEUE_PERIOD * 2).await;
    let ended = world.stop().await;
    assert_eq!((ended.on_failure.len(), ended.abandoned), (0, false));
    let outcomes = outcomes.lock().unwrap();
    assert_eq!(outcomes.len(), 6, "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listener_that_is_down_loses_nothing() {
    if !Kind::Minio.is_on(WHAT) {
        return;
    }
    let [port] = free_ports();
    let mut server = minio(port).await;
    let (client, mut options) = stage(&server, &Wiring::minio()).await;
    options.listen.set_port(port);
    put(&client, MASTER, "before", "x").await;
    put(&client, MASTER, "deleted", "x").await;
    let (world, _) = start(options.clone()).await;
    wait_until_equal(&client, MASTER, REPLICA).await;
    world.stop().await;
    put(&client, MASTER, "between", "x").await;
    let delete = client.delete_object().bucket(MASTER).key("deleted").send();
    delete.await.unwrap();
    // Nor does a restart of the store meanwhile lose anything.
    server.kill().await;
    server.restart().await;
    let (world, _) = start(options).await;
    wait_until_equal(&client, MASTER, REPLICA).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_store_sends_the_events_of_all_writes_that_it_answered() {
    if !Kind::Minio.is_on(WHAT) {
        return;
    }
    let [port] = free_ports();
    let mut server = minio(port).await;
    let (client, mut options) = stage(&server, &Wiring::minio()).await;
    options.listen.set_port(port);
    let (world, _) = start(options).await;
    let written = Written::default();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        writers.spawn(write_until_it_fails(
            client.clone(),
            writer,
            written.clone(),
        ));
    }
    while written.count.load(Ordering::Relaxed) < 300 {
        sleep(Duration::from_millis(5)).await;
    }
    server.kill().await;
    writers.join_all().await;
    server.restart().await;

    let answered = written.answered.lock().unwrap().clone();
    let stored = contents(&client, MASTER).await;
    let lost: Vec<&String> = answered
        .iter()
        .filter(|key| !stored.contains_key(*key))
        .collect();
    assert!(lost.is_empty(), "the store itself lost {lost:?}");
    let never_sent = never_replicated(&client, &stored, &answered).await;
    println!(
        "{} writes answered, {} stored without an answer, of which {} sent no event",
        answered.len(),
        stored.len() - answered.len(),
        never_sent.len()
    );
    assert!(never_sent.is_disjoint(&answered), "{never_sent:?}");
    assert!(never_sent.len() <= WRITERS, "{never_sent:?}");
    // Their clients saw an error. One that tries again causes an event.
    for key in &never_sent {
        put(&client, MASTER, key, "again").await;
    }
    wait_until_equal(&client, MASTER, REPLICA).await;
    world.stop().await;
}

/// What was written, as the clients know it.
#[derive(Clone, Default)]
struct Written {
    answered: Arc<Mutex<BTreeSet<String>>>,
    count: Arc<AtomicUsize>,
}

async fn write_until_it_fails(client: Client, writer: usize, written: Written) {
    // An attempt of the SDK's own would hide that the first one was not answered.
    let once = aws_sdk_s3::config::retry::RetryConfig::disabled();
    let config = client.config().to_builder().retry_config(once).build();
    let client = Client::from_conf(config);
    for number in 0.. {
        let key = format!("{writer}/{number}");
        let put = client.put_object().bucket(MASTER).key(&key);
        if put
            .body(key.clone().into_bytes().into())
            .send()
            .await
            .is_err()
        {
            break;
        }
        written.answered.lock().unwrap().insert(key);
        written.count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until all that was answered is in the replica and nothing more comes; answers what is
/// stored and did not come.
async fn never_replicated(
    client: &Client,
    stored: &BTreeMap<String, Vec<u8>>,
    answered: &BTreeSet<String>,
) -> BTreeSet<String> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(90);
    let mut before = None;
    loop {
        let found = keys(client, REPLICA).await;
        let missing: BTreeSet<String> = stored
            .keys()
            .filter(|key| !found.contains(*key))
            .cloned()
            .collect();
        let all_answered_are_there = missing.is_disjoint(answered);
        let late = tokio::time::Instant::now() > deadline;
        if late || all_answered_are_there && before.as_ref() == Some(&missing) {
            return missing;
        }
        before = Some(missing);
        sleep(QUEUE_PERIOD * 2).await;
    }
}

async fn keys(client: &Client, bucket: &str) -> BTreeSet<String> {
    let mut pages = client
        .list_objects_v2()
        .bucket(bucket)
        .into_paginator()
        .send();
    let mut keys = BTreeSet::new();
    while let Some(page) = pages.next().await {
        let objects = page.unwrap().contents.unwrap_or_default();
        keys.extend(objects.into_iter().filter_map(|object| object.key));
    }
    keys
}
