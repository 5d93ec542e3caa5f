//! What became of all keys, by target: a table for people, an object for machines.

use std::collections::BTreeMap;

use serde::Serialize;

use super::form::{grouped, size};
use crate::cli::spectator::line;
use crate::site::Bucket;

/// How many replicas ended in one way.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Count {
    pub(crate) keys: u64,
    pub(crate) bytes: u64,
}

/// One target's replicas.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Tally {
    target: String,
    site: String,
    /// Why it was given up, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    counts: BTreeMap<&'static str, Count>,
}

impl Tally {
    pub(crate) fn of(target: &Bucket) -> Self {
        Self {
            target: target.name.clone(),
            site: target.site.name.clone(),
            error: None,
            counts: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, ending: &'static str, bytes: u64) {
        let count = self.counts.entry(ending).or_default();
        count.keys += 1;
        count.bytes += bytes;
    }

    /// One that was counted so ends in another way.
    pub(crate) fn take(&mut self, ending: &'static str, bytes: u64) {
        if let Some(count) = self.counts.get_mut(ending) {
            count.keys -= 1;
            count.bytes -= bytes;
        }
    }

    pub(crate) fn lose(&mut self, error: String) {
        self.error = Some(error);
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.error.is_some()
    }

    pub(crate) fn count(&self, ending: &str) -> Count {
        self.counts.get(ending).copied().unwrap_or_default()
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.target
    }

    pub(crate) fn site(&self) -> &str {
        &self.site
    }

    pub(crate) fn name(&self) -> String {
        format!("{}@{}", self.target, self.site)
    }
}

/// Replicas of all targets that ended in one way.
pub(crate) fn total(tallies: &[Tally], ending: &str) -> Count {
    tallies.iter().fold(Count::default(), |sum, tally| {
        let count = tally.count(ending);
        Count {
            keys: sum.keys + count.keys,
            bytes: sum.bytes + count.bytes,
        }
    })
}

/// Whether no target was given up, and no replica failed.
pub(crate) fn is_whole(tallies: &[Tally]) -> bool {
    !tallies.iter().any(Tally::is_lost) && total(tallies, "failed").keys == 0
}

/// A row for each target. The first `always` endings have a column in any case, the others where
/// something ended so.
pub(crate) fn show(tallies: &[Tally], endings: &[&'static str], always: usize) {
    for row in rows(tallies, endings, always) {
        line(format_args!("{row}"));
    }
}

fn rows(tallies: &[Tally], endings: &[&'static str], always: usize) -> Vec<String> {
    let is_shown =
        |(index, ending): &(usize, &&str)| *index < always || total(tallies, ending).keys > 0;
    let endings: Vec<&str> = endings
        .iter()
        .enumerate()
        .filter(is_shown)
        .map(|(_, ending)| *ending)
        .collect();
    let mut cells = vec![
        std::iter::once("TARGET".to_owned())
            .chain(endings.iter().map(|ending| ending.to_uppercase()))
            .collect::<Vec<_>>(),
    ];
    for tally in tallies {
        let counts = endings.iter().map(|ending| match tally.count(ending) {
            Count { keys: 0, .. } => "0".to_owned(),
            Count { keys, bytes } => format!("{} ({})", grouped(keys), size(bytes)),
        });
        cells.push(std::iter::once(tally.name()).chain(counts).collect());
    }
    let widths: Vec<usize> = (0..=endings.len())
        .map(|column| {
            let widths = cells.iter().map(|row| row[column].chars().count());
            widths.max().unwrap_or_default()
        })
        .collect();
    let mut rows: Vec<String> = cells
        .iter()
        .map(|row| {
            let padded = row.iter().zip(&widths);
            let padded = padded.map(|(cell, &width)| format!("{cell:<width$}"));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect();
    for (row, tally) in rows.iter_mut().skip(1).zip(tallies) {
        if tally.is_lost() {
            row.push_str("  INCOMPLETE");
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(target: &str) -> Tally {
        Tally {
            target: target.to_owned(),
            site: "eu-west-1".to_owned(),
            error: None,
            counts: BTreeMap::new(),
        }
    }

    #[test]
    fn columns_are_as_wide_as_they_have_to_be() {
        let (mut first, mut second) = (tally("copy"), tally("another-copy"));
        (0..1200).for_each(|_| first.add("equal", 1024));
        first.add("missing", 3);
        second.lose("down".to_owned());
        let expected = [
            "TARGET                  EQUAL            MISSING",
            "copy@eu-west-1          1,200 (1.2 MiB)  1 (3 B)",
            "another-copy@eu-west-1  0                0  INCOMPLETE",
        ];
        let endings = ["equal", "missing", "failed"];
        assert_eq!(rows(&[first, second], &endings, 1), expected);
    }
}
