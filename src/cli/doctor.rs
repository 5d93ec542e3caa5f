//! `doctor`: everything that can keep a bucket from being replicated, one line each.
//!
//! - `events`: whether the function hears of every change, and of each once
//! - `serving`: whether it can do what it is told
//!
//! Invariant: it changes nothing.

mod events;
mod serving;

use std::path::PathBuf;

use clap::Args;
use futures_util::future::join_all;
use serde::Serialize;

use super::account::{Account, Identity, deadline};
use super::arn::{Destination, Function};
use super::diagnosis::buckets::{
    encryption, exists, hidden_tags, introduce, ownership, refused, uploads, versioning,
};
use super::diagnosis::head::clock;
use super::diagnosis::{Finding, Status, package};
use super::setup::bucket;
use super::setup::write::read_notifications;
use super::spectator::{json, line};
use super::{CommandError, Ended};
use crate::routes::{Route, load};
use crate::site::Bucket;

pub(super) const EXAMPLES: &str = "\
Examples:
  s3-replicator doctor --master artifacts
  s3-replicator doctor --master artifacts --package target/lambda/bootstrap/bootstrap.zip
  s3-replicator doctor --master artifacts --json | jq 'select(.status == \"error\")'";

#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// The bucket that is replicated
    #[arg(long, value_name = "BUCKET", value_parser = bucket)]
    master: String,
    /// The queue or function that its events go to [default: where its rule sends them]
    #[arg(long, value_name = "ARN")]
    destination: Option<Destination>,
    /// The function [default: where the rule leads, or who reads its queue]
    #[arg(long, value_name = "ARN")]
    function: Option<Function>,
    /// The function's package, to be searched for access keys
    #[arg(long, value_name = "ZIP")]
    package: Option<PathBuf>,
    /// Prints JSON Lines
    #[arg(long)]
    json: bool,
}

/// What a machine is told, one on a line.
#[derive(Debug, Serialize)]
#[serde(tag = "happened", rename_all = "snake_case")]
enum Said<'a> {
    Check(&'a Finding),
    End(&'a Summary),
}

/// How many findings there are of each kind.
#[derive(Debug, Default, Serialize)]
struct Summary {
    ok: usize,
    warning: usize,
    error: usize,
    unknown: usize,
}

/// The master, with what its tags say.
struct Patient {
    master: Bucket,
    route: Route,
    identity: Option<Identity>,
}

impl Doctor {
    pub(super) async fn run(self) -> Result<Ended, CommandError> {
        let account = Account::load().await?;
        let mut summary = Summary::default();
        let mut tell = |findings: Vec<Finding>| {
            for finding in findings {
                *match finding.status {
                    Status::Ok => &mut summary.ok,
                    Status::Warning => &mut summary.warning,
                    Status::Error => &mut summary.error,
                    Status::Unknown => &mut summary.unknown,
                } += 1;
                match self.json {
                    true => json(&Said::Check(&finding)),
                    false => finding.show(),
                }
            }
        };
        let (findings, patient) = self.admit(&account).await;
        tell(findings);
        if let Some(patient) = &patient {
            tell(self.buckets(patient).await);
            tell(self.service(&account, patient).await);
            tell(vec![clock(&patient.master).await]);
        }
        let Summary {
            ok,
            warning,
            error,
            unknown,
        } = summary;
        match self.json {
            true => json(&Said::End(&summary)),
            false => line(format_args!(
                "{ok} ok, {warning} warnings, {error} errors, {unknown} could not be looked at"
            )),
        }
        Ok(match error {
            0 => Ended::Well,
            _ => Ended::WithDifferences,
        })
    }

    /// Who asks, the master, and what its tags say.
    async fn admit(&self, account: &Account) -> (Vec<Finding>, Option<Patient>) {
        let (mut findings, identity, master) = introduce(account, &self.master).await;
        let Some(master) = master else {
            return (findings, None);
        };
        match load(&account.sites, master.clone(), deadline()).await {
            Ok(route) => {
                findings.extend(tags(&route));
                let patient = Patient {
                    master,
                    route,
                    identity,
                };
                (findings, Some(patient))
            }
            Err(failure) => {
                findings.push(refused("master", &failure));
                (findings, None)
            }
        }
    }

    /// Each target beside the master.
    async fn buckets(&self, patient: &Patient) -> Vec<Finding> {
        let Patient { master, route, .. } = patient;
        let of_each = join_all(route.targets.iter().map(async |target| {
            let there = exists("target", target).await;
            if there.status == Status::Error {
                return vec![there];
            }
            let mut findings = vec![there];
            findings.extend(hidden_tags(target).await);
            findings.extend([
                Finding::or_unknown("versioning", versioning(master, target).await),
                Finding::or_unknown("encryption", encryption(master, target).await),
                Finding::or_unknown("ownership", ownership(target).await),
                Finding::or_unknown("uploads", uploads(target).await),
            ]);
            findings
        }));
        let mut findings = of_each.await.concat();
        findings.extend(package::profiles(&route.targets));
        findings.push(match &self.package {
            Some(path) => package::package(path),
            None => Finding::unknown("keys", "the function's package: name it with --package ZIP"),
        });
        findings
    }

    /// Where its events go, and who acts on them.
    async fn service(&self, account: &Account, patient: &Patient) -> Vec<Finding> {
        let master = &patient.master;
        let notifications = match read_notifications(master).await {
            Ok(notifications) => notifications,
            Err(failure) => return vec![refused("notification", &failure)],
        };
        let (mut findings, heard) =
            events::judge(&notifications, self.destination.as_ref(), &master.name);
        let owner = patient.identity.as_ref().map(|it| it.account.as_str());
        let mut functions = Vec::new();
        for destination in &heard.destinations {
            let (found, served) = serving::destination(account, destination, master, owner).await;
            findings.extend(found);
            functions.extend(served);
        }
        if let Some(function) = &self.function {
            functions = vec![function.arn.as_str().to_owned()];
        }
        functions.sort_unstable();
        functions.dedup();
        if functions.is_empty() {
            findings.push(Finding::unknown(
                "function",
                "which function it is, so neither it nor its role: name it with --function ARN",
            ));
        }
        for function in &functions {
            let route = &patient.route;
            findings.extend(serving::function(account, function, &heard, owner, route).await);
        }
        findings
    }
}

/// What the tags say, and every mistake in them.
fn tags(route: &Route) -> Vec<Finding> {
    let master = &route.master.name;
    if !route.configured {
        return vec![Finding::error(
            "tags",
            format!(
                "s3://{master} names no target: its events are acknowledged and nothing is done"
            ),
            format!("s3-replicator setup --master {master} --target BUCKET@REGION"),
        )];
    }
    let mistakes = route.problems.iter().map(|failure| {
        let mend = format!("aws s3api get-bucket-tagging --bucket {master}, and correct the entry");
        Finding::error("tags", failure.chain(), mend)
    });
    let mut findings: Vec<Finding> = mistakes.collect();
    if !route.targets.is_empty() {
        let targets = route.targets.iter();
        let targets: Vec<String> = targets
            .map(|target| format!("{}@{}", target.name, target.site.name))
            .collect();
        let deletes = match route.deletes {
            Some(false) => ", deletes are not replicated",
            Some(true) => ", deletes as well",
            None => "",
        };
        let found = format!("s3://{master} goes to {}{deletes}", targets.join(" "));
        findings.push(Finding::ok("tags", found));
    }
    findings
}
