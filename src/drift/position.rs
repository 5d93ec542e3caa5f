//! Where to go on from: the last key before the oldest one that is not confirmed. Pure.
//!
//! Keys begin in key order and end in any. A key that failed is not confirmed, and nothing behind
//! it counts any more, so what is remembered stays small.

use std::collections::VecDeque;

use crate::change::ObjectKey;

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
    fn earlier_key_that_fails_later_still_counts() {
        let mut position = Position::default();
        let [a, b] = ["a", "b"].map(|text| position.begin(&key(text)));
        position.end(b, false);
        position.end(a, false);
        assert_eq!(position.confirmed(), None);
    }
}
