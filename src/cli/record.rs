//! `record`: the world of `dev`, and a recording of what happens in it.

mod dead_letters;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use futures_util::FutureExt;

use super::dev::arguments::WorldArguments;
use super::dev::place::Place;
use super::dev::{greet, live, start};
use super::{CommandError, Ended, told_to_end};
use crate::error::chain;
use crate::local::lambda::Program;
use crate::local::live::{LiveError, Refusal, Tap};
use crate::local::record::{DescribeError, RecordError, Recorded, Recorder, describe, source};
use crate::local::world::{RemoteStore, Store, World};

pub(super) const EXAMPLES: &str = "\
Examples:
  s3-replicator record --out bug.jsonl --master a@us-east-1 --target b@eu-central-1
  s3-replicator record --store minio --out bug.jsonl   # after `just up minio`
  s3-replicator record --store localstack --master a@us-east-1 --target b@eu-central-1 \\
      --out bug.jsonl
  s3-replicator record --from-dead-letters DeadLetters --out bug.jsonl
  s3-replicator replay bug.jsonl                       # again, on the embedded S3

It does what `dev` does, until Ctrl-C, and writes a recording of one master. Each event that comes
is in the file before the function has it: first the operations that explain it, then the event
exactly as it came. Long bodies are files in the folder bug.bodies.

With --from-dead-letters it writes what is in a queue of failed messages and ends; the messages stay
there. Objects are recorded as they are now. Without --store, queue and buckets are those of AWS.";

#[derive(Debug, Args)]
pub(super) struct Record {
    /// The recording that is written; it must not be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Records the messages of this dead-letter queue or on-failure destination (its name, ARN or
    /// URL) instead of what happens now
    #[arg(long, value_name = "QUEUE", conflicts_with_all = ["targets", "listen", "function"])]
    from_dead_letters: Option<String>,
    #[command(flatten)]
    world: WorldArguments,
}

impl Record {
    pub(super) async fn run(self) -> Result<Ended, CommandError> {
        // Before anything is made in a store.
        if self.out.exists() {
            return Err(RecordError::Exists(self.out).into());
        }
        if let Some(queue) = &self.from_dead_letters {
            return self.dead_letters(queue).await;
        }
        let function = self.world.function.program()?;
        match (self.world.function.store.open().await?, &self.world.master) {
            (Store::Remote(store), _) => self.live(&store, &function.program).await,
            (Store::Embedded, Some(master)) => self.embedded(master, &function.program).await,
            (Store::Embedded, None) => Err(CommandError::Input(
                "the embedded S3 has nothing to record without --master".to_owned(),
            )),
        }
    }

    async fn dead_letters(&self, queue: &str) -> Result<Ended, CommandError> {
        let (store, master) = (&self.world.function.store, self.world.master.as_ref());
        let recorder = dead_letters::record(queue, store, master, &self.out, &self.name()).await?;
        self.close(&recorder).await
    }

    async fn live(
        &self,
        store: &Arc<RemoteStore>,
        program: &Program,
    ) -> Result<Ended, CommandError> {
        let mut end = std::pin::pin!(told_to_end());
        let starting = async {
            let heard = live::hear(&self.world, store).await?;
            let [master] = heard.masters.as_slice() else {
                let names = heard.masters.iter().map(|it| it.bucket.name.clone());
                return Err(CommandError::Live(LiveError::SeveralMasters {
                    endpoint: store.place().endpoint.clone(),
                    names: names.collect(),
                }));
            };
            let has_profiles = std::env::var_os("AWS_CONFIG_FILE").is_some();
            let mut header = describe(store, master, &self.name(), has_profiles).await?;
            header.source = source(&heard.channels);
            let client = store.client(&master.bucket.region);
            let recorder = Arc::new(Recorder::create(&self.out, &header, client)?);
            let tap = Some(tap(Arc::clone(&recorder)));
            match live::listen(&self.world, store, &heard, program, tap).await {
                Ok(world) => Ok((world, recorder)),
                Err(error) => {
                    // A recording of nothing would stand in the way of the next attempt.
                    let _ = std::fs::remove_file(&self.out);
                    Err(error)
                }
            }
        };
        let (world, recorder) = tokio::select! {
            started = starting => started?,
            () = &mut end => return Ok(Ended::Interrupted),
        };
        end.await;
        let ended = live::finish(world).await;
        Ok(worse(ended, self.close(&recorder).await?))
    }

    async fn embedded(&self, master: &Place, program: &Program) -> Result<Ended, CommandError> {
        let header = self.world.header(&self.name(), master)?;
        let mut end = std::pin::pin!(told_to_end());
        let mut world = start(&self.world, header.clone(), program).await?;
        let client = world.client(&master.bucket);
        let recorder = Recorder::create(&self.out, &header, client)?;
        greet(&self.world, world.address());
        loop {
            tokio::select! {
                events = world.next_events() => write(&recorder, &world, events).await?,
                () = &mut end => break,
            }
        }
        // What was done before the end belongs to it as well.
        while let Some(events) = world.next_events().now_or_never() {
            write(&recorder, &world, events).await?;
        }
        let ended = self.close(&recorder).await?;
        world.stop().await;
        Ok(ended)
    }

    /// Ends the recording, and says what it has.
    async fn close(&self, recorder: &Recorder) -> Result<Ended, CommandError> {
        let Recorded {
            payloads,
            operations,
            others,
            unreadable,
        } = recorder.finish().await?;
        let out = self.out.display();
        anstream::eprintln!("{out}: {payloads} events, {operations} operations");
        if others > 0 {
            anstream::eprintln!("not recorded: {others} events of other buckets");
        }
        if unreadable > 0 {
            anstream::eprintln!(
                "warning: {unreadable} objects could not be read, so {out} lacks operations"
            );
            return Ok(Ended::WithDifferences);
        }
        Ok(Ended::Well)
    }

    fn name(&self) -> String {
        let stem = self
            .out
            .file_stem()
            .unwrap_or(Path::new("recording").as_os_str());
        stem.to_string_lossy().into_owned()
    }
}

/// Writes events down, and then hands them to the function.
async fn write(recorder: &Recorder, world: &World, events: Vec<String>) -> Result<(), RecordError> {
    for event in events {
        recorder.payload(&event, world.is_idle()).await?;
        world.send_event(event);
    }
    Ok(())
}

/// Writes down what comes; what could not be written is to come again.
fn tap(recorder: Arc<Recorder>) -> Tap {
    Arc::new(move |payload: String, is_idle: bool| {
        let recorder = Arc::clone(&recorder);
        Box::pin(async move {
            recorder.payload(&payload, is_idle).await.map_err(|error| {
                let why = chain(&error).to_string();
                anstream::eprintln!("warning: an event was not accepted: {why}");
                Refusal(why)
            })
        })
    })
}

fn worse(one: Ended, other: Ended) -> Ended {
    match (one, other) {
        (Ended::Well, other) => other,
        (one, _) => one,
    }
}

impl From<DescribeError> for CommandError {
    fn from(error: DescribeError) -> Self {
        match error {
            DescribeError::Live(error) => error.into(),
            DescribeError::Record(error) => error.into(),
        }
    }
}
