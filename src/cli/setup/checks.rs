//! What has to be true before anything is written, and what is there to be changed.

mod targets;

use aws_sdk_s3::types::NotificationConfiguration;

use self::targets::{tagged, targets, unnamed};
use super::plan::{Found, Wanted, destination_of};
use super::policy::Grant;
use super::rules::{EVENTS, Rule, channels, ours, rules};
use super::tags::{Entry, Tags, name_targets};
use super::write::read_notifications;
use crate::cli::account::{Account, Identity};
use crate::cli::arn::{Destination, Function};
use crate::cli::diagnosis::buckets::{introduce, read_tags, refused};
use crate::cli::diagnosis::function::{Deployed, on_failure, policy};
use crate::cli::diagnosis::queue::{Queue, mapping, readers};
use crate::cli::diagnosis::{Finding, Status};
use crate::error::chain;
use crate::site::Bucket;

/// What was typed.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) master: String,
    pub(super) targets: Vec<Entry>,
    pub(super) deletes: Option<bool>,
    pub(super) destination: Option<Destination>,
    pub(super) prefix: Option<String>,
    pub(super) suffix: Option<String>,
    pub(super) replaces: bool,
    pub(super) undo: bool,
}

/// All that a plan is made from.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) master: Bucket,
    pub(super) found: Found,
    pub(super) wanted: Wanted,
    pub(super) identity: Option<Identity>,
}

/// Looks at everything that a plan depends on. Without the master there is no plan.
pub(super) async fn check(
    account: &Account,
    question: &Question,
) -> (Vec<Finding>, Option<Checked>) {
    let (mut findings, identity, master) = introduce(account, &question.master).await;
    let Some(master) = master else {
        return (findings, None);
    };
    let read = (read_tags(&master).await, read_notifications(&master).await);
    let (tags, notifications) = match read {
        (Ok(tags), Ok(notifications)) => (tags, notifications),
        (tags, notifications) => {
            let failures = [tags.err(), notifications.err()].into_iter().flatten();
            findings.extend(failures.map(|failure| refused("master", &failure)));
            return (findings, None);
        }
    };
    let wanted = wanted(question, &notifications);
    if question.undo {
        let of_each = question.targets.iter();
        findings.extend(of_each.filter_map(|entry| unnamed(&tags, entry, &master.name)));
    }
    if !question.undo {
        findings.extend(targets(account, &master, &question.targets).await);
        findings.extend(tagged(account, &tags, &question.targets).await);
        findings.extend(told(&notifications, &tags, question, &wanted));
    }
    let mut policy = None;
    if let Some(destination) = &wanted.destination {
        if !question.undo {
            findings.extend(place(destination, master.site.region(), identity.as_ref()));
        }
        let (found, read) = look_at(account, destination, question).await;
        findings.extend(found);
        if let (Some(identity), false) = (&identity, question.undo) {
            let grant = Grant {
                destination,
                master: &question.master,
                account: &identity.account,
            };
            findings.extend(denied(&grant, read.as_ref()));
        }
        policy = read;
    }
    let earlier =
        destination_of(&notifications).filter(|it| Some(it) != wanted.destination.as_ref());
    let earlier = match earlier {
        Some(destination) => match policy_of(account, &destination).await {
            Ok(policy) => Some((destination, policy)),
            Err(error) => {
                findings.push(unreachable("permission", &error));
                None
            }
        },
        None => None,
    };
    if question.undo && wanted.destination.is_none() {
        findings.push(Finding::unknown(
            "permission",
            "what a queue or function was allowed: no rule of ours says which it was; name it with \
             --queue ARN or --function ARN",
        ));
    }
    let found = Found {
        tags,
        notifications,
        policy,
        earlier,
    };
    let checked = Checked {
        master,
        found,
        wanted,
        identity,
    };
    (findings, Some(checked))
}

/// What was typed, and what our rule says already where nothing was.
fn wanted(question: &Question, notifications: &NotificationConfiguration) -> Wanted {
    let earlier = ours(notifications);
    let kept = |given: &Option<String>, field: fn(&Rule) -> &String| {
        let kept = || earlier.as_ref().map(|rule| field(rule).clone());
        given.clone().or_else(kept).unwrap_or_default()
    };
    Wanted {
        master: question.master.clone(),
        targets: question.targets.clone(),
        deletes: question.deletes,
        destination: question
            .destination
            .clone()
            .or_else(|| destination_of(notifications)),
        prefix: kept(&question.prefix, |rule| &rule.prefix),
        suffix: kept(&question.suffix, |rule| &rule.suffix),
        replaces: question.replaces,
    }
}

/// What is no reason not to write.
fn lenient(finding: Finding) -> Finding {
    let status = match finding.status {
        Status::Error => Status::Warning,
        status => status,
    };
    Finding { status, ..finding }
}

/// Whether anybody hears of the master's events, and any target is named.
fn told(
    notifications: &NotificationConfiguration,
    tags: &Tags,
    question: &Question,
    wanted: &Wanted,
) -> Option<Finding> {
    let option = "add --queue ARN or --function ARN";
    if question.targets.is_empty() && !name_targets(tags) {
        let found = format!("no target is named for s3://{}", wanted.master);
        return Some(Finding::error("tags", found, "add --target BUCKET@SITE"));
    }
    if wanted.destination.is_some() {
        return None;
    }
    if question.prefix.is_some() || question.suffix.is_some() {
        return Some(Finding::error(
            "notification",
            "no rule of ours is there that --prefix or --suffix could be for",
            option,
        ));
    }
    let all = rules(notifications);
    let channels = channels(&all.iter().collect::<Vec<_>>());
    if let Some(channel) = channels.iter().find(|it| it.missing.is_empty()) {
        let channel = channel.describe();
        return Some(Finding::unknown(
            "notification",
            format!(
                "whether the function hears of changes: others' rules send all {channel}; if that \
                 does not lead to it, {option}"
            ),
        ));
    }
    if notifications.event_bridge_configuration.is_some() {
        return Some(Finding::unknown(
            "notification",
            format!(
                "whether the function hears of changes: EventBridge is told, and its rules are not \
                 looked at; if none leads to the function, {option}"
            ),
        ));
    }
    let missing: Vec<&str> = EVENTS
        .into_iter()
        .filter(|event| !all.iter().any(|rule| rule.covers(event)))
        .collect();
    let found = match missing.as_slice() {
        [] => {
            "others' rules are there, and none leads all changes of a key to one place".to_owned()
        }
        missing => format!("nobody is told of {}", missing.join(", ")),
    };
    Some(Finding::error("notification", found, option))
}

/// Where events go has to be beside the bucket, and whose bucket it is has to be known.
fn place(destination: &Destination, region: &str, identity: Option<&Identity>) -> Vec<Finding> {
    let place = destination.place();
    let mut findings = Vec::new();
    if place.region != region {
        findings.push(Finding::error(
            "notification",
            format!(
                "{} is in {} and the bucket in {region}: S3 notifies only within a region",
                destination.arn(),
                place.region
            ),
            format!("name a queue or function in {region}"),
        ));
    }
    if identity.is_none() {
        findings.push(Finding::error(
            "permission",
            "whose bucket it is, is unknown, and only its events are to be let in",
            "give credentials that sts:GetCallerIdentity accepts (AWS_PROFILE)",
        ));
    }
    findings
}

/// The destination with its policy.
async fn look_at(
    account: &Account,
    destination: &Destination,
    question: &Question,
) -> (Vec<Finding>, Option<serde_json::Value>) {
    match destination {
        Destination::Queue(arn) => match Queue::read(account, arn).await {
            Ok(queue) if question.undo => (Vec::new(), queue.policy()),
            Ok(queue) => {
                let mut findings = queue.findings(arn);
                findings.extend(reader(account, arn).await);
                (findings, queue.policy())
            }
            // What is gone holds nothing of ours.
            Err(error) if question.undo && error.is_absence() => (Vec::new(), None),
            Err(error) => (vec![unreachable("queue", &error)], None),
        },
        Destination::Function(function) => {
            let findings = match question.undo {
                true => Vec::new(),
                false => function_findings(account, function, &question.master).await,
            };
            match policy(account, function).await {
                Ok(policy) => (findings, policy),
                Err(error) => {
                    let unreachable = unreachable("function", &error);
                    (findings.into_iter().chain([unreachable]).collect(), None)
                }
            }
        }
    }
}

/// That a statement of the policy keeps the bucket's events out: ours would change nothing.
fn denied(grant: &Grant<'_>, policy: Option<&serde_json::Value>) -> Option<Finding> {
    let denial = grant.denial(policy)?;
    let arn = grant.destination.arn();
    Some(Finding::error(
        "permission",
        format!(
            "{denial} of the policy of {arn} keeps s3://{} out",
            grant.master
        ),
        "take it away, or except s3.amazonaws.com in it: no other statement outweighs it",
    ))
}

/// The policy of a destination; what is gone has none.
async fn policy_of(
    account: &Account,
    destination: &Destination,
) -> Result<Option<serde_json::Value>, crate::cli::account::CallFailed> {
    match destination {
        Destination::Queue(arn) => match Queue::read(account, arn).await {
            Ok(queue) => Ok(queue.policy()),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        },
        Destination::Function(function) => policy(account, function).await,
    }
}

/// That nobody reads the queue yet is no reason not to set the bucket up.
async fn reader(account: &Account, arn: &crate::cli::arn::Arn) -> Vec<Finding> {
    match readers(account, arn).await {
        Ok(mappings) => mapping(arn, &mappings).into_iter().map(lenient).collect(),
        Err(error) => vec![Finding::unknown("mapping", chain(&error))],
    }
}

async fn function_findings(account: &Account, function: &Function, master: &str) -> Vec<Finding> {
    let mut findings = match Deployed::read(account, function).await {
        Ok(deployed) => deployed.findings(function, master),
        Err(error) => vec![unreachable("function", &error)],
    };
    findings.push(match on_failure(account, function).await {
        Ok(finding) => finding,
        Err(error) => unreachable("on-failure", &error),
    });
    findings
}

fn unreachable(check: &'static str, error: &crate::cli::account::CallFailed) -> Finding {
    let mend = if error.is_denial() {
        "allow it for these credentials"
    } else if error.is_absence() {
        "check the ARN, or deploy it first"
    } else {
        "check the region in the ARN and the connection, and try again"
    };
    Finding::error(check, chain(error), mend)
}
