//! Sync: reconcile every key of the walk, then delete what only targets have.
//!
//! Deletes come last, when the walk has met every key and their number is known. Each is a
//! reconcile of its own, which asks the master for the key and for its bucket once more, so a
//! listing that said too little deletes nothing.

use futures_util::stream::{self, StreamExt};

use super::judge::listed_alike;
use super::keys::Keys;
use super::merge::{Row, Sight};
use super::subject::Subject;
use super::walk::{Met, Stop, Walked, walk};
use crate::change::ObjectKey;
use crate::error::Failure;
use crate::object::Object;
use crate::reconcile::{Comparison, Outcome, Store, Unsettled, Written};
use crate::site::Bucket;
use crate::store::Key;
use crate::transfer::Turn;

/// How a walk repairs.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Whether keys that are alike by their listings are left alone.
    pub by_listing: bool,
    /// Whether nothing is written.
    pub is_rehearsal: bool,
    /// The targets at which keys that only targets have are to be deleted behind the walk: they hold
    /// the position back until then.
    pub to_delete: &'a [usize],
}

/// How a key ended at one target.
#[derive(Debug, Clone)]
pub struct Repair {
    /// The target, by its place among them.
    pub target: usize,
    /// What was done.
    pub outcome: Result<Outcome, Failure>,
    /// Bytes of the object, as far as listings show it.
    pub size: u64,
}

/// How a key ended.
#[derive(Debug, Clone)]
pub struct Repaired {
    /// Whether the master's listing has it.
    pub in_master: bool,
    /// At each target that was asked.
    pub repairs: Vec<Repair>,
}

/// Keys that only targets have, as long as they are few enough to be deleted.
#[derive(Debug)]
pub struct Extra {
    most: u64,
    spared: Vec<usize>,
    count: u64,
    /// Empty where there are too many.
    keys: Vec<(ObjectKey, Vec<(usize, u64)>)>,
}

impl Extra {
    /// Room for so many replicas; at `spared` targets none counts.
    pub fn at_most(most: u64, spared: Vec<usize>) -> Self {
        Self {
            most,
            spared,
            count: 0,
            keys: Vec::new(),
        }
    }

    /// What is extra of a key that has ended.
    pub fn add(&mut self, key: &ObjectKey, repairs: &[Repair]) {
        let is_extra = |repair: &&Repair| {
            matches!(repair.outcome, Ok(Outcome::Kept)) && !self.spared.contains(&repair.target)
        };
        let extra = repairs.iter().filter(is_extra);
        let extra: Vec<_> = extra.map(|repair| (repair.target, repair.size)).collect();
        self.count += extra.len() as u64;
        if self.count > self.most {
            self.keys = Vec::new();
        } else if !extra.is_empty() {
            self.keys.push((key.clone(), extra));
        }
    }

    /// How many replicas.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// Makes all `keys` equal, and deletes nothing; what only a target has comes out as kept.
pub async fn repair(
    subject: &Subject,
    keys: Keys,
    after: Option<ObjectKey>,
    options: Options<'_>,
    stop: &Stop,
    mut tell: impl FnMut(Met<Repaired>),
) -> Walked {
    walk(
        keys,
        after,
        stop,
        async || subject.turn().await,
        async |row, turn| {
            let (open, mut repairs) = alike(row, options);
            if !open.is_empty() {
                let key = (&row.key, &turn);
                repairs.extend(reconcile(subject, key, &open, false, options).await);
            }
            Repaired {
                in_master: matches!(row.master, Sight::Listed(_)),
                repairs,
            }
        },
        |met| {
            let is_confirmed = match &met {
                Met::Key(_, key) => key.repairs.iter().all(|repair| match repair.outcome {
                    Ok(Outcome::Kept) => !options.to_delete.contains(&repair.target),
                    Ok(_) => true,
                    Err(_) => false,
                }),
                Met::Lost(..) => true,
            };
            tell(met);
            is_confirmed
        },
    )
    .await
}

/// Deletes what is extra, wherever the master still does not have it.
pub async fn delete(
    subject: &Subject,
    extra: Extra,
    options: Options<'_>,
    stop: &Stop,
    mut tell: impl FnMut(ObjectKey, Vec<Repair>),
) {
    let turns = stream::iter(extra.keys).then(async |extra| (extra, subject.turn().await));
    let ended = turns
        .take_until(stop.soon.wait())
        .map(async |((key, targets), turn)| {
            let repairs = reconcile(subject, (&key, &turn), &targets, true, options).await;
            (key, repairs)
        })
        .buffer_unordered(usize::MAX);
    let mut ended = std::pin::pin!(ended.take_until(stop.now.wait()));
    while let Some((key, repairs)) = ended.next().await {
        tell(key, repairs);
    }
}

async fn reconcile(
    subject: &Subject,
    (key, turn): (&ObjectKey, &Turn<'_>),
    open: &[(usize, u64)],
    deletes: bool,
    options: Options<'_>,
) -> Vec<Repair> {
    let buckets: Vec<Bucket> = open
        .iter()
        .map(|&(target, _)| subject.targets()[target].clone())
        .collect();
    let reconciled = subject.reconcile(key, turn, &buckets, deletes, options.is_rehearsal);
    let report = Box::pin(reconciled).await;
    let outcomes = open.iter().zip(report.outcomes);
    outcomes
        .map(|(&(target, size), outcome)| Repair {
            target,
            outcome,
            size,
        })
        .collect()
}

/// The targets that have to be looked at, with the sizes there are, and those that are alike by
/// their listings.
fn alike(row: &Row, options: Options<'_>) -> (Vec<(usize, u64)>, Vec<Repair>) {
    let (mut open, mut alike) = (Vec::new(), Vec::new());
    for (target, replica) in row.replicas.iter().enumerate() {
        let size = match (&row.master, replica) {
            (Sight::Listed(entry), _) | (_, Sight::Listed(entry)) => entry.size,
            _ => 0,
        };
        match replica {
            Sight::Lost => {}
            // Another target has the key.
            Sight::Absent if row.master == Sight::Absent => {}
            _ if options.by_listing && listed_alike(&row.master, replica) => {
                let outcome = Ok(Outcome::Equal);
                alike.push(Repair {
                    target,
                    outcome,
                    size,
                });
            }
            _ => open.push((target, size)),
        }
    }
    (open, alike)
}

/// A key that reconcile believes to write and that stays as it is, so that a dry run shows exactly
/// what would be done.
pub struct Rehearsal<'a>(pub Key<'a>);

impl Store for Rehearsal<'_> {
    async fn master(&self) -> Result<Option<Object>, Failure> {
        self.0.master().await
    }

    async fn master_bucket(&self) -> Result<(), Failure> {
        self.0.master_bucket().await
    }

    async fn replica(&self, target: usize) -> Result<Option<Object>, Failure> {
        self.0.replica(target).await
    }

    async fn compare(
        &self,
        master: &Object,
        target: usize,
        replica: &Object,
    ) -> Result<Comparison, Failure> {
        self.0.compare(master, target, replica).await
    }

    async fn copy(&self, _: &Object, targets: &[usize]) -> Vec<Written> {
        targets.iter().map(|_| written()).collect()
    }

    async fn put_tags(&self, _: &Object, _: usize) -> Written {
        written()
    }

    async fn delete(&self, _: usize) -> Written {
        written()
    }

    fn failure(&self, target: usize, unsettled: Unsettled) -> Failure {
        self.0.failure(target, unsettled)
    }
}

fn written() -> Written {
    Written {
        result: Ok(()),
        ambiguous: false,
        resumed: false,
    }
}
