//! Replays a recording, step by step.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout};

use super::check::{Responses, check};
use super::names::Names;
use super::operation::{Versions, perform};
use super::outcome::OutcomeLine;
use super::remote::RemoteStore;
use super::{Store, World, WorldError, WorldOptions};
use crate::error::chain;
use crate::local::lambda::Route;
use crate::local::recording::{Action, Operation, Payload, Recording, Step};

/// How long a line is on its way from the function to a spectator, commonly.
const LOG_DELAY: Duration = Duration::from_millis(20);

/// Something that a spectator of a replay sees.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "happened", rename_all = "snake_case")]
pub enum Happening {
    /// A step was done.
    Step {
        /// Its line in the recording.
        line: usize,
        /// Its id.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// What it did, in a few words.
        what: String,
        /// How long it took.
        elapsed_ms: u64,
        /// In what an expectation is not met, empty if it is; none where nothing is expected.
        #[serde(skip_serializing_if = "Option::is_none")]
        differences: Option<Vec<String>>,
    },
    /// The function told an outcome.
    Outcome {
        /// The steps whose events the invocation had, as far as it is known.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        steps: Vec<String>,
        /// What it told.
        #[serde(flatten)]
        outcome: OutcomeLine,
    },
    /// A line of the function's log that tells no outcome.
    Log {
        /// The line.
        line: String,
    },
    /// All steps are done; what comes after is of the world's end.
    End(Replayed),
    /// The store cannot express the recording, so that it is not replayed.
    Skipped {
        /// The recording's name.
        name: String,
        /// What the store lacks.
        reasons: Vec<String>,
    },
}

/// How a replay ended.
#[derive(Debug, Clone, Serialize)]
pub struct Replayed {
    /// The recording's name.
    pub name: String,
    /// How many steps there were.
    pub steps: usize,
    /// How many of them did not come out as they should.
    pub failed: usize,
    /// Events in the on-failure queue at the end.
    pub on_failure: usize,
    /// Messages in the dead-letter queue at the end.
    pub dead_letters: usize,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// Which steps' events went out under which invocation or message.
#[derive(Debug, Default)]
struct Deliveries {
    by_request: HashMap<String, Vec<String>>,
    by_key: HashMap<String, Vec<String>>,
}

impl Deliveries {
    fn steps_of(&self, outcome: &OutcomeLine) -> Vec<String> {
        let known = self.by_request.get(&outcome.request_id);
        known
            .or_else(|| self.by_key.get(&outcome.key))
            .cloned()
            .unwrap_or_default()
    }
}

/// Runs all steps in a world of its own and tells `spectator` what happens. A failed expectation
/// does not end it; the world is given back for a look around.
///
/// [`Happening::End`] comes last, before the world ends.
pub async fn replay(
    recording: &Recording,
    options: WorldOptions,
    spectator: UnboundedSender<Happening>,
) -> Result<(Replayed, World), WorldError> {
    let started = Instant::now();
    let original = recording;
    let names = match &options.store {
        Store::Embedded => Names::default(),
        Store::Remote(_) => Names::unique(&recording.header, &RemoteStore::unique()),
    };
    let recording = &names.recording(recording);
    let options = WorldOptions {
        header: names.header(&options.header),
        notifying: options
            .notifying
            .iter()
            .map(|name| names.real(name))
            .collect(),
        ..options
    };
    let shown = names.clone();
    let deliveries: Arc<Mutex<Deliveries>> = Arc::default();
    let told = Arc::clone(&deliveries);
    let listener = spectator.clone();
    let world = World::start(options, move |line, outcome| {
        let happening = match outcome {
            Some(outcome) => Happening::Outcome {
                steps: lock(&told).steps_of(outcome),
                outcome: OutcomeLine {
                    bucket: shown.shown(&outcome.bucket).into_owned(),
                    target: outcome
                        .target
                        .as_ref()
                        .map(|it| shown.shown(it).into_owned()),
                    error: outcome
                        .error
                        .as_ref()
                        .map(|it| shown.shown(it).into_owned()),
                    ..outcome.clone()
                },
            },
            None => Happening::Log {
                line: shown.shown(&line.line).into_owned(),
            },
        };
        // A spectator that has left sees nothing more.
        let _ = listener.send(happening);
    })
    .await?;

    let mut run = Run {
        recording,
        world,
        deliveries,
        versions: Versions::new(),
        events: BTreeMap::new(),
        responses: Responses::new(),
    };
    let mut failed = 0;
    for (step, original) in recording.steps.iter().zip(&original.steps) {
        let begun = Instant::now();
        let done = run.step(step).await;
        // What comes after a step that could not be done has nothing to stand on.
        let is_last = done.is_err();
        let differences = done.unwrap_or_else(|error| Some(vec![chain(&error)]));
        failed += usize::from(differences.as_ref().is_some_and(|found| !found.is_empty()));
        let _ = spectator.send(Happening::Step {
            line: step.line,
            id: step.id.clone(),
            what: original.action.to_string(),
            elapsed_ms: milliseconds(begun.elapsed()),
            differences: differences.map(|found| {
                let found = found.iter();
                found
                    .map(|difference| names.shown(difference).into_owned())
                    .collect()
            }),
        });
        if is_last {
            break;
        }
    }
    let world = run.world;
    let replayed = Replayed {
        name: recording.header.name.clone(),
        steps: recording.steps.len(),
        failed,
        on_failure: world.lambda.on_failure().len(),
        dead_letters: world.lambda.dead_letters().len(),
        elapsed_ms: milliseconds(started.elapsed()),
    };
    let _ = spectator.send(Happening::End(replayed.clone()));
    Ok((replayed, world))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn lock(deliveries: &Mutex<Deliveries>) -> MutexGuard<'_, Deliveries> {
    deliveries
        .lock()
        .expect("no holder of the deliveries panics")
}

/// A replay under way.
struct Run<'a> {
    recording: &'a Recording,
    world: World,
    deliveries: Arc<Mutex<Deliveries>>,
    versions: Versions,
    /// The notifications of every operation with an id, held or not.
    events: BTreeMap<String, Vec<String>>,
    responses: Responses,
}

impl Run<'_> {
    /// Does one step; where it expects something, answers what is not so.
    async fn step(&mut self, step: &Step) -> Result<Option<Vec<String>>, WorldError> {
        match &step.action {
            Action::Operation(operation) => self.operate(step, operation).await?,
            Action::Deliver(ids) => {
                for id in ids {
                    let events = self.events.get(id).cloned().unwrap_or_default();
                    self.deliver(id, &events);
                }
            }
            Action::Fault(fault) => self.world.faults.arm(fault.clone()),
            Action::Invoke(payload) => self.invoke(step, payload).await,
            Action::Settle(settle) => {
                if timeout(settle.within, self.world.settle()).await.is_err() {
                    return Ok(Some(vec![format!(
                        "events are still under way after {:?}",
                        settle.within
                    )]));
                }
                // What the function logged has been written, not read: it is told before the
                // next step is.
                tokio::time::sleep(LOG_DELAY).await;
                return Ok(Some(Vec::new()));
            }
            Action::Pause(time) => {
                // Replicas' own events go on their way meanwhile.
                let _ = timeout(*time, async {
                    loop {
                        self.world.forward_next().await;
                    }
                })
                .await;
            }
            Action::Expect(expect) => {
                let header = &self.recording.header;
                return check(&self.world, header, expect, &self.responses)
                    .await
                    .map(Some);
            }
        }
        Ok(None)
    }

    async fn operate(&mut self, step: &Step, operation: &Operation) -> Result<(), WorldError> {
        let master = &self.recording.header.master.name;
        let bucket = operation.target.as_ref().unwrap_or(master);
        let version = perform(&self.world.stores, bucket, &operation.kind, &self.versions).await?;
        let id = step
            .id
            .clone()
            .unwrap_or_else(|| format!("line {}", step.line));
        // Without versioning, the one version there is has this name.
        self.versions
            .insert(id.clone(), version.unwrap_or_else(|| "null".to_owned()));
        // The store has sent its notifications before it answered.
        let (ours, others): (Vec<_>, Vec<_>) = self
            .world
            .arrived()
            .into_iter()
            .partition(|notification| self.world.stores.is_users(notification));
        for notification in others {
            self.world.send(&notification.body);
        }
        let events: Vec<String> = ours
            .into_iter()
            .map(|notification| notification.body)
            .collect();
        if !operation.held {
            self.deliver(&id, &events);
        }
        self.events.insert(id, events);
        Ok(())
    }

    fn deliver(&self, id: &str, events: &[String]) {
        // Locked over the sending, so that no outcome is told before its step is known.
        let mut deliveries = lock(&self.deliveries);
        let step = self
            .recording
            .steps
            .iter()
            .find(|step| step.id.as_deref() == Some(id));
        if let Some(Action::Operation(operation)) = step.map(|step| &step.action)
            && let Some(key) = operation.kind.key()
        {
            deliveries
                .by_key
                .insert(key.to_owned(), vec![id.to_owned()]);
        }
        for event in events {
            for request in self.world.send(event) {
                deliveries
                    .by_request
                    .entry(request)
                    .or_default()
                    .push(id.to_owned());
            }
        }
    }

    async fn invoke(&mut self, step: &Step, payload: &Payload) {
        if !payload.is_answered() {
            self.world
                .lambda
                .send(Route::Asynchronous, payload.as_str().to_owned());
            return;
        }
        let invocation = self.world.lambda.function().invoke(payload.as_str()).await;
        let answer = invocation
            .result
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok());
        if let Some(id) = &step.id {
            self.responses.insert(id.clone(), answer);
        }
    }
}
