//! Recordings: operations and deliveries in a file that can be replayed.
//!
//! JSON Lines: a header, then one step a line. A recording in memory is one that has passed every
//! check of [`Recording::load`], or was built by code that keeps to the same rules; what
//! [`Recording::to_json_lines`] writes, loading accepts and gives back unchanged.

mod body;
mod expect;
mod header;
mod load;
mod step;
mod write;

use std::path::PathBuf;

pub use body::{Body, Chunks};
pub use expect::{Amount, Expect, ExpectedObject, OutcomeName, ResponseCheck, UnknownOutcome};
pub use header::{Batch, Bucket, Function, Header, TargetBucket};
pub use load::{HEADERS, LoadError, Problem, Problems};
pub use step::{
    Action, Checksum, Copy, Delete, Operation, OperationKind, Payload, Put, Settle, Step, Tag,
    UnknownChecksum, Untag,
};

/// The version of the format that is read and written.
pub const FORMAT: u64 = 1;

/// A header and the steps that follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Where it was read from; body files are relative to it.
    pub path: PathBuf,
    /// The world in which the steps happen.
    pub header: Header,
    /// What happens, in order; never empty.
    pub steps: Vec<Step>,
}

impl Recording {
    /// The buckets that notify the function: the master, and every target whose own tags, at the
    /// start or by a later step, make it the master of others.
    pub fn notifying(&self) -> Vec<&str> {
        let tagged_later = |bucket: &str| {
            self.steps.iter().any(|step| match &step.action {
                Action::Operation(Operation {
                    target: Some(target),
                    kind: OperationKind::BucketTags(tags),
                    ..
                }) => target == bucket && header::name_targets(tags),
                _ => false,
            })
        };
        let masters_of_others = self.header.targets.iter().filter(|target| {
            header::name_targets(&target.bucket.tags) || tagged_later(&target.bucket.name)
        });
        let of_others = masters_of_others.map(|target| target.bucket.name.as_str());
        std::iter::once(self.header.master.name.as_str())
            .chain(of_others)
            .collect()
    }
}

#[cfg(test)]
mod tests;
