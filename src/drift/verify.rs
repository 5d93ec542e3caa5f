//! Verify: every key looked at, and what differs looked at again before it is told.
//!
//! A bucket that is written to while it is verified always has replicas that are a moment behind.
//! So a difference counts only if the master is still in the very state in which it was seen first,
//! and the replica still differs, some time later.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::judge::{Verdict, judge, listed_alike};
use super::keys::Keys;
use super::merge::{Row, Sight};
use super::subject::{Look, Subject};
use super::walk::{Met, Stop, Walked, walk};
use crate::change::ObjectKey;
use crate::error::{Failure, Kind};
use crate::object::Object;
use crate::reconcile::Comparison;

/// How closely replicas are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Listings alone: size and ETag. What seems to differ is asked for.
    Listing,
    /// All that HEAD says, and the tags.
    Head,
    /// The bytes as well.
    Bytes,
}

/// How a walk verifies.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How closely.
    pub level: Level,
    /// Keys that are looked at at once.
    pub concurrency: usize,
    /// How long a difference has to last.
    pub settle: Duration,
}

/// What a target's replica of a key is, and how large the object is.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The target, by its place among them.
    pub target: usize,
    /// What it is, or why that is not known.
    pub verdict: Result<Verdict, Failure>,
    /// Bytes of the master's object, or of the replica where the master has none.
    pub size: u64,
}

/// How many differences wait to be looked at again. The walk waits when there are more.
const WAITING: usize = 4096;

/// Verifies all `keys`; `tell` hears of every key, and of targets that are lost.
pub async fn verify(
    subject: &Subject,
    keys: Keys,
    after: Option<ObjectKey>,
    options: Options,
    stop: &Stop,
    mut tell: impl FnMut(Met<Vec<Finding>>),
) -> Walked {
    let looks = Semaphore::new(options.concurrency);
    let examination = Examination {
        subject,
        options,
        again: Semaphore::new(options.concurrency),
        waiting: Semaphore::new(WAITING),
        stop,
    };
    walk(
        keys,
        after,
        stop,
        async || looks.acquire().await.expect("never closed"),
        async |row, place| Box::pin(examination.examine(row, place)).await,
        |met| {
            let is_confirmed = match &met {
                // What was not looked at again is left to the walk that goes on from here.
                Met::Key(_, findings) => findings.iter().all(|it| match it.verdict {
                    Ok(Verdict::InFlight) => !stop.soon.initialized(),
                    Ok(_) => true,
                    Err(_) => false,
                }),
                Met::Lost(..) => true,
            };
            tell(met);
            is_confirmed
        },
    )
    .await
}

struct Examination<'a> {
    subject: &'a Subject,
    options: Options,
    /// Places for second looks, so that these never wait for first ones that wait for them.
    again: Semaphore,
    waiting: Semaphore,
    stop: &'a Stop,
}

/// What was seen of a key at one moment.
struct Seen {
    master: Option<Option<Object>>,
    findings: Vec<Finding>,
}

impl Examination<'_> {
    async fn examine<P>(&self, row: &Row, place: P) -> Vec<Finding> {
        let is_open = |sight: &Sight| match sight {
            Sight::Lost => false,
            // Another target has the key.
            Sight::Absent if row.master == Sight::Absent => false,
            _ if self.options.level == Level::Listing => !listed_alike(&row.master, sight),
            _ => true,
        };
        let open: Vec<bool> = row.replicas.iter().map(is_open).collect();
        let mut findings = match self.options.level {
            Level::Listing => alike(row),
            Level::Head | Level::Bytes => Vec::new(),
        };
        if !open.contains(&true) {
            return findings;
        }
        let mut first = Box::pin(self.look(&row.key, &open)).await;
        for finding in &mut first.findings {
            // What was listed and is nowhere has gone meanwhile, which is told, too.
            let replica = &row.replicas[finding.target];
            let was_listed = [&row.master, replica].map(|it| matches!(it, Sight::Listed(_)));
            if matches!(finding.verdict, Ok(Verdict::Absent)) && was_listed.contains(&true) {
                finding.verdict = Ok(Verdict::InFlight);
            }
        }
        let is_uncertain = |finding: &Finding| match &finding.verdict {
            Ok(verdict) => verdict.is_drift(),
            Err(failure) => failure.kind == Kind::Raced,
        };
        let (uncertain, certain): (Vec<_>, Vec<_>) =
            first.findings.into_iter().partition(is_uncertain);
        findings.extend(certain);
        if uncertain.is_empty() {
            return findings;
        }
        // The place is kept until there is room, so that the walk waits.
        let _waiting = self.waiting.acquire().await.expect("never closed");
        drop(place);
        tokio::select! {
            () = sleep(self.options.settle) => {}
            // What has lasted no time is not known to be drift.
            _ = self.stop.soon.wait() => {
                findings.extend(uncertain.into_iter().map(in_flight));
                return findings;
            }
        }
        let _place = self.again.acquire().await.expect("never closed");
        let mut open = vec![false; open.len()];
        for finding in &uncertain {
            open[finding.target] = true;
        }
        let second = Box::pin(self.look(&row.key, &open)).await;
        let is_same = first.master.is_some() && first.master == second.master;
        for finding in second.findings {
            findings.push(self.settle(&row.key, finding, is_same).await);
        }
        findings
    }

    /// What a second look means: `is_same` says that the master is what it was.
    async fn settle(&self, key: &ObjectKey, mut finding: Finding, is_same: bool) -> Finding {
        finding.verdict = settled(finding.verdict, is_same);
        if let Ok(Verdict::Missing { marker }) = &mut finding.verdict {
            *marker = self.subject.is_under_marker(key, finding.target).await;
        }
        finding
    }

    /// Looks at a key in the targets that are `open`.
    async fn look(&self, key: &ObjectKey, open: &[bool]) -> Seen {
        let targets = || (0..open.len()).filter(|&target| open[target]);
        let Look { master, replicas } = match self.subject.look(key, open).await {
            Ok(look) => look,
            Err(failure) => {
                let findings = targets().map(|target| Finding {
                    target,
                    verdict: Err(failure.clone()),
                    size: 0,
                });
                return Seen {
                    master: None,
                    findings: findings.collect(),
                };
            }
        };
        let mut findings = Vec::new();
        for (target, replica) in replicas.into_iter().enumerate() {
            let Some(replica) = replica else { continue };
            let size = [
                master.as_ref(),
                replica.as_ref().ok().and_then(Option::as_ref),
            ];
            let size = size.into_iter().flatten().next().map_or(0, |it| it.size);
            let verdict = match replica {
                Ok(replica) => {
                    let sides = (master.as_ref(), replica.as_ref());
                    self.judge(key, sides, target).await
                }
                Err(failure) => Err(failure),
            };
            findings.push(Finding {
                target,
                verdict,
                size,
            });
        }
        Seen {
            master: Some(master),
            findings,
        }
    }

    async fn judge(
        &self,
        key: &ObjectKey,
        (master, replica): (Option<&Object>, Option<&Object>),
        target: usize,
    ) -> Result<Verdict, Failure> {
        let verdict = judge(master, replica, self.subject.deletes());
        let is_to_read = self.options.level == Level::Bytes
            && matches!(verdict, Verdict::Equal | Verdict::Unproven);
        let (true, Some(master), Some(replica)) = (is_to_read, master, replica) else {
            return Ok(verdict);
        };
        let comparison = self.subject.compare(key, master, target, replica).await?;
        Ok(match comparison {
            Comparison::Same => Verdict::Equal,
            Comparison::Different => Verdict::Differing("content"),
            Comparison::OutOfTime { .. } => Verdict::Unproven,
        })
    }
}

/// What a second look means: `is_same` says that the master is what it was.
fn settled(second: Result<Verdict, Failure>, is_same: bool) -> Result<Verdict, Failure> {
    match second {
        Err(failure) if failure.kind != Kind::Raced => Err(failure),
        Ok(Verdict::Unproven) => Ok(Verdict::Unproven),
        Ok(verdict) if verdict.is_drift() && is_same => Ok(verdict),
        _ => Ok(Verdict::InFlight),
    }
}

fn in_flight(finding: Finding) -> Finding {
    Finding {
        verdict: Ok(Verdict::InFlight),
        ..finding
    }
}

/// The replicas that are alike by their listings.
fn alike(row: &Row) -> Vec<Finding> {
    let Sight::Listed(master) = &row.master else {
        return Vec::new();
    };
    let replicas = row.replicas.iter().enumerate();
    let alike = replicas.filter(|(_, replica)| listed_alike(&row.master, replica));
    let equal = alike.map(|(target, _)| Finding {
        target,
        verdict: Ok(Verdict::Equal),
        size: master.size,
    });
    equal.collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::drift_that_lasts(Verdict::Extra, true, Verdict::Extra)]
    #[case::master_was_written_to(Verdict::Extra, false, Verdict::InFlight)]
    #[case::no_drift_any_more(Verdict::Equal, true, Verdict::InFlight)]
    #[case::only_the_bytes_can_tell(Verdict::Unproven, true, Verdict::Unproven)]
    fn second_look_decides(#[case] second: Verdict, #[case] is_same: bool, #[case] told: Verdict) {
        let told_now = settled(Ok(second), is_same).expect("it was looked at");
        assert_eq!(told_now, told);
    }
}
