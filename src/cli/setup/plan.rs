//! What is to be changed: a list of changes with before and after.
//!
//! Pure. Invariant: the order of a plan is the order of writing. Permissions come before the rule
//! that needs them, and the tag comes when everything that it starts is in place; taking away goes
//! the other way round. What an earlier destination was allowed is taken away at the very end.

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
    /// Where our rule sends events now, if that is somewhere else, with its policy.
    pub(super) earlier: Option<(Destination, Option<Value>)>,
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
    /// Whether our rule may take the place of others' that say less to the same destination.
    pub(super) replaces: bool,
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// The whole policy of a queue, for the sake of one statement.
    QueuePolicy {
        queue: Arn,
        id: String,
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

    /// The tags that it leaves, if it is about tags.
    pub(super) fn tags(&self) -> Option<&Tags> {
        match self {
            Self::Tags { after, .. } => Some(after),
            _ => None,
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
    let mut left = None;
    if let Some(destination) = &wanted.destination {
        if let Some(account) = account {
            changes.extend(grant(found, destination, &wanted.master, account));
        }
        let rule = Rule::ours(destination, &wanted.prefix, &wanted.suffix);
        match with_rule(&found.notifications, &rule, wanted.replaces) {
            Ok(after) => {
                left = found.earlier.as_ref().filter(|(earlier, _)| {
                    ours(&after).is_none_or(|rule| rule.arn != earlier.arn())
                });
                changes.extend(notifications(&found.notifications, after));
            }
            Err(rules) => conflicts.extend(rules.into_iter().map(Conflict::Rule)),
        }
    }
    match with_targets(&found.tags, &wanted.targets, wanted.deletes, is_profile) {
        Ok(after) => changes.extend(tags(&found.tags, after)),
        Err(problems) => conflicts.extend(problems.into_iter().map(Conflict::Tag)),
    }
    // What is not sent to any longer needs no permission any longer.
    if let Some((earlier, policy)) = left {
        changes.extend(revocation(policy.as_ref(), earlier, &wanted.master));
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
    let named = wanted.destination.as_ref().map(|it| (it, &found.policy));
    let earlier = found.earlier.as_ref().map(|(it, policy)| (it, policy));
    for (destination, policy) in named.into_iter().chain(earlier) {
        changes.extend(revocation(policy.as_ref(), destination, &wanted.master));
    }
    changes
}

/// Where our rule sends events now.
pub(super) fn destination_of(notifications: &NotificationConfiguration) -> Option<Destination> {
    ours(notifications)?.arn.parse().ok()
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
    // It is there already, and something else of the policy denies it: no write mends that.
    if statement_of(found.policy.as_ref(), &grant.id()).as_ref() == Some(&statement) {
        return None;
    }
    Some(match destination {
        Destination::Queue(queue) => Change::QueuePolicy {
            queue: queue.clone(),
            id: grant.id(),
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

fn revocation(policy: Option<&Value>, destination: &Destination, master: &str) -> Option<Change> {
    let id = statement_id(master);
    let statement = statement_of(policy, &id)?;
    Some(match destination {
        Destination::Queue(queue) => Change::QueuePolicy {
            queue: queue.clone(),
            before: policy.cloned(),
            after: without_statement(policy?, &id),
            id,
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
mod tests;
