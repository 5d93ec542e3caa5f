//! Expectations: what a user would see, and what the function says it did.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::object::{get, keys, map_differences, versions};
use super::operation::bytes;
use super::{World, WorldError};
use crate::local::recording::{Expect, ExpectedObject, Header};

/// How long a line of the function's log may be on its way to us.
const LOG_DELAY: Duration = Duration::from_secs(2);

/// The answers to `invoke` steps, by the steps' ids; `None` is a function error.
pub(super) type Responses = BTreeMap<String, Option<Value>>;

/// In what an expectation is not met, in words; empty if it is.
pub(super) async fn check(
    world: &World,
    header: &Header,
    expect: &Expect,
    responses: &Responses,
) -> Result<Vec<String>, WorldError> {
    match expect {
        Expect::Equal { target, key } => {
            let mut found = Vec::new();
            for target in targets(header, target.as_deref()) {
                found.extend(unequal(world, &header.master.name, target, key.as_deref()).await?);
            }
            Ok(found)
        }
        Expect::Absent { target, key } => {
            let mut found = Vec::new();
            for bucket in targets(header, target.as_deref()) {
                if get(world.stores.client(bucket), bucket, key)
                    .await?
                    .is_some()
                {
                    found.push(format!("{bucket}/{key} is present, expected absent"));
                }
            }
            Ok(found)
        }
        Expect::Object(expected) => {
            let mut found = Vec::new();
            for bucket in targets(header, expected.target.as_deref()) {
                found.extend(unlike(world, bucket, expected).await?);
            }
            Ok(found)
        }
        Expect::Outcome { .. } => Ok(outcome(world, expect).await),
        Expect::Requests {
            on,
            bucket,
            key,
            amount,
        } => {
            let journal = world.faults.journal();
            let count = journal.iter().filter(|entry| {
                entry.instance.is_some()
                    && on.is_none_or(|on| on == entry.operation)
                    && (bucket.is_none() || *bucket == entry.bucket)
                    && (key.is_none() || *key == entry.key)
            });
            let count = count.count() as u64;
            Ok(unless(amount.admits(count), || {
                format!("{count} requests, expected {amount}")
            }))
        }
        Expect::Response { of, is } => {
            let answer = responses.get(of).and_then(Option::as_ref);
            Ok(unless(is.admits(answer), || match answer {
                Some(answer) => format!("the answer to {of} is {answer}, expected {is:?}"),
                None => format!("{of} ended with a function error, expected {is:?}"),
            }))
        }
        Expect::OnFailure(expected) => Ok(count(
            "events in the on-failure queue",
            world.lambda.on_failure().len(),
            *expected,
        )),
        Expect::DeadLetters(expected) => Ok(count(
            "dead letters",
            world.lambda.dead_letters().len(),
            *expected,
        )),
    }
}

fn unless(met: bool, difference: impl FnOnce() -> String) -> Vec<String> {
    if met { Vec::new() } else { vec![difference()] }
}

fn count(what: &str, found: usize, expected: u64) -> Vec<String> {
    unless(found as u64 == expected, || {
        format!("{found} {what}, expected {expected}")
    })
}

/// The named bucket, or every target.
fn targets<'a>(header: &'a Header, named: Option<&'a str>) -> Vec<&'a str> {
    match named {
        Some(name) => vec![name],
        None => header
            .targets
            .iter()
            .map(|target| target.bucket.name.as_str())
            .collect(),
    }
}

/// In what a target is not equal to the master, for one key or for all.
async fn unequal(
    world: &World,
    master: &str,
    target: &str,
    key: Option<&str>,
) -> Result<Vec<String>, WorldError> {
    let (ours, theirs) = (world.stores.client(master), world.stores.client(target));
    if !world.stores.created(target) {
        return Ok(vec![format!("{target}: there is no such bucket")]);
    }
    let keys = match key {
        Some(key) => vec![key.to_owned()],
        None => {
            let mut all = keys(ours, master).await?;
            all.extend(keys(theirs, target).await?);
            all.sort();
            all.dedup();
            all
        }
    };
    let mut found = Vec::new();
    for key in keys {
        let expected = get(ours, master, &key).await?;
        let replica = get(theirs, target, &key).await?;
        let differences = match (&expected, &replica) {
            (Some(expected), Some(replica)) => replica.differences(expected),
            (Some(_), None) => vec!["missing".to_owned()],
            (None, Some(_)) => vec!["present, the master has no such key".to_owned()],
            (None, None) => Vec::new(),
        };
        let place = format!("{target}/{}", key.escape_debug());
        found.extend(
            differences
                .into_iter()
                .map(|difference| format!("{place}: {difference}")),
        );
    }
    Ok(found)
}

/// In what an object is not as expected.
async fn unlike(
    world: &World,
    bucket: &str,
    expected: &ExpectedObject,
) -> Result<Vec<String>, WorldError> {
    let client = world.stores.client(bucket);
    let mut found = Vec::new();
    let of_content = expected.body.is_some()
        || expected.metadata.is_some()
        || expected.headers.is_some()
        || expected.tags.is_some();
    if of_content {
        let Some(content) = get(client, bucket, &expected.key).await? else {
            return Ok(vec![format!("{bucket}/{} is absent", expected.key)]);
        };
        if let Some(body) = &expected.body
            && bytes(body, 0, body.size())? != content.body
        {
            found.push(format!("body differs ({} bytes)", content.body.len()));
        }
        if let Some(metadata) = &expected.metadata {
            found.extend(map_differences("metadata", &content.metadata, metadata));
        }
        if let Some(tags) = &expected.tags {
            found.extend(map_differences("tag", &content.tags, tags));
        }
        for (name, value) in expected.headers.iter().flatten() {
            let there = content
                .headers
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name));
            if there.is_none_or(|(_, there)| there != value) {
                let there = there.map(|(_, value)| value);
                found.push(format!("header {name} is {there:?}, expected {value:?}"));
            }
        }
    }
    if expected.versions.is_some() || expected.delete_markers.is_some() {
        let (count, markers) = versions(client, bucket, &expected.key).await?;
        if expected.versions.is_some_and(|expected| expected != count) {
            found.push(format!(
                "{count} versions, expected {:?}",
                expected.versions
            ));
        }
        if expected
            .delete_markers
            .is_some_and(|expected| expected != markers)
        {
            found.push(format!(
                "{markers} delete markers, expected {:?}",
                expected.delete_markers
            ));
        }
    }
    let place = format!("{bucket}/{}", expected.key.escape_debug());
    Ok(found
        .into_iter()
        .map(|difference| format!("{place}: {difference}"))
        .collect())
}

/// Waits a little for log lines that are still on their way.
async fn outcome(world: &World, expect: &Expect) -> Vec<String> {
    let Expect::Outcome {
        target,
        key,
        is,
        retryable,
        count,
    } = expect
    else {
        return Vec::new();
    };
    let deadline = Instant::now() + LOG_DELAY;
    let mut news = world.outcomes.watch();
    loop {
        let outcomes = world.outcomes.all();
        let found = outcomes.iter().filter(|line| {
            (target.is_none() || *target == line.target)
                && key.as_ref().is_none_or(|key| *key == line.key)
                && line.outcome == is.as_str()
                && retryable.is_none_or(|retryable| line.retryable == Some(retryable))
        });
        let found = found.count() as u64;
        if count.map_or(found > 0, |count| count == found) {
            return Vec::new();
        }
        if timeout_at(deadline, news.changed()).await.is_err() {
            let expected = count.map_or("at least one".to_owned(), |count| count.to_string());
            return vec![format!("{found} outcomes {is}, expected {expected}")];
        }
    }
}
