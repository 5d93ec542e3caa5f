//! Whether an invocation told the truth, and whether the world at rest is right.

use std::sync::atomic::Ordering;

use super::memory::bound;
use super::run::Item;
use super::user::PARTS;
use super::wire::Attempt;
use super::world::{PLACES, World, name, number};
use crate::local::simulate::oracle::{Problem, round_bound, was_so};
use crate::local::simulate::trace::Line;
use crate::local::world::OutcomeLine;
use crate::local::world::object::{keys, versions};

impl World {
    /// Whether what an invocation said is true, and what it cost was allowed.
    pub(super) fn check(&self, attempt: &Attempt, bucket: u8, done: &[Item], told: &[OutcomeLine]) {
        for outcome in told {
            let present = match outcome.outcome.as_str() {
                "failed" | "tagged" => continue,
                "deleted" => Some(false),
                "equal" => None,
                _ => Some(true),
            };
            let target = outcome.target.as_deref().map(number).unwrap_or_default();
            let key = key(outcome);
            if !self.was_so(bucket, target, key, attempt, present) {
                self.shared.problem(Problem::Untrue, Some(target), key);
            }
        }
        for item in done {
            for target in self.shared.plan.targets(bucket) {
                if !self.was_so(bucket, target, item.key, attempt, None) {
                    self.shared
                        .problem(Problem::Premature, Some(target), item.key);
                }
            }
        }
        let requests = u32::from(attempt.requests.load(Ordering::Relaxed));
        if requests > self.allowed(attempt, bucket, told) {
            let key = told.first().map(key).unwrap_or_default();
            self.shared.problem(Problem::TooManyRequests, None, key);
        }
    }

    fn was_so(
        &self,
        bucket: u8,
        target: u8,
        key: u8,
        attempt: &Attempt,
        present: Option<bool>,
    ) -> bool {
        let history = &self.shared.history;
        let master = history.since((bucket, key), attempt.started);
        let replica = history.since((target, key), attempt.started);
        was_so(
            || master.iter().cloned(),
            || replica.iter().cloned(),
            present,
        )
    }

    /// The most requests that an invocation with these outcomes may have sent.
    fn allowed(&self, attempt: &Attempt, bucket: u8, told: &[OutcomeLine]) -> u32 {
        let plan = &self.shared.plan;
        let disturbed = u32::from(attempt.disturbed.load(Ordering::Relaxed));
        // HeadBucket before the first delete, and once a process and bucket a look at the tags of
        // an object that has none.
        let mut allowed = 1 + disturbed + plan.buckets() as u32;
        let mut counted = Vec::new();
        for outcome in told {
            if !counted.contains(&&outcome.key) {
                counted.push(&outcome.key);
                allowed += outcome.rounds.unwrap_or(1) * round_bound(plan, bucket, PARTS.len());
            }
        }
        allowed
    }

    /// Looks at all buckets as any reader would.
    pub(super) async fn judge(&self) {
        let plan = &self.shared.plan;
        for bucket in 0..plan.buckets() as u8 {
            for target in plan.targets(bucket) {
                for key in 0..plan.keys() as u8 {
                    self.compare(bucket, target, key).await;
                }
                self.look_for_others(bucket, target).await;
            }
        }
        let held = self.shared.held.peak();
        if held > bound(PLACES) {
            self.shared
                .problem(Problem::TooMuchMemory { held }, None, 0);
        }
    }

    async fn compare(&self, bucket: u8, target: u8, key: u8) {
        let history = &self.shared.history;
        let master = history.read(bucket, key).await;
        let replica = history.read(target, key).await;
        let differences = match (&master, &replica) {
            (Some(master), Some(replica)) => replica.differences(master),
            (None, None) => Vec::new(),
            (_, Some(_)) => vec!["present".to_owned()],
            (Some(_), None) => vec!["missing".to_owned()],
        };
        if !differences.is_empty() {
            let differences = differences.join("; ");
            let text = || Line::Wire(format!("{}/k{key}: {differences}", name(target)));
            self.shared.note(text);
            self.shared.problem(Problem::Unlike, Some(target), key);
        }
    }

    /// Whether anything else was written there.
    async fn look_for_others(&self, bucket: u8, target: u8) {
        let (ours, theirs) = (self.client(bucket), self.client(target));
        let listed = keys(theirs, &name(target)).await;
        let expected = keys(ours, &name(bucket)).await;
        let answered = "the embedded store answers its users";
        if listed.expect(answered) != expected.expect(answered) {
            self.shared.problem(Problem::Unlike, Some(target), 0);
        }
    }

    /// How many delete markers a key has.
    pub(super) async fn markers(&self, bucket: u8, key: u8) -> usize {
        let counted = versions(self.client(bucket), &name(bucket), &format!("k{key}")).await;
        let (_, markers) = counted.expect("the embedded store answers its users");
        usize::try_from(markers).unwrap_or(usize::MAX)
    }
}

fn key(outcome: &OutcomeLine) -> u8 {
    let number = outcome.key.strip_prefix('k');
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}
