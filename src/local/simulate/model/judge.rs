//! Whether an invocation told the truth, and whether the world at rest is right.

use super::bucket::Slot;
use super::invocation::Report;
use super::run::Running;
use crate::local::simulate::oracle::{Divergence, Problem, Run};
use crate::local::simulate::plan::{Micros, Plan, State, What};
use crate::reconcile::Outcome;

impl Running<'_, '_> {
    /// Whether what an invocation says is true, and what it cost was allowed.
    pub(super) fn check(&mut self, id: u32, parcel: usize, report: &Report) {
        let world = self.world;
        let (plan, bucket) = (world.plan, self.parcels[parcel].bucket);
        let started = world.invocation(id).started;
        let mut allowed = 1 + report.retries;
        let mut distinct: Vec<u8> = Vec::new();
        for key in &report.keys {
            if !distinct.contains(&key.key) {
                distinct.push(key.key);
                allowed += key.rounds * round_bound(plan, bucket);
            }
            for (target, outcome) in plan.targets(bucket).zip(&key.outcomes) {
                let Some(outcome) = *outcome else { continue };
                if outcome == Outcome::Tagged {
                    continue;
                }
                let present = match outcome {
                    Outcome::Deleted => Some(false),
                    Outcome::Equal => None,
                    _ => Some(true),
                };
                let is_true = world.slot(target, key.key, |replica| {
                    world.slot(bucket, key.key, |master| {
                        was_so(master, replica, started, present)
                    })
                });
                if !is_true {
                    self.found.divergences.push(Divergence {
                        problem: Problem::Untrue,
                        bucket: Some(target),
                        key: key.key,
                    });
                }
            }
        }
        let requests = u32::from(world.requests(id));
        self.found.requests += u64::from(requests);
        if requests > allowed {
            self.problem(Problem::TooManyRequests, report.keys[0].key);
        }
    }

    /// Looks at the world at rest, from outside.
    pub(super) fn judge(mut self) -> Run {
        let (world, plan) = (self.world, self.world.plan);
        let keys = plan.keys() as u8;
        for bucket in 0..plan.buckets() as u8 {
            for target in plan.targets(bucket) {
                for key in 0..keys {
                    let expected = world.slot(bucket, key, |slot| slot.state());
                    let found = world.slot(target, key, |slot| slot.state());
                    if expected != found {
                        self.found.divergences.push(Divergence {
                            problem: Problem::Different { expected, found },
                            bucket: Some(target),
                            key,
                        });
                    }
                }
            }
        }
        for (bucket, key) in world.blind_markers() {
            let markers = world.slot(bucket, key, |slot| slot.markers());
            self.found.divergences.push(Divergence {
                problem: Problem::BlindMarker { markers },
                bucket: Some(bucket),
                key,
            });
        }
        for &(bucket, key) in &world.inner.borrow().mixed {
            self.found.divergences.push(Divergence {
                problem: Problem::Mixed,
                bucket: Some(bucket),
                key,
            });
        }
        // What a user would notice first.
        let divergences = &mut self.found.divergences;
        divergences.sort_by_key(|divergence| !divergence.problem.is_at_rest());
        self.found
    }
}

/// Whether the two were equal at some time since `started`, and `present` where that matters.
///
/// Tags are read by a request of their own, so the rest may be of one time and they of another:
/// then the master has changed meanwhile, and the event of that change is still to come.
fn was_so(master: &Slot, replica: &Slot, started: Micros, present: Option<bool>) -> bool {
    let without_tags = |state: State| State { tags: 0, ..state };
    let tags_agree = || {
        let tags = |slot: &Slot, tags| {
            slot.since(started)
                .flatten()
                .any(|state| state.tags == tags)
        };
        (0..=u8::MAX)
            .take(4)
            .any(|value| tags(master, value) && tags(replica, value))
    };
    replica.since(started).any(|state| {
        present.is_none_or(|present| state.is_some() == present)
            && master.since(started).any(|other| match (state, other) {
                (Some(state), Some(other)) => {
                    state == other || (without_tags(state) == without_tags(other) && tags_agree())
                }
                (state, other) => state == other,
            })
    })
}

/// The most requests that one round may send for a key.
fn round_bound(plan: &Plan, bucket: u8) -> u32 {
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
        // Listed, begun, two parts, completed or aborted, instead of one copy; parts are read for
        // another service; what was left by others is aborted and listed again.
        bound += targets * 16;
    }
    if plan.shape.encrypted {
        bound += 2 * targets;
    }
    bound
}
