//! What `setup` and `doctor` find out: one finding for each thing that was looked at.
//!
//! - `head`, `buckets`: master and targets, as they are
//! - `queue`, `function`: where the master's events go
//! - `role`: what the function may do
//! - `package`: what the function was packaged with
//!
//! Invariant: what could not be looked at is `unknown` and says why; it never passes for `ok`.

pub(super) mod buckets;
pub(super) mod function;
pub(super) mod head;
pub(super) mod package;
pub(super) mod queue;
pub(super) mod role;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::spectator::line;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    Warning,
    Error,
    /// It could not be looked at.
    Unknown,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked for, in one word.
    pub(super) check: &'static str,
    pub(super) status: Status,
    /// What was found.
    pub(super) found: String,
    /// The command that mends it, or what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Status::Ok, found, None)
    }

    pub(super) fn warning(
        check: &'static str,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::new(check, Status::Warning, found, Some(mend.into()))
    }

    pub(super) fn error(
        check: &'static str,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::new(check, Status::Error, found, Some(mend.into()))
    }

    /// What could not be looked at, and why.
    pub(super) fn unknown(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(check, Status::Unknown, why, None)
    }

    fn new(
        check: &'static str,
        status: Status,
        found: impl Into<String>,
        mend: Option<String>,
    ) -> Self {
        Self {
            check,
            status,
            found: found.into(),
            mend,
        }
    }

    /// What cannot be asked leaves it unknown how it is.
    pub(super) fn or_unknown(
        check: &'static str,
        found: Result<Self, impl std::error::Error + 'static>,
    ) -> Self {
        found.unwrap_or_else(|error| Self::unknown(check, crate::error::chain(&error)))
    }

    /// Shows it to a person, on one line.
    pub(super) fn show(&self) {
        let (word, color) = match self.status {
            Status::Ok => ("ok", AnsiColor::Green),
            Status::Warning => ("warning", AnsiColor::Yellow),
            Status::Error => ("error", AnsiColor::Red),
            Status::Unknown => ("unknown", AnsiColor::Cyan),
        };
        let style: Style = color.on_default();
        let mend = match &self.mend {
            Some(mend) => format!("; mend: {mend}"),
            None => String::new(),
        };
        line(format_args!(
            "{style}{word:<8}{style:#} {:<12} {}{mend}",
            self.check, self.found
        ));
    }
}

/// Whether anything is wrong.
pub(super) fn has_errors(findings: &[Finding]) -> bool {
    findings.iter().any(|it| it.status == Status::Error)
}
