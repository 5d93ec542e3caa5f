//! What `setup` says, to a person or as JSON Lines.

use serde::Serialize;
use serde_json::Value;

use super::plan::Change;
use crate::cli::diagnosis::Finding;
use crate::cli::spectator::{json, line};

/// Says things in the form that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reporter {
    pub(super) json: bool,
}

/// One thing that is said.
#[derive(Debug, Serialize)]
#[serde(tag = "happened", rename_all = "snake_case")]
pub(super) enum Said<'a> {
    Check(&'a Finding),
    /// A check failed.
    Refused,
    Change {
        what: &'static str,
        place: String,
        before: Value,
        after: Value,
    },
    Written {
        what: &'static str,
        place: String,
    },
    Failed {
        what: &'static str,
        place: String,
        error: String,
        written: &'a [&'static str],
        not_written: &'a [&'static str],
    },
    Interrupted {
        written: &'a [&'static str],
        not_written: &'a [&'static str],
    },
    End {
        undo: bool,
        dry_run: bool,
        changes: usize,
        written: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        sync: Option<String>,
    },
    BatchJob {
        definition: Value,
    },
    Canary {
        key: &'a str,
        seconds: f64,
        missing: &'a [(String, Option<String>)],
    },
    NoCanary {
        error: String,
    },
    /// Where a canary could not be removed.
    Left {
        left: &'a [String],
    },
}

/// What to do when only a part was written.
const GO_ON: &str = "run the same again to go on, or with --undo to take it back";

impl Reporter {
    /// Says one thing.
    pub(super) fn say(self, said: &Said<'_>) {
        if self.json {
            json(said);
        } else {
            show(said);
        }
    }

    /// Shows a change before it is made.
    pub(super) fn change(self, change: &Change, master: &str) {
        if self.json {
            let (before, after) = change.values();
            json(&Said::Change {
                what: change.name(),
                place: change.place(master),
                before,
                after,
            });
        } else {
            line(format_args!("\n{}", change.diff(master).trim_end()));
        }
    }

    /// Sets what is written apart from what was shown.
    pub(super) fn space(self, changes: &[Change]) {
        if !self.json && !changes.is_empty() {
            line(format_args!(""));
        }
    }

    /// Says why nothing seems to happen.
    pub(super) fn trying(self, seconds: u64) {
        if !self.json {
            line(format_args!(
                "S3 cannot send yet, as a new permission takes a while; trying for {seconds} s"
            ));
        }
    }

    /// Says what is waited for.
    pub(super) fn waiting(self, master: &str, key: &str) {
        if !self.json {
            line(format_args!(
                "waiting for s3://{master}/{key} to arrive; a new rule takes minutes to act"
            ));
        }
    }
}

fn show(said: &Said<'_>) {
    match said {
        Said::Check(finding) => finding.show(),
        Said::Refused => line(format_args!("nothing was changed")),
        Said::Change { .. } => {}
        Said::Written { what, place } => line(format_args!("written  {what:<12} {place}")),
        Said::Failed {
            what,
            place,
            error,
            written,
            not_written,
        } => {
            line(format_args!("failed   {what:<12} {place}: {error}"));
            line(format_args!(
                "written: {}; not written: {}; {GO_ON}",
                names(written),
                names(not_written)
            ));
        }
        Said::Interrupted {
            written,
            not_written,
        } => line(format_args!(
            "interrupted; written: {}; not written, or without an answer: {}; {GO_ON}",
            names(written),
            names(not_written)
        )),
        Said::End {
            undo,
            dry_run,
            changes,
            written,
            sync,
        } => {
            match (changes, dry_run) {
                (0, _) => line(format_args!("nothing to do")),
                (_, true) => line(format_args!(
                    "\n{}, nothing was written (--dry-run)",
                    counted(*changes)
                )),
                _ => line(format_args!("{} written", counted(*written))),
            }
            if let (Some(sync), false) = (sync, dry_run) {
                line(format_args!(
                    "what was there before, and what is written in the next minutes: {sync}"
                ));
            }
            if *undo && *written > 0 {
                line(format_args!("replicas stay where they are"));
            }
        }
        Said::BatchJob { definition } => {
            line(format_args!("{definition:#}"));
        }
        Said::Canary {
            key,
            seconds,
            missing,
        } => {
            if missing.is_empty() {
                line(format_args!(
                    "{key} arrived everywhere within {seconds:.1} s"
                ));
            }
            for (target, error) in *missing {
                let why = match error {
                    Some(error) => format!(": {error}"),
                    None => String::new(),
                };
                line(format_args!(
                    "{key} did not arrive in s3://{target} within {seconds:.0} s{why}; \
                     `s3-replicator doctor` may say why"
                ));
            }
        }
        Said::Left { left } => {
            for place in *left {
                line(format_args!("{place} could not be removed"));
            }
        }
        Said::NoCanary { error } => {
            line(format_args!("no object could be put to wait for: {error}"))
        }
    }
}

fn counted(changes: usize) -> String {
    match changes {
        1 => "1 change".to_owned(),
        changes => format!("{changes} changes"),
    }
}

fn names(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names.join(", "),
    }
}
