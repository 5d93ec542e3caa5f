//! A live world around a server of the test's.

use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use s3_replicator::local::live::{LiveOptions, LiveWorld, Wiring, make_master};
use s3_replicator::local::recording::Bucket;
use s3_replicator::local::world::OutcomeLine;

use super::super::servers::{Kind, Server};
use crate::live::store::client;
use crate::support::bootstrap;

pub(super) const MASTER: &str = "master";
pub(super) const REPLICA: &str = "replica";

/// Every outcome so far.
pub(super) type Outcomes = Arc<Mutex<Vec<OutcomeLine>>>;

/// A MinIO whose webhooks, with a queue folder and without, lead to this port of this machine.
pub(super) async fn minio(webhook: u16) -> Server {
    let endpoint = format!("http://host.docker.internal:{webhook}/minio");
    let environment = [
        ("MINIO_API_SYNC_EVENTS", "on"),
        ("MINIO_NOTIFY_WEBHOOK_ENABLE_REPLICATOR", "on"),
        ("MINIO_NOTIFY_WEBHOOK_ENDPOINT_REPLICATOR", &endpoint),
        ("MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_REPLICATOR", "/queue"),
        ("MINIO_NOTIFY_WEBHOOK_ENABLE_PROMPT", "on"),
        ("MINIO_NOTIFY_WEBHOOK_ENDPOINT_PROMPT", &endpoint),
    ];
    Kind::Minio.own_server_with(&environment).await
}

/// A server with a master, wired, and its replica, and options for a world around them.
pub(super) async fn stage(server: &Server, wiring: &Wiring) -> (Client, LiveOptions) {
    let store = Arc::new(server.store().await);
    let mut master = Bucket::new(MASTER, "us-east-1");
    let targets = format!("{REPLICA}@eu-central-1");
    master.tags = [("ReplicatedTargetBuckets".to_owned(), targets)].into();
    let replica = Bucket::new(REPLICA, "eu-central-1");
    let master = make_master(&store, &master, &[replica], Some(wiring)).await;
    let master = master.unwrap();
    let channels = master.channels(&store).await.unwrap();
    let (endpoint, key) = server.access();
    let client = client(endpoint, (key, key));
    (client, LiveOptions::new(store, channels, bootstrap()))
}

/// Starts a world; its outcomes are noted.
pub(super) async fn start(options: LiveOptions) -> (LiveWorld, Outcomes) {
    let outcomes = Outcomes::default();
    let noted = Arc::clone(&outcomes);
    let world = LiveWorld::start(options, move |_, outcome| {
        noted.lock().unwrap().extend(outcome.cloned());
    });
    (world.await.unwrap(), outcomes)
}
