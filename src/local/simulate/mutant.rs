//! Mutants: the algorithm with one clause taken out, to see that the simulation notices.
//!
//! The production build has no switch for any of them. What a clause demands of a store or of the
//! invoker is switched off in the model; what it demands of reconcile itself is undone by
//! [`Mutated`], which stands between the real reconcile and the store.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::str::FromStr;

use futures_util::future::join;

use crate::error::{Failure, Kind};
use crate::object::Object;
use crate::reconcile::{Comparison, Store, Unsettled, Written};

/// One clause taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// The master is not looked at again after the writes.
    NoConfirm,
    /// The master is looked at again beside the writes.
    ConfirmBeside,
    /// A copy is not bound to the observed ETag.
    NoIfMatch,
    /// A copy takes metadata, headers and tags from its source, whatever they are by then.
    Inexact,
    /// A write that got no answer is forgotten once another attempt succeeded.
    AmbiguityIgnored,
    /// What failed comes again after a second, while its requests may still be under way.
    EarlyRedelivery,
    /// A delete is sent whether or not there is a replica.
    BlindDeletes,
    /// A key is worked on once for every message that names it.
    NoGrouping,
    /// Every change fails.
    AlwaysFailing,
    /// A master that changed meanwhile is waited for.
    WaitingForever,
    /// An upload of another invocation is completed whatever its parts are.
    ResumeUnproven,
    /// The round that completed an upload of another invocation may be the last.
    ResumedIsLast,
    /// No reconcile at all: a create event is a copy, a removal is a delete.
    Naive,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::NoConfirm,
        Self::ConfirmBeside,
        Self::NoIfMatch,
        Self::Inexact,
        Self::AmbiguityIgnored,
        Self::EarlyRedelivery,
        Self::BlindDeletes,
        Self::NoGrouping,
        Self::AlwaysFailing,
        Self::WaitingForever,
        Self::ResumeUnproven,
        Self::ResumedIsLast,
        Self::Naive,
    ];

    /// As the command line names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoConfirm => "no-confirm",
            Self::ConfirmBeside => "confirm-beside-writes",
            Self::NoIfMatch => "no-if-match",
            Self::Inexact => "inexact-writes",
            Self::AmbiguityIgnored => "ambiguity-ignored",
            Self::EarlyRedelivery => "early-redelivery",
            Self::BlindDeletes => "blind-deletes",
            Self::NoGrouping => "no-grouping",
            Self::AlwaysFailing => "always-failing",
            Self::WaitingForever => "waiting-for-ever",
            Self::ResumeUnproven => "resume-unproven",
            Self::ResumedIsLast => "resumed-is-last",
            Self::Naive => "naive",
        }
    }

    /// Whether [`Mutated`] is what makes it.
    pub(super) fn is_wrapper(self) -> bool {
        matches!(
            self,
            Self::NoConfirm
                | Self::ConfirmBeside
                | Self::AmbiguityIgnored
                | Self::BlindDeletes
                | Self::AlwaysFailing
                | Self::WaitingForever
                | Self::ResumedIsLast
        )
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No mutant has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no mutant is called {0:?}; there are {names}", names = Mutant::ALL.map(Mutant::as_str).join(", "))]
pub struct UnknownMutant(String);

impl FromStr for Mutant {
    type Err = UnknownMutant;

    fn from_str(name: &str) -> Result<Self, UnknownMutant> {
        let known = Self::ALL.into_iter().find(|mutant| mutant.as_str() == name);
        known.ok_or_else(|| UnknownMutant(name.to_owned()))
    }
}

/// What is run: the algorithm as it is, or something else, to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    /// The clause that is taken out.
    pub mutant: Option<Mutant>,
    /// Whether copies, puts and deletes carry the replica's observed state as a precondition
    /// (`If-Match`, `If-None-Match: *`), an experiment.
    pub preconditions: bool,
}

impl From<Mutant> for Rules {
    fn from(mutant: Mutant) -> Self {
        Self {
            mutant: Some(mutant),
            ..Self::default()
        }
    }
}

/// The answer to a look at the master.
type Look = Result<Option<Object>, Failure>;

/// A store that undoes one clause of reconcile.
pub(super) struct Mutated<S> {
    inner: S,
    mutant: Mutant,
    /// What the last look at the master showed.
    seen: RefCell<Option<Look>>,
    /// Whether something was written since, and whether something raced: what decides if the next
    /// look is to confirm.
    wrote: Cell<bool>,
    raced: Cell<bool>,
    /// Whether a look is taken beside the writes already.
    looking: Cell<bool>,
    /// The look that was taken beside a write.
    beside: RefCell<Option<Look>>,
}

impl<S: Store> Mutated<S> {
    pub(super) fn new(inner: S, mutant: Mutant) -> Self {
        Self {
            inner,
            mutant,
            seen: RefCell::default(),
            wrote: Cell::default(),
            raced: Cell::default(),
            looking: Cell::default(),
            beside: RefCell::default(),
        }
    }

    async fn look(&self) -> Look {
        let look = self.inner.master().await;
        *self.seen.borrow_mut() = Some(look.clone());
        look
    }

    fn note_race(&self, failure: &Failure) {
        if failure.kind == Kind::Raced {
            self.raced.set(true);
        }
    }

    async fn writing<T>(&self, write: impl Future<Output = T>) -> T {
        if self.mutant == Mutant::ConfirmBeside && !self.looking.replace(true) {
            let (written, look) = join(write, self.inner.master()).await;
            *self.beside.borrow_mut() = Some(look);
            return written;
        }
        write.await
    }

    fn told(&self, mut written: Written, target: usize) -> Written {
        match &written.result {
            Ok(()) => self.wrote.set(true),
            Err(failure) => self.note_race(failure),
        }
        if written.resumed {
            self.raced.set(true);
        }
        match self.mutant {
            Mutant::AmbiguityIgnored => written.ambiguous = false,
            Mutant::ResumedIsLast => written.resumed = false,
            Mutant::AlwaysFailing if written.result.is_ok() => {
                written.result = Err(self.inner.failure(target, Unsettled::StillChanging));
            }
            _ => {}
        }
        written
    }
}

impl<S: Store> Store for Mutated<S> {
    async fn master(&self) -> Look {
        let (wrote, raced) = (self.wrote.replace(false), self.raced.replace(false));
        self.looking.set(false);
        if !wrote || raced {
            return self.look().await;
        }
        let seen = self.seen.borrow_mut().take();
        match (self.mutant, seen) {
            (Mutant::NoConfirm, Some(seen)) => seen,
            (Mutant::ConfirmBeside, _) => {
                let beside = self.beside.borrow_mut().take();
                match beside {
                    Some(look) => look,
                    None => self.inner.master().await,
                }
            }
            (Mutant::WaitingForever, Some(Ok(seen))) => {
                let now = self.look().await?;
                if now != seen {
                    std::future::pending::<()>().await;
                }
                Ok(now)
            }
            _ => self.look().await,
        }
    }

    async fn master_bucket(&self) -> Result<(), Failure> {
        self.inner.master_bucket().await
    }

    async fn replica(&self, target: usize) -> Look {
        let replica = self.inner.replica(target).await;
        let replica = replica.inspect_err(|failure| self.note_race(failure))?;
        if self.mutant == Mutant::BlindDeletes && replica.is_none() {
            // Differs from every master, so that a present one is copied, as it should be.
            return Ok(Some(Object {
                size: u64::MAX,
                ..Object::default()
            }));
        }
        Ok(replica)
    }

    async fn compare(
        &self,
        master: &Object,
        target: usize,
        replica: &Object,
    ) -> Result<Comparison, Failure> {
        let comparison = self.inner.compare(master, target, replica).await;
        comparison.inspect_err(|failure| self.note_race(failure))
    }

    async fn copy(&self, master: &Object, targets: &[usize]) -> Vec<Written> {
        let written = self.writing(self.inner.copy(master, targets)).await;
        let told = written.into_iter().zip(targets);
        told.map(|(written, &target)| self.told(written, target))
            .collect()
    }

    async fn put_tags(&self, master: &Object, target: usize) -> Written {
        let written = self.writing(self.inner.put_tags(master, target)).await;
        self.told(written, target)
    }

    async fn delete(&self, target: usize) -> Written {
        let written = self.writing(self.inner.delete(target)).await;
        self.told(written, target)
    }

    fn failure(&self, target: usize, unsettled: Unsettled) -> Failure {
        let mut failure = self.inner.failure(target, unsettled);
        failure.kind = Kind::Retryable;
        failure
    }
}
