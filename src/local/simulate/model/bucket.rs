//! One key of one bucket in the model: its versions, and all states that it ever had.

use crate::local::simulate::plan::{Micros, SECOND, State};

/// A version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local::simulate) struct Version {
    /// Given out in the order of writing, over all keys.
    pub(super) serial: u32,
    /// In whole seconds, as S3 tells it.
    pub(super) modified: u32,
    /// `None` is a delete marker.
    pub(super) state: Option<State>,
}

/// How many parts an object has.
pub(in crate::local::simulate) const PARTS: usize = 2;

/// An upload under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local::simulate) struct Upload {
    pub(in crate::local::simulate) id: u32,
    /// In whole seconds, as S3 tells it.
    pub(super) initiated: u32,
    /// All but the content.
    pub(super) exact: State,
    /// The content that each part was taken from.
    pub(super) parts: [Option<u8>; PARTS],
}

impl Upload {
    /// What an object of these parts has for bytes: those of its one source, or of no state at all.
    pub(super) fn content(parts: [u8; PARTS]) -> u8 {
        let [first, rest @ ..] = parts;
        match rest.iter().all(|part| *part == first) {
            true => first,
            false => parts.iter().fold(0x80, |mixed, part| mixed ^ (part << 2)),
        }
    }
}

/// A key's versions, the current one last.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    /// In the order of their beginning.
    pub(super) uploads: Vec<Upload>,
    versions: Vec<Version>,
    /// Every state that was current, from which time on; absent before the first.
    history: Vec<(Micros, Option<State>)>,
}

impl Slot {
    /// The current object.
    pub(super) fn current(&self) -> Option<(Version, State)> {
        let version = *self.versions.last()?;
        Some((version, version.state?))
    }

    pub(super) fn state(&self) -> Option<State> {
        self.current().map(|(_, state)| state)
    }

    /// How many delete markers there are.
    pub(super) fn markers(&self) -> usize {
        let markers = self
            .versions
            .iter()
            .filter(|version| version.state.is_none());
        markers.count()
    }

    pub(super) fn put(&mut self, now: Micros, serial: u32, state: State, versioned: bool) {
        self.push(now, serial, Some(state), versioned);
    }

    /// An object made of parts is dated to the beginning of its upload.
    pub(super) fn put_parts(
        &mut self,
        (begun, now): (Micros, Micros),
        serial: u32,
        state: State,
        versioned: bool,
    ) {
        self.push(now, serial, Some(state), versioned);
        if let Some(last) = self.versions.last_mut() {
            last.modified = seconds(begun);
        }
    }

    /// The upload with the most parts, the oldest of several.
    pub(super) fn furthest_upload(&self) -> Option<Upload> {
        let parts = |upload: &&Upload| upload.parts.iter().flatten().count();
        self.uploads.iter().rev().max_by_key(parts).copied()
    }

    pub(super) fn delete(&mut self, now: Micros, serial: u32, versioned: bool) {
        if versioned {
            self.push(now, serial, None, true);
        } else {
            self.versions.clear();
            self.note(now);
        }
    }

    pub(super) fn delete_version(&mut self, now: Micros, serial: u32) {
        self.versions.retain(|version| version.serial != serial);
        self.note(now);
    }

    /// Whether there was an object to tag.
    pub(super) fn tag(&mut self, now: Micros, tags: u8) -> bool {
        let current = self
            .versions
            .last_mut()
            .and_then(|last| last.state.as_mut());
        let Some(current) = current else { return false };
        current.tags = tags;
        self.note(now);
        true
    }

    fn push(&mut self, now: Micros, serial: u32, state: Option<State>, versioned: bool) {
        if !versioned {
            self.versions.clear();
        }
        self.versions.push(Version {
            serial,
            modified: seconds(now),
            state,
        });
        self.note(now);
    }

    fn note(&mut self, now: Micros) {
        self.history.push((now, self.state()));
    }

    /// The states that it had at any time from `from` on.
    pub(super) fn since(&self, from: Micros) -> impl Iterator<Item = Option<State>> {
        let later = self.history.iter().filter(move |(at, _)| *at >= from);
        let before = self.history.iter().rev().find(|(at, _)| *at < from);
        let before = before.and_then(|(_, state)| *state);
        std::iter::once(before).chain(later.map(|(_, state)| *state))
    }
}

/// Whole seconds, as S3 tells times.
pub(super) fn seconds(time: Micros) -> u32 {
    u32::try_from(time / SECOND).unwrap_or(u32::MAX)
}
