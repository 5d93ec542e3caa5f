//! `sync`: makes every replica right.

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde_json::json;

use super::spectator::{json as print_json, line};
use super::walk::arguments::WalkArguments;
use super::walk::form::counted;
use super::walk::interrupt;
use super::walk::opened::Opened;
use super::walk::progress::Progress;
use super::walk::table::{self, Tally, total};
use super::{CommandError, Ended};
use crate::change::ObjectKey;
use crate::drift::keys::is_empty;
use crate::drift::other_masters::other_masters;
use crate::drift::sync::{Extra, Options, Repair, Repaired, delete, repair};
use crate::drift::verify::Level;
use crate::drift::walk::{Met, Stop, Walked};
use crate::reconcile::Outcome;

pub(super) const EXAMPLES: &str = "\
Examples:
  s3-replicator sync s3://artifacts --dry-run
  s3-replicator sync s3://artifacts/releases/ --exclude '*' --include '*.tar.gz'
  s3-replicator sync s3://artifacts --delete --max-delete 100
  s3-replicator sync s3://artifacts --fast --requests-per-second 500

Exit code 0: every key of the master is right at every target; extra replicas may be left, without
--delete or where a target is shared. 1: one could not be repaired, or a delete was refused.
2: wrong usage. 130: interrupted.";

/// In this order, and all of them up to `equal` in any case.
const ENDINGS: [&str; 8] = [
    "copied", "tagged", "deleted", "equal", "unproven", "extra", "kept", "failed",
];

#[derive(Debug, Args)]
pub(super) struct Sync {
    #[command(flatten)]
    walk: WalkArguments,
    /// Shows exactly what would be done, and does nothing
    #[arg(long)]
    dry_run: bool,
    /// Deletes keys that only targets have, when all others are done
    #[arg(long, conflicts_with = "from_inventory")]
    delete: bool,
    /// Deletes nothing if it would be more than this, all targets together
    #[arg(long, value_name = "N", default_value = "1000", requires = "delete")]
    max_delete: u32,
    /// Deletes even if the master has no key at all
    #[arg(long, requires = "delete")]
    allow_empty_master: bool,
    /// Deletes even if the buckets cannot be listed among which another master of a target may be
    #[arg(long, requires = "delete")]
    assume_only_master: bool,
}

impl Sync {
    pub(super) async fn run(self) -> Result<Ended, CommandError> {
        let opened = self.walk.open().await?;
        let (keys, lost) = self.walk.keys(&opened).await?;
        let level = match self.walk.fast {
            true => Level::Listing,
            false => Level::Head,
        };
        let is_to_delete = self.delete && opened.subject.deletes();
        if self.delete && !is_to_delete {
            anstream::eprintln!(
                "warning: removals are not replicated (ReplicatedDeletes), so --delete deletes nothing"
            );
        }
        let shared = match is_to_delete {
            true => self.shared_targets(&opened).await?,
            false => Vec::new(),
        };
        let expected = self.walk.announce(&opened, level).await?;
        let to_delete: Vec<usize> = (0..opened.subject.targets().len())
            .filter(|target| is_to_delete && !shared.contains(target))
            .collect();
        let options = Options {
            by_listing: self.walk.fast,
            is_rehearsal: self.dry_run,
            to_delete: &to_delete,
        };
        // Up to here nothing has to come to an end.
        let stop = interrupt::listen();
        let mut report = Report::new(&opened, &self, shared, expected);
        for (target, failure) in lost {
            report.hear(Met::Lost(target, failure));
        }
        let after = self.walk.start_after.clone();
        let tell = |met| report.hear(met);
        let walked = repair(&opened.subject, keys, after, options, &stop, tell).await;
        report.progress.clear();
        if walked.is_complete() && report.keys == 0 {
            self.walk.refuse_nothing(&opened)?;
        }
        let refusal = match is_to_delete {
            true => {
                self.delete_extra(&opened, &mut report, &walked, options, &stop)
                    .await
            }
            false => None,
        };
        Ok(self.conclude(&opened, report, walked, refusal, stop.soon.initialized()))
    }

    /// Targets at which nothing is deleted, since another master replicates into them.
    async fn shared_targets(&self, opened: &Opened) -> Result<Vec<usize>, CommandError> {
        let others = other_masters(&opened.sites, &opened.subject).await;
        let unknown = others.unlisted.iter().chain(&others.unread);
        for failure in unknown {
            if !self.assume_only_master {
                return Err(CommandError::OtherMasters(failure.clone()));
            }
            anstream::eprintln!(
                "warning: who else replicates into a target is not known: {}",
                failure.chain()
            );
        }
        let mut shared = Vec::new();
        for (target, master) in others.found {
            let name = &opened.subject.targets()[target].name;
            anstream::eprintln!(
                "warning: nothing is deleted at {name}: the tags of s3://{master} name it as well"
            );
            shared.push(target);
        }
        Ok(shared)
    }

    /// Deletes what only targets have, or says why not.
    async fn delete_extra(
        &self,
        opened: &Opened,
        report: &mut Report,
        walked: &Walked,
        options: Options<'_>,
        stop: &Stop,
    ) -> Option<String> {
        let extra = report.extra.take()?;
        if extra.count() == 0 {
            return None;
        }
        let count = counted(extra.count(), "extra replica");
        if !walked.is_complete() {
            return Some(format!(
                "{count} not deleted: not every key of the master was seen"
            ));
        }
        let is_empty = match report.master_keys == 0 && !self.allow_empty_master {
            // They may all come before what it begins behind.
            true => is_empty(&opened.subject, &opened.selection).await,
            false => Ok(false),
        };
        let is_empty = match is_empty {
            Ok(is_empty) => is_empty,
            Err(failure) => return Some(format!("{count} not deleted: {}", failure.chain())),
        };
        if is_empty {
            return Some(format!(
                "{count} not deleted: the master has no key at all; \
                 --allow-empty-master deletes them"
            ));
        }
        if extra.count() > u64::from(self.max_delete) {
            return Some(format!(
                "{count} not deleted: more than --max-delete {}",
                self.max_delete
            ));
        }
        if !self.walk.json {
            let would = if self.dry_run {
                "would delete"
            } else {
                "deleting"
            };
            line(format_args!("{would} {count}"));
        }
        let tell = |key: ObjectKey, repairs: Vec<Repair>| {
            for repair in repairs {
                report.tell_deleted(&key, &repair);
            }
        };
        delete(&opened.subject, extra, options, stop, tell).await;
        None
    }

    fn conclude(
        &self,
        opened: &Opened,
        report: Report,
        walked: Walked,
        refusal: Option<String>,
        stopped: bool,
    ) -> Ended {
        let is_complete = walked.is_complete();
        let is_whole = is_complete && refusal.is_none() && table::is_whole(&report.tallies);
        let is_right = is_whole && opened.subject.problems().is_empty();
        if self.walk.json {
            print_json(&json!({ "summary": {
                "complete": is_whole && !stopped,
                "dry_run": self.dry_run,
                "targets": report.tallies,
                "keys": report.keys,
                "requests": opened.throttle.sent(),
                "start_after": self.walk.position(&walked).map(ObjectKey::as_str),
                "error": walked.failure.as_ref().map(|failure| failure.chain()).or(refusal.clone()),
            }}));
        } else {
            line(format_args!(""));
            table::show(&report.tallies, &ENDINGS, 4);
            line(format_args!(""));
            let requests = counted(opened.throttle.sent(), "request");
            let (word, style) = match (is_right && !stopped, self.dry_run) {
                (true, true) => ("nothing was written", AnsiColor::Yellow.on_default()),
                (true, false) => ("done", AnsiColor::Green.on_default()),
                (false, _) => ("not done", AnsiColor::Red.on_default()),
            };
            line(format_args!(
                "{style}{word}{:#}: {}, {requests}",
                Style::new(),
                counted(report.keys, "key")
            ));
            let extra = total(&report.tallies, "extra").keys;
            let left = counted(extra, "extra replica");
            match (extra, self.delete) {
                (0, _) => {}
                (_, false) => line(format_args!(
                    "{left} left: the same command with --delete deletes what is extra"
                )),
                (_, true) => line(format_args!("{left} left")),
            }
        }
        if let Some(refusal) = refusal {
            anstream::eprintln!("error: {refusal}");
        }
        self.walk.explain_early_end(&walked);
        if stopped && is_complete {
            anstream::eprintln!("not all that is extra was deleted: begin anew");
        }
        match (stopped, is_right) {
            (true, _) => Ended::Interrupted,
            (_, true) => Ended::Well,
            (_, false) => Ended::WithDifferences,
        }
    }
}

/// What was heard so far.
struct Report {
    is_json: bool,
    is_rehearsal: bool,
    /// What a key that only targets have is called: `kept` where removals are not replicated.
    extra_name: &'static str,
    tallies: Vec<Tally>,
    keys: u64,
    master_keys: u64,
    progress: Progress,
    extra: Option<Extra>,
}

impl Report {
    fn new(opened: &Opened, arguments: &Sync, shared: Vec<usize>, expected: Option<u64>) -> Self {
        let targets = opened.subject.targets();
        Self {
            is_json: arguments.walk.json,
            is_rehearsal: arguments.dry_run,
            extra_name: match opened.subject.deletes() {
                true => "extra",
                false => "kept",
            },
            tallies: targets.iter().map(Tally::of).collect(),
            keys: 0,
            master_keys: 0,
            progress: Progress::new(expected),
            extra: (arguments.delete && opened.subject.deletes())
                .then(|| Extra::at_most(arguments.max_delete.into(), shared)),
        }
    }

    fn hear(&mut self, met: Met<Repaired>) {
        let (key, repaired) = match met {
            Met::Key(key, repaired) => (key, repaired),
            Met::Lost(target, failure) => {
                self.progress.clear();
                let tally = &mut self.tallies[target];
                let error = failure.chain();
                anstream::eprintln!("error: {} is not served: {error}", tally.name());
                tally.lose(error);
                return;
            }
        };
        self.keys += 1;
        self.master_keys += u64::from(repaired.in_master);
        if let Some(extra) = &mut self.extra {
            extra.add(&key, &repaired.repairs);
        }
        for repair in &repaired.repairs {
            match &repair.outcome {
                Ok(Outcome::Kept) => {
                    self.tallies[repair.target].add(self.extra_name, repair.size);
                }
                _ => self.tell(&key, repair),
            }
        }
        self.progress.step();
    }

    /// What was extra is so no more.
    fn tell_deleted(&mut self, key: &ObjectKey, repair: &Repair) {
        self.tallies[repair.target].take(self.extra_name, repair.size);
        self.tell(key, repair);
    }

    fn tell(&mut self, key: &ObjectKey, repair: &Repair) {
        let (ending, error) = match &repair.outcome {
            Ok(outcome) => (outcome.as_str(), None),
            Err(failure) => ("failed", Some(failure.chain())),
        };
        self.tallies[repair.target].add(ending, repair.size);
        if ending == "equal" {
            return;
        }
        self.progress.clear();
        let tally = &self.tallies[repair.target];
        if self.is_json {
            return print_json(&json!({
                "key": key.as_str(),
                "target": tally.bucket(),
                "site": tally.site(),
                "outcome": ending,
                "dry_run": self.is_rehearsal,
                "bytes": repair.size,
                "error": error,
            }));
        }
        let style = match ending {
            "copied" | "tagged" => AnsiColor::Green.on_default(),
            "deleted" | "unproven" => AnsiColor::Yellow.on_default(),
            _ => AnsiColor::Red.on_default(),
        };
        let would = match (self.is_rehearsal, ending) {
            (true, "copied") => "would copy",
            (true, "tagged") => "would tag",
            (true, "deleted") => "would delete",
            _ => ending,
        };
        let error = error.map(|error| format!(": {error}")).unwrap_or_default();
        line(format_args!(
            "{style}{would:<12}{:#} {:<30} {}{error}",
            Style::new(),
            tally.name(),
            key.as_str().escape_debug(),
        ));
    }
}
