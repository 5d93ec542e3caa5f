//! One invocation: parse, reconcile each distinct key, answer as the invoker understands it.
//!
//! Nothing is swallowed: whatever fails is in the answer, and whatever is in the answer comes again.

mod answer;
mod measure;
mod work;

pub use answer::{Answer, BatchOperationsAnswer, InvocationFailed, TaskResult};

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use futures_util::stream::{self, StreamExt};
use tokio::sync::SetOnce;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::config::Config;
use crate::envelope;
use crate::error::{Failure, Kind};
use crate::metrics::{Metrics, Tally};
use crate::reconcile::{Outcome, Report, reconcile};
use crate::routes::{Route, Routes};
use crate::s3::TagCounts;
use crate::site::{Bucket, SharedConfigError, Sites};
use crate::store::Key;
use crate::transfer::{Limits, Turn};
use measure::Measured;
use work::{Changed, Work};

/// The event names a bucket that this function does not serve.
#[derive(Debug, thiserror::Error)]
#[error("S3_REPLICATOR_MASTERS does not name this bucket; add it, or remove its notification")]
struct NotServed;

/// What one process knows from invocation to invocation.
#[derive(Debug)]
pub struct Replicator {
    config: Config,
    sites: Sites,
    routes: Routes,
    tag_counts: TagCounts,
    limits: Limits,
    metrics: Metrics,
}

impl Replicator {
    /// Reads the AWS shared configuration; sends no request.
    pub async fn new(
        config: Config,
        http_client: SharedHttpClient,
    ) -> Result<Self, SharedConfigError> {
        let sites = Sites::load(http_client, config.concurrency).await?;
        Ok(Self::with_sites(config, sites))
    }

    /// Takes its sites as they are; reads nothing.
    pub fn with_sites(config: Config, sites: Sites) -> Self {
        Self {
            sites,
            routes: Routes::new(config.tag_ttl),
            metrics: Metrics::new(config.function.clone()),
            tag_counts: TagCounts::default(),
            limits: Limits::new(
                config.concurrency,
                config.memory,
                config.part_size,
                config.multipart_threshold,
            ),
            config,
        }
    }

    /// Handles one payload. What is unfinished a margin before `deadline` has failed.
    pub async fn handle(
        &self,
        payload: &str,
        request_id: &str,
        deadline: Instant,
    ) -> Result<Answer, InvocationFailed> {
        let deadline = deadline - margin(deadline.saturating_duration_since(Instant::now()));
        let mut tally = Tally::default();
        let invocation = match envelope::parse(payload) {
            Ok(invocation) => invocation,
            Err(malformed) => {
                let failed = InvocationFailed::malformed(&malformed);
                error!(request_id, error = %failed, "event refused");
                measure::refused(&mut tally);
                self.metrics.write(tally, request_id);
                return Err(failed);
            }
        };
        for delivery in &invocation.deliveries {
            for event in &delivery.ignored {
                debug!(request_id, event, "acknowledged, nothing to do");
            }
            for malformed in &delivery.malformed {
                let error = crate::error::chain(malformed);
                error!(request_id, delivery = delivery.id, error, "event refused");
                measure::refused(&mut tally);
            }
        }

        let work = Work::of(&invocation, self.sites.home());
        let mut failures: Vec<Vec<Failure>> = vec![Vec::new(); work.keys.len()];
        let context = Context {
            request_id,
            deadline,
        };
        // As many keys at once as there are places; a large transfer gives its place up.
        let started = SetOnce::new();
        let mut waiting = work.small_first().into_iter().peekable();
        let turns = stream::iter(std::iter::from_fn(|| {
            let index = waiting.next()?;
            Some((index, waiting.peek().is_none()))
        }))
        .then(async |(index, is_last)| {
            let turn = self.limits.turn(&started).await;
            if is_last {
                let _ = started.set(());
            }
            (index, turn)
        });
        let replicated = turns
            .map(async |(index, turn)| {
                let changed = &work.keys[index];
                (index, self.replicate(&work, changed, &turn, context).await)
            })
            .buffer_unordered(usize::MAX);
        let mut replicated = pin!(replicated);
        while let Some((index, measured)) = replicated.next().await {
            measured.add_to(&mut tally, &work.keys[index]);
            failures[index] = measured.into_failures();
        }
        if Instant::now() >= deadline {
            // Requests that were given up hang up before the answer lets the event come again.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        measure::throttled(&mut tally, self.sites.throttled());
        self.metrics.write(tally, request_id);
        answer::answer(&invocation, &work, &failures)
    }

    /// Makes one key equal at all targets of its master.
    async fn replicate(
        &self,
        work: &Work<'_>,
        changed: &Changed<'_>,
        turn: &Turn<'_>,
        context: Context<'_>,
    ) -> Measured {
        let started = Instant::now();
        let route = match self.route(changed, context).await {
            Ok(route) => route,
            Err(failure) => {
                log_failures(changed, std::slice::from_ref(&failure), context);
                let is_served = self.config.masters.allows(changed.bucket);
                return Measured::Unrouted { failure, is_served };
            }
        };
        log_failures(changed, &route.problems, context);
        if !route.configured {
            warn!(
                request_id = context.request_id,
                bucket = changed.bucket,
                key = changed.key.as_str(),
                "nothing replicated, the bucket has no tag ReplicatedTargetBuckets"
            );
        }
        let report = self
            .reconcile(work, changed, &route, turn, context.deadline)
            .await;
        log_report(changed, &route, &report, context, started);
        Measured::Routed {
            route,
            report,
            ended: SystemTime::now(),
        }
    }

    async fn route(
        &self,
        changed: &Changed<'_>,
        context: Context<'_>,
    ) -> Result<Arc<Route>, Failure> {
        if !self.config.masters.allows(changed.bucket) {
            let place = changed.place();
            return Err(Failure::new(
                Kind::Permanent,
                "serving the event",
                place,
                NotServed,
            ));
        }
        self.routes
            .get(&self.sites, changed.site, changed.bucket, context.deadline)
            .await
    }

    async fn reconcile(
        &self,
        work: &Work<'_>,
        changed: &Changed<'_>,
        route: &Route,
        turn: &Turn<'_>,
        deadline: Instant,
    ) -> Report {
        if route.targets.is_empty() {
            return Report::default();
        }
        let key = Key {
            key: changed.key,
            master: &route.master,
            targets: &route.targets,
            tag_counts: &self.tag_counts,
            limits: &self.limits,
            turn,
            master_exists: work.master_exists(changed),
            silent: &work.silent,
            deadline,
        };
        let deletes = route.deletes.unwrap_or(self.config.deletes);
        reconcile(&key, route.targets.len(), deletes).await
    }
}

#[derive(Debug, Clone, Copy)]
struct Context<'a> {
    request_id: &'a str,
    deadline: Instant,
}

/// Time kept back to answer: the lesser of one second and a fifth of what is left.
fn margin(left: Duration) -> Duration {
    Duration::from_secs(1).min(left / 5)
}

/// One line an outcome.
fn log_report(
    changed: &Changed<'_>,
    route: &Route,
    report: &Report,
    context: Context<'_>,
    started: Instant,
) {
    let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    for (target, outcome) in route.targets.iter().zip(&report.outcomes) {
        match outcome {
            Ok(outcome) => {
                log_outcome(
                    changed,
                    target,
                    *outcome,
                    report.rounds,
                    context,
                    elapsed_ms,
                );
            }
            Err(failure) => error!(
                request_id = context.request_id,
                bucket = changed.bucket,
                key = changed.key.as_str(),
                target = target.name,
                site = target.site.name,
                outcome = "failed",
                retryable = failure.kind.is_retryable(),
                error = failure.chain(),
                event = changed.event(),
                rounds = report.rounds,
                elapsed_ms,
                "outcome"
            ),
        }
    }
}

fn log_outcome(
    changed: &Changed<'_>,
    target: &Bucket,
    outcome: Outcome,
    rounds: u32,
    context: Context<'_>,
    elapsed_ms: u64,
) {
    info!(
        request_id = context.request_id,
        bucket = changed.bucket,
        key = changed.key.as_str(),
        target = target.name,
        site = target.site.name,
        outcome = outcome.as_str(),
        event = changed.event(),
        rounds,
        elapsed_ms,
        "outcome"
    );
}

/// What failed before any target was reached.
fn log_failures(changed: &Changed<'_>, failures: &[Failure], context: Context<'_>) {
    for failure in failures {
        error!(
            request_id = context.request_id,
            bucket = changed.bucket,
            key = changed.key.as_str(),
            outcome = "failed",
            retryable = failure.kind.is_retryable(),
            error = failure.chain(),
            event = changed.event(),
            "outcome"
        );
    }
}
