//! All recordings on every real store that is switched on.

mod servers;
mod table;

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt;
use s3_replicator::local::recording::Recording;
use s3_replicator::local::world::{RemoteStore, Store, WorldOptions, replay};
use tokio::sync::mpsc;

use self::servers::Kind;
use self::table::Cells;
use crate::support::bootstrap;

/// Recordings under way at once: their waits overlap, and two cores still keep up.
const AT_ONCE: usize = 3;

/// The part of all recordings that must run on MinIO and on LocalStack.
const AT_LEAST: f64 = 0.9;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_recording_runs_on_every_store() {
    let recordings = recordings();
    let names: Vec<String> = recordings.iter().map(|(name, _)| name.clone()).collect();
    let mut measured = Cells::new();
    let mut failures = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_on()) {
        let store = Arc::new(kind.server().await.store().await);
        let running = recordings.iter().map(|(name, recording)| {
            let store = Arc::clone(&store);
            async move { (name.clone(), run(recording, store).await) }
        });
        let ended: Vec<(String, Ended)> = futures_util::stream::iter(running)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        assert_eq!(
            store.remove_buckets().await,
            [""; 0],
            "left at {}",
            kind.name()
        );
        let ran = ended
            .iter()
            .filter(|(_, ended)| *ended == Ended::Well)
            .count();
        for (name, ended) in ended {
            let cell = match ended {
                Ended::Well => String::new(),
                Ended::Skipped(reasons) => reasons.join("; "),
                Ended::Failed(why) => {
                    failures.push(format!("{name} on {}:\n{why}", kind.name()));
                    continue;
                }
            };
            measured.insert((name, kind.name().to_owned()), cell);
        }
        println!("{}: {ran} of {} recordings ran", kind.name(), names.len());
        let enough = ran as f64 >= names.len() as f64 * AT_LEAST;
        if !enough && kind != Kind::SeaweedFs {
            failures.push(format!(
                "only {ran} of {} ran on {}",
                names.len(),
                kind.name()
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    if !measured.is_empty() {
        let stores: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        table::keep(&stores, &names, &measured);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Well,
    Skipped(Vec<String>),
    Failed(String),
}

async fn run(recording: &Recording, store: Arc<RemoteStore>) -> Ended {
    let lacks = store.lacks(recording).await;
    if !lacks.is_empty() {
        return Ended::Skipped(lacks);
    }
    let options = WorldOptions::of(recording, bootstrap(), Store::Remote(store));
    let (spectator, mut happenings) = mpsc::unbounded_channel();
    match replay(recording, options, spectator).await {
        Err(error) => Ended::Failed(format!("{error:?}")),
        Ok((replayed, world)) => {
            world.stop().await;
            if replayed.failed == 0 {
                return Ended::Well;
            }
            let mut lines = Vec::new();
            while let Ok(happening) = happenings.try_recv() {
                lines.push(format!("{happening:?}"));
            }
            Ended::Failed(lines.join("\n"))
        }
    }
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
            } else if path
                .extension()
                .is_some_and(|extension| extension == "jsonl")
            {
                let name = path.strip_prefix("fixtures/recordings").unwrap();
                found.push((name.display().to_string(), Recording::load(&path).unwrap()));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found
}
