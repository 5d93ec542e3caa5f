//! `replay`: runs recordings and judges their expectations.

use std::path::{Path, PathBuf};

use clap::Args;
use tokio::sync::mpsc;

use super::spectator::{Form, line, watch};
use super::{CommandError, Ended, FunctionArguments, told_to_end};
use crate::error::chain;
use crate::local::lambda::Program;
use crate::local::recording::Recording;
use crate::local::world::{Keys, Replayed, World, WorldError, WorldOptions, replay};

pub(super) const EXAMPLES: &str = "\
Examples:
  s3-replicator replay fixtures/recordings/late-delete.jsonl
  s3-replicator replay fixtures/recordings/*.jsonl --json
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
        let mut all_well = true;
        let count = recordings.len();
        for (number, recording) in (1..).zip(&recordings) {
            let run = run(recording, &function.program, form);
            let (replayed, world) = tokio::select! {
                ended = run => ended?,
                () = told_to_end() => return Ok(Ended::Interrupted),
            };
            all_well &= replayed.failed == 0;
            if self.keep && number == count {
                line(format_args!(
                    "the store is at http://{}, access key {}, secret key {}; Ctrl-C ends it",
                    world.address(),
                    Keys::default().access_key,
                    Keys::default().secret_key,
                ));
                told_to_end().await;
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

/// Replays one recording and shows it.
pub(super) async fn run(
    recording: &Recording,
    program: &Program,
    form: Form,
) -> Result<(Replayed, World), WorldError> {
    let (spectator, happenings) = mpsc::unbounded_channel();
    let watching = tokio::spawn(watch(happenings, form));
    let (replayed, world) = replay(recording, options(recording, program), spectator).await?;
    let _ = watching.await;
    Ok((replayed, world))
}

fn options(recording: &Recording, program: &Program) -> WorldOptions {
    WorldOptions {
        header: recording.header.clone(),
        notifying: recording
            .notifying()
            .into_iter()
            .map(ToOwned::to_owned)
            .collect(),
        program: program.clone(),
        listen: ([127, 0, 0, 1], 0).into(),
        keys: Keys::default(),
    }
}

/// A recording that is part of this program.
pub(super) fn built_in(name: &str, text: &str) -> Recording {
    Recording::parse(text, Path::new(name)).expect("a test loads it")
}
