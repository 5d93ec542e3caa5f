//! What is to be changed: a list of changes with before and after.
//!
//! Pure. Invariant: the order of a plan is the order of writing. Permissions come before the rule
//! that needs them, and the tag comes last, when everything that it starts is in place; taking
//! away goes the other way round.

use anstyle::{AnsiColor, Style};
use aws_sdk_s3::types::NotificationConfiguration;
use serde_json::{Value, json};
use similar::TextDiff;

use super::super::arn::{Arn, Destination, Function};
use super::policy::{Grant, statement_id, statement_of, with_statement, without_statement};
use super::rules::{Rule, are_equal, ours, to_json, with_rule, without_rule};
use super::tags::{Entry, Tags, name_targets, with_targets, without_targets};

/// What is there.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) tags: Tags,
    pub(super) notifications: NotificationConfiguration,
    /// The policy of the destination.
    pub(super) policy: Option<Value>,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) master: String,
    pub(super) targets: Vec<Entry>,
    pub(super) deletes: Option<bool>,
    pub(super) destination: Option<Destination>,
    pub(super) prefix: String,
    pub(super) suffix: String,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// The whole policy of a queue.
    QueuePolicy {
        queue: Arn,
        before: Option<Value>,
        after: Option<Value>,
    },
    /// One statement of a function's policy.
    Statement {
        function: Function,
        id: String,
        before: Option<Value>,
        after: Option<Value>,
    },
    /// The whole notification configuration.
    Notifications {
        before: NotificationConfiguration,
        after: NotificationConfiguration,
    },
    /// All tags.
    Tags { before: Tags, after: Tags },
}

/// Why what was asked for cannot be had beside what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Conflict {
    /// A mistake in a tag or target.
    Tag(String),
    /// S3 refuses our rule beside this one.
    Rule(Rule),
}

impl Change {
    /// What is written.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::QueuePolicy { .. } | Self::Statement { .. } => "permission",
            Self::Notifications { .. } => "notification",
            Self::Tags { .. } => "tags",
        }
    }

    /// Where it is written, for people.
    pub(super) fn place(&self, master: &str) -> String {
        match self {
            Self::QueuePolicy { queue, .. } => format!("policy of {}", queue.as_str()),
            Self::Statement { function, .. } => format!("policy of {}", function.arn.as_str()),
            Self::Notifications { .. } => {
                format!("notification configuration of s3://{master}")
            }
            Self::Tags { .. } => format!("tags of s3://{master}"),
        }
    }

    /// Before and after.
    pub(super) fn values(&self) -> (Value, Value) {
        match self {
            Self::QueuePolicy { before, after, .. } | Self::Statement { before, after, .. } => {
                (json!(before), json!(after))
            }
            Self::Notifications { before, after } => (to_json(before), to_json(after)),
            Self::Tags { before, after } => (json!(before), json!(after)),
        }
    }

    /// The difference, line by line.
    pub(super) fn diff(&self, master: &str) -> String {
        let (before, after) = self.values();
        let text = |value: &Value| match value {
            Value::Null => String::new(),
            value => format!("{value:#}\n"),
        };
        let (before, after) = (text(&before), text(&after));
        let place = self.place(master);
        let diff = TextDiff::from_lines(&before, &after);
        let unified = diff.unified_diff().header(&place, &place).to_string();
        unified.lines().map(colored).collect()
    }
}

/// A line of a difference in its colour; where there are no colours they are taken out again.
fn colored(line: &str) -> String {
    let style = match line.as_bytes().first() {
        Some(b'+') => AnsiColor::Green.on_default(),
        Some(b'-') => AnsiColor::Red.on_default(),
        _ => Style::new(),
    };
    format!("{style}{line}{style:#}\n")
}

/// What has to be written so that what was asked for is there.
///
/// # Errors
/// It cannot be there beside what is there already.
pub(super) fn plan(
    found: &Found,
    wanted: &Wanted,
    account: Option<&str>,
    is_profile: impl Fn(&str) -> bool,
) -> Result<Vec<Change>, Vec<Conflict>> {
    let (mut changes, mut conflicts) = (Vec::new(), Vec::new());
    if let Some(destination) = &wanted.destination {
        if let Some(account) = account {
            changes.extend(grant(found, destination, &wanted.master, account));
        }
        let rule = Rule::ours(destination, &wanted.prefix, &wanted.suffix);
        match with_rule(&found.notifications, &rule) {
            Ok(after) => changes.extend(notifications(&found.notifications, after)),
            Err(rules) => conflicts.extend(rules.into_iter().map(Conflict::Rule)),
        }
    }
    match with_targets(&found.tags, &wanted.targets, wanted.deletes, is_profile) {
        Ok(after) => changes.extend(tags(&found.tags, after)),
        Err(problems) => conflicts.extend(problems.into_iter().map(Conflict::Tag)),
    }
    if conflicts.is_empty() {
        Ok(changes)
    } else {
        Err(conflicts)
    }
}

/// What has to be written so that nothing of ours is left; of the targets that were named, if any
/// were and others are left.
pub(super) fn undo(found: &Found, wanted: &Wanted) -> Vec<Change> {
    let rest = without_targets(&found.tags, &wanted.targets);
    let is_over = !name_targets(&rest);
    let mut changes: Vec<Change> = tags(&found.tags, rest).into_iter().collect();
    if !is_over {
        return changes;
    }
    changes.extend(notifications(
        &found.notifications,
        without_rule(&found.notifications),
    ));
    if let Some(destination) = &wanted.destination {
        changes.extend(revocation(found, destination, &wanted.master));
    }
    changes
}

/// Whose permission `undo` has to look at: what was named, or where our rule sends to.
pub(super) fn destination_of(
    notifications: &NotificationConfiguration,
    named: Option<&Destination>,
) -> Option<Destination> {
    named
        .cloned()
        .or_else(|| ours(notifications)?.arn.parse().ok())
}

fn grant(found: &Found, destination: &Destination, master: &str, account: &str) -> Option<Change> {
    let grant = Grant {
        destination,
        master,
        account,
    };
    if grant.is_given_by(found.policy.as_ref()) {
        return None;
    }
    let statement = grant.statement();
    Some(match destination {
        Destination::Queue(queue) => Change::QueuePolicy {
            queue: queue.clone(),
            before: found.policy.clone(),
            after: Some(with_statement(found.policy.as_ref(), statement)),
        },
        Destination::Function(function) => Change::Statement {
            function: function.clone(),
            id: grant.id(),
            before: statement_of(found.policy.as_ref(), &grant.id()),
            after: Some(statement),
        },
    })
}

fn revocation(found: &Found, destination: &Destination, master: &str) -> Option<Change> {
    let id = statement_id(master);
    let statement = statement_of(found.policy.as_ref(), &id)?;
    Some(match destination {
        Destination::Queue(queue) => Change::QueuePolicy {
            queue: queue.clone(),
            before: found.policy.clone(),
            after: without_statement(found.policy.as_ref()?, &id),
        },
        Destination::Function(function) => Change::Statement {
            function: function.clone(),
            id,
            before: Some(statement),
            after: None,
        },
    })
}

fn notifications(
    before: &NotificationConfiguration,
    after: NotificationConfiguration,
) -> Option<Change> {
    (!are_equal(before, &after)).then(|| Change::Notifications {
        before: before.clone(),
        after,
    })
}

fn tags(before: &Tags, after: Tags) -> Option<Change> {
    (*before != after).then(|| Change::Tags {
        before: before.clone(),
        after,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:events";
    const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:replicator";
    const ACCOUNT: Option<&str> = Some("123456789012");

    fn wanted(destination: Option<&str>, targets: &[&str]) -> Wanted {
        let entry = |text: &&str| {
            let (bucket, site) = text.split_once('@').unwrap();
            Entry {
                bucket: bucket.to_owned(),
                site: site.to_owned(),
            }
        };
        Wanted {
            master: "master".to_owned(),
            targets: targets.iter().map(entry).collect(),
            deletes: None,
            destination: destination.map(|arn| arn.parse().unwrap()),
            prefix: String::new(),
            suffix: String::new(),
        }
    }

    /// Somebody else's tag and statement.
    fn theirs() -> Found {
        Found {
            tags: [("team".to_owned(), "x".to_owned())].into(),
            notifications: NotificationConfiguration::builder().build(),
            policy: Some(json!({ "Statement": [{ "Sid": "theirs" }] })),
        }
    }

    /// What is there once a plan is carried out.
    fn after(mut found: Found, changes: &[Change]) -> Found {
        for change in changes.iter().cloned() {
            match change {
                Change::QueuePolicy { after, .. } => found.policy = after,
                Change::Statement { id, after, .. } => {
                    let policy = found.policy.as_ref();
                    found.policy = match after {
                        Some(statement) => Some(with_statement(policy, statement)),
                        None => without_statement(policy.unwrap(), &id),
                    };
                }
                Change::Notifications { after, .. } => found.notifications = after,
                Change::Tags { after, .. } => found.tags = after,
            }
        }
        found
    }

    fn names(changes: &[Change]) -> Vec<&'static str> {
        changes.iter().map(Change::name).collect()
    }

    #[rstest]
    fn everything_is_written_once_and_taken_away_in_reverse(
        #[values(QUEUE, FUNCTION)] destination: &str,
    ) {
        let wanted = wanted(Some(destination), &["replica@eu-west-1"]);
        let changes = plan(&theirs(), &wanted, ACCOUNT, |_| false).unwrap();
        assert_eq!(names(&changes), ["permission", "notification", "tags"]);
        let done = after(theirs(), &changes);
        assert_eq!(plan(&done, &wanted, ACCOUNT, |_| false), Ok(vec![]));

        let undone = undo(&done, &wanted);
        assert_eq!(names(&undone), ["tags", "notification", "permission"]);
        let left = after(done, &undone);
        assert_eq!(left.tags, theirs().tags);
        assert_eq!(left.policy, theirs().policy);
        assert!(are_equal(&left.notifications, &theirs().notifications));
        assert_eq!(undo(&left, &wanted), vec![]);
    }

    #[test]
    fn target_that_is_one_of_several_takes_only_itself_away() {
        let both = wanted(Some(QUEUE), &["one@eu-west-1", "two@eu-west-1"]);
        let done = plan(&theirs(), &both, ACCOUNT, |_| false).unwrap();
        let done = after(theirs(), &done);
        let one = wanted(Some(QUEUE), &["one@eu-west-1"]);
        let undone = undo(&done, &one);
        assert_eq!(names(&undone), ["tags"]);
        let left = after(done, &undone);
        let last = wanted(Some(QUEUE), &["two@eu-west-1"]);
        assert_eq!(
            names(&undo(&left, &last)),
            ["tags", "notification", "permission"]
        );
    }

    #[test]
    fn every_conflict_is_named_at_once() {
        let mut found = theirs();
        found
            .tags
            .insert("ReplicatedTargetBuckets".to_owned(), "a b".to_owned());
        let foreign = wanted(Some(FUNCTION), &["x-1@eu-west-1"]);
        let changes = plan(&theirs(), &foreign, ACCOUNT, |_| false).unwrap();
        let mut configuration = after(theirs(), &changes).notifications;
        for it in configuration
            .lambda_function_configurations
            .iter_mut()
            .flatten()
        {
            it.id = Some("theirs".to_owned());
        }
        found.notifications = configuration;
        let conflicts = plan(&found, &wanted(Some(QUEUE), &["c-1@mars"]), ACCOUNT, |_| {
            false
        });
        let conflicts = conflicts.unwrap_err();
        assert!(matches!(&conflicts[0], Conflict::Rule(rule) if rule.id == "theirs"));
        assert_eq!(conflicts.len(), 4, "{conflicts:?}");
    }

    #[test]
    fn difference_is_shown_line_by_line() {
        let change = Change::Tags {
            before: [("team".to_owned(), "x".to_owned())].into(),
            after: [
                (
                    "ReplicatedTargetBuckets".to_owned(),
                    "a@eu-west-1".to_owned(),
                ),
                ("team".to_owned(), "x".to_owned()),
            ]
            .into(),
        };
        let diff = anstream::adapter::strip_str(&change.diff("master")).to_string();
        let expected = "\
--- tags of s3://master
+++ tags of s3://master
@@ -1,3 +1,4 @@
 {
+  \"ReplicatedTargetBuckets\": \"a@eu-west-1\",
   \"team\": \"x\"
 }
";
        assert_eq!(diff, expected);
    }
}
