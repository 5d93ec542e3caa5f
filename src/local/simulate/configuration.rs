//! Configurations: what kinds of plans are drawn.

use std::fmt;
use std::str::FromStr;

use super::plan::{Acknowledged, Shape};

/// What kinds of plans are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configuration {
    /// As the command line names it.
    pub name: &'static str,
    /// In a few words.
    pub about: &'static str,
    pub(super) shape: Shape,
    pub(super) keys: u8,
    /// How many slow requests, at most.
    pub(super) slow: u64,
    /// How many faults, at most.
    pub(super) faults: u64,
    /// How many kills and freezes, at most.
    pub(super) kills: u64,
    /// Whether answers get lost, and sites go down.
    pub(super) lost_answers: bool,
    /// Whether metadata, headers and tags change.
    pub(super) details: bool,
    /// How many events a delivery has, at most.
    pub(super) batch: u64,
    /// How many syncs run beside the events. With any, not every operation has an event.
    pub(super) syncs: u8,
    /// Whether this configuration has a hole that is known, and asserted to be there.
    pub has_residue: bool,
    /// The most failed invocations in a hundred.
    pub failed_percent: u64,
}

const PLAIN: Shape = Shape {
    targets: 2,
    chain: false,
    streams: false,
    versioned_master: false,
    versioned_targets: false,
    encrypted: false,
    parts: false,
    acknowledged: Acknowledged::Whole,
};

const CALM: Configuration = Configuration {
    name: "calm",
    about: "duplicates, reordering, concurrency, late events; nothing goes wrong",
    shape: PLAIN,
    keys: 1,
    slow: 0,
    faults: 0,
    kills: 0,
    lost_answers: false,
    details: false,
    batch: 1,
    syncs: 0,
    has_residue: false,
    failed_percent: 0,
};

const SLOW: Configuration = Configuration {
    name: "slow",
    about: "calm, and requests that take seconds on their way, at work or on the way back",
    slow: 6,
    ..CALM
};

impl Configuration {
    /// All of them.
    pub const ALL: [Self; 13] = [
        CALM,
        SLOW,
        Self {
            name: "faults",
            about: "503, 500, errors in a 200, lost answers, silence, sites down",
            slow: 4,
            faults: 4,
            lost_answers: true,
            failed_percent: 60,
            ..CALM
        },
        Self {
            name: "kills",
            about: "invocations that die or freeze at any request, their writes arriving later",
            slow: 4,
            kills: 3,
            failed_percent: 60,
            ..CALM
        },
        Self {
            name: "metadata-and-tags",
            about: "changes of metadata, headers and tags only, with all of the above",
            slow: 4,
            faults: 1,
            kills: 1,
            lost_answers: true,
            details: true,
            failed_percent: 60,
            ..CALM
        },
        Self {
            name: "versioned",
            about: "versioned buckets, versions and markers deleted, slow requests and kills",
            shape: Shape {
                versioned_master: true,
                versioned_targets: true,
                ..PLAIN
            },
            slow: 4,
            kills: 1,
            details: true,
            failed_percent: 60,
            ..CALM
        },
        Self {
            name: "batches",
            about: "messages of several keys in batches, with and without a shared acknowledgement",
            shape: Shape {
                acknowledged: Acknowledged::Shared,
                ..PLAIN
            },
            keys: 2,
            slow: 4,
            faults: 2,
            batch: 4,
            failed_percent: 60,
            ..CALM
        },
        Self {
            name: "chain",
            about: "replicas that are the masters of others, told by their own events",
            shape: Shape {
                chain: true,
                ..PLAIN
            },
            slow: 4,
            kills: 1,
            failed_percent: 60,
            ..CALM
        },
        Self {
            name: "streams",
            about: "a target at another service, written by GET and PUT, with all of the above",
            shape: Shape {
                streams: true,
                acknowledged: Acknowledged::EachMessage,
                ..PLAIN
            },
            keys: 2,
            slow: 4,
            faults: 2,
            kills: 1,
            lost_answers: true,
            details: true,
            batch: 3,
            failed_percent: 60,
            ..CALM
        },
        Self {
            name: "encrypted",
            about: "ETags that say nothing, so that bytes are read and compared",
            shape: Shape {
                encrypted: true,
                versioned_master: true,
                ..PLAIN
            },
            slow: 4,
            kills: 1,
            details: true,
            failed_percent: 60,
            ..CALM
        },
        Self {
            name: "parts",
            about: "uploads in parts, cut off and taken up again, with all of the above",
            shape: Shape {
                streams: true,
                parts: true,
                ..PLAIN
            },
            slow: 4,
            faults: 1,
            kills: 3,
            lost_answers: true,
            details: true,
            failed_percent: 60,
            ..CALM
        },
        Self {
            name: "sync",
            about: "syncs beside the events, and operations whose events never come",
            keys: 2,
            slow: 4,
            faults: 1,
            kills: 2,
            lost_answers: true,
            details: true,
            batch: 2,
            syncs: 2,
            failed_percent: 60,
            ..CALM
        },
        Self {
            name: "residue",
            about: "the known hole: shared acknowledgement, and a delivery killed with a write in flight",
            shape: Shape {
                acknowledged: Acknowledged::Shared,
                ..PLAIN
            },
            slow: 4,
            faults: 1,
            kills: 2,
            lost_answers: true,
            batch: 2,
            has_residue: true,
            failed_percent: 60,
            ..CALM
        },
    ];
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// No configuration has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no configuration is called {0:?}; there are {names}", names = Configuration::ALL.map(|one| one.name).join(", "))]
pub struct UnknownConfiguration(String);

impl FromStr for Configuration {
    type Err = UnknownConfiguration;

    fn from_str(name: &str) -> Result<Self, UnknownConfiguration> {
        let known = Self::ALL.into_iter().find(|one| one.name == name);
        known.ok_or_else(|| UnknownConfiguration(name.to_owned()))
    }
}
