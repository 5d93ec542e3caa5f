//! Reading JSON field by field, with a report of what is missing, wrong or too much.
//!
//! Every reader gives `None` once it has reported why; a field that is absent where it may be
//! gives `None` too, which is no confusion, since a report alone makes the load fail.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::node::Node;
use super::problem::Problems;

/// Where in a file something stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) line: usize,
    path: String,
}

impl Place {
    pub(super) fn line(line: usize) -> Self {
        Self {
            line,
            path: String::new(),
        }
    }

    pub(super) fn file() -> Self {
        Self {
            line: 1,
            path: "whole file".to_owned(),
        }
    }

    pub(super) fn field(&self, name: &str) -> Self {
        let plain = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
        let path = match (
            self.path.as_str(),
            !name.is_empty() && name.chars().all(plain),
        ) {
            ("", true) => name.to_owned(),
            (path, true) => format!("{path}.{name}"),
            (path, false) => format!("{path}[{name:?}]"),
        };
        Self {
            line: self.line,
            path,
        }
    }

    pub(super) fn item(&self, index: usize) -> Self {
        Self {
            line: self.line,
            path: format!("{}[{index}]", self.path),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.path.is_empty() {
            "whole line"
        } else {
            &self.path
        })
    }
}

/// A value, its place, and where to report what is wrong with it.
pub(super) struct Value<'p> {
    node: Node,
    place: Place,
    problems: &'p mut Problems,
}

impl<'p> Value<'p> {
    pub(super) fn new(node: Node, place: Place, problems: &'p mut Problems) -> Self {
        Self {
            node,
            place,
            problems,
        }
    }

    /// Reports that something else was expected here.
    pub(super) fn expected<T>(self, what: &str) -> Option<T> {
        self.problems
            .report(&self.place, what, self.node.into_json().to_string());
        None
    }

    /// The same value, so that it can be read and then judged as a whole.
    pub(super) fn reborrow(&mut self) -> Value<'_> {
        Value::new(self.node.clone(), self.place.clone(), self.problems)
    }

    pub(super) fn unsigned(self, range: RangeInclusive<u64>) -> Option<u64> {
        match &self.node {
            Node::Number(number) if number.as_u64().is_some_and(|n| range.contains(&n)) => {
                number.as_u64()
            }
            _ => {
                let (least, most) = range.into_inner();
                let upper = if most == u64::MAX {
                    " on".to_owned()
                } else {
                    format!(" to {most}")
                };
                self.expected(&format!("a whole number from {least}{upper}"))
            }
        }
    }

    /// Seconds, from a millisecond up to `most`.
    pub(super) fn seconds(self, most: u32) -> Option<Duration> {
        match &self.node {
            Node::Number(number) => number.as_f64(),
            _ => None,
        }
        .filter(|seconds| (0.001..=f64::from(most)).contains(seconds))
        .map(Duration::from_secs_f64)
        .or_else(|| self.expected(&format!("a number of seconds from 0.001 to {most}")))
    }

    /// Text that `check` accepts.
    pub(super) fn text(self, what: &str, check: impl FnOnce(&str) -> bool) -> Option<String> {
        match self.node {
            Node::Text(text) if check(&text) => Some(text),
            _ => self.expected(what),
        }
    }

    /// One of a closed set of names.
    pub(super) fn named<T: FromStr>(self, what: &str) -> Option<T> {
        let named = match &self.node {
            Node::Text(text) => text.parse().ok(),
            _ => None,
        };
        named.or_else(|| self.expected(what))
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.node, Node::Text(_))
    }

    pub(super) fn json(self) -> serde_json::Value {
        self.node.into_json()
    }

    /// A list, each item read by `read`.
    pub(super) fn list<T>(
        self,
        what: &str,
        mut read: impl FnMut(Value<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Node::List(nodes) = self.node else {
            return self.expected(what);
        };
        let mut items = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.into_iter().enumerate() {
            items.push(read(Value::new(
                node,
                self.place.item(index),
                self.problems,
            )));
        }
        items.into_iter().collect()
    }

    /// An object of any names, each value read by `read`, which may change the name.
    pub(super) fn map(
        self,
        what: &str,
        mut read: impl FnMut(&str, Value<'_>) -> Option<(String, String)>,
    ) -> Option<BTreeMap<String, String>> {
        let Node::Object(entries) = self.node else {
            return self.expected(what);
        };
        let mut map = BTreeMap::new();
        let mut is_good = true;
        for (name, node) in entries {
            let place = self.place.field(&name);
            let found = node.clone();
            match read(&name, Value::new(node, place.clone(), self.problems)) {
                Some((name, value)) if !map.contains_key(&name) => {
                    map.insert(name, value);
                }
                Some(_) => {
                    is_good = false;
                    let again = Value::new(found, place, self.problems);
                    again.expected::<()>("each name once");
                }
                None => is_good = false,
            }
        }
        is_good.then_some(map)
    }

    /// An object of known names.
    pub(super) fn fields(self) -> Option<Fields<'p>> {
        let Node::Object(all) = self.node else {
            return self.expected("a JSON object");
        };
        let mut entries: Vec<(String, Node)> = Vec::with_capacity(all.len());
        for (name, node) in all {
            if entries.iter().any(|(other, _)| *other == name) {
                let again = Value::new(node, self.place.field(&name), self.problems);
                again.expected::<()>("each field once");
            } else {
                entries.push((name, node));
            }
        }
        Some(Fields {
            place: self.place,
            entries,
            asked: Vec::new(),
            problems: self.problems,
        })
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: Value<'_>) -> Option<bool> {
    match value.node {
        Node::Boolean(value) => Some(value),
        _ => value.expected("true or false"),
    }
}

/// `true`, the only value that says anything here.
pub(super) fn yes(value: Value<'_>) -> Option<()> {
    match value.node {
        Node::Boolean(true) => Some(()),
        _ => value.expected("true"),
    }
}

/// An object of known names.
pub(super) struct Fields<'p> {
    place: Place,
    entries: Vec<(String, Node)>,
    asked: Vec<&'static str>,
    problems: &'p mut Problems,
}

impl Fields<'_> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(other, _)| other == name)
    }

    /// Those of these names that there are.
    pub(super) fn which(&self, names: &[&'static str]) -> Vec<&'static str> {
        names
            .iter()
            .copied()
            .filter(|name| self.has(name))
            .collect()
    }

    /// The value of this name, which counts as known from now on.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Value<'_>> {
        self.asked.push(name);
        let index = self.entries.iter().position(|(other, _)| other == name)?;
        let (_, node) = self.entries.remove(index);
        Some(Value::new(node, self.place.field(name), self.problems))
    }

    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value<'_>) -> Option<T>,
    ) -> Option<T> {
        self.take(name).and_then(read)
    }

    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.take(name) {
            Some(value) => read(value),
            None => {
                self.problems
                    .report(&self.place.field(name), "this field", "nothing".to_owned());
                None
            }
        }
    }

    /// Exactly one of these names; `found` says which there are.
    pub(super) fn exactly_one(&mut self, names: &[&'static str]) -> Option<&'static str> {
        match self.which(names)[..] {
            [name] => Some(name),
            ref found => {
                let found = if found.is_empty() {
                    "none".to_owned()
                } else {
                    found.join(" and ")
                };
                let expected = format!("exactly one of {}", names.join(", "));
                self.problems.report(&self.place, &expected, found);
                None
            }
        }
    }

    /// Reports something about the object as a whole.
    pub(super) fn report_whole(&mut self, expected: &str, found: String) {
        self.problems.report(&self.place, expected, found);
    }

    /// Reports something about a field that has been read already.
    pub(super) fn report(&mut self, name: &str, expected: &str, found: String) {
        self.problems
            .report(&self.place.field(name), expected, found);
    }

    /// Reports whatever is left.
    pub(super) fn close(self) {
        let expected = format!("no other fields than {}", self.asked.join(", "));
        for (name, node) in self.entries {
            let found = node.into_json().to_string();
            self.problems
                .report(&self.place.field(&name), &expected, found);
        }
    }
}
