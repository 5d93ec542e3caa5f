//! What goes into a function and what comes out of it.
//!
//! [`Invoke`] is the seam between what delivers events and what runs them: the real process
//! ([`Function::invoker`](super::Function::invoker)), or anything else that answers.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One event on its way into a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Identifies the event in logs and records; attempts of one asynchronous event share it.
    pub request_id: String,
    /// What the function receives, as it is; nothing checks that it is JSON.
    pub payload: String,
}

impl Event {
    /// An event with an id of its own.
    pub fn new(payload: impl Into<String>) -> Self {
        Self {
            request_id: Uuid::new_v4().to_string(),
            payload: payload.into(),
        }
    }
}

/// One attempt to have an event handled, when it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The event's id.
    pub request_id: String,
    /// The instance that had it, unless none could be started.
    pub instance: Option<u32>,
    /// The function's answer, or why there is none.
    pub result: Result<String, FunctionError>,
}

/// How a function failed, as Lambda reports it to whoever invoked it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({kind})")]
pub struct FunctionError {
    /// Lambda's `errorType`: the function's own, or `Sandbox.Timedout`, `Runtime.ExitError`, …
    #[serde(rename = "errorType", default = "unhandled")]
    pub kind: String,
    /// Lambda's `errorMessage`.
    #[serde(rename = "errorMessage", default)]
    pub message: String,
}

impl FunctionError {
    pub(super) fn new(kind: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            message: message.into(),
        }
    }
}

fn unhandled() -> String {
    "Unhandled".to_owned()
}

/// Has one event handled, once.
pub type Invoke = Arc<dyn Fn(Event) -> BoxFuture<'static, Invocation> + Send + Sync>;

/// Waits until no request of a failed or dead invocation is in flight at the store any more.
///
/// Awaited after the delay and before an event is handled again, so that a late write of the
/// earlier attempt can't undo what the next one does.
pub type Quiesced = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// For a store whose requests are over when the invocation is: there is nothing to wait for.
pub fn at_once() -> Quiesced {
    Arc::new(|| Box::pin(async {}))
}
