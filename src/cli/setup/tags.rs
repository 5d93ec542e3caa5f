//! The tags of a master with targets added to them or taken away: others' tags stay as they are.
//!
//! Pure. Invariant: what names the targets that were asked for is left byte for byte, however it is
//! split over tags, so that a second run has nothing to do.

use std::collections::BTreeMap;
use std::fmt;

use crate::targets::{
    DELETES_TAG, Expected, TAG_VALUE_LIMIT, TARGETS_TAG, is_targets_tag, parse, to_tags,
};

/// A bucket's tags by key.
pub(in crate::cli) type Tags = BTreeMap<String, String>;

/// How many tags S3 gives a bucket.
const MOST: usize = 50;

/// A target as the command line names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Entry {
    pub(in crate::cli) bucket: String,
    pub(in crate::cli) site: String,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.bucket, self.site)
    }
}

/// Tags that name these targets as well, and say this about removals.
///
/// # Errors
/// What is wrong with the tags as they are, with the targets, or with both together.
pub(super) fn with_targets(
    tags: &Tags,
    wanted: &[Entry],
    deletes: Option<bool>,
    is_profile: impl Fn(&str) -> bool,
) -> Result<Tags, Vec<String>> {
    let list = parse(pairs(tags), &is_profile);
    let mut problems: Vec<String> = list.problems.iter().map(ToString::to_string).collect();
    let mut entries: Vec<Entry> = list
        .targets
        .into_iter()
        .map(|target| Entry {
            bucket: target.bucket,
            site: target.site,
        })
        .collect();
    let known = entries.len();
    for entry in wanted {
        match entries.iter().find(|known| known.bucket == entry.bucket) {
            Some(found) if found == entry => {}
            Some(found) => problems.push(format!(
                "--target {entry}: the bucket is named as {found} already"
            )),
            None => match unfit(entry, &is_profile) {
                Some(why) => problems.push(format!("--target {entry}: {why}")),
                None => entries.push(entry.clone()),
            },
        }
    }
    let mut merged = tags.clone();
    if entries.len() > known {
        merged.retain(|key, _| !is_targets_tag(key));
        merged.extend(to_tags(entries.iter().map(ToString::to_string)));
    }
    if let Some(deletes) = deletes {
        merged.insert(DELETES_TAG.to_owned(), deletes.to_string());
    }
    // Those that AWS itself gives don't count; they have to be put again with the others.
    let count = merged.keys().filter(|key| !key.starts_with("aws:")).count();
    if count > MOST {
        problems.push(format!(
            "the bucket would have {count} tags, and S3 gives it {MOST} at most"
        ));
    }
    if problems.is_empty() {
        Ok(merged)
    } else {
        Err(problems)
    }
}

/// Tags without these targets; without any of ours if nothing else is named, or none was given.
/// What stands beside them stays as it is, mistakes included.
pub(super) fn without_targets(tags: &Tags, unwanted: &[Entry]) -> Tags {
    let unwanted: Vec<String> = unwanted.iter().map(Entry::to_string).collect();
    let mut rest = Tags::new();
    for (key, value) in tags {
        if !is_targets_tag(key) {
            rest.insert(key.clone(), value.clone());
            continue;
        }
        let is_left = |entry: &&str| !unwanted.is_empty() && !unwanted.iter().any(|it| it == entry);
        let left: Vec<&str> = value.split(' ').filter(is_left).collect();
        if left.iter().any(|entry| !entry.is_empty()) {
            rest.insert(key.clone(), left.join(" "));
        }
    }
    if !name_targets(&rest) {
        rest.remove(DELETES_TAG);
    }
    rest
}

/// Where tags have a bucket at other sites than the one that is named; `None` if they do not have
/// it at all.
pub(super) fn named_otherwise(tags: &Tags, entry: &Entry) -> Option<Vec<String>> {
    let lists = tags.iter().filter(|(key, _)| is_targets_tag(key));
    let entries = lists.flat_map(|(_, value)| value.split(' '));
    let of_bucket = entries.filter(|it| {
        let bucket = it.split_once('@').map(|(bucket, _)| bucket);
        bucket == Some(entry.bucket.as_str())
    });
    let mut found: Vec<String> = of_bucket.map(str::to_owned).collect();
    if found.is_empty() {
        return None;
    }
    if found.contains(&entry.to_string()) {
        found.clear();
    }
    Some(found)
}

/// Whether any tag names targets.
pub(super) fn name_targets(tags: &Tags) -> bool {
    tags.keys().any(|key| is_targets_tag(key))
}

/// Tags as the grammar reads them.
pub(in crate::cli) fn pairs(tags: &Tags) -> impl Iterator<Item = (&str, &str)> {
    tags.iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
}

/// Why an entry cannot stand in a tag.
pub(super) fn unfit(entry: &Entry, is_profile: impl Fn(&str) -> bool) -> Option<String> {
    let text = entry.to_string();
    if entry.site.contains(' ') {
        return Some(format!(
            "spaces separate targets in a tag, and `{}` has one; rename the profile",
            entry.site
        ));
    }
    let is_allowed = |c: char| c.is_alphanumeric() || "_.:/=+-@".contains(c);
    if text.chars().count() > TAG_VALUE_LIMIT {
        return Some(format!(
            "a tag's value holds {TAG_VALUE_LIMIT} characters at most"
        ));
    }
    let expected = match parse([(TARGETS_TAG, text.as_str())], is_profile)
        .problems
        .pop()
    {
        Some(problem) => problem.expected,
        None if text.chars().all(is_allowed) => return None,
        None => {
            return Some(
                "a tag's value holds letters, digits, spaces and _.:/=+-@ only; rename the profile"
                    .to_owned(),
            );
        }
    };
    Some(match expected {
        Expected::Site => format!(
            "`{}` is neither a region nor a profile of the AWS shared configuration",
            entry.site
        ),
        expected => format!("expected {expected}"),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        pairs
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect()
    }

    fn entries(text: &str) -> Vec<Entry> {
        let pieces = text.split(' ').filter(|piece| !piece.is_empty());
        pieces
            .map(|piece| {
                let (bucket, site) = piece.split_once('@').unwrap();
                Entry {
                    bucket: bucket.to_owned(),
                    site: site.to_owned(),
                }
            })
            .collect()
    }

    const T: &str = TARGETS_TAG;

    #[rstest]
    #[case::first(&[("team", "x")], "aaa@eu-west-1", None, &[("team", "x"), (T, "aaa@eu-west-1")])]
    #[case::another(&[(T, "aaa@eu-west-1")], "bbb@minio", None, &[(T, "aaa@eu-west-1 bbb@minio")])]
    #[case::named_already(&[(T, "  aaa@eu-west-1 ")], "aaa@eu-west-1", None, &[(T, "  aaa@eu-west-1 ")])]
    #[case::named_in_a_continuation(
        &[("ReplicatedTargetBuckets.7", "aaa@eu-west-1")],
        "aaa@eu-west-1 aaa@eu-west-1",
        None,
        &[("ReplicatedTargetBuckets.7", "aaa@eu-west-1")]
    )]
    #[case::packed_anew(
        &[("ReplicatedTargetBuckets.7", "aaa@eu-west-1")],
        "bbb@eu-west-1",
        None,
        &[(T, "aaa@eu-west-1 bbb@eu-west-1")]
    )]
    #[case::deletes(&[(T, "aaa@eu-west-1")], "", Some(false), &[(T, "aaa@eu-west-1"), (DELETES_TAG, "false")])]
    fn targets_are_added_to_what_is_there(
        #[case] before: &[(&str, &str)],
        #[case] wanted: &str,
        #[case] deletes: Option<bool>,
        #[case] after: &[(&str, &str)],
    ) {
        let merged = with_targets(&tags(before), &entries(wanted), deletes, |it| it == "minio");
        assert_eq!(merged, Ok(tags(after)));
    }

    #[test]
    fn list_that_is_too_long_for_one_tag_goes_on_in_the_next() {
        let wanted: Vec<String> = (0..12)
            .map(|number| format!("replica-number-{number}@ap-southeast-1"))
            .collect();
        let wanted = entries(&wanted.join(" "));
        let merged = with_targets(&tags(&[("team", "x")]), &wanted, None, |_| false).unwrap();
        assert_eq!(
            merged.keys().collect::<Vec<_>>(),
            [T, "ReplicatedTargetBuckets.2", "team"]
        );
        assert_eq!(
            with_targets(&merged, &wanted, None, |_| false),
            Ok(merged.clone())
        );
        assert_eq!(without_targets(&merged, &[]), tags(&[("team", "x")]));
    }

    #[rstest]
    #[case::other_site(&[(T, "aaa@eu-west-1")], "aaa@us-east-1", "named as aaa@eu-west-1 already")]
    #[case::two_sites(&[], "aaa@eu-west-1 aaa@us-east-1", "named as aaa@eu-west-1 already")]
    #[case::no_site(&[], "aaa@mars", "`mars` is neither a region nor a profile")]
    #[case::mistake_that_is_there(&[(T, "aaa")], "bbb@us-east-1", "exactly one `@` in tag")]
    #[case::site_with_a_space(&[], "aaa@mars_base", "spaces separate targets in a tag")]
    #[case::character(&[], "aaa@a#b", "rename the profile")]
    fn mistakes_are_refused(
        #[case] before: &[(&str, &str)],
        #[case] wanted: &str,
        #[case] expected: &str,
    ) {
        let mut wanted = entries(wanted);
        for entry in &mut wanted {
            // Spaces separate the entries of this table.
            entry.site = entry.site.replace('_', " ");
        }
        let refused = with_targets(&tags(before), &wanted, None, |it| it == "a#b");
        let problems = refused.unwrap_err();
        assert!(
            problems.len() == 1 && problems[0].contains(expected),
            "{problems:?}"
        );
    }

    #[test]
    fn bucket_has_fifty_tags_at_most_beside_those_of_aws() {
        let of_aws = tags(&[("aws:cloudformation:stack-name", "x")]);
        let mut almost: Tags = (0..49)
            .map(|n| (format!("tag-{n}"), String::new()))
            .collect();
        almost.extend(of_aws.clone());
        let merged = with_targets(&almost, &entries("aaa@us-east-1"), None, |_| false).unwrap();
        assert_eq!(merged.len(), 51);
        assert_eq!(without_targets(&merged, &[]), almost);
        let fifty: Tags = (0..50)
            .map(|n| (format!("tag-{n}"), String::new()))
            .collect();
        let refused = with_targets(&fifty, &entries("aaa@us-east-1"), None, |_| false);
        assert!(refused.unwrap_err()[0].contains("51 tags"));
    }

    #[rstest]
    #[case::all(&[("team", "x"), (T, "aaa@eu-west-1"), (DELETES_TAG, "true")], "", &[("team", "x")])]
    #[case::one_of_two(
        &[(T, "aaa@eu-west-1 bbb@eu-west-1"), (DELETES_TAG, "true")],
        "aaa@eu-west-1",
        &[(T, "bbb@eu-west-1"), (DELETES_TAG, "true")]
    )]
    #[case::last_one(&[("team", "x"), (T, "aaa@eu-west-1"), (DELETES_TAG, "true")], "aaa@eu-west-1", &[("team", "x")])]
    #[case::mistake_beside_it(
        &[(T, "aaa@eu-west-1 oops@"), ("ReplicatedTargetBuckets.2", "bbb@eu-west-1")],
        "aaa@eu-west-1",
        &[(T, "oops@"), ("ReplicatedTargetBuckets.2", "bbb@eu-west-1")]
    )]
    #[case::all_of_one_tag(
        &[(T, "aaa@eu-west-1"), ("ReplicatedTargetBuckets.2", "bbb@eu-west-1")],
        "aaa@eu-west-1",
        &[("ReplicatedTargetBuckets.2", "bbb@eu-west-1")]
    )]
    #[case::other_site(&[(T, " aaa@eu-west-1")], "aaa@us-east-1", &[(T, " aaa@eu-west-1")])]
    #[case::tag_of_a_like_name(
        &[(T, "aaa@eu-west-1"), ("ReplicatedTargetBucketsOwner", "x")],
        "",
        &[("ReplicatedTargetBucketsOwner", "x")]
    )]
    fn ours_are_taken_away(
        #[case] before: &[(&str, &str)],
        #[case] unwanted: &str,
        #[case] after: &[(&str, &str)],
    ) {
        assert_eq!(
            without_targets(&tags(before), &entries(unwanted)),
            tags(after)
        );
    }
}
