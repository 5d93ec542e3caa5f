//! `replay`: runs recordings and judges their expectations.

use std::path::{Path, PathBuf};

use clap::Args;
use tokio::sync::mpsc;

use super::spectator::{Form, line, show_skipped, watch};
use super::{CommandError, Ended, FunctionArguments, told_to_end};
use crate::error::chain;
use crate::local::lambda::Program;
use crate::local::recording::Recording;
use crate::local::world::{Keys, Replayed, Store, World, WorldError, WorldOptions, replay};

pub(super) const EXAMPLES: &str = "\
Examples:
  s3-replicator replay fixtures/recordings/late-delete.jsonl
  s3-replicator replay fixtures/recordings/*.jsonl --json
  s3-replicator replay fixtures/recordings/*.jsonl --store minio
  s3-replicator replay bug.jsonl --keep            # look around afterwards
  s3-replicator replay bug.jsonl --function target/lambda/s3-replicator.zip";

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Recordings, JSON Lines
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Decides every choice that a recording leaves open, instead of its own seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Keeps the last recording's world up until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Prints JSON Lines
    #[arg(long, conflicts_with = "verbose")]
    json: bool,
    /// Shows the function's whole log as well
    #[arg(long, short)]
    verbose: bool,
    #[command(flatten)]
    function: FunctionArguments,
}

impl Replay {
    pub(super) async fn run(self) -> Result<Ended, CommandError> {
        let recordings = self.load()?;
        let function = self.function.program()?;
        let form = match (self.json, self.verbose) {
            (true, _) => Form::Json,
            (false, true) => Form::Verbose,
            (false, false) => Form::Lines,
        };
        let store = self.function.store.open().await?;
        let ended = tokio::select! {
            ended = self.all(&recordings, &function.program, &store, form) => ended,
            () = told_to_end() => Ok(Ended::Interrupted),
        };
        clean_up(&store).await;
        ended
    }

    async fn all(
        &self,
        recordings: &[Recording],
        program: &Program,
        store: &Store,
        form: Form,
    ) -> Result<Ended, CommandError> {
        let mut all_well = true;
        for (number, recording) in (1..).zip(recordings) {
            if let Store::Remote(store) = store {
                let reasons = store.lacks(recording).await;
                if !reasons.is_empty() {
                    show_skipped(&recording.header.name, reasons, form);
                    continue;
                }
            }
            let (replayed, world) = run(recording, program, store, form).await?;
            all_well &= replayed.failed == 0;
            if self.keep && number == recordings.len() {
                keep(&world, store).await;
            }
            world.stop().await;
        }
        Ok(if all_well {
            Ended::Well
        } else {
            Ended::WithDifferences
        })
    }

    /// Loads all files and names every problem of every one.
    fn load(&self) -> Result<Vec<Recording>, CommandError> {
        let mut problems = Vec::new();
        let mut recordings = Vec::new();
        for file in &self.files {
            match Recording::load(file) {
                Ok(mut recording) => {
                    recording.header.seed = self.seed.unwrap_or(recording.header.seed);
                    recordings.push(recording);
                }
                Err(error) => problems.push(chain(&error)),
            }
        }
        if problems.is_empty() {
            Ok(recordings)
        } else {
            Err(CommandError::Input(problems.join("\n")))
        }
    }
}

/// Keeps a world up until Ctrl-C.
async fn keep(world: &World, store: &Store) {
    let Keys {
        access_key,
        secret_key,
    } = match store {
        Store::Embedded => Keys::default(),
        Store::Remote(store) => {
            let keys = &store.place().credentials;
            Keys {
                access_key: keys.access_key_id().to_owned(),
                secret_key: keys.secret_access_key().to_owned(),
            }
        }
    };
    line(format_args!(
        "the store is at http://{}, access key {access_key}, secret key {secret_key}; Ctrl-C ends it",
        world.address(),
    ));
    told_to_end().await;
}

/// Removes what an interrupted or failed run has left in a store, and says what it could not.
pub(super) async fn clean_up(store: &Store) {
    let Store::Remote(store) = store else {
        return;
    };
    let left = tokio::select! {
        left = store.remove_buckets() => left,
        // Told a second time, it leaves at once.
        () = told_to_end() => store.buckets(),
    };
    for bucket in left {
        anstream::eprintln!("warning: bucket {bucket} could not be removed");
    }
}

/// Replays one recording and shows it.
pub(super) async fn run(
    recording: &Recording,
    program: &Program,
    store: &Store,
    form: Form,
) -> Result<(Replayed, World), WorldError> {
    let (spectator, happenings) = mpsc::unbounded_channel();
    let watching = tokio::spawn(watch(happenings, form));
    let options = WorldOptions::of(recording, program.clone(), store.clone());
    let (replayed, world) = replay(recording, options, spectator).await?;
    let _ = watching.await;
    Ok((replayed, world))
}

/// A recording that is part of this program.
pub(super) fn built_in(name: &str, text: &str) -> Recording {
    Recording::parse(text, Path::new(name)).expect("a test loads it")
}
