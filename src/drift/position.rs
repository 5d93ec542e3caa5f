//! Where to go on from: the last key before the oldest one that is not confirmed. Pure.
//!
//! Keys begin in key order and end in any. A key that failed is not confirmed, and nothing behind
//! it counts any more. Invariant: no more than 100,000 keys are remembered. A key that takes
//! longer than so many others leaves what comes behind these to the walk that goes on from there.

use std::collections::VecDeque;

use crate::change::ObjectKey;

/// How many keys are remembered at most.
const MOST: usize = 100_000;

/// How far a walk has come without a gap.
#[derive(Debug, Default)]
pub struct Position {
    confirmed: Option<ObjectKey>,
    /// Keys that have begun, in order, and whether they are confirmed.
    open: VecDeque<(ObjectKey, bool)>,
    /// The ticket of the first of them.
    first: u64,
    stuck: bool,
}

/// What a key that has begun is ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

impl Position {
    /// A walk that begins behind `after`.
    pub fn after(after: Option<ObjectKey>) -> Self {
        Self {
            confirmed: after,
            ..Self::default()
        }
    }

    /// A key begins; the next one is greater.
    pub fn begin(&mut self, key: &ObjectKey) -> Ticket {
        self.stuck |= self.open.len() >= MOST;
        if self.stuck {
            return Ticket(u64::MAX);
        }
        self.open.push_back((key.clone(), false));
        Ticket(self.first + self.open.len() as u64 - 1)
    }

    /// A key has ended, confirmed or not.
    pub fn end(&mut self, ticket: Ticket, is_confirmed: bool) {
        let index = ticket.0.checked_sub(self.first);
        let index = index.and_then(|index| usize::try_from(index).ok());
        // What stands behind a key that failed is not waited for.
        let Some(index) = index.filter(|&index| index < self.open.len()) else {
            return;
        };
        if is_confirmed {
            self.open[index].1 = true;
        } else {
            self.open.truncate(index + 1);
            self.stuck = true;
        }
        while let Some((_, true)) = self.open.front() {
            self.confirmed = self.open.pop_front().map(|(key, _)| key);
            self.first += 1;
        }
    }

    /// Every key up to this one is confirmed.
    pub fn confirmed(&self) -> Option<&ObjectKey> {
        self.confirmed.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ObjectKey {
        ObjectKey::new(text).expect("a key")
    }

    #[test]
    fn oldest_open_key_holds_the_position_back() {
        let mut position = Position::default();
        let [a, b, c] = ["a", "b", "c"].map(|text| position.begin(&key(text)));
        position.end(c, true);
        position.end(b, true);
        assert_eq!(position.confirmed(), None);
        position.end(a, true);
        assert_eq!(position.confirmed(), Some(&key("c")));
    }

    #[test]
    fn key_that_failed_holds_it_back_for_good() {
        let mut position = Position::after(Some(key("0")));
        let [a, b, c] = ["a", "b", "c"].map(|text| position.begin(&key(text)));
        position.end(b, false);
        position.end(c, true);
        assert_eq!(position.confirmed(), Some(&key("0")));
        position.end(a, true);
        assert_eq!(position.confirmed(), Some(&key("a")));
        let d = position.begin(&key("d"));
        position.end(d, true);
        assert_eq!(position.confirmed(), Some(&key("a")));
        assert_eq!(position.open.len(), 1);
    }

    #[test]
    fn one_slow_key_does_not_make_it_remember_every_other() {
        let mut position = Position::default();
        let slow = position.begin(&key("a"));
        for number in 1..2 * MOST {
            let ticket = position.begin(&key(&format!("b{number:06}")));
            position.end(ticket, true);
        }
        assert_eq!(position.open.len(), MOST);
        position.end(slow, true);
        let last = format!("b{:06}", MOST - 1);
        assert_eq!(position.confirmed(), Some(&key(&last)));
        // What was not remembered may have failed.
        let late = position.begin(&key("c"));
        position.end(late, true);
        assert_eq!(position.confirmed(), Some(&key(&last)));
    }

    #[test]
    fn earlier_key_that_fails_later_still_counts() {
        let mut position = Position::default();
        let [a, b] = ["a", "b"].map(|text| position.begin(&key(text)));
        position.end(b, false);
        position.end(a, false);
        assert_eq!(position.confirmed(), None);
    }
}
