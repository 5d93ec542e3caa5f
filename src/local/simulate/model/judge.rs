//! Whether an invocation told the truth, and whether the world at rest is right.

use super::bucket::PARTS;
use super::invocation::Report;
use super::run::Running;
use crate::local::simulate::oracle::{Divergence, Problem, Run, Seen, round_bound, was_so};
use crate::local::simulate::plan::State;
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
                allowed += key.rounds * round_bound(plan, bucket, PARTS);
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
                        was_so(|| master.since(started), || replica.since(started), present)
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

impl Seen for State {
    fn is_equal_but_for_tags(&self, other: &Self) -> bool {
        let without_tags = |state: &Self| Self { tags: 0, ..*state };
        without_tags(self) == without_tags(other)
    }

    fn has_tags_of(&self, other: &Self) -> bool {
        self.tags == other.tags
    }
}
