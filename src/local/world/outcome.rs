//! What the function's log says about outcomes.

use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::local::lambda::LogLine;

/// One line of the function's log that tells how a change ended at a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeLine {
    /// The invocation.
    #[serde(default)]
    pub request_id: String,
    /// The master.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The target's bucket; none where no target was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The target's site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// How it ended.
    pub outcome: String,
    /// For a failure, whether it is one that passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// For a failure, why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The notification's event name.
    pub event: String,
    /// How many rounds it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u32>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
}

impl OutcomeLine {
    /// The outcome that a line of the log tells, if it tells one.
    pub fn parse(line: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Logged {
            message: String,
            #[serde(flatten)]
            outcome: OutcomeLine,
        }
        let logged: Logged = serde_json::from_str(line).ok()?;
        (logged.message == "outcome").then_some(logged.outcome)
    }
}

/// All outcomes so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcomes {
    lines: Arc<Mutex<Vec<OutcomeLine>>>,
    count: watch::Sender<usize>,
}

impl Outcomes {
    /// Takes in a line of the log; answers the outcome that it tells.
    pub(super) fn record(&self, line: &LogLine) -> Option<OutcomeLine> {
        let outcome = OutcomeLine::parse(&line.line)?;
        self.lines().push(outcome.clone());
        self.count.send_modify(|count| *count += 1);
        Some(outcome)
    }

    /// The outcomes up to now.
    pub(super) fn all(&self) -> Vec<OutcomeLine> {
        self.lines().clone()
    }

    /// Changes with every outcome that comes.
    pub(super) fn watch(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    fn lines(&self) -> MutexGuard<'_, Vec<OutcomeLine>> {
        self.lines.lock().expect("no holder of the outcomes panics")
    }
}
