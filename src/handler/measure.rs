//! What is counted of an invocation.

use std::sync::Arc;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::work::Changed;
use crate::error::Failure;
use crate::metrics::{LAG, Subject, Tally};
use crate::reconcile::{Outcome, Report};
use crate::routes::Route;
use crate::site::Bucket;

/// How one key ended.
pub(super) enum Measured {
    /// Before its targets were known.
    Unrouted { failure: Failure, is_served: bool },
    /// At all of its targets.
    Routed {
        route: Arc<Route>,
        report: Report,
        ended: SystemTime,
    },
}

impl Measured {
    /// All that failed.
    pub(super) fn into_failures(self) -> Vec<Failure> {
        match self {
            Self::Unrouted { failure, .. } => vec![failure],
            Self::Routed { route, report, .. } => {
                let failed = report.outcomes.into_iter().filter_map(Result::err);
                route.problems.iter().cloned().chain(failed).collect()
            }
        }
    }

    /// Counts it.
    pub(super) fn add_to(&self, tally: &mut Tally, changed: &Changed<'_>) {
        let master = || Subject::Master(changed.bucket.to_owned());
        let (route, report, ended) = match self {
            // Whoever may invoke us may name any bucket.
            Self::Unrouted { failure, is_served } => {
                let subject = match is_served {
                    true => master(),
                    false => Subject::Function,
                };
                tally.add(subject, failed(failure), 1);
                return;
            }
            Self::Routed {
                route,
                report,
                ended,
            } => (route, report, *ended),
        };
        if !route.configured {
            tally.add(master(), "UnconfiguredEvents", 1);
            return;
        }
        tally.add(master(), "Changes", 1);
        tally.add(master(), "Rounds", report.rounds.into());
        for failure in &route.problems {
            tally.add(master(), failed(failure), 1);
        }
        for (target, outcome) in route.targets.iter().zip(&report.outcomes) {
            let subject = subject(changed.bucket, target);
            match outcome {
                Err(failure) => tally.add(subject, failed(failure), 1),
                Ok(outcome) => {
                    if *outcome == Outcome::Copied {
                        tally.add(subject.clone(), "Bytes", report.size);
                    }
                    let is_write = matches!(
                        outcome,
                        Outcome::Copied | Outcome::Tagged | Outcome::Deleted
                    );
                    if let (true, Some(lag)) = (is_write, lag(changed.happened(), ended)) {
                        tally.note(subject.clone(), LAG, lag);
                    }
                    tally.add(subject, counted(*outcome), 1);
                }
            }
        }
    }
}

/// Counts what is no event, and comes again until somebody takes it away.
pub(super) fn refused(tally: &mut Tally) {
    tally.add(Subject::Function, "FailedPermanent", 1);
}

/// Counts attempts that stores refused for now.
pub(super) fn throttled(tally: &mut Tally, sites: Vec<(String, u64)>) {
    for (site, count) in sites {
        tally.add(Subject::Site(site), "Throttles", count);
    }
}

fn subject(master: &str, target: &Bucket) -> Subject {
    Subject::Target(
        master.to_owned(),
        format!("{}@{}", target.name, target.site.name),
    )
}

fn failed(failure: &Failure) -> &'static str {
    match failure.kind.is_retryable() {
        true => "FailedRetryable",
        false => "FailedPermanent",
    }
}

fn counted(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Copied => "Copied",
        Outcome::Tagged => "Tagged",
        Outcome::Deleted => "Deleted",
        Outcome::Equal => "Equal",
        Outcome::Unproven => "Unproven",
        Outcome::Kept => "Kept",
    }
}

/// Milliseconds from an event's time, where it has one, to the end; two clocks may disagree.
fn lag(happened: Option<&str>, ended: SystemTime) -> Option<u64> {
    let happened = DateTime::from_str(happened?, Format::DateTime).ok()?;
    let lag = ended.duration_since(SystemTime::try_from(happened).ok()?);
    u64::try_from(lag.unwrap_or_default().as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::s3(Some("2026-11-24T12:00:00.250Z"), Some(1_750))]
    #[case::whole_seconds(Some("2026-11-24T12:00:00Z"), Some(2_000))]
    #[case::clock_ahead(Some("2026-11-24T12:00:09Z"), Some(0))]
    #[case::no_time(Some("yesterday"), None)]
    #[case::none(None, None)]
    fn lag_is_what_has_passed_since_the_event(
        #[case] happened: Option<&str>,
        #[case] expected: Option<u64>,
    ) {
        let ended = UNIX_EPOCH + Duration::from_secs(1_795_521_602);
        assert_eq!(lag(happened, ended), expected);
    }
}
