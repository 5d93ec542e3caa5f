//! A master on MinIO, its targets on LocalStack and in the embedded S3 at once.

use std::path::Path;
use std::sync::Arc;

use s3_replicator::local::recording::Recording;
use s3_replicator::local::world::{RemoteStore, Store, WorldOptions, replay};
use tokio::sync::mpsc;

use super::recordings::log;
use super::servers::Kind;
use crate::support::bootstrap;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_read_of_minio_reaches_localstack_and_the_embedded_store() {
    let what = "a master on MinIO with a target on LocalStack";
    let (Some(minio), Some(localstack)) = (
        Kind::Minio.server(what).await,
        Kind::LocalStack.server(what).await,
    ) else {
        return;
    };
    // Its expectations count the reads and the writes.
    let file = Path::new("fixtures/recordings/two-other-services.jsonl");
    let recording = Recording::load(file).unwrap();
    let target = Arc::new(localstack.store().await);
    // The recording's other separate site is in this program.
    let master = minio.store().await;
    let master = Arc::new(master.with_site("eu-central-1", Arc::clone(&target)));
    let store = Store::Remote(Arc::clone(&master));
    let options = WorldOptions::of(&recording, bootstrap(), store);
    let (spectator, happenings) = mpsc::unbounded_channel();
    let (replayed, world) = replay(&recording, options, spectator).await.unwrap();
    let there = [
        keys(&master, "us-east-1").await,
        keys(&target, "eu-central-1").await,
    ];
    world.stop().await;
    assert_eq!(replayed.failed, 0, "{}", log(happenings));
    assert_eq!(there, [["empty", "large"], ["empty", "large"]]);
    assert!(master.buckets().is_empty() && target.buckets().is_empty());
}

/// The keys in the one bucket that a store has of a recording.
async fn keys(store: &RemoteStore, region: &str) -> Vec<String> {
    let buckets = store.buckets();
    assert_eq!(buckets.len(), 1, "{buckets:?}");
    let list = store.client(region).list_objects_v2().bucket(&buckets[0]);
    let objects = list.send().await.unwrap().contents.unwrap_or_default();
    objects
        .into_iter()
        .filter_map(|object| object.key)
        .collect()
}
