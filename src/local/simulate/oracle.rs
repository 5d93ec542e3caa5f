//! What a run showed, and what is wrong with it.

use std::fmt;

use super::plan::State;
use super::trace::Trace;

/// What a run showed.
#[derive(Debug, Default)]
pub struct Run {
    /// What is wrong; nothing, if all is well.
    pub divergences: Vec<Divergence>,
    /// How many invocations there were.
    pub invocations: u64,
    /// How many of them failed, or died.
    pub failed: u64,
    /// How many requests those sent that answered.
    pub requests: u64,
    /// What happened.
    pub trace: Trace,
}

/// Something that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Divergence {
    /// What it is.
    pub problem: Problem,
    /// In which bucket; the master is 0.
    pub bucket: Option<u8>,
    /// With which key.
    pub key: u8,
}

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// At rest, a replica is not what its master is.
    Different {
        /// What the master is.
        expected: Option<State>,
        /// What the replica is.
        found: Option<State>,
    },
    /// At rest, a replica is not what its master is; the trace says in what.
    Unlike,
    /// A delete marker was left on a replica that was absent all the time.
    BlindMarker {
        /// How many markers the key has at rest.
        markers: usize,
    },
    /// A reported outcome was never so while the invocation ran.
    Untrue,
    /// A change failed although nothing went wrong.
    FailedWithoutFault,
    /// An invocation did not answer in time although nothing went wrong.
    TimedOut,
    /// An event is in a queue of failures although all faults had ended.
    GivenUp,
    /// More requests than allowed.
    TooManyRequests,
    /// A replica was made of parts of two states.
    Mixed,
}

impl Problem {
    /// Whether a replica is left wrong.
    pub fn is_at_rest(&self) -> bool {
        matches!(self, Self::Different { .. } | Self::Unlike)
    }

    /// A name for counting.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Different { .. } | Self::Unlike => "replica differs",
            Self::BlindMarker { .. } => "needless delete marker",
            Self::Untrue => "untrue outcome",
            Self::FailedWithoutFault => "failed without a fault",
            Self::TimedOut => "timed out without a fault",
            Self::GivenUp => "given up",
            Self::TooManyRequests => "too many requests",
            Self::Mixed => "mixed bytes",
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self
            .bucket
            .map_or_else(String::new, |bucket| format!("replica-{bucket}/"));
        write!(f, "{place}k{}: ", self.key)?;
        let shown =
            |state: Option<State>| state.map_or("absent".to_owned(), |state| state.to_string());
        match self.problem {
            Problem::Different { expected, found } => {
                write!(f, "is {}, the master is {}", shown(found), shown(expected))
            }
            Problem::BlindMarker { markers } => {
                write!(
                    f,
                    "a delete was sent although it was absent ({markers} delete markers)"
                )
            }
            problem => f.write_str(problem.name()),
        }
    }
}
