//! The tag grammar: what the tags of a master bucket say about its targets.
//!
//! Pure and total: every tag list gives a [`TargetList`]. A mistake never hides the entries beside
//! it, and is never dropped: what is not a target is a [`TagProblem`].

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use crate::excerpt::excerpt;

/// The tag that names targets. `.2`, `.3`, … continue the list.
pub const TARGETS_TAG: &str = "ReplicatedTargetBuckets";
/// The tag that says whether removals are replicated.
pub const DELETES_TAG: &str = "ReplicatedDeletes";

/// A tag's value holds no more characters:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/CostAllocTagging.html>
pub const TAG_VALUE_LIMIT: usize = 256;

/// One bucket to keep equal to the master.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// The bucket's name.
    pub bucket: String,
    /// Where it is: a region, or a profile of the AWS shared configuration.
    pub site: String,
    /// The tag that names it.
    pub tag: String,
    /// Where in the tag's value.
    pub position: EntryPosition,
}

impl Target {
    /// A mistake that only a look at the buckets themselves shows.
    pub fn problem(&self, expected: Expected) -> TagProblem {
        TagProblem {
            tag: self.tag.clone(),
            entry: format!("{}@{}", self.bucket, self.site),
            position: Some(self.position),
            expected,
        }
    }
}

/// What a master's tags say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetList {
    /// In the order of tags and entries, each bucket once.
    pub targets: Vec<Target>,
    /// What could not be read.
    pub problems: Vec<TagProblem>,
    /// Whether removals are replicated. `None` without the tag, `false` where it can't be read,
    /// since a removal can be repeated later and not be undone.
    pub deletes: Option<bool>,
    /// Whether there is a target tag that is not blank.
    pub configured: bool,
}

/// A mistake in a tag.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct TagProblem {
    /// The tag's key.
    pub tag: String,
    /// What is wrong: an entry, or the tag's whole value.
    pub entry: String,
    /// Which entry it is; `None` where the tag as a whole is meant.
    pub position: Option<EntryPosition>,
    /// What should be there.
    pub expected: Expected,
}

impl fmt::Display for TagProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected {} in tag `{}`",
            self.expected,
            excerpt(&self.tag)
        )?;
        if let Some(EntryPosition { number, offset }) = self.position {
            write!(f, ", entry {number} at offset {offset}")?;
        }
        write!(f, ": `{}`", excerpt(&self.entry))
    }
}

/// Where an entry stands in the value of its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryPosition {
    /// From 1.
    pub number: usize,
    /// Characters before it.
    pub offset: usize,
}

/// What a tag or an entry should have been.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Expected {
    /// The tag's key goes on in an unknown way.
    #[error("a tag key `{TARGETS_TAG}`, optionally followed by `.2`, `.3` and so on")]
    Continuation,
    /// Not exactly one `@`.
    #[error("`bucket@site` with exactly one `@`")]
    OneAt,
    /// What stands before `@` breaks S3's naming rules.
    #[error("a bucket name by S3's naming rules before `@`")]
    BucketName,
    /// What stands after `@` is neither region nor profile.
    #[error("a region or a profile of the AWS shared configuration after `@`")]
    Site,
    /// The bucket was named before.
    #[error("one site for each bucket, which is `{site}` by an earlier entry")]
    OneSite {
        /// The site that counts.
        site: String,
    },
    /// The master replicates into itself.
    #[error("a bucket other than the master itself")]
    NotTheMaster,
    /// The target's own tags lead back to the master.
    #[error("a target that does not lead back to the master ({path})")]
    NoCycle {
        /// The buckets, from the master on.
        path: String,
    },
    /// Neither `true` nor `false`.
    #[error("`true` or `false`")]
    Boolean,
}

/// Reads a master's tags. Whether a site is a profile is for `is_profile` to say.
pub fn parse<'a>(
    tags: impl IntoIterator<Item = (&'a str, &'a str)>,
    is_profile: impl Fn(&str) -> bool,
) -> TargetList {
    let mut list = TargetList::default();
    let mut lists = Vec::new();
    for (tag, value) in tags {
        if tag == DELETES_TAG {
            list.read_deletes(value);
        } else if let Some(suffix) = tag.strip_prefix(TARGETS_TAG) {
            list.configured |= value.contains(|c| c != ' ');
            match continuation_order(suffix) {
                Some(order) => lists.push((order, tag, value)),
                None => list.problems.push(TagProblem {
                    tag: tag.to_owned(),
                    entry: value.to_owned(),
                    position: None,
                    expected: Expected::Continuation,
                }),
            }
        }
    }
    lists.sort_by_key(|&(order, ..)| order);
    for (_, tag, value) in lists {
        for (position, entry) in entries(value) {
            if let Err(expected) = list.read_entry(tag, position, entry, &is_profile) {
                list.problems.push(TagProblem {
                    tag: tag.to_owned(),
                    entry: entry.to_owned(),
                    position: Some(position),
                    expected,
                });
            }
        }
    }
    list
}

/// Entries (`bucket@site`) as tags, continued where one value cannot hold them: the inverse of
/// [`parse`].
pub fn to_tags(entries: impl IntoIterator<Item = String>) -> BTreeMap<String, String> {
    let mut values: Vec<String> = Vec::new();
    for entry in entries {
        match values.last_mut() {
            Some(value) if value.chars().count() + 1 + entry.chars().count() <= TAG_VALUE_LIMIT => {
                value.push(' ');
                value.push_str(&entry);
            }
            _ => values.push(entry),
        }
    }
    let names = std::iter::once(TARGETS_TAG.to_owned())
        .chain((2..).map(|number| format!("{TARGETS_TAG}.{number}")));
    names.zip(values).collect()
}

/// Whether a tag of this key names targets.
pub fn is_targets_tag(key: &str) -> bool {
    key.strip_prefix(TARGETS_TAG)
        .is_some_and(|suffix| continuation_order(suffix).is_some())
}

impl TargetList {
    fn read_deletes(&mut self, value: &str) {
        self.deletes = Some(value == "true");
        if !matches!(value, "true" | "false") {
            self.problems.push(TagProblem {
                tag: DELETES_TAG.to_owned(),
                entry: value.to_owned(),
                position: None,
                expected: Expected::Boolean,
            });
        }
    }

    fn read_entry(
        &mut self,
        tag: &str,
        position: EntryPosition,
        entry: &str,
        is_profile: impl Fn(&str) -> bool,
    ) -> Result<(), Expected> {
        let (bucket, site) = entry.split_once('@').ok_or(Expected::OneAt)?;
        if site.contains('@') {
            return Err(Expected::OneAt);
        }
        if !is_bucket_name(bucket) {
            return Err(Expected::BucketName);
        }
        if !is_region(site) && (site.is_empty() || !is_profile(site)) {
            return Err(Expected::Site);
        }
        match self.targets.iter().find(|target| target.bucket == bucket) {
            Some(first) if first.site == site => {}
            Some(first) => {
                return Err(Expected::OneSite {
                    site: first.site.clone(),
                });
            }
            None => {
                self.targets.push(Target {
                    bucket: bucket.to_owned(),
                    site: site.to_owned(),
                    tag: tag.to_owned(),
                    position,
                });
            }
        }
        Ok(())
    }
}

/// The place of a target tag among its like: decimal numbers without leading zeros compare by
/// length, then by digits. `None` for a suffix that is not one from 2 on.
fn continuation_order(suffix: &str) -> Option<(usize, &str)> {
    if suffix.is_empty() {
        return Some((0, ""));
    }
    let digits = suffix.strip_prefix('.')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    (is_number && !digits.starts_with('0') && digits != "1").then_some((digits.len(), digits))
}

fn entries(value: &str) -> impl Iterator<Item = (EntryPosition, &str)> {
    let mut offset = 0;
    let pieces = value.split(' ').map(move |piece| {
        let start = offset;
        offset += piece.chars().count() + 1;
        (start, piece)
    });
    pieces
        .filter(|(_, piece)| !piece.is_empty())
        .zip(1..)
        .map(|((offset, piece), number)| (EntryPosition { number, offset }, piece))
}

/// Whether a name is one that S3 gives to a general purpose bucket.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub fn is_bucket_name(name: &str) -> bool {
    const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
    const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

    let is_edge = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| is_edge(b) || matches!(b, b'.' | b'-'))
        && bytes.first().is_some_and(is_edge)
        && bytes.last().is_some_and(is_edge)
        && !name.contains("..")
        && !is_ipv4_form(name)
        && !RESERVED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        && !RESERVED_SUFFIXES
            .iter()
            .any(|suffix| name.ends_with(suffix))
}

fn is_ipv4_form(name: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    name.split('.').count() == 4 && name.split('.').all(is_number)
}

/// Whether a name has the form of an AWS region: `us-east-1`, `us-gov-west-1`, `eusc-de-east-1`.
///
/// The form alone is checked, so that a region that opens tomorrow needs no change here.
pub fn is_region(name: &str) -> bool {
    let is_word = |part: &&str| part.len() >= 2 && part.bytes().all(|b| b.is_ascii_lowercase());
    let is_number =
        |part: &str| matches!(part.as_bytes(), [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9']);
    let parts: Vec<&str> = name.split('-').collect();
    match parts.as_slice() {
        [area, words @ .., number] => {
            is_word(area)
                && area.len() <= 4
                && (1..=2).contains(&words.len())
                && words.iter().all(is_word)
                && is_number(number)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
