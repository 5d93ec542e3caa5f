//! Runs a plan: users, deliveries and invocations, one after the other in virtual time.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::invocation::{Item, Report, invocation};
use super::request::Step;
use super::world::{REDELIVERY, VISIBILITY, World};
use crate::local::simulate::mutant::{Mutant, Rules};
use crate::local::simulate::oracle::{Divergence, Problem, Run};
use crate::local::simulate::plan::{Acknowledged, Micros, Plan, SECOND, What};
use crate::local::simulate::trace::{Line, Trace};
use crate::reconcile::Outcome;

/// Deliveries of a replica's own events have numbers from here on.
const ECHOES: u16 = 1000;

/// Runs a plan to its end and judges it.
pub(in crate::local::simulate) fn run(plan: &Plan, rules: Rules, trace: Trace) -> Run {
    let world = World::new(plan, rules, trace);
    let mut run = Running {
        world: &world,
        parcels: Vec::new(),
        acknowledged: Vec::new(),
        invocations: Vec::new(),
        found: Run::default(),
    };
    while let Some(step) = world.next() {
        run.step(step);
    }
    let mut found = run.judge();
    found.trace = world.trace.into_inner();
    found
}

/// Events that are delivered together, until they are acknowledged.
pub(super) struct Parcel {
    delivery: u16,
    pub(super) bucket: u8,
    items: Vec<Item>,
    attempt: u8,
}

type Future<'w> = Pin<Box<dyn std::future::Future<Output = Report> + 'w>>;

pub(super) struct Running<'w, 'p> {
    pub(super) world: &'w World<'p>,
    pub(super) parcels: Vec<Parcel>,
    /// By message.
    acknowledged: Vec<bool>,
    /// By invocation: its parcel, and what it still has to do.
    invocations: Vec<(usize, Option<Future<'w>>)>,
    pub(super) found: Run,
}

impl<'w> Running<'w, '_> {
    fn step(&mut self, step: Step) {
        let world = self.world;
        match step {
            Step::Operate(index) => world.operate(index),
            Step::Deliver(index) => self.deliver(index),
            Step::Echo(bucket, key) => self.echo(bucket, key),
            Step::Attempt(parcel) => self.attempt(parcel),
            Step::Arrive(flight) => world.arrive(flight),
            Step::Write(flight) => world.write(flight),
            Step::Answer(flight) => {
                if let Some(id) = world.answer(flight) {
                    self.poll(id);
                }
            }
            Step::Notice(flight, status) => {
                if let Some(id) = world.notice(flight, status) {
                    self.poll(id);
                }
            }
            Step::Thaw(id) => self.poll(id),
            Step::Deadline(id) => {
                if self.invocations[id as usize].1.is_some() {
                    world.deadline(id);
                    self.poll(id);
                }
            }
            Step::Timeout(id) => {
                if self.invocations[id as usize].1.is_some() {
                    self.died(id, "timed out");
                }
            }
        }
    }

    fn deliver(&mut self, index: usize) {
        let plan = self.world.plan;
        let delivery = &plan.deliveries[index];
        let mut items = Vec::with_capacity(delivery.events.len());
        for &event in &delivery.events {
            let Some(operation) = plan.operation(event) else {
                continue;
            };
            let message = match plan.shape.acknowledged {
                Acknowledged::Shared => usize::from(event),
                _ => self.acknowledged.len(),
            };
            if self.acknowledged.len() <= message {
                self.acknowledged.resize(message + 1, false);
            }
            items.push(Item {
                event,
                key: operation.key,
                created: matches!(operation.what, What::Put(_) | What::Tag(_)),
                message,
            });
        }
        self.accept(delivery.id, 0, items);
    }

    fn echo(&mut self, bucket: u8, key: u8) {
        let created = self.world.slot(bucket, key, |slot| slot.state().is_some());
        let message = self.acknowledged.len();
        self.acknowledged.push(false);
        let item = Item {
            event: ECHOES + message as u16,
            key,
            created,
            message,
        };
        self.accept(item.event, bucket, vec![item]);
    }

    fn accept(&mut self, delivery: u16, bucket: u8, items: Vec<Item>) {
        self.parcels.push(Parcel {
            delivery,
            bucket,
            items,
            attempt: 0,
        });
        self.attempt(self.parcels.len() - 1);
    }

    fn attempt(&mut self, parcel: usize) {
        let world = self.world;
        let this = &mut self.parcels[parcel];
        if this.attempt > 0 || world.plan.shape.acknowledged == Acknowledged::Shared {
            let acknowledged = &self.acknowledged;
            this.items.retain(|item| !acknowledged[item.message]);
        }
        if this.items.is_empty() {
            return;
        }
        let id = world.start(this.delivery, this.attempt);
        world.note(|| Line::Started {
            delivery: this.delivery,
            attempt: this.attempt,
            bucket: this.bucket,
            events: this.items.iter().map(|item| item.event).collect(),
        });
        let work = invocation(world, id, this.bucket, this.items.clone());
        self.invocations.push((parcel, Some(Box::pin(work))));
        self.found.invocations += 1;
        self.poll(id);
    }

    fn poll(&mut self, id: u32) {
        let world = self.world;
        let (parcel, slot) = &mut self.invocations[id as usize];
        let Some(work) = slot else { return };
        if world.is_frozen(id) {
            return;
        }
        let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(report) = polled {
            let parcel = *parcel;
            *slot = None;
            self.ended(id, parcel, &report);
        } else if world.invocation(id).dies {
            self.died(id, "killed");
        }
    }

    fn died(&mut self, id: u32, how: &'static str) {
        let (parcel, slot) = &mut self.invocations[id as usize];
        let parcel = *parcel;
        *slot = None;
        if how == "timed out" && !self.world.plan.has_faults() {
            self.problem(Problem::TimedOut, self.parcels[parcel].items[0].key);
        }
        let failed: Vec<Item> = self.parcels[parcel].items.clone();
        self.note_end(parcel, how, Vec::new(), &failed);
        self.come_again(parcel, failed);
    }

    fn ended(&mut self, id: u32, parcel: usize, report: &Report) {
        self.check(id, parcel, report);
        let Parcel { items, .. } = &self.parcels[parcel];
        let is_failed = |&(_, &key): &(&Item, &usize)| report.keys[key].is_failed();
        let pairs = items.iter().zip(&report.named);
        let mut failed: Vec<Item> = pairs.filter(is_failed).map(|(item, _)| *item).collect();
        if self.world.plan.shape.acknowledged == Acknowledged::Whole && !failed.is_empty() {
            failed.clone_from(items);
        }
        for item in items {
            let fails = failed.iter().any(|other| other.message == item.message);
            self.acknowledged[item.message] |= !fails;
        }
        let outcomes = if self.world.trace.borrow().is_kept() {
            let outcomes = report.keys.iter().flat_map(|key| &key.outcomes);
            outcomes
                .map(|outcome| outcome.map_or("failed", Outcome::as_str).to_owned())
                .collect()
        } else {
            Vec::new()
        };
        self.note_end(
            parcel,
            if failed.is_empty() {
                "acknowledged"
            } else {
                "failed"
            },
            outcomes,
            &failed,
        );
        if !failed.is_empty() {
            if !self.world.plan.has_faults() {
                self.problem(Problem::FailedWithoutFault, failed[0].key);
            }
            self.come_again(parcel, failed);
        }
    }

    fn note_end(&self, parcel: usize, how: &'static str, outcomes: Vec<String>, failed: &[Item]) {
        let Parcel {
            delivery, attempt, ..
        } = self.parcels[parcel];
        self.world.note(|| Line::Ended {
            delivery,
            attempt,
            how,
            outcomes,
            failed: failed.iter().map(|item| item.event).collect(),
        });
    }

    fn come_again(&mut self, parcel: usize, failed: Vec<Item>) {
        self.found.failed += 1;
        let acknowledged = self.world.plan.shape.acknowledged;
        let this = &mut self.parcels[parcel];
        this.items = failed;
        this.attempt += 1;
        if this.attempt < acknowledged.attempts() {
            let rest: Micros = match (self.world.rules.mutant, acknowledged) {
                (Some(Mutant::EarlyRedelivery), _) => SECOND,
                (_, Acknowledged::Whole) => REDELIVERY,
                _ => VISIBILITY,
            };
            let again = Step::Attempt(parcel);
            self.world.schedule(self.world.now.get() + rest, again);
            return;
        }
        let (delivery, key) = (this.delivery, this.items[0].key);
        let events: Vec<u16> = this.items.iter().map(|item| item.event).collect();
        self.world.note(|| Line::GivenUp { delivery, events });
        self.problem(Problem::GivenUp, key);
    }

    pub(super) fn problem(&mut self, problem: Problem, key: u8) {
        self.found.divergences.push(Divergence {
            problem,
            bucket: None,
            key,
        });
    }
}
