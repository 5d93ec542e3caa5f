//! The keys of a walk, one by one: from listings side by side, or from an inventory.

use std::vec::IntoIter;

use futures_util::stream::{BoxStream, TryStreamExt};

use super::cost::Counted;
use super::filter::Filter;
use super::inventory::Inventory;
use super::listing::{Range, list};
use super::merge::{Listed, Merge, Next, Row, Sight};
use super::scope::Scope;
use super::subject::Subject;
use crate::change::ObjectKey;
use crate::error::Failure;

/// Which keys are meant.
#[derive(Debug, Clone)]
pub struct Selection {
    /// What is replicated at all.
    pub scope: Scope,
    /// What of it was asked for.
    pub filter: Filter,
    /// What the keys come behind.
    pub after: Option<ObjectKey>,
    /// Keys by one request for a listing.
    pub page_size: Option<i32>,
}

impl Selection {
    /// Whether a key is meant; where the walk begins aside.
    pub fn selects(&self, key: &ObjectKey) -> bool {
        self.scope.covers(key.as_str()) && self.filter.includes(key.as_str())
    }

    /// What of a bucket has to be listed.
    pub fn ranges(&self) -> Vec<Range> {
        let behind = |prefix: &String| match &self.after {
            // No key with this prefix comes behind it.
            Some(after) => after.as_str() < prefix.as_str() || after.as_str().starts_with(prefix),
            None => true,
        };
        let prefixes = self.scope.prefixes().into_iter().filter(behind);
        let range = |prefix: String| Range {
            after: self
                .after
                .clone()
                .filter(|it| it.as_str() > prefix.as_str()),
            page_size: self.page_size,
            prefix,
        };
        prefixes.map(range).collect()
    }
}

type Lines = BoxStream<'static, Result<Listed, Failure>>;

/// Where keys come from.
pub struct Keys {
    selection: Selection,
    source: Source,
    lost: Vec<bool>,
}

enum Source {
    Listings {
        subject: Subject,
        ranges: IntoIter<Range>,
        /// The range that is read at present.
        merge: Option<Merge<Lines>>,
    },
    Inventory(Inventory),
    Ended,
}

impl Keys {
    /// The keys of the master and of all its targets, in key order.
    pub fn listed(subject: &Subject, selection: Selection) -> Self {
        Self {
            lost: vec![false; subject.targets().len()],
            source: Source::Listings {
                subject: subject.clone(),
                ranges: selection.ranges().into_iter(),
                merge: None,
            },
            selection,
        }
    }

    /// The keys of an inventory, in its order. `lost` targets are not asked.
    pub fn of_inventory(inventory: Inventory, selection: Selection, lost: Vec<bool>) -> Self {
        Self {
            selection,
            source: Source::Inventory(inventory),
            lost,
        }
    }

    /// The next selected key, or what was lost. Nothing comes behind a lost master or inventory.
    pub async fn next(&mut self) -> Option<Next> {
        loop {
            match self.read().await {
                Some(Next::Row(row)) if !self.selection.selects(&row.key) => {}
                Some(Next::Lost(None, failure)) => {
                    self.source = Source::Ended;
                    return Some(Next::Lost(None, failure));
                }
                Some(Next::Lost(Some(target), failure)) => {
                    self.lost[target] = true;
                    return Some(Next::Lost(Some(target), failure));
                }
                next => return next,
            }
        }
    }

    async fn read(&mut self) -> Option<Next> {
        match &mut self.source {
            Source::Ended => None,
            Source::Listings {
                subject,
                ranges,
                merge,
            } => loop {
                if let Some(next) = match merge {
                    Some(merge) => merge.next().await,
                    None => None,
                } {
                    return Some(next);
                }
                *merge = Some(side_by_side(subject, &ranges.next()?, &self.lost));
            },
            Source::Inventory(inventory) => {
                let next = inventory.next().await?;
                let unlisted = |&lost: &bool| if lost { Sight::Lost } else { Sight::Unlisted };
                Some(match next {
                    Ok(key) => Next::Row(Row {
                        key,
                        master: Sight::Unlisted,
                        replicas: self.lost.iter().map(unlisted).collect(),
                    }),
                    Err(failure) => Next::Lost(None, failure),
                })
            }
        }
    }
}

/// Counts the selected keys of the master, by a listing of its own.
pub async fn count(subject: &Subject, selection: &Selection) -> Result<Counted, Failure> {
    let mut counted = Counted::default();
    for range in selection.ranges() {
        let mut lines = list(subject.master().clone(), range);
        while let Some(line) = lines.try_next().await? {
            if selection.selects(&line.key) {
                counted.add(line.entry.size);
            }
        }
    }
    Ok(counted)
}

/// Whether the master has a selected key at all, wherever the walk begins.
pub async fn is_empty(subject: &Subject, selection: &Selection) -> Result<bool, Failure> {
    let selection = Selection {
        after: None,
        ..selection.clone()
    };
    for range in selection.ranges() {
        let mut lines = list(subject.master().clone(), range);
        while let Some(line) = lines.try_next().await? {
            if selection.selects(&line.key) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn side_by_side(subject: &Subject, range: &Range, lost: &[bool]) -> Merge<Lines> {
    let master = subject.master();
    let listing = (master.place(None), list(master.clone(), range.clone()));
    let targets = subject.targets().iter().zip(lost).map(|(target, &lost)| {
        let lines = (!lost).then(|| list(target.clone(), range.clone()));
        (target.place(None), lines)
    });
    Merge::new(listing, targets.collect())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::drift::scope::Rule;

    #[rstest]
    #[case::from_the_beginning(None, &["a/ ", "b/ "])]
    #[case::within_the_first(Some("a/x"), &["a/ a/x", "b/ "])]
    #[case::between(Some("a0"), &["b/ "])]
    #[case::within_the_last(Some("b/y"), &["b/ b/y"])]
    #[case::behind_all(Some("c"), &[])]
    #[case::before_all(Some("A"), &["a/ ", "b/ "])]
    fn walk_begins_behind_the_key_that_was_named(
        #[case] after: Option<&str>,
        #[case] expected: &[&str],
    ) {
        let rule = |prefix: &str| Rule {
            prefix: prefix.to_owned(),
            suffix: String::new(),
        };
        let selection = Selection {
            scope: Scope::of_rules(["a/", "b/"].map(rule).into()),
            filter: Filter::default(),
            after: after.map(|after| ObjectKey::new(after).expect("a key")),
            page_size: None,
        };
        let shown = selection.ranges().into_iter().map(|range| {
            let after = range.after.as_ref().map_or("", |after| after.as_str());
            format!("{} {after}", range.prefix)
        });
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    }
}
