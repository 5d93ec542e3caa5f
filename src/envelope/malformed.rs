//! What is wrong with a payload, and where.
//!
//! A message shows a name at most, on one line and cut: never a body, since that may hold what
//! is not ours to log.

use std::fmt;

use thiserror::Error;

use crate::change::InvalidKey;
use crate::excerpt::excerpt;

/// A part of a payload that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected {expected} at {place}, found {found}")]
pub struct Malformed {
    /// Where, from the inside out: `s3.bucket.name of record 2 of message 059f36b4`.
    pub place: String,
    /// What should be there.
    pub expected: &'static str,
    /// What is there instead: a short name, or what it is.
    pub found: String,
    /// Why a text is no key.
    #[source]
    pub key: Option<InvalidKey>,
}

/// Where we are in a payload: a list on the stack, written out only for an error.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    outer: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Payload,
    Field(&'static str),
    Record(usize),
    Message(&'a str),
    Task(&'a str),
}

impl<'a> Place<'a> {
    /// The outermost level.
    pub(super) const PAYLOAD: Self = Self {
        outer: None,
        step: Step::Payload,
    };

    pub(super) fn field(&self, path: &'static str) -> Place<'_> {
        self.inner(Step::Field(path))
    }

    /// Records count from 1.
    pub(super) fn record(&self, number: usize) -> Place<'_> {
        self.inner(Step::Record(number))
    }

    pub(super) fn message<'b>(&'b self, id: &'b str) -> Place<'b> {
        self.inner(Step::Message(id))
    }

    pub(super) fn task<'b>(&'b self, id: &'b str) -> Place<'b> {
        self.inner(Step::Task(id))
    }

    fn inner<'b>(&'b self, step: Step<'b>) -> Place<'b> {
        Place {
            outer: Some(self),
            step,
        }
    }

    /// How many envelopes are around this place.
    pub(super) fn depth(&self) -> usize {
        let here = usize::from(matches!(self.step, Step::Field(_) | Step::Message(_)));
        here + self.outer.map_or(0, Place::depth)
    }

    pub(super) fn malformed(&self, expected: &'static str, found: impl fmt::Display) -> Malformed {
        Malformed {
            place: self.to_string(),
            expected,
            found: found.to_string(),
            key: None,
        }
    }

    /// For a text that may be shown.
    pub(super) fn malformed_text(&self, expected: &'static str, found: &str) -> Malformed {
        self.malformed(expected, format_args!("`{}`", excerpt(found)))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::Payload => f.write_str("the payload")?,
            Step::Field(path) => f.write_str(path)?,
            Step::Record(number) => write!(f, "record {number}")?,
            Step::Message(id) => write!(f, "message {}", excerpt(id))?,
            Step::Task(id) => write!(f, "task {}", excerpt(id))?,
        }
        match self.outer {
            Some(outer) if !matches!(outer.step, Step::Payload) => write!(f, " of {outer}"),
            _ => Ok(()),
        }
    }
}
