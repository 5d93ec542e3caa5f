//! What becomes of a request: sent, arrived, taken effect, answered, each at its own time.

use std::cmp::Reverse;

use super::bucket::{Upload, Version, seconds};
use super::request::{Answer, Call, Flight, Step, Tag};
use super::world::World;
use crate::local::simulate::mutant::Mutant;
use crate::local::simulate::plan::{Delays, Effect, Micros, SECOND, State, USUAL};
use crate::local::simulate::trace::Line;

impl World<'_> {
    /// Sends a request; `wait` is how long before it is sent. Answers its number; `None`: nothing
    /// is sent any more.
    pub(super) fn send(
        &self,
        id: u32,
        wait: Micros,
        bucket: u8,
        key: u8,
        call: Call,
    ) -> Option<usize> {
        let now = self.now.get();
        let inner = &mut *self.inner.borrow_mut();
        let invocation = &mut inner.invocations[id as usize];
        if invocation.is_late || invocation.dies {
            return None;
        }
        let number = invocation.requests;
        invocation.requests += 1;
        let (delivery, attempt) = (invocation.delivery, invocation.attempt);
        let flight = inner.flights.len();
        let mut delays = USUAL;
        let mut is_heard = true;
        let mut arrives = true;
        let mut later: Option<(Micros, Step)> = None;
        let effect = if self.has_effects {
            self.plan.effect(delivery, attempt, number)
        } else {
            None
        };
        match effect {
            None => {}
            Some(Effect::Slow(slow)) => {
                delays = Delays {
                    way_in: delays.way_in + slow.way_in,
                    work: delays.work + slow.work,
                    way_back: delays.way_back + slow.way_back,
                };
            }
            Some(Effect::Answer(status)) => {
                arrives = false;
                later = Some((
                    delays.way_in + delays.way_back,
                    Step::Notice(flight, status),
                ));
            }
            Some(Effect::Reset {
                noticed,
                takes_effect,
                way_in,
            }) => {
                (arrives, is_heard, delays.way_in) = (takes_effect, false, USUAL.way_in + way_in);
                later = Some((noticed, Step::Notice(flight, 0)));
            }
            Some(Effect::Silence { way_in }) => {
                (is_heard, delays.way_in) = (false, USUAL.way_in + way_in)
            }
            Some(Effect::Kill { sent, way_in }) => {
                (arrives, is_heard, delays.way_in) = (sent, false, USUAL.way_in + way_in);
                invocation.dies = true;
            }
            Some(Effect::Freeze(time)) => {
                invocation.frozen_until = now + time;
                later = Some((time, Step::Thaw(id)));
            }
        }
        let down = |at: Micros| {
            let outages = self.plan.outages.iter();
            outages
                .into_iter()
                .any(|outage| outage.bucket == bucket && (outage.from..outage.until).contains(&at))
        };
        if arrives && is_heard && down(now + wait) {
            arrives = false;
            later = Some((delays.way_in, Step::Notice(flight, 0)));
        }
        inner.flights.push(Flight {
            invocation: id,
            bucket,
            key,
            call,
            work: delays.work,
            way_back: delays.way_back,
            is_heard,
            expected: None,
            read: None,
            reply: Answer::Done,
            heard: None,
        });
        let mut push = |at: Micros, step| {
            inner.order += 1;
            inner.steps.push(Reverse((at, inner.order, step)));
        };
        if arrives {
            push(now + wait + delays.way_in, Step::Arrive(flight));
        }
        if let Some((after, step)) = later {
            push(now + wait + after, step);
        }
        self.note(|| Line::Sent {
            request: flight,
            delivery,
            attempt,
            number,
            bucket,
            key,
            operation: call.operation(),
            detail: format!("{call:?}"),
            effect,
        });
        Some(flight)
    }

    /// The request reaches the store.
    pub(super) fn arrive(&self, number: usize) {
        let now = self.now.get();
        let inner = &mut *self.inner.borrow_mut();
        let flight = &mut inner.flights[number];
        let source = match flight.call {
            Call::Copy { from, .. } | Call::CopyPart { from, .. } => from,
            _ => flight.bucket,
        };
        let slot = &inner.slots[self.index(source, flight.key)];
        let found = slot.current();
        let mut next = Step::Answer(number);
        let mut at = now + flight.way_back;
        flight.reply = match (flight.call, found) {
            (Call::HeadBucket, _) => Answer::Done,
            (Call::Head, None) => Answer::Absent,
            (Call::Head | Call::GetTags, Some((version, state))) => Answer::Found(version, state),
            (Call::ListUploads, _) => Answer::Listed(slot.furthest_upload()),
            (Call::GetTags | Call::Get(_) | Call::Copy { .. } | Call::CopyPart { .. }, None) => {
                Answer::Raced
            }
            (Call::Get(if_match), Some((version, state))) => {
                if self.matches(if_match, version, state) {
                    Answer::Found(version, state)
                } else {
                    Answer::Raced
                }
            }
            (
                Call::Copy { if_match, .. } | Call::CopyPart { if_match, .. },
                Some((version, state)),
            ) => {
                if self.matches(if_match, version, state) {
                    flight.read = Some(state);
                    (at, next) = (now + flight.work, Step::Write(number));
                    Answer::Done
                } else {
                    Answer::Raced
                }
            }
            (
                Call::Put(_)
                | Call::Tag(_)
                | Call::Delete
                | Call::Begin(_)
                | Call::PutPart { .. }
                | Call::Complete { .. }
                | Call::Abort(_),
                _,
            ) => {
                at = now;
                next = Step::Write(number);
                Answer::Done
            }
        };
        if next == Step::Answer(number) {
            let (reply, read) = (flight.reply, found.map(|(_, state)| state));
            self.note(|| Line::Read {
                request: number,
                reply,
                read,
            });
        }
        inner.order += 1;
        inner.steps.push(Reverse((at, inner.order, next)));
    }

    fn matches(&self, if_match: Tag, version: Version, state: State) -> bool {
        self.rules.mutant == Some(Mutant::NoIfMatch)
            || self.rules.mutant == Some(Mutant::Naive)
            || self.etag(version, state) == if_match
    }

    /// The request takes effect.
    pub(super) fn write(&self, number: usize) {
        let now = self.now.get();
        let inner = &mut *self.inner.borrow_mut();
        let flight = &mut inner.flights[number];
        let (bucket, key) = (flight.bucket, flight.key);
        let versioned = self.is_versioned(bucket);
        let slot = &mut inner.slots[usize::from(bucket) * self.keys + usize::from(key)];
        let before = slot.state();
        let found = slot
            .current()
            .map(|(version, state)| self.etag(version, state));
        inner.serial += 1;
        let mut took_effect = true;
        match flight.call {
            _ if flight.expected.is_some_and(|expected| expected != found) => {
                took_effect = false;
                flight.reply = Answer::Raced;
            }
            Call::Put(exact) => slot.put(now, inner.serial, exact, versioned),
            Call::Copy { exact, .. } => {
                let read = flight.read.unwrap_or_default();
                let inexact = matches!(self.rules.mutant, Some(Mutant::Inexact | Mutant::Naive));
                let state = if inexact {
                    read
                } else {
                    State {
                        content: read.content,
                        ..exact
                    }
                };
                slot.put(now, inner.serial, state, versioned);
            }
            Call::Tag(tags) => {
                took_effect = slot.tag(now, tags);
                if !took_effect {
                    flight.reply = Answer::Raced;
                }
            }
            Call::Delete => {
                let invocation = &inner.invocations[flight.invocation as usize];
                if versioned && slot.since(invocation.started).all(|state| state.is_none()) {
                    inner.blind_markers.push((bucket, key));
                }
                took_effect = versioned || before.is_some();
                slot.delete(now, inner.serial, versioned);
            }
            Call::Begin(exact) => {
                took_effect = false;
                slot.uploads.push(Upload {
                    id: inner.serial,
                    initiated: seconds(now),
                    exact,
                    parts: Default::default(),
                });
                flight.reply = Answer::Begun(inner.serial);
            }
            Call::CopyPart { id, part, .. } | Call::PutPart { id, part, .. } => {
                took_effect = false;
                let content = match (flight.call, flight.read) {
                    (Call::PutPart { content, .. }, _) => content,
                    (_, read) => read.unwrap_or_default().content,
                };
                match slot.uploads.iter_mut().find(|upload| upload.id == id) {
                    Some(upload) => upload.parts[usize::from(part)] = Some(content),
                    None => flight.reply = Answer::Raced,
                }
            }
            Call::Complete { id, parts } => {
                let is_it = |upload: &Upload| upload.id == id && upload.parts == parts.map(Some);
                match slot.uploads.iter().position(is_it) {
                    Some(index) => {
                        let Upload {
                            exact, initiated, ..
                        } = slot.uploads.remove(index);
                        let content = Upload::content(parts);
                        let state = State { content, ..exact };
                        let begun = Micros::from(initiated) * SECOND;
                        slot.put_parts((begun, now), inner.serial, state, versioned);
                        if content & 0x80 > 0 {
                            inner.mixed.push((bucket, key));
                        }
                    }
                    None => {
                        took_effect = false;
                        flight.reply = Answer::Raced;
                    }
                }
            }
            Call::Abort(id) => {
                took_effect = false;
                slot.uploads.retain(|upload| upload.id != id);
            }
            Call::Head | Call::HeadBucket | Call::GetTags | Call::Get(_) | Call::ListUploads => {}
        }
        let after = slot.state();
        inner.order += 1;
        inner.steps.push(Reverse((
            now + flight.way_back,
            inner.order,
            Step::Answer(number),
        )));
        if took_effect && !self.plan.targets(bucket).is_empty() {
            let echoes = &self.plan.echoes;
            let delay = echoes
                .get(inner.echoes % echoes.len().max(1))
                .copied()
                .unwrap_or(USUAL.way_in);
            inner.echoes += 1;
            inner.order += 1;
            inner
                .steps
                .push(Reverse((now + delay, inner.order, Step::Echo(bucket, key))));
        }
        self.note(|| Line::Wrote {
            request: number,
            after,
        });
    }

    /// The answer is heard; answers whose it is.
    pub(super) fn answer(&self, number: usize) -> Option<u32> {
        let flight = &mut self.inner.borrow_mut().flights[number];
        if !flight.is_heard || flight.heard.is_some() {
            return None;
        }
        flight.heard = Some(flight.reply);
        Some(flight.invocation)
    }

    /// The sender notices a status, or that the connection has ended (0).
    pub(super) fn notice(&self, number: usize, status: u16) -> Option<u32> {
        let flight = &mut self.inner.borrow_mut().flights[number];
        if flight.heard.is_some() {
            return None;
        }
        let answer = if status == 0 {
            Answer::Reset
        } else {
            Answer::Status(status)
        };
        flight.heard = Some(answer);
        self.note(|| Line::Noticed {
            request: number,
            answer,
        });
        Some(flight.invocation)
    }
}
