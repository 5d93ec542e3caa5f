//! All recordings on every real store that is switched on.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt;
use rstest::rstest;
use s3_replicator::local::recording::Recording;
use s3_replicator::local::world::{Happening, RemoteStore, Store, WorldOptions, replay};
use tokio::sync::mpsc;

use super::servers::Kind;
use super::table::{self, Column};
use crate::support::bootstrap;

/// Recordings under way at once: their waits overlap, and two cores still keep up.
const AT_ONCE: usize = 3;

/// The part of all recordings that must run on MinIO and on LocalStack, in percent.
const AT_LEAST: usize = 90;

/// How one recording ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Well,
    Skipped(String),
    Failed(String),
}

#[rstest]
#[case::minio(Kind::Minio)]
#[case::localstack(Kind::LocalStack)]
#[case::seaweedfs(Kind::SeaweedFs)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_recording_runs_or_is_skipped_for_what_the_store_lacks(#[case] kind: Kind) {
    let Some(server) = kind.server("all recordings").await else {
        return;
    };
    let store = Arc::new(server.store().await);
    let recordings = recordings();
    let running = recordings.iter().map(|(name, recording)| {
        let store = Arc::clone(&store);
        async move { (name.clone(), run(recording, store).await) }
    });
    let ended: BTreeMap<String, Ended> = futures_util::stream::iter(running)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let left = store.remove_buckets().await;
    assert!(left.is_empty(), "left at {}: {left:?}", kind.name());

    let mut column = Column::new();
    let mut failures = Vec::new();
    for (name, ended) in ended {
        match ended {
            Ended::Well => drop(column.insert(name, None)),
            Ended::Skipped(why) => drop(column.insert(name, Some(why))),
            Ended::Failed(why) => failures.push(format!("{name} on {}:\n{why}", kind.name())),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    let ran = column.values().filter(|skipped| skipped.is_none()).count();
    assert!(
        kind == Kind::SeaweedFs || ran * 100 >= recordings.len() * AT_LEAST,
        "only {ran} of {} recordings ran on {}: {column:?}",
        recordings.len(),
        kind.name()
    );
    table::keep(kind.name(), &column);
}

async fn run(recording: &Recording, store: Arc<RemoteStore>) -> Ended {
    let lacks = store.lacks(recording).await;
    if !lacks.is_empty() {
        return Ended::Skipped(lacks.join("; "));
    }
    let options = WorldOptions::of(recording, bootstrap(), Store::Remote(store));
    let (spectator, happenings) = mpsc::unbounded_channel();
    match replay(recording, options, spectator).await {
        Ok((replayed, world)) => {
            world.stop().await;
            match replayed.failed {
                0 => Ended::Well,
                _ => Ended::Failed(log(happenings)),
            }
        }
        Err(error) => Ended::Failed(format!("{error:?}")),
    }
}

/// All that happened, a line each.
pub(crate) fn log(mut happenings: mpsc::UnboundedReceiver<Happening>) -> String {
    let mut lines = Vec::new();
    while let Ok(happening) = happenings.try_recv() {
        lines.push(format!("{happening:?}"));
    }
    lines.join("\n")
}

/// Every recording, with its file's name under the folder of recordings.
fn recordings() -> Vec<(String, Recording)> {
    let mut folders = vec![PathBuf::from("fixtures/recordings")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "jsonl") {
                let name = path.strip_prefix("fixtures/recordings").unwrap();
                found.push((name.display().to_string(), Recording::load(&path).unwrap()));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}
