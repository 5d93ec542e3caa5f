//! Writes down what happens to a master, as a recording that any store can replay.
//!
//! Each payload that the function was to receive becomes the operations that explain it, with
//! their events held back, and then `invoke` with the payload byte for byte:
//!
//! ```jsonl
//! {"put": {"key": "a b.txt", "body": {"text": "hello"}}, "deliver": "held"}
//! {"invoke": {"Records": ["… exactly as the store sent it …"]}}
//! ```
//!
//! A payload alone replays nothing: it only says *look at this key*, and in a fresh world there
//! would be nothing to be seen. Operations alone replay another store's events in place of those
//! that were captured, with their quirks (names, encodings, batches) lost. Together they bring any
//! store into the state that the function saw, and the function there by the very same event.
//!
//! Operations are not read off event names, which may come late, twice or in another order, but
//! off the object as it is when its event comes, compared with what it was the last time. So two
//! writes in quick succession may be recorded as one, with both of their events: that is also what
//! the function saw.
//!
//! Where all earlier events had been handled when one came, a replay waits for that as well.
//!
//! Invariant: a payload is in the file before the function has it, and every line is written at
//! once and as a whole. Whatever ends the recording, what is in the file replays.

mod body;
mod describe;
mod observe;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_sdk_s3::Client;
use serde_json::json;
use tokio::sync::Mutex;

pub use self::describe::{DescribeError, describe, source};
pub use self::observe::ReadError;

use self::body::Bodies;
use self::observe::{Object, Observed, observe};
use super::recording::{
    Action, Delete, Expect, Header, LoadError, Operation, OperationKind, Payload, Recording,
    ResponseCheck, Settle, Step, Tag, Untag,
};
use crate::envelope;
use crate::error::chain;
use crate::targets::parse;

/// How long a replay waits in the end for what is under way.
const SETTLE: Duration = Duration::from_secs(60);

/// A recording could not be written, or not read what it is to have.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file is there already.
    #[error("{} is there already; a recording overwrites nothing", .0.display())]
    Exists(PathBuf),
    /// The file, or one of its bodies, could not be written.
    #[error("could not write {}", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store could not be asked; it may answer later.
    #[error("could not see what an event is about")]
    Read(#[source] ReadError),
    /// A payload is no JSON.
    #[error("a payload is no JSON")]
    Payload(#[source] serde_json::Error),
    /// What was written is no recording.
    #[error("what was recorded cannot be replayed")]
    Load(#[source] LoadError),
    /// A target that no recording can describe.
    #[error("target {bucket}@{site} is at no region, which a recording cannot describe")]
    Site {
        /// Its bucket.
        bucket: String,
        /// Its site.
        site: String,
    },
}

/// A recording that is being written.
pub struct Recorder {
    client: Client,
    master: String,
    deletes: bool,
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    file: File,
    bodies: Bodies,
    /// What each key was when it was last seen; `None` where it was absent.
    seen: BTreeMap<String, Option<Object>>,
    /// Whether the last line is an event that a replay does not wait for.
    is_under_way: bool,
    counts: Recorded,
}

/// What a recording has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Payloads.
    pub payloads: usize,
    /// Operations.
    pub operations: usize,
    /// Payloads that name no key of the master, and are not in it.
    pub others: usize,
    /// Objects that could not be read, so that operations are missing.
    pub unreadable: usize,
}

impl Recorder {
    /// Begins a recording with this header. The client reads the master.
    ///
    /// # Errors
    /// The file is there, or cannot be written.
    pub fn create(path: &Path, header: &Header, client: Client) -> Result<Self, RecordError> {
        let options = OpenOptions::new().write(true).create_new(true).open(path);
        let file = options.map_err(|source| match source.kind() {
            std::io::ErrorKind::AlreadyExists => RecordError::Exists(path.to_owned()),
            _ => RecordError::Write {
                path: path.to_owned(),
                source,
            },
        })?;
        let tags = header.master.tags.iter();
        let tags = tags.map(|(key, value)| (key.as_str(), value.as_str()));
        let mut state = State {
            file,
            bodies: Bodies::beside(path),
            seen: BTreeMap::new(),
            is_under_way: false,
            counts: Recorded::default(),
        };
        state.write(path, &header.to_json_line())?;
        Ok(Self {
            client,
            master: header.master.name.clone(),
            deletes: parse(tags, |_| true).deletes != Some(false),
            path: path.to_owned(),
            state: Mutex::new(state),
        })
    }

    /// Writes down a payload and what it is about; `is_idle` says that all earlier ones have been
    /// handled.
    ///
    /// # Errors
    /// It is not in the file: the file could not be written, or the store could not be asked.
    pub async fn payload(&self, payload: &str, is_idle: bool) -> Result<(), RecordError> {
        self.invoke(payload, is_idle, None).await.map(drop)
    }

    /// Writes down a message that was given up, the only one of a payload. What the function will
    /// always refuse must be refused by a replay as well; anything else has another chance there.
    ///
    /// # Errors
    /// As with [`payload`](Self::payload).
    pub async fn dead_letter(&self, payload: &str, message: &str) -> Result<(), RecordError> {
        let number = self.state.lock().await.counts.payloads + 1;
        let id = format!("letter-{number}");
        if !self.invoke(payload, true, Some(&id)).await? || !is_refused(payload) {
            return Ok(());
        }
        let mut state = self.state.lock().await;
        self.settle(&mut state)?;
        let failures = json!({"batchItemFailures": [{"itemIdentifier": message}]});
        let refused = Expect::Response {
            of: id,
            is: ResponseCheck::Includes(failures),
        };
        self.step(&mut state, Action::Expect(refused))
    }

    /// Answers whether it is about the master, and so in the recording.
    async fn invoke(
        &self,
        payload: &str,
        is_idle: bool,
        id: Option<&str>,
    ) -> Result<bool, RecordError> {
        let mut state = self.state.lock().await;
        let Some(keys) = self.keys(payload) else {
            state.counts.others += 1;
            return Ok(false);
        };
        let payload = Payload::new(payload).map_err(RecordError::Payload)?;
        if is_idle && state.is_under_way {
            self.settle(&mut state)?;
        }
        for key in keys {
            self.look(&mut state, &key).await?;
        }
        state.is_under_way = !payload.is_answered();
        let step = Step {
            line: 0,
            id: id.map(str::to_owned),
            action: Action::Invoke(payload),
        };
        state.write(&self.path, &step.to_json_line())?;
        state.counts.payloads += 1;
        Ok(true)
    }

    /// Ends the recording with what must be so, and reads it once as a replay will.
    ///
    /// # Errors
    /// It could not be written, or is none.
    pub async fn finish(&self) -> Result<Recorded, RecordError> {
        let mut state = self.state.lock().await;
        self.settle(&mut state)?;
        let present: Vec<String> = state
            .seen
            .iter()
            .filter(|(_, object)| object.is_some())
            .map(|(key, _)| key.clone())
            .collect();
        // Where deletes are not replicated, targets keep what the master no longer has.
        let of_keys = match self.deletes {
            true => vec![None],
            false => present.into_iter().map(Some).collect(),
        };
        for key in of_keys {
            let equal = Expect::Equal { target: None, key };
            self.step(&mut state, Action::Expect(equal))?;
        }
        Recording::load(&self.path).map_err(RecordError::Load)?;
        Ok(state.counts)
    }

    /// The keys of the master that a payload names, each once; none if it is about others only.
    fn keys(&self, payload: &str) -> Option<Vec<String>> {
        // What is no event at all is the function's to refuse, in a replay as well.
        let Ok(invocation) = envelope::parse(payload) else {
            return Some(Vec::new());
        };
        let mut keys = Vec::new();
        let mut is_of_others = false;
        for delivery in invocation.deliveries {
            for change in delivery.changes {
                let key = change.key.as_str().to_owned();
                if change.bucket != self.master {
                    is_of_others = true;
                } else if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        (!keys.is_empty() || !is_of_others).then_some(keys)
    }

    /// Writes the operation that made a key what it is now, if it has changed.
    async fn look(&self, state: &mut State, key: &str) -> Result<(), RecordError> {
        let before = state.seen.get(key).cloned();
        let known = before.as_ref().and_then(Option::as_ref);
        let observed = observe(&self.client, &self.master, key, known, &mut state.bodies).await;
        let (kind, now) = match observed {
            Ok(Observed::Absent) if before == Some(None) => return Ok(()),
            Ok(Observed::Absent) => {
                let delete = Delete {
                    key: key.to_owned(),
                    version: None,
                };
                (Some(OperationKind::Delete(delete)), None)
            }
            Ok(Observed::Written(put, object)) => (Some(OperationKind::Put(put)), Some(object)),
            Ok(Observed::There(object)) => {
                let is_retagged = known.is_some_and(|known| known.tags != object.tags);
                let key = key.to_owned();
                let retag = match object.tags.is_empty() {
                    true => OperationKind::Untag(Untag { key }),
                    false => OperationKind::Tag(Tag {
                        key,
                        tags: object.tags.clone(),
                    }),
                };
                (is_retagged.then_some(retag), Some(object))
            }
            Err(RecordError::Read(error)) if error.is_lasting() => {
                tell(&error, key);
                state.counts.unreadable += 1;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if let Some(kind) = kind {
            let operation = Operation {
                target: None,
                held: true,
                kind,
            };
            self.step(state, Action::Operation(operation))?;
            state.counts.operations += 1;
        }
        state.seen.insert(key.to_owned(), now);
        Ok(())
    }

    fn settle(&self, state: &mut State) -> Result<(), RecordError> {
        state.is_under_way = false;
        let settle = Settle { within: SETTLE };
        self.step(state, Action::Settle(settle))
    }

    fn step(&self, state: &mut State, action: Action) -> Result<(), RecordError> {
        let step = Step {
            line: 0,
            id: None,
            action,
        };
        state.write(&self.path, &step.to_json_line())
    }
}

impl State {
    fn write(&mut self, path: &Path, line: &str) -> Result<(), RecordError> {
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written.map_err(|source| RecordError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

/// Whether a payload holds what is no event, whatever there is in the store.
fn is_refused(payload: &str) -> bool {
    let deliveries = envelope::parse(payload).map(|invocation| invocation.deliveries);
    deliveries.is_ok_and(|all| all.iter().any(|delivery| !delivery.malformed.is_empty()))
}

fn tell(error: &ReadError, key: &str) {
    let key = key.escape_debug();
    eprintln!(
        "warning: what happened to {key} is not recorded: {}",
        chain(error)
    );
}

#[cfg(test)]
mod tests;
