//! What happened, in the order of time.

use std::fmt;

use super::model::Answer;
use super::plan::{Effect, Micros, State};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Operated {
        id: u16,
        key: u8,
        state: Option<State>,
    },
    Started {
        delivery: u16,
        attempt: u8,
        bucket: u8,
        events: Vec<u16>,
    },
    Sent {
        request: usize,
        delivery: u16,
        attempt: u8,
        number: u16,
        bucket: u8,
        key: u8,
        /// As S3 calls it.
        operation: &'static str,
        /// In full.
        detail: String,
        effect: Option<Effect>,
    },
    Read {
        request: usize,
        reply: Answer,
        read: Option<State>,
    },
    Wrote {
        request: usize,
        after: Option<State>,
    },
    Noticed {
        request: usize,
        answer: Answer,
    },
    Ended {
        delivery: u16,
        attempt: u8,
        how: &'static str,
        outcomes: Vec<String>,
        failed: Vec<u16>,
    },
    /// What else the SDK layer saw.
    Wire(String),
    GivenUp {
        delivery: u16,
        events: Vec<u16>,
    },
}

/// All that happened, or nothing, where nobody reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace(Option<Vec<(Micros, Line)>>);

impl Trace {
    /// One that is kept.
    pub fn kept() -> Self {
        Self(Some(Vec::new()))
    }

    /// One that is not.
    pub fn dropped() -> Self {
        Self(None)
    }

    pub(super) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn add(&mut self, at: Micros, line: impl FnOnce() -> Line) {
        if let Some(lines) = &mut self.0 {
            lines.push((at, line()));
        }
    }

    pub(super) fn lines(&self) -> &[(Micros, Line)] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// Every line in full, for comparing runs bit by bit.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, line) in self.lines() {
            writeln!(f, "{at} {line:?}")?;
        }
        Ok(())
    }
}
