//! One invocation: every distinct key is reconciled by the real reconcile.

use std::cell::Cell;

use futures_util::future::join_all;

use super::request::Call;
use super::store::Key;
use super::world::World;
use crate::local::simulate::mutant::{Mutant, Mutated};
use crate::reconcile::{Outcome, reconcile};

/// One event in an invocation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    /// The operation, where it is one.
    pub(super) event: u16,
    pub(super) key: u8,
    /// Whether it tells of a creation; only the naive algorithm cares.
    pub(super) created: bool,
    /// Which acknowledgement it waits for.
    pub(super) message: usize,
}

/// How a key ended.
#[derive(Debug)]
pub(super) struct KeyReport {
    pub(super) key: u8,
    pub(super) outcomes: Vec<Option<Outcome>>,
    pub(super) rounds: u32,
}

impl KeyReport {
    pub(super) fn is_failed(&self) -> bool {
        self.outcomes.iter().any(Option::is_none)
    }
}

/// How an invocation ended.
#[derive(Debug)]
pub(super) struct Report {
    /// One for each distinct key.
    pub(super) keys: Vec<KeyReport>,
    /// For each item, which of the keys tells how it ended.
    pub(super) named: Vec<usize>,
    pub(super) retries: u32,
}

pub(super) async fn invocation(world: &World<'_>, id: u32, bucket: u8, items: Vec<Item>) -> Report {
    let (master_exists, retries) = (Cell::default(), Cell::new(0));
    let mut work: Vec<Item> = Vec::with_capacity(items.len());
    let mut named = Vec::with_capacity(items.len());
    for item in items {
        let known = work.iter().position(|other| other.key == item.key);
        match known {
            Some(index) if world.rules.mutant != Some(Mutant::NoGrouping) => named.push(index),
            _ => {
                named.push(work.len());
                work.push(item);
            }
        }
    }
    let one = async |item: &Item| {
        let key = Key {
            world,
            invocation: id,
            bucket,
            key: item.key,
            master_exists: &master_exists,
            seen: Default::default(),
            retries: &retries,
        };
        on_key(key, item.created).await
    };
    let keys = match &work[..] {
        [item] => vec![one(item).await],
        _ => join_all(work.iter().map(one)).await,
    };
    let retries = retries.get();
    Report {
        keys,
        named,
        retries,
    }
}

async fn on_key(key: Key<'_, '_>, created: bool) -> KeyReport {
    let (name, targets) = (key.key, key.world.plan.targets(key.bucket).len());
    let report = match key.world.rules.mutant {
        Some(Mutant::Naive) => return naive(key, created).await,
        Some(mutant) if mutant.is_wrapper() => {
            reconcile(&Mutated::new(key, mutant), targets, true).await
        }
        _ => reconcile(&key, targets, true).await,
    };
    KeyReport {
        key: name,
        outcomes: report.outcomes.into_iter().map(Result::ok).collect(),
        rounds: report.rounds,
    }
}

/// The origin's algorithm, which swallows every error.
async fn naive(key: Key<'_, '_>, created: bool) -> KeyReport {
    let targets = key.world.plan.targets(key.bucket);
    let call = if created {
        Call::Copy {
            from: key.bucket,
            if_match: super::request::Tag(0),
            exact: Default::default(),
        }
    } else {
        Call::Delete
    };
    let outcomes = targets.map(async |target| {
        let _ = key.request(target, call).await;
        Some(if created {
            Outcome::Copied
        } else {
            Outcome::Deleted
        })
    });
    KeyReport {
        key: key.key,
        outcomes: join_all(outcomes).await,
        rounds: 1,
    }
}
