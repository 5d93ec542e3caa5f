//! The world of a plan in virtual time: buckets, requests on their way, and what happens when.
//!
//! A request arrives, takes effect and is answered at three different times, and takes effect
//! whether or not its sender is still there. What happens at one time happens in the order in
//! which it was decided, so a plan has exactly one run.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::bucket::{Slot, Version};
use super::request::{Answer, Flight, Invocation, Step, Tag};
use crate::local::simulate::mutant::Rules;
use crate::local::simulate::plan::{Micros, Plan, State, What};
use crate::local::simulate::trace::{Line, Trace};

/// How long after its start an invocation must have answered, or dies.
pub(super) const TIMEOUT: Micros = 30_000_000;
/// When the function gives up what is unfinished: a second before it dies.
pub(super) const DEADLINE: Micros = TIMEOUT - 1_000_000;
/// How long what failed rests: a minute for events, six timeouts for messages.
pub(super) const REDELIVERY: Micros = 60_000_000;
/// How long before it takes effect a user's upload in parts begins.
const UPLOADING: Micros = 2_000_000;
/// The same for messages.
pub(super) const VISIBILITY: Micros = 6 * TIMEOUT;

/// The world of one plan.
pub(super) struct World<'p> {
    pub(super) plan: &'p Plan,
    pub(super) rules: Rules,
    pub(super) now: Cell<Micros>,
    pub(super) keys: usize,
    pub(super) has_effects: bool,
    pub(super) inner: RefCell<Inner>,
    pub(super) trace: RefCell<Trace>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) order: u32,
    pub(super) serial: u32,
    pub(super) steps: BinaryHeap<Reverse<(Micros, u32, Step)>>,
    pub(super) slots: Vec<Slot>,
    pub(super) flights: Vec<Flight>,
    pub(super) invocations: Vec<Invocation>,
    /// Which version each operation made, by its id.
    pub(super) made: Vec<(u16, u32)>,
    pub(super) echoes: usize,
    /// Delete markers that were left although the replica was absent all the time.
    pub(super) blind_markers: Vec<(u8, u8)>,
    /// Replicas that were made of parts of two states.
    pub(super) mixed: Vec<(u8, u8)>,
}

impl<'p> World<'p> {
    pub(super) fn new(plan: &'p Plan, rules: Rules, trace: Trace) -> Self {
        let keys = plan.keys();
        let world = Self {
            plan,
            rules,
            now: Cell::new(0),
            keys,
            has_effects: !plan.disturbances.is_empty(),
            inner: RefCell::default(),
            trace: RefCell::new(trace),
        };
        world.inner.borrow_mut().slots = vec![Slot::default(); keys * plan.buckets()];
        for (index, operation) in plan.operations.iter().enumerate() {
            world.schedule(operation.at, Step::Operate(index));
        }
        for (index, delivery) in plan.deliveries.iter().enumerate() {
            world.schedule(delivery.at, Step::Deliver(index));
        }
        world
    }

    pub(super) fn schedule(&self, at: Micros, step: Step) {
        let mut inner = self.inner.borrow_mut();
        inner.order += 1;
        let order = inner.order;
        inner.steps.push(Reverse((at, order, step)));
    }

    /// Moves time on to what happens next.
    pub(super) fn next(&self) -> Option<Step> {
        let Reverse((at, _, step)) = self.inner.borrow_mut().steps.pop()?;
        self.now.set(at);
        Some(step)
    }

    pub(super) fn note(&self, line: impl FnOnce() -> Line) {
        self.trace.borrow_mut().add(self.now.get(), line);
    }

    pub(super) fn slot<T>(&self, bucket: u8, key: u8, read: impl FnOnce(&Slot) -> T) -> T {
        read(&self.inner.borrow().slots[self.index(bucket, key)])
    }

    pub(super) fn index(&self, bucket: u8, key: u8) -> usize {
        usize::from(bucket) * self.keys + usize::from(key)
    }

    pub(super) fn is_versioned(&self, bucket: u8) -> bool {
        if bucket == 0 {
            self.plan.shape.versioned_master
        } else {
            self.plan.shape.versioned_targets
        }
    }

    pub(super) fn blind_markers(&self) -> Vec<(u8, u8)> {
        self.inner.borrow().blind_markers.clone()
    }

    /// The ETag of a version.
    pub(super) fn etag(&self, version: Version, state: State) -> Tag {
        if self.plan.shape.encrypted {
            Tag(version.serial)
        } else {
            Tag(u32::from(state.content))
        }
    }

    /// A user's operation on the master.
    pub(super) fn operate(&self, index: usize) {
        let operation = self.plan.operations[index];
        let (now, versioned) = (self.now.get(), self.is_versioned(0));
        let slot = self.index(0, operation.key);
        let inner = &mut *self.inner.borrow_mut();
        inner.serial += 1;
        let serial = inner.serial;
        let slot = &mut inner.slots[slot];
        match operation.what {
            What::Put(state) if self.plan.shape.parts => {
                let begun = now.saturating_sub(UPLOADING);
                slot.put_parts((begun, now), serial, state, versioned);
            }
            What::Put(state) => slot.put(now, serial, state, versioned),
            What::Tag(tags) => {
                slot.tag(now, tags);
            }
            What::Delete => slot.delete(now, serial, versioned),
            What::DeleteVersion(of) => {
                let made = inner.made.iter().find(|(id, _)| *id == of);
                if let Some((_, serial)) = made {
                    slot.delete_version(now, *serial);
                }
            }
        }
        inner.made.push((operation.id, serial));
        let state = slot.state();
        self.note(|| Line::Operated {
            id: operation.id,
            key: operation.key,
            state,
        });
    }

    pub(super) fn start(&self, delivery: u16, attempt: u8) -> u32 {
        let started = self.now.get();
        let mut inner = self.inner.borrow_mut();
        inner.invocations.push(Invocation {
            delivery,
            attempt,
            started,
            requests: 0,
            is_late: false,
            frozen_until: 0,
            dies: false,
        });
        let id = (inner.invocations.len() - 1) as u32;
        drop(inner);
        self.schedule(started + DEADLINE, Step::Deadline(id));
        self.schedule(started + TIMEOUT, Step::Timeout(id));
        id
    }

    pub(super) fn invocation(&self, id: u32) -> Invocation {
        self.inner.borrow().invocations[id as usize].clone()
    }

    pub(super) fn is_frozen(&self, id: u32) -> bool {
        self.now.get() < self.inner.borrow().invocations[id as usize].frozen_until
    }

    pub(super) fn requests(&self, id: u32) -> u16 {
        self.inner.borrow().invocations[id as usize].requests
    }

    /// Makes a write depend on the replica's being this.
    pub(super) fn expect(&self, flight: usize, expected: Option<Tag>) {
        self.inner.borrow_mut().flights[flight].expected = Some(expected);
    }

    pub(super) fn flight<T>(&self, flight: usize, read: impl FnOnce(&Flight) -> T) -> T {
        read(&self.inner.borrow().flights[flight])
    }

    /// The function gives up what is unanswered.
    pub(super) fn deadline(&self, id: u32) {
        let inner = &mut *self.inner.borrow_mut();
        inner.invocations[id as usize].is_late = true;
        let unanswered = inner.flights.iter_mut();
        unanswered
            .filter(|flight| flight.invocation == id && flight.heard.is_none())
            .for_each(|flight| flight.heard = Some(Answer::Deadline));
    }
}
