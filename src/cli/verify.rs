//! `verify`: whether every replica is right.

use std::path::PathBuf;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde_json::json;

use super::spectator::{json as print_json, line};
use super::walk::arguments::WalkArguments;
use super::walk::form::{counted, size};
use super::walk::interrupt;
use super::walk::opened::Opened;
use super::walk::progress::Progress;
use super::walk::table::{self, Tally, total};
use super::{CommandError, Ended};
use crate::change::ObjectKey;
use crate::drift::batch_manifest::BatchManifest;
use crate::drift::judge::Verdict;
use crate::drift::verify::{Finding, Level, Options, verify};
use crate::drift::walk::{Met, Walked};

pub(super) const EXAMPLES: &str = "\
Examples:
  s3-replicator verify s3://artifacts
  s3-replicator verify s3://artifacts/releases/ --fast --exclude '*.tmp'
  s3-replicator verify s3://artifacts --bytes --json
  s3-replicator verify s3://artifacts --write-manifest differing.csv \\
      --from-inventory s3://inventories/artifacts/all/2026-11-27T01-00Z/manifest.json

Exit code 0: every replica is right. 1: one is not, or could not be looked at.
2: wrong usage. 130: interrupted.";

/// In this order, and all of them up to `unproven` in any case.
const ENDINGS: [&str; 8] = [
    "equal",
    "differing",
    "missing",
    "extra",
    "unproven",
    "in flight",
    "kept",
    "failed",
];

#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    walk: WalkArguments,
    /// Reads every object and its replicas, and compares the bytes
    #[arg(long, conflicts_with = "fast")]
    bytes: bool,
    /// Writes a manifest for S3 Batch Operations: the keys that differ somewhere
    #[arg(long, value_name = "FILE")]
    write_manifest: Option<PathBuf>,
    /// Seconds that a difference has to last: what is gone by then, or was written to meanwhile, is
    /// in flight
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    settle: u16,
}

impl Verify {
    pub(super) async fn run(self) -> Result<Ended, CommandError> {
        let opened = self.walk.open().await?;
        let options = Options {
            level: match (self.walk.fast, self.bytes) {
                (true, _) => Level::Listing,
                (_, true) => Level::Bytes,
                _ => Level::Head,
            },
            concurrency: self.walk.keys_at_once(1 + opened.subject.targets().len()),
            settle: Duration::from_secs(self.settle.into()),
        };
        let (keys, lost) = self.walk.keys(&opened).await?;
        let manifest = self.begin_manifest()?;
        let expected = self.walk.announce(&opened, options.level).await?;
        // Up to here nothing has to come to an end.
        let stop = interrupt::listen();
        let mut report = Report::new(&opened, self.walk.json, manifest, expected);
        for (target, failure) in lost {
            report.hear(Met::Lost(target, failure));
        }
        let after = self.walk.start_after.clone();
        let tell = |met| report.hear(met);
        let walked = verify(&opened.subject, keys, after, options, &stop, tell).await;
        self.conclude(&opened, report, walked)
    }

    fn begin_manifest(&self) -> Result<Option<BatchManifest>, CommandError> {
        let Some(path) = &self.write_manifest else {
            return Ok(None);
        };
        let manifest = BatchManifest::create(path.clone());
        manifest.map(Some).map_err(|source| self.unwritten(source))
    }

    fn unwritten(&self, source: std::io::Error) -> CommandError {
        let path = self.write_manifest.as_deref().unwrap_or("".as_ref());
        CommandError::Write {
            path: path.display().to_string(),
            source,
        }
    }

    fn conclude(
        &self,
        opened: &Opened,
        mut report: Report,
        walked: Walked,
    ) -> Result<Ended, CommandError> {
        report.progress.clear();
        let is_complete = walked.is_complete() && table::is_whole(&report.tallies);
        if walked.is_complete() && report.keys == 0 {
            self.walk.refuse_nothing(opened)?;
        }
        let in_manifest = match (report.manifest.take(), report.unwritten.take()) {
            (_, Some(source)) => return Err(self.unwritten(source)),
            (Some(manifest), None) if is_complete => {
                Some(manifest.finish().map_err(|source| self.unwritten(source))?)
            }
            (Some(_), None) => {
                anstream::eprintln!("error: no manifest written: not every replica was looked at");
                None
            }
            (None, None) => None,
        };
        let is_right = report.is_right(opened);
        if self.walk.json {
            print_json(&json!({ "summary": {
                "complete": is_complete,
                "targets": report.tallies,
                "keys": report.keys,
                "requests": opened.throttle.sent(),
                "metadata_checked": !self.walk.fast,
                "manifest_keys": in_manifest,
                "start_after": self.walk.position(&walked).map(ObjectKey::as_str),
                "error": walked.failure.as_ref().map(|failure| failure.chain()),
            }}));
        } else {
            report.show(opened, &self.walk, is_right && is_complete);
            if let (Some(keys), Some(path)) = (in_manifest, &self.write_manifest) {
                let path = path.display();
                line(format_args!("{} in {path}", counted(keys, "key")));
            }
        }
        self.walk.explain_early_end(&walked);
        Ok(match (walked.stopped, is_right && is_complete) {
            (true, _) => Ended::Interrupted,
            (_, true) => Ended::Well,
            (_, false) => Ended::WithDifferences,
        })
    }
}

/// What was heard so far.
struct Report {
    is_json: bool,
    tallies: Vec<Tally>,
    keys: u64,
    progress: Progress,
    master: String,
    manifest: Option<BatchManifest>,
    unwritten: Option<std::io::Error>,
}

impl Report {
    fn new(
        opened: &Opened,
        is_json: bool,
        manifest: Option<BatchManifest>,
        expected: Option<u64>,
    ) -> Self {
        Self {
            is_json,
            tallies: opened.subject.targets().iter().map(Tally::of).collect(),
            keys: 0,
            progress: Progress::new(expected),
            master: opened.subject.master().name.clone(),
            manifest,
            unwritten: None,
        }
    }

    fn hear(&mut self, met: Met<Vec<Finding>>) {
        let (key, findings) = match met {
            Met::Key(key, findings) => (key, findings),
            Met::Lost(target, failure) => {
                self.progress.clear();
                let tally = &mut self.tallies[target];
                let error = failure.chain();
                anstream::eprintln!("error: {} is not verified: {error}", tally.name());
                tally.lose(error);
                return;
            }
        };
        self.keys += 1;
        // A job would delete what is extra, without any of the questions that `sync --delete` asks.
        let is_to_repair = |finding: &Finding| {
            let verdict = finding.verdict.as_ref().ok();
            verdict.is_some_and(|it| it.is_drift() && *it != Verdict::Extra)
        };
        if findings.iter().any(is_to_repair)
            && let Some(manifest) = &mut self.manifest
            && let Err(error) = manifest.add(&self.master, &key)
        {
            self.unwritten.get_or_insert(error);
        }
        for finding in findings {
            self.tell(&key, &finding);
        }
        self.progress.step();
    }

    fn tell(&mut self, key: &ObjectKey, finding: &Finding) {
        let ending = match &finding.verdict {
            Ok(Verdict::Absent) => return,
            Ok(verdict) => verdict.as_str(),
            Err(_) => "failed",
        };
        let tally = &mut self.tallies[finding.target];
        tally.add(ending, finding.size);
        let (reason, error) = match &finding.verdict {
            Ok(Verdict::Equal | Verdict::Kept) => return,
            Ok(verdict) => (verdict.reason(), None),
            Err(failure) => (None, Some(failure.chain())),
        };
        self.progress.clear();
        if self.is_json {
            return print_json(&json!({
                "key": key.as_str(),
                "target": self.tallies[finding.target].bucket(),
                "site": self.tallies[finding.target].site(),
                "result": ending,
                "reason": reason,
                "bytes": finding.size,
                "error": error,
            }));
        }
        let style = match &finding.verdict {
            Ok(Verdict::Unproven | Verdict::InFlight) => AnsiColor::Yellow.on_default(),
            _ => AnsiColor::Red.on_default(),
        };
        let target = self.tallies[finding.target].name();
        let reason = error.as_deref().or(reason).unwrap_or_default();
        line(format_args!(
            "{style}{ending:<9}{:#} {target:<30} {}{}{reason}",
            Style::new(),
            key.as_str().escape_debug(),
            if reason.is_empty() { "" } else { ": " },
        ));
    }

    /// Whether nothing differs and everything was looked at.
    fn is_right(&self, opened: &Opened) -> bool {
        let wrong = ["differing", "missing", "extra", "failed"];
        opened.subject.problems().is_empty()
            && !self.tallies.iter().any(Tally::is_lost)
            && wrong
                .iter()
                .all(|ending| total(&self.tallies, ending).keys == 0)
    }

    fn show(&self, opened: &Opened, arguments: &WalkArguments, is_right: bool) {
        let differing = ["differing", "missing", "extra"];
        let differing: u64 = differing
            .iter()
            .map(|ending| total(&self.tallies, ending).keys)
            .sum();
        if self.tallies.iter().any(Tally::is_lost) || differing > 0 {
            line(format_args!(""));
        }
        table::show(&self.tallies, &ENDINGS, 5);
        let unproven = total(&self.tallies, "unproven").keys;
        let equal = total(&self.tallies, "equal");
        line(format_args!(""));
        let requests = counted(opened.throttle.sent(), "request");
        match is_right {
            true => line(format_args!(
                "{}right{:#}: {} equal, {}; {requests}",
                AnsiColor::Green.on_default(),
                Style::new(),
                counted(equal.keys, "replica"),
                size(equal.bytes),
            )),
            false => line(format_args!(
                "{}not right{:#}: {} to repair; {requests}",
                AnsiColor::Red.on_default(),
                Style::new(),
                counted(differing, "replica"),
            )),
        }
        if arguments.fast {
            line(format_args!(
                "metadata not checked: listings show sizes and ETags, and no metadata, headers or tags"
            ));
        }
        if unproven > 0 {
            line(format_args!(
                "{} unproven: only the bytes can tell, --bytes reads them",
                counted(unproven, "replica")
            ));
        }
        if differing > 0 {
            let scope = arguments.scope();
            let delete = match total(&self.tallies, "extra").keys {
                0 => "",
                _ => " --delete",
            };
            line(format_args!(
                "`s3-replicator sync {scope}{delete}` repairs them"
            ));
        }
    }
}
