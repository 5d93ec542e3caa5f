//! What a run showed, and what is wrong with it.

use std::fmt;

use super::plan::{Plan, State, What};
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
    /// An event was acknowledged, and its key had never been right while the invocation ran.
    Premature,
    /// An event is in a queue of failures although all faults had ended.
    GivenUp,
    /// More requests than allowed.
    TooManyRequests,
    /// More of what is moved was held at once than the budget allows.
    TooMuchMemory {
        /// So many bytes.
        held: usize,
    },
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
            Self::Premature => "acknowledged too early",
            Self::FailedWithoutFault => "failed without a fault",
            Self::TimedOut => "timed out without a fault",
            Self::GivenUp => "given up",
            Self::TooManyRequests => "too many requests",
            Self::TooMuchMemory { .. } => "too much memory",
            Self::Mixed => "mixed bytes",
        }
    }
}

/// What is in a bucket at a key, as far as somebody looks at it.
pub(super) trait Seen: PartialEq {
    /// Whether nothing but the tags differs.
    fn is_equal_but_for_tags(&self, other: &Self) -> bool;
    /// Whether the tags don't differ.
    fn has_tags_of(&self, other: &Self) -> bool;
}

/// Whether a replica was equal to its master, by all the states that the two have had since some
/// time, and `present` where that matters.
///
/// Tags are read by a request of their own, so the rest may be of one time and they of another:
/// then the master has changed meanwhile, and the event of that change is still to come.
pub(super) fn was_so<S, M, R>(
    master: impl Fn() -> M,
    replica: impl Fn() -> R,
    present: Option<bool>,
) -> bool
where
    S: Seen,
    M: Iterator<Item = Option<S>>,
    R: Iterator<Item = Option<S>>,
{
    let tags_agree = || {
        replica()
            .flatten()
            .any(|state| master().flatten().any(|other| state.has_tags_of(&other)))
    };
    replica().any(|state| {
        present.is_none_or(|present| state.is_some() == present)
            && master().any(|other| match (&state, &other) {
                (Some(state), Some(other)) => {
                    state == other || (state.is_equal_but_for_tags(other) && tags_agree())
                }
                (state, other) => state == other,
            })
    })
}

/// The most requests that one round may send for a key, whose object has so many parts where the
/// plan has parts.
pub(super) fn round_bound(plan: &Plan, bucket: u8, parts: usize) -> u32 {
    let targets = plan.targets(bucket).len() as u32;
    let mut bound = 2 + 2 * targets;
    let has_tags = plan
        .operations
        .iter()
        .any(|operation| match operation.what {
            What::Put(state) => state.tags > 0,
            What::Tag(tags) => tags > 0,
            _ => false,
        });
    if has_tags {
        bound += 2 + targets;
    }
    if plan.shape.streams {
        bound += 1;
    }
    if plan.shape.parts {
        // Instead of one copy: where the parts begin, what others left is listed and aborted, one
        // begun, each part read and sent, completed or aborted; and once more, if the parts were
        // not what was assumed.
        bound += targets * 2 * (4 + 3 * parts as u32);
    }
    if plan.shape.encrypted {
        bound += 2 * targets;
    }
    bound
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
            Problem::TooMuchMemory { held } => write!(f, "{held} bytes were held at once"),
            problem => f.write_str(problem.name()),
        }
    }
}
