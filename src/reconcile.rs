//! Make one key equal everywhere: observe, decide, act, confirm.
//!
//! Why it converges: consider the last write that takes effect on a replica. Its writer saw
//! afterwards that the master was still in the state it wrote, or it would have written again; and
//! every later change of the master causes an event whose invocation observes a state at least as
//! new. So there is no lock, no database and no order of events, and three rules instead:
//!
//! - a write carries exactly the observed state ([`Store::copy`], [`Store::put_tags`]);
//! - *confirm* comes after every write has been answered, never beside one;
//! - a write that may still take effect later fails the change, so that it is looked at again.
//!
//! There is no clock and no spawning in here: deadlines and retries belong to the store.

use futures_util::future::{join, join_all, join3};

use crate::error::{Failure, Kind};
use crate::object::Object;
use crate::plan::{Action, after_reading, decide};

/// How often a master that keeps changing is looked at again in one invocation.
pub const ROUNDS: u32 = 5;

/// What reconcile may do to one key: at its master, and at its targets, counted from 0.
#[allow(async_fn_in_trait, reason = "one key is reconciled on one thread")]
pub trait Store {
    /// The master's object with its tags; `None` if there is none.
    async fn master(&self) -> Result<Option<Object>, Failure>;
    /// Whether the master's bucket is there at all, asked before anything is deleted.
    async fn master_bucket(&self) -> Result<(), Failure>;
    /// A target's object with its tags; `None` if there is none.
    async fn replica(&self, target: usize) -> Result<Option<Object>, Failure>;
    /// Reads and compares the bytes of two objects whose equality nothing else proves.
    async fn compare(
        &self,
        master: &Object,
        target: usize,
        replica: &Object,
    ) -> Result<Comparison, Failure>;
    /// Writes exactly `master` to every one of `targets`; the answers are in their order.
    async fn copy(&self, master: &Object, targets: &[usize]) -> Vec<Written>;
    /// Gives the replica exactly the tags of `master`.
    async fn put_tags(&self, master: &Object, target: usize) -> Written;
    /// Deletes the replica.
    async fn delete(&self, target: usize) -> Written;
    /// A failure of reconcile itself at a target.
    fn failure(&self, target: usize, unsettled: Unsettled) -> Failure;
}

/// What reading two objects gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// The same bytes.
    Same,
    /// Other bytes.
    Different,
    /// The deadline came first. `newer` says whether the replica was written after the master's
    /// last change, by one clock.
    OutOfTime {
        /// Proven by the clock of one service.
        newer: bool,
    },
}

/// The answer to a write.
#[derive(Debug)]
pub struct Written {
    /// The final answer.
    pub result: Result<(), Failure>,
    /// Whether some attempt was sent and never answered, so that it may still take effect.
    pub ambiguous: bool,
    /// Whether an upload of another invocation was completed: its metadata and tags may be of an
    /// earlier state, so this round is never the last one.
    pub resumed: bool,
}

impl Written {
    /// Nothing was sent.
    pub fn failed(failure: Failure) -> Self {
        Self {
            result: Err(failure),
            ambiguous: false,
            resumed: false,
        }
    }
}

/// Why a target is not settled although no request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsettled {
    /// The master changed in every round.
    #[error("the master still changes after {ROUNDS} rounds")]
    StillChanging,
    /// The last round ended before it could be confirmed.
    #[error("other targets raced in all {ROUNDS} rounds, so the last write is not confirmed")]
    Unconfirmed,
    /// A write got no answer.
    #[error("an attempt to write got no answer and may still take effect")]
    Ambiguous,
    /// The bytes decide, and there was no time to read them.
    #[error("only the bytes can prove the replica equal, and the deadline came first")]
    OutOfTime,
}

/// How one target ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The object was written.
    Copied,
    /// Its tags were written.
    Tagged,
    /// The replica was deleted.
    Deleted,
    /// Nothing was to do.
    Equal,
    /// All but the bytes is proven equal, and the replica is newer; `verify --bytes` tells.
    Unproven,
    /// The key is gone from the master, and deletes are off.
    Kept,
}

impl Outcome {
    /// As logs, metrics and tables name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::Tagged => "tagged",
            Self::Deleted => "deleted",
            Self::Equal => "equal",
            Self::Unproven => "unproven",
            Self::Kept => "kept",
        }
    }
}

/// How all targets of one key ended, in their order.
#[derive(Debug, Default)]
pub struct Report {
    /// One for each target.
    pub outcomes: Vec<Result<Outcome, Failure>>,
    /// How many rounds it took.
    pub rounds: u32,
    /// Bytes of the master's object when it was last observed.
    pub size: u64,
}

/// Makes every one of `targets` equal to the master; what goes wrong at one stops no other.
pub async fn reconcile(store: &impl Store, targets: usize, deletes: bool) -> Report {
    let mut ledger = vec![Entry::default(); targets];
    let (mut rounds, mut size) = (0, 0);
    let last = loop {
        rounds += 1;
        match round(store, &mut ledger, deletes, &mut size).await {
            Round::Settled => break Round::Settled,
            unsettled if rounds == ROUNDS => break unsettled,
            Round::Raced | Round::Changed => {}
        }
    };
    let outcomes = ledger
        .into_iter()
        .enumerate()
        .map(|(target, entry)| entry.end(last, |unsettled| store.failure(target, unsettled)))
        .collect();
    Report {
        outcomes,
        rounds,
        size,
    }
}

/// What is known of one target so far.
#[derive(Debug, Clone, Default)]
struct Entry {
    /// The last write, of whatever round.
    written: Option<Outcome>,
    /// Why the last round left it alone although it is not proven equal.
    untouched: Option<Outcome>,
    failure: Option<Failure>,
    /// The write or look of the last round that met another state than the observed one.
    raced: Option<Failure>,
    /// Written in the last round, and not confirmed.
    unconfirmed: bool,
    /// Written by completing what another invocation had begun: in this round, and in the last one.
    resumed: bool,
    was_resumed: bool,
    ambiguous: bool,
}

impl Entry {
    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    fn end(
        self,
        last: Round,
        unsettled: impl FnOnce(Unsettled) -> Failure,
    ) -> Result<Outcome, Failure> {
        let failure = match (self.failure, last) {
            (None, Round::Changed) => Some(unsettled(Unsettled::StillChanging)),
            (None, Round::Raced) if self.raced.is_some() => self.raced,
            (None, Round::Raced) if self.unconfirmed => Some(unsettled(Unsettled::Unconfirmed)),
            (None, _) if self.ambiguous => Some(unsettled(Unsettled::Ambiguous)),
            (failure, _) => failure,
        };
        match failure {
            // Whatever else is wrong, a write that may still take effect is looked at again.
            Some(failure) if self.ambiguous => Err(Failure {
                kind: Kind::Retryable,
                ..failure
            }),
            Some(failure) => Err(failure),
            None => Ok(self.untouched.or(self.written).unwrap_or(Outcome::Equal)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    Settled,
    /// Some target met another state than the observed one, or may hold another one.
    Raced,
    /// The master is not what was observed.
    Changed,
}

async fn round(store: &impl Store, ledger: &mut [Entry], deletes: bool, size: &mut u64) -> Round {
    let open: Vec<usize> = (0..ledger.len())
        .filter(|&i| ledger[i].failure.is_none())
        .collect();
    let observe = join_all(open.iter().map(|&target| store.replica(target)));
    let (master, replicas) = join(store.master(), observe).await;
    let master = match master {
        Ok(master) => master,
        Err(failure) if failure.kind == Kind::Raced => return Round::Changed,
        Err(failure) => {
            open.iter()
                .for_each(|&target| ledger[target].fail(failure.clone()));
            return Round::Settled;
        }
    };

    *size = master.as_ref().map_or(0, |master| master.size);
    let mut plan = Plan::default();
    for &target in &open {
        let entry = &mut ledger[target];
        (entry.untouched, entry.raced) = (None, None);
        entry.unconfirmed = false;
        entry.was_resumed = std::mem::take(&mut entry.resumed);
    }
    let decisions = open.iter().zip(replicas).map(async |(&target, replica)| {
        (
            target,
            decide_one(store, master.as_ref(), target, replica, deletes).await,
        )
    });
    for (target, decision) in join_all(decisions).await {
        match decision {
            Ok(Decision::Act(action)) => {
                let entry = &mut ledger[target];
                // What another invocation had begun turns out to be a copy of this very state.
                if entry.was_resumed && action == Action::Nothing && master.is_some() {
                    entry.written = Some(Outcome::Copied);
                }
                plan.add(target, action, entry);
            }
            Ok(Decision::Unproven) => ledger[target].untouched = Some(Outcome::Unproven),
            Err(failure) if failure.kind == Kind::Raced => ledger[target].raced = Some(failure),
            Err(failure) => ledger[target].fail(failure),
        }
    }

    let wrote = act(store, master.as_ref(), plan, ledger).await;
    if ledger
        .iter()
        .any(|entry| entry.raced.is_some() || entry.resumed)
    {
        return Round::Raced;
    }
    if wrote.is_empty() {
        return Round::Settled;
    }
    match store.master().await {
        Ok(now) if now == master => Round::Settled,
        Ok(_) => Round::Changed,
        Err(failure) if failure.kind == Kind::Raced => Round::Changed,
        Err(failure) => {
            wrote
                .iter()
                .for_each(|&target| ledger[target].fail(failure.clone()));
            Round::Settled
        }
    }
}

enum Decision {
    Act(Action),
    Unproven,
}

async fn decide_one(
    store: &impl Store,
    master: Option<&Object>,
    target: usize,
    replica: Result<Option<Object>, Failure>,
    deletes: bool,
) -> Result<Decision, Failure> {
    let replica = replica?;
    let action = decide(master, replica.as_ref(), deletes);
    let (Action::Read { tags }, Some(master), Some(replica)) = (action, master, &replica) else {
        return Ok(Decision::Act(action));
    };
    match store.compare(master, target, replica).await? {
        Comparison::Same => Ok(Decision::Act(after_reading(true, tags))),
        Comparison::Different => Ok(Decision::Act(after_reading(false, tags))),
        Comparison::OutOfTime { newer: true } if !tags => Ok(Decision::Unproven),
        Comparison::OutOfTime { .. } => Err(store.failure(target, Unsettled::OutOfTime)),
    }
}

/// The writes of one round, by what they do.
#[derive(Default)]
struct Plan {
    copy: Vec<usize>,
    tag: Vec<usize>,
    delete: Vec<usize>,
}

impl Plan {
    fn add(&mut self, target: usize, action: Action, entry: &mut Entry) {
        match action {
            Action::Copy => self.copy.push(target),
            Action::PutTags => self.tag.push(target),
            Action::Delete => self.delete.push(target),
            Action::Keep => entry.untouched = Some(Outcome::Kept),
            Action::Nothing | Action::Read { .. } => {}
        }
    }
}

/// Executes a plan, all targets at once; returns the targets that were written.
async fn act(
    store: &impl Store,
    master: Option<&Object>,
    mut plan: Plan,
    ledger: &mut [Entry],
) -> Vec<usize> {
    // A vanished master must never empty its targets.
    if !plan.delete.is_empty()
        && let Err(failure) = store.master_bucket().await
    {
        plan.delete
            .drain(..)
            .for_each(|target| ledger[target].fail(failure.clone()));
    }
    let Plan { copy, tag, delete } = plan;
    let deletes = join_all(delete.iter().map(|&target| store.delete(target)));
    let (copies, tags, deletes) = match master {
        Some(master) => {
            let tags = join_all(tag.iter().map(|&target| store.put_tags(master, target)));
            join3(copy_all(store, master, &copy), tags, deletes).await
        }
        None => (Vec::new(), Vec::new(), deletes.await),
    };

    let answers = (copy
        .iter()
        .zip(copies)
        .map(|(t, w)| (*t, Outcome::Copied, w)))
    .chain(tag.iter().zip(tags).map(|(t, w)| (*t, Outcome::Tagged, w)))
    .chain(
        delete
            .iter()
            .zip(deletes)
            .map(|(t, w)| (*t, Outcome::Deleted, w)),
    );
    let mut wrote = Vec::new();
    for (target, outcome, written) in answers {
        let entry = &mut ledger[target];
        entry.ambiguous |= written.ambiguous;
        match written.result {
            Ok(()) => {
                if !written.resumed {
                    entry.written = Some(outcome);
                }
                entry.unconfirmed = true;
                entry.resumed = written.resumed;
                wrote.push(target);
            }
            Err(failure) if failure.kind == Kind::Raced => entry.raced = Some(failure),
            Err(failure) => entry.fail(failure),
        }
    }
    wrote
}

async fn copy_all(store: &impl Store, master: &Object, targets: &[usize]) -> Vec<Written> {
    if targets.is_empty() {
        Vec::new()
    } else {
        store.copy(master, targets).await
    }
}

#[cfg(test)]
mod tests;
