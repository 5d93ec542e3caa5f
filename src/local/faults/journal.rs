//! What was asked of the stores, in the order in which it arrived.

use std::sync::Mutex;

use super::operation::{Named, S3Operation};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the order of arrival, from 0.
    pub sequence: usize,
    /// The S3 operation.
    pub operation: S3Operation,
    /// The bucket, where the request names one.
    pub bucket: Option<String>,
    /// The decoded key, where the request names one.
    pub key: Option<String>,
    /// The bucket and decoded key that a copy reads.
    pub source: Option<(String, String)>,
    /// Whether tags are written together with the object.
    pub sets_tags: bool,
    /// The function's instance that sent it (`instance-1`); none: it was not the function.
    pub instance: Option<String>,
    /// How it ended; none: it is still in flight.
    pub ending: Option<Ending>,
    /// Bytes of the request's body that the store has read.
    pub bytes_in: u64,
    /// Bytes of the answer's body that have been sent.
    pub bytes_out: u64,
    /// Whether a fault took it.
    pub faulted: bool,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With an answer of this status.
    Answered(u16),
    /// Without an answer.
    HungUp,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    In,
    Out,
}

#[derive(Debug, Default)]
pub(super) struct Journal(Mutex<Vec<Entry>>);

impl Journal {
    pub(super) fn begin(&self, named: &Named, instance: Option<String>, faulted: bool) -> usize {
        self.with(|entries| {
            let sequence = entries.len();
            entries.push(Entry {
                sequence,
                operation: named.operation,
                bucket: named.bucket.clone(),
                key: named.key.clone(),
                source: named.source.clone(),
                sets_tags: named.sets_tags,
                instance,
                ending: None,
                bytes_in: 0,
                bytes_out: 0,
                faulted,
            });
            sequence
        })
    }

    pub(super) fn end(&self, sequence: usize, ending: Ending) {
        self.with(|entries| entries[sequence].ending = Some(ending));
    }

    pub(super) fn count(&self, sequence: usize, direction: Direction, bytes: usize) {
        self.with(|entries| {
            let entry = &mut entries[sequence];
            match direction {
                Direction::In => entry.bytes_in += bytes as u64,
                Direction::Out => entry.bytes_out += bytes as u64,
            }
        });
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.with(|entries| entries.clone())
    }

    fn with<T>(&self, use_entries: impl FnOnce(&mut Vec<Entry>) -> T) -> T {
        use_entries(&mut self.0.lock().expect("no holder of the journal panics"))
    }
}
