//! A plan from a seed. All randomness of a simulation is in here.

use super::configuration::Configuration;
use super::plan::{
    Acknowledged, Delays, Delivery, Disturbance, Effect, Micros, Operation, Outage, Plan, SECOND,
    State, What,
};
use super::random::Random;

const MILLISECOND: Micros = 1_000;

/// The longest that a late write may be on its way: well under the rest before a redelivery.
const LATEST: Micros = 40 * SECOND;

/// Requests of one attempt that lines are drawn for, and with parts.
const REQUESTS: u64 = 12;
const REQUESTS_WITH_PARTS: u64 = 24;

/// Draws the plan of `seed`.
pub fn generate(configuration: &Configuration, seed: u64) -> Plan {
    let stream = configuration.name.bytes().fold(0u64, |hash, byte| {
        hash.wrapping_mul(0x0100_0000_01B3) ^ u64::from(byte)
    });
    let mut draw = Draw {
        configuration,
        random: Random::new(seed, stream),
        plan: Plan {
            configuration: configuration.name,
            seed,
            shape: configuration.shape,
            operations: Vec::new(),
            deliveries: Vec::new(),
            disturbances: Vec::new(),
            outages: Vec::new(),
            echoes: Vec::new(),
        },
    };
    // Half of the batches without a shared acknowledgement, where changes may fail as well.
    let is_shared = configuration.shape.acknowledged == Acknowledged::Shared;
    if is_shared && !configuration.has_residue && draw.random.chance(50) {
        draw.plan.shape.acknowledged = Acknowledged::EachMessage;
    }
    draw.operations();
    draw.deliveries();
    draw.disturbances();
    draw.plan
}

struct Draw<'c> {
    configuration: &'c Configuration,
    random: Random,
    plan: Plan,
}

impl Draw<'_> {
    fn operations(&mut self) {
        let count = 1 + self.random.below(4);
        let mut at = SECOND + self.random.below(SECOND);
        for id in 0..count as u16 {
            let key = self.random.below(self.configuration.keys.into()) as u8;
            let what = self.what(key);
            self.plan.operations.push(Operation { id, at, key, what });
            let far = self.random.chance(25);
            at += if far {
                self.random.spread(SECOND, 60 * SECOND)
            } else {
                self.random.spread(MILLISECOND, SECOND)
            };
        }
    }

    fn what(&mut self, key: u8) -> What {
        let before = self.plan.operations.iter().rev();
        let written = before
            .filter(|one| one.key == key)
            .find_map(|one| match one.what {
                What::Put(state) => Some(state),
                _ => None,
            });
        let last = written.unwrap_or(State {
            content: 1,
            ..State::default()
        });
        let details = self.configuration.details;
        let earlier = self.plan.operations.iter().filter(|one| one.key == key);
        let is_first = earlier.clone().next().is_none();
        let makes_version = |one: &&Operation| matches!(one.what, What::Put(_) | What::Delete);
        let versions: Vec<u16> = earlier.filter(makes_version).map(|one| one.id).collect();
        if self.plan.shape.versioned_master && !versions.is_empty() && self.random.chance(25) {
            return What::DeleteVersion(self.random.pick(&versions));
        }
        if !is_first && self.random.chance(25) {
            return What::Delete;
        }
        // A master that returns to what it was is what confirm cannot tell from one that rested.
        let puts: Vec<State> = self
            .plan
            .operations
            .iter()
            .filter(|one| one.key == key)
            .filter_map(|one| match one.what {
                What::Put(state) => Some(state),
                _ => None,
            })
            .collect();
        if !puts.is_empty() && self.random.chance(30) {
            return What::Put(self.random.pick(&puts));
        }
        let mut state = last;
        if !details {
            state.content = 1 + self.random.below(3) as u8;
            return What::Put(state);
        }
        match self.random.below(5) {
            0 => state.content = 1 + self.random.below(2) as u8,
            1 => state.metadata = self.random.below(3) as u8,
            2 => state.header = self.random.below(2) as u8,
            3 => state.tags = self.random.below(3) as u8,
            _ if !is_first => return What::Tag(self.random.below(3) as u8),
            _ => state.tags = 1,
        }
        What::Put(state)
    }

    fn deliveries(&mut self) {
        let mut single: Vec<(Micros, u16)> = Vec::new();
        for index in 0..self.plan.operations.len() {
            let Operation { id, at, .. } = self.plan.operations[index];
            let times = 1 + u64::from(self.random.chance(30)) + u64::from(self.random.chance(15));
            // What was there before replication was switched on has no event, and a sync.
            let is_untold = self.configuration.syncs > 0 && self.random.chance(30);
            for _ in 0..if is_untold { 0 } else { times } {
                single.push((at + self.lateness(), id));
            }
        }
        // Events that reach a queue within a short time of each other are received together.
        single.sort_unstable();
        let mut single = single.into_iter().peekable();
        let mut id = 0;
        while let Some((at, event)) = single.next() {
            let most = 1 + self.random.below(self.configuration.batch);
            let mut delivery = Delivery {
                id,
                at,
                events: vec![event],
                is_sync: false,
            };
            while (delivery.events.len() as u64) < most {
                let Some((at, event)) = single.next_if(|(next, _)| *next < at + 30 * SECOND) else {
                    break;
                };
                delivery.at = at;
                // A queue never hands out a message twice at once.
                let is_new = !delivery.events.contains(&event);
                if is_new || self.plan.shape.acknowledged != Acknowledged::Shared {
                    delivery.events.push(event);
                }
            }
            self.plan.deliveries.push(delivery);
            id += 1;
        }
        self.syncs(id);
        if self.plan.shape.chain {
            self.plan.echoes = (0..5).map(|_| self.lateness()).collect();
        }
    }

    /// Syncs at any time, the last of them after everything that users do.
    fn syncs(&mut self, first: u16) {
        let operations = &self.plan.operations;
        let end = operations.last().map_or(0, |operation| operation.at);
        for id in first..first + u16::from(self.configuration.syncs) {
            let at = match id == first {
                true => end + self.lateness(),
                false => self.random.below(end + SECOND),
            };
            let mut events: Vec<u16> = Vec::new();
            for key in 0..self.configuration.keys {
                let mut made = self.plan.operations.iter();
                let made = made.find(|operation| operation.key == key && operation.at <= at);
                events.extend(made.map(|operation| operation.id));
            }
            if !events.is_empty() {
                self.plan.deliveries.push(Delivery {
                    id,
                    at,
                    events,
                    is_sync: true,
                });
            }
        }
    }

    fn lateness(&mut self) -> Micros {
        if self.random.chance(10) {
            self.random.spread(SECOND, 200 * SECOND)
        } else {
            self.random.spread(MILLISECOND, SECOND)
        }
    }

    fn disturbances(&mut self) {
        let Configuration {
            slow,
            faults,
            kills,
            lost_answers,
            ..
        } = *self.configuration;
        for _ in 0..self.random.below(slow + 1) {
            let effect = Effect::Slow(self.slow());
            self.disturb(effect);
        }
        for _ in 0..self.random.below(faults + 1) {
            let effect = self.fault(lost_answers);
            self.disturb(effect);
        }
        for _ in 0..self.random.below(kills + 1) {
            let effect = if self.random.chance(75) {
                Effect::Kill {
                    sent: self.random.chance(80),
                    way_in: self.late(),
                }
            } else {
                Effect::Freeze(self.random.spread(10 * MILLISECOND, LATEST))
            };
            self.disturb(effect);
        }
        if lost_answers && self.random.chance(10) {
            let from = self.random.below(10 * SECOND);
            let bucket = self.random.below(self.plan.buckets() as u64) as u8;
            let until = from + self.random.spread(SECOND, 30 * SECOND);
            self.plan.outages.push(Outage {
                bucket,
                from,
                until,
            });
        }
    }

    /// A line for a request of one of the first two attempts; those after are let alone, so that
    /// the faults end before the invoker gives up.
    fn disturb(&mut self, effect: Effect) {
        let deliveries = self.plan.deliveries.len() as u64;
        let delivery = self.plan.deliveries[self.random.below(deliveries) as usize].id;
        let attempt = u8::from(effect.is_fault() && self.random.chance(15));
        // The first writes come right after the master and its targets have been looked at.
        let request = if self.random.chance(40) {
            u16::from(self.plan.shape.targets) + 1 + self.random.below(2) as u16
        } else {
            let requests = match self.plan.shape.parts {
                true => REQUESTS_WITH_PARTS,
                false => REQUESTS,
            };
            self.random.below(requests) as u16
        };
        let (delivery, attempt) = if self.plan.shape.chain && self.random.chance(40) {
            (1000 + self.random.below(3) as u16, attempt)
        } else {
            (delivery, attempt)
        };
        if self.plan.effect(delivery, attempt, request).is_none() {
            self.plan.disturbances.push(Disturbance {
                delivery,
                attempt,
                request,
                effect,
            });
        }
    }

    fn slow(&mut self) -> Delays {
        let mut delays = Delays::default();
        let long = self.random.spread(MILLISECOND, 3 * SECOND);
        match self.random.below(3) {
            0 => delays.way_in = long,
            1 => delays.work = long,
            _ => delays.way_back = long,
        }
        delays
    }

    fn late(&mut self) -> Micros {
        self.random.spread(MILLISECOND, LATEST)
    }

    fn fault(&mut self, lost_answers: bool) -> Effect {
        let is_shared = self.plan.shape.acknowledged == Acknowledged::Shared;
        let kinds = match (lost_answers, is_shared) {
            (true, _) => 8,
            (false, false) => 4,
            // What the SDK's own retries are there for: no change fails.
            (false, true) => 3,
        };
        match self.random.below(kinds) {
            0 => Effect::Answer(503),
            1 => Effect::Answer(500),
            2 => Effect::Answer(200),
            // A permission that is missing for a while: the one answer that is not tried again.
            3 => Effect::Answer(403),
            4 | 5 => Effect::Reset {
                noticed: self.random.spread(MILLISECOND, SECOND),
                takes_effect: true,
                way_in: self.late(),
            },
            6 => Effect::Reset {
                noticed: self.random.spread(MILLISECOND, SECOND),
                takes_effect: false,
                way_in: 0,
            },
            _ => Effect::Silence {
                way_in: self.late(),
            },
        }
    }
}
