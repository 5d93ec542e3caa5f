//! `setup`: has a bucket replicated, or no longer: checks, plan, writes.
//!
//! - `tags`, `rules`, `policy`: what is merged, each a pure function
//! - `plan`: the list of changes with before and after
//! - `checks`: what has to be true before anything is written
//! - `write`, `canary`: the writes, and the proof that it works
//! - `batch`: the job for what was there before
//! - `report`: how all that is shown
//!
//! Invariant: nothing is written unless every check has passed, and nothing but what was shown.

mod batch;
mod canary;
mod checks;
mod plan;
pub(super) mod policy;
mod report;
pub(super) mod rules;
pub(super) mod tags;
pub(super) mod write;

use std::cell::Cell;
use std::time::Duration;

use clap::Args;

use self::batch::{Job, function_of_job};
use self::canary::Watch;
use self::checks::Checked;
use self::plan::{Change, Conflict, Wanted, plan, undo};
use self::report::{Reporter, Said};
use self::tags::{Entry, pairs};
use super::account::Account;
use super::arn::{Arn, Destination, Function, queue, role};
use super::diagnosis::{Finding, has_errors};
use super::{CommandError, Ended, told_to_end};
use crate::error::chain;
use crate::site::Bucket;
use crate::targets::{is_bucket_name, parse};

pub(super) const EXAMPLES: &str = "\
Examples:
  s3-replicator setup --master artifacts --target copy-1@ap-southeast-1 \\
      --target copy-2@eu-central-1 --queue arn:aws:sqs:us-east-1:123456789012:s3-replicator \\
      --dry-run
  s3-replicator setup --master artifacts --target copy-3@minio-dc    # one more; the rest stays
  s3-replicator setup --master artifacts --wait                      # and sees an object arrive
  s3-replicator setup --master artifacts --undo --target copy-3@minio-dc
  s3-replicator setup --master artifacts --undo";

#[derive(Debug, Args)]
pub(super) struct Setup {
    /// The bucket that is replicated
    #[arg(long, value_name = "BUCKET", value_parser = bucket)]
    master: String,
    /// A bucket that it is replicated to, at a region or a profile of the AWS shared
    /// configuration; may be given more than once. Targets that are named already stay
    #[arg(long = "target", value_name = "BUCKET@SITE", value_parser = entry)]
    targets: Vec<Entry>,
    /// The SQS queue that the function reads
    #[arg(long, value_name = "ARN", value_parser = queue, conflicts_with = "function")]
    queue: Option<Arn>,
    /// The function, to be invoked without a queue; it needs an on-failure destination
    #[arg(long, value_name = "ARN")]
    function: Option<Function>,
    /// Whether what is deleted from the master is deleted from the targets
    #[arg(long, value_name = "true|false")]
    deletes: Option<bool>,
    /// Replicates only keys that start so
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<String>,
    /// Replicates only keys that end so
    #[arg(long, value_name = "SUFFIX")]
    suffix: Option<String>,
    /// Puts the rule in the place of others that send a part of the same to the same queue or
    /// function; `--undo` does not bring them back
    #[arg(long)]
    replace: bool,
    /// Checks and shows what would be written, and writes nothing
    #[arg(long)]
    dry_run: bool,
    /// Takes away what `setup` wrote: all of it, or the named targets
    #[arg(long, conflicts_with_all = ["deletes", "prefix", "suffix", "replace", "wait", "batch_role"])]
    undo: bool,
    /// Puts an object, waits until every target has it, at most so many seconds, and removes it
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "300",
        conflicts_with = "dry_run"
    )]
    wait: Option<u64>,
    /// Prints the job for S3 Batch Operations that replicates what is there already, to be run in
    /// this role
    #[arg(long, value_name = "ROLE_ARN", value_parser = role)]
    batch_role: Option<Arn>,
    /// The function that the job invokes [default: --function, or the one that reads the queue]
    #[arg(long, value_name = "ARN", requires = "batch_role")]
    batch_function: Option<Function>,
    /// The bucket for the job's report of objects that failed; not the master, where it would be
    /// replicated
    #[arg(long, value_name = "BUCKET", value_parser = bucket, requires = "batch_role")]
    batch_report: Option<String>,
    /// Prints JSON Lines
    #[arg(long)]
    json: bool,
}

/// How far a plan has been carried out, for whoever is interrupted.
#[derive(Default)]
struct Progress {
    planned: Cell<Vec<&'static str>>,
    written: Cell<usize>,
}

/// What is left to do once everything is written.
enum Done {
    Ended(Ended),
    Wait(Watch),
}

/// A bucket's name, also as `s3://NAME`.
pub(super) fn bucket(text: &str) -> Result<String, String> {
    match text.strip_prefix("s3://").unwrap_or(text) {
        name if is_bucket_name(name) => Ok(name.to_owned()),
        _ => Err("expected a bucket's name by S3's naming rules, without a region".to_owned()),
    }
}

fn entry(text: &str) -> Result<Entry, String> {
    match text.strip_prefix("s3://").unwrap_or(text).split_once('@') {
        Some((bucket, site)) if is_bucket_name(bucket) && !site.is_empty() => Ok(Entry {
            bucket: bucket.to_owned(),
            site: site.to_owned(),
        }),
        _ => Err("expected BUCKET@SITE, like copy@eu-central-1".to_owned()),
    }
}

impl Setup {
    pub(super) async fn run(self) -> Result<Ended, CommandError> {
        if self.batch_report.as_ref() == Some(&self.master) {
            return Err(CommandError::Input(
                "--batch-report names the master, where the report would be replicated; name \
                 another bucket"
                    .to_owned(),
            ));
        }
        let account = Account::load().await?;
        let reporter = Reporter { json: self.json };
        let progress = Progress::default();
        let done = tokio::select! {
            done = self.all(&account, reporter, &progress) => done?,
            () = told_to_end() => {
                let planned = progress.planned.take();
                let (written, rest) = planned.split_at(progress.written.get());
                reporter.say(&Said::Interrupted { written, not_written: rest });
                return Ok(Ended::Interrupted);
            }
        };
        match done {
            Done::Ended(ended) => Ok(ended),
            // It takes its canary away itself, also when it is interrupted.
            Done::Wait(watch) => watch.fly(reporter).await,
        }
    }

    async fn all(
        &self,
        account: &Account,
        reporter: Reporter,
        progress: &Progress,
    ) -> Result<Done, CommandError> {
        let (mut findings, checked) = checks::check(account, &self.question()).await;
        let mut function = None;
        if let (Some(_), Some(Checked { master, wanted, .. })) = (&self.batch_role, &checked) {
            let named = self.batch_function.as_ref();
            match function_of_job(account, named, wanted, master.site.region()).await {
                Ok(found) => function = Some(found),
                Err(finding) => findings.push(finding),
            }
        }
        for finding in &findings {
            reporter.say(&Said::Check(finding));
        }
        let Some(checked) = checked.filter(|_| !has_errors(&findings)) else {
            reporter.say(&Said::Refused);
            return Ok(Done::Ended(Ended::WithDifferences));
        };
        let Checked {
            master,
            found,
            wanted,
            identity,
        } = checked;
        let changes = if self.undo {
            Ok(undo(&found, &wanted))
        } else {
            let identity = identity.as_ref().map(|it| it.account.as_str());
            plan(&found, &wanted, identity, |name| {
                account.sites.is_profile(name)
            })
        };
        let changes = match changes {
            Ok(changes) => changes,
            Err(conflicts) => {
                for conflict in &conflicts {
                    reporter.say(&Said::Check(&explain(conflict, &wanted)));
                }
                reporter.say(&Said::Refused);
                return Ok(Done::Ended(Ended::WithDifferences));
            }
        };
        for change in &changes {
            reporter.change(change, &wanted.master);
        }
        if !self.dry_run {
            reporter.space(&changes);
            progress
                .planned
                .set(changes.iter().map(Change::name).collect());
            for (number, change) in (1..).zip(&changes) {
                if let Err(error) = write::write(account, &master, change, reporter).await {
                    let names: Vec<&str> = changes.iter().map(Change::name).collect();
                    let (written, rest) = names.split_at(number - 1);
                    reporter.say(&Said::Failed {
                        what: change.name(),
                        place: change.place(&wanted.master),
                        error: chain(&error),
                        written,
                        not_written: rest,
                    });
                    return Ok(Done::Ended(Ended::WithDifferences));
                }
                progress.written.set(number);
                reporter.say(&Said::Written {
                    what: change.name(),
                    place: change.place(&wanted.master),
                });
            }
        }
        let sync = format!("s3-replicator sync s3://{}", wanted.master);
        reporter.say(&Said::End {
            undo: self.undo,
            dry_run: self.dry_run,
            changes: changes.len(),
            written: progress.written.get(),
            sync: (!self.undo).then_some(sync),
        });
        if let (Some(role), Some(function)) = (&self.batch_role, &function) {
            let account = identity.map_or(function.arn.account.clone(), |it| it.account);
            let job = Job {
                account: &account,
                role: role.as_str(),
                function: function.arn.as_str(),
                report: self.batch_report.as_deref(),
                partition: &function.arn.partition,
            };
            reporter.say(&Said::BatchJob {
                definition: batch::definition(&wanted, job),
            });
        }
        let Some(seconds) = self.wait else {
            return Ok(Done::Ended(Ended::Well));
        };
        let after = changes.iter().find_map(Change::tags);
        let targets = targets_of(account, after.unwrap_or(&found.tags)).await;
        Ok(Done::Wait(Watch {
            targets,
            key: canary::key(&wanted.prefix, &wanted.suffix),
            patience: Duration::from_secs(seconds),
            master,
        }))
    }

    fn question(&self) -> checks::Question {
        let destination = match (&self.queue, &self.function) {
            (Some(queue), _) => Some(Destination::Queue(queue.clone())),
            (None, Some(function)) => Some(Destination::Function(function.clone())),
            (None, None) => None,
        };
        checks::Question {
            master: self.master.clone(),
            targets: self.targets.clone(),
            deletes: self.deletes,
            destination,
            prefix: self.prefix.clone(),
            suffix: self.suffix.clone(),
            replaces: self.replace,
            undo: self.undo,
        }
    }
}

/// The buckets that tags name.
async fn targets_of(account: &Account, tags: &tags::Tags) -> Vec<Bucket> {
    let mut buckets = Vec::new();
    for target in parse(pairs(tags), |name| account.sites.is_profile(name)).targets {
        if let Ok(bucket) = account.bucket(&target.bucket, &target.site).await {
            buckets.push(bucket);
        }
    }
    buckets
}

/// A conflict as a check that failed.
fn explain(conflict: &Conflict, wanted: &Wanted) -> Finding {
    let master = &wanted.master;
    match conflict {
        Conflict::Tag(problem) => Finding::error(
            "tags",
            problem.clone(),
            format!("aws s3api get-bucket-tagging --bucket {master} shows the tags as they are"),
        ),
        Conflict::Rule(rule) => Finding::error(
            "notification",
            format!(
                "{} already, and S3 tells only one about an event: no rule for all events fits \
                 beside it",
                rule.describe()
            ),
            match &wanted.destination {
                Some(it) if it.arn() == rule.arn => {
                    "add --replace: ours takes its place where it sends all that this one does"
                        .to_owned()
                }
                _ => format!(
                    "have both told by one topic or by EventBridge, take the rule away, or keep apart \
                 from it with --prefix or --suffix (aws s3api \
                 get-bucket-notification-configuration --bucket {master})"
                ),
            },
        ),
    }
}
