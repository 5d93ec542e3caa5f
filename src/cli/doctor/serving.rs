//! Whether events get to the function, and whether the function may do what they ask for.

use futures_util::future::join_all;

use super::events::Heard;
use crate::cli::account::{Account, CallFailed};
use crate::cli::arn::{Arn, Destination, Function};
use crate::cli::diagnosis::buckets::{is_of, kms_key};
use crate::cli::diagnosis::function::{Deployed, on_failure, policy};
use crate::cli::diagnosis::queue::{Queue, mapping, readers, window};
use crate::cli::diagnosis::role::Need;
use crate::cli::diagnosis::{Finding, role};
use crate::cli::setup::policy::Grant;
use crate::error::chain;
use crate::routes::Route;
use crate::site::Bucket;

/// An account that is nobody's: what it may do, everybody may.
const ANYBODY: &str = "000000000001";

/// Whether the bucket may send there, and which functions hear of it.
pub(super) async fn destination(
    account: &Account,
    destination: &Destination,
    master: &Bucket,
    owner: Option<&str>,
) -> (Vec<Finding>, Vec<String>) {
    match destination {
        Destination::Queue(arn) => {
            let mut findings = match Queue::read(account, arn).await {
                Ok(queue) => {
                    let mut findings = queue.findings(arn);
                    findings.push(permission(destination, master, owner, queue.policy()));
                    findings
                }
                Err(error) => vec![unreachable("queue", &error)],
            };
            let functions = match readers(account, arn).await {
                Ok(mappings) => {
                    findings.extend(mapping(arn, &mappings));
                    mappings
                        .into_iter()
                        .filter_map(|it| it.function_arn)
                        .collect()
                }
                Err(error) => {
                    findings.push(unreachable("mapping", &error));
                    Vec::new()
                }
            };
            (findings, functions)
        }
        Destination::Function(function) => {
            let permitted = match policy(account, function).await {
                Ok(policy) => permission(destination, master, owner, policy),
                Err(error) => unreachable("permission", &error),
            };
            let kept = match on_failure(account, function).await {
                Ok(finding) => finding,
                Err(error) => unreachable("on-failure", &error),
            };
            let arn = function.arn.as_str().to_owned();
            (vec![permitted, kept], vec![arn])
        }
    }
}

/// Whether its policy lets the bucket send, and no other account's bucket of that name.
fn permission(
    destination: &Destination,
    master: &Bucket,
    owner: Option<&str>,
    policy: Option<serde_json::Value>,
) -> Finding {
    let Some(owner) = owner else {
        let why = "whose bucket it is, is unknown, so the policy cannot be judged";
        return Finding::unknown("permission", why);
    };
    let grant = |account| Grant {
        destination,
        master: &master.name,
        account,
    };
    let (arn, name) = (destination.arn(), &master.name);
    let setup = format!(
        "s3-replicator setup --master {name} {}",
        destination.option()
    );
    if let Some(denial) = grant(owner).denial(policy.as_ref()) {
        Finding::error(
            "permission",
            format!("{denial} of the policy of {arn} keeps s3://{name} out"),
            "take it away, or except s3.amazonaws.com in it: no other statement outweighs it",
        )
    } else if !grant(owner).is_given_by(policy.as_ref()) {
        let found = format!(
            "{arn} does not let s3://{name} of account {owner} in ({})",
            destination.action()
        );
        Finding::error("permission", found, setup)
    } else if grant(ANYBODY).is_given_by(policy.as_ref()) {
        Finding::warning(
            "permission",
            format!("{arn} lets any account's bucket named {name} in, should it once be deleted"),
            format!("take the statement without aws:SourceAccount away, then: {setup}"),
        )
    } else {
        Finding::ok("permission", format!("{arn} lets s3://{name} in"))
    }
}

/// Whether the function runs, serves the master, and may do all that it has to.
pub(super) async fn function(
    account: &Account,
    arn: &str,
    heard: &Heard,
    owner: Option<&str>,
    route: &Route,
) -> Vec<Finding> {
    let function: Function = match arn.parse() {
        Ok(function) => function,
        Err(why) => return vec![Finding::unknown("function", format!("{arn}: {why}"))],
    };
    let deployed = match Deployed::read(account, &function).await {
        Ok(deployed) => deployed,
        Err(error) => return vec![unreachable("function", &error)],
    };
    let mut findings = deployed.findings(&function, &route.master.name);
    let queue = heard.destinations.iter().find_map(|it| match it {
        Destination::Queue(queue) => Some(queue),
        Destination::Function(_) => None,
    });
    if let Some(queue) = queue
        && let Ok(read) = Queue::read(account, queue).await
    {
        // Who may not be asked for mappings has been told so.
        let window = readers(account, queue).await.map_or(0, |it| window(&it));
        findings.push(read.visibility(queue, deployed.timeout, window));
    }
    match &deployed.role {
        Some(role) => {
            let Arn {
                partition, region, ..
            } = &function.arn;
            let (mut needs, unknown) = needs(partition, role, &heard.prefix, owner, route).await;
            needs.extend(queue.map(|queue| role::of_queue(queue.as_str())));
            findings.extend(unknown);
            findings.extend(permissions(account, region, role, &needs).await);
        }
        None => findings.push(Finding::unknown("role", format!("{arn} tells no role"))),
    }
    findings
}

/// What the role needs of the buckets and their keys, and what of that cannot be said.
async fn needs(
    partition: &str,
    role: &str,
    prefix: &str,
    owner: Option<&str>,
    route: &Route,
) -> (Vec<Need>, Vec<Finding>) {
    let (mut needs, mut findings) = (Vec::new(), Vec::new());
    for bucket in std::iter::once(&route.master).chain(&route.targets) {
        let is_master = *bucket == route.master;
        let name = &bucket.name;
        if !bucket.site.is_ambient() {
            let site = &bucket.site.name;
            let why = format!("s3://{name} is reached as profile `{site}` says, not by {role}");
            findings.push(Finding::unknown("role", why));
            continue;
        }
        // Whose it is, is known where it is of the account that we ask for.
        let owner = match owner {
            Some(owner) if is_of(bucket, owner).await => Some(owner),
            _ => None,
        };
        needs.extend(match is_master {
            true => role::of_master(partition, name, prefix, owner),
            false => role::of_target(partition, name, prefix, owner),
        });
        match kms_key(bucket).await {
            Ok(Some(Some(key))) if key.starts_with("arn:") => needs.push(match is_master {
                true => role::of_master_key(&key),
                false => role::of_target_key(&key),
            }),
            Ok(Some(Some(key))) => {
                let why = format!("whether {role} may use {key}: it is not named by its ARN");
                findings.push(Finding::unknown("role", why));
            }
            Ok(_) => {}
            Err(failure) => findings.push(Finding::unknown("role", failure.chain())),
        }
    }
    (needs, findings)
}

/// Whether the role has all that it needs.
async fn permissions(account: &Account, region: &str, role: &str, needs: &[Need]) -> Vec<Finding> {
    let judged = needs.iter().map(async |need| {
        let found = role::may(account, region, role, need).await;
        found.unwrap_or_else(|error| unreachable("role", &error))
    });
    let mut judged = join_all(judged).await;
    // A refusal is the same for every resource.
    judged.dedup();
    judged
}

/// What is not there is an error; what cannot be asked is not known.
fn unreachable(check: &'static str, error: &CallFailed) -> Finding {
    if error.is_absence() {
        Finding::error(
            check,
            chain(error),
            "deploy it, or correct the rule that names it",
        )
    } else {
        Finding::unknown(check, chain(error))
    }
}
