//! Between the function and its stores: numbers its requests, and does to them what the plan says.
//!
//! Every request runs in a task of its own, so that it takes effect whether or not its sender is
//! still there.

use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::history::History;
use super::memory::{Held, Read, arrived};
use super::world::number;
use crate::local::faults::{Named, error_answer, error_in_200_answer, operation_of};
use crate::local::http::{Hangup, Request, Response, Service, SharedService};
use crate::local::simulate::oracle::{Divergence, Problem};
use crate::local::simulate::plan::{Delays, Effect, Plan, USUAL};
use crate::local::simulate::trace::{Line, Trace};

tokio::task_local! {
    /// The attempt on whose behalf requests are sent.
    pub(super) static ATTEMPT: Arc<Attempt>;
}

/// One attempt of a delivery.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) delivery: u16,
    pub(super) attempt: u8,
    pub(super) started: Instant,
    /// How many it has sent, without those for what the process caches.
    pub(super) requests: AtomicU16,
    /// How many of them were not answered by the store, so that the SDK sends them again.
    pub(super) disturbed: AtomicU16,
    is_killed: AtomicBool,
    /// Told when the attempt dies.
    pub(super) killed: Notify,
    frozen_until: Mutex<Option<Instant>>,
}

impl Attempt {
    pub(super) fn new(delivery: u16, attempt: u8) -> Arc<Self> {
        Arc::new(Self {
            delivery,
            attempt,
            started: Instant::now(),
            requests: AtomicU16::default(),
            disturbed: AtomicU16::default(),
            is_killed: AtomicBool::default(),
            killed: Notify::default(),
            frozen_until: Mutex::default(),
        })
    }

    /// Whether it stood still at some time.
    pub(super) fn was_frozen(&self) -> bool {
        let frozen = self.frozen_until.lock().expect("no holder panics");
        frozen.is_some()
    }
}

/// What all stores of a world have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) started: Instant,
    pub(super) trace: Mutex<Trace>,
    pub(super) history: History,
    pub(super) held: Arc<Held>,
    pub(super) divergences: Mutex<Vec<Divergence>>,
    /// The keys that were written in buckets that are masters of others.
    pub(super) echoes: mpsc::UnboundedSender<(u8, u8)>,
    /// How many requests there were.
    sent: AtomicUsize,
}

impl Shared {
    pub(super) fn new(
        plan: Plan,
        trace: Trace,
        history: History,
        echoes: mpsc::UnboundedSender<(u8, u8)>,
        started: Instant,
    ) -> Self {
        Self {
            plan,
            started,
            trace: trace.into(),
            history,
            held: Arc::default(),
            divergences: Mutex::default(),
            echoes,
            sent: AtomicUsize::default(),
        }
    }

    pub(super) fn note(&self, line: impl FnOnce() -> Line) {
        let at = self.started.elapsed().as_micros() as u64;
        let mut trace = self.trace.lock().expect("no holder of the trace panics");
        trace.add(at, line);
    }

    pub(super) fn problem(&self, problem: Problem, bucket: Option<u8>, key: u8) {
        let mut divergences = self.divergences.lock().expect("no holder panics");
        divergences.push(Divergence {
            problem,
            bucket,
            key,
        });
    }

    /// All that was wrong so far.
    pub(super) fn problems(&self) -> Vec<Divergence> {
        std::mem::take(&mut *self.divergences.lock().expect("no holder panics"))
    }

    fn is_down(&self, bucket: u8) -> bool {
        let at = self.started.elapsed().as_micros() as u64;
        let mut outages = self.plan.outages.iter();
        outages.any(|outage| outage.bucket == bucket && (outage.from..outage.until).contains(&at))
    }

    /// Has the store answer a request of an attempt that began at `from`, and looks at what it wrote.
    async fn take_effect(
        &self,
        store: &SharedService,
        request: Request,
        operation: &str,
        (bucket, key): (u8, u8),
        from: Instant,
    ) -> Result<Response, Hangup> {
        if !is_write(operation) {
            return store.call(request).await;
        }
        let _writing = self.history.writing().await;
        let answer = store.call(request).await?;
        if !answer.status().is_success() {
            return Ok(answer);
        }
        let states = self.history.since((bucket, key), from);
        if operation == "DeleteObject" && states.iter().all(Option::is_none) {
            self.problem(Problem::BlindMarker { markers: 1 }, Some(bucket), key);
        }
        self.history.look(bucket, key).await;
        if !self.plan.targets(bucket).is_empty() {
            // Once all is judged, nobody listens.
            let _ = self.echoes.send((bucket, key));
        }
        Ok(answer)
    }
}

/// The bucket's and the key's numbers; a request about a bucket has no key.
fn place(named: &Named) -> (u8, u8) {
    let key = named.key.as_deref().and_then(|key| key.strip_prefix('k'));
    let bucket = named.bucket.as_deref().map(number);
    let key = key.and_then(|key| key.parse().ok());
    (bucket.unwrap_or_default(), key.unwrap_or_default())
}

/// Whether the operation changes what readers see.
fn is_write(operation: &str) -> bool {
    const WRITES: [&str; 6] = [
        "CompleteMultipartUpload",
        "CopyObject",
        "DeleteObject",
        "DeleteObjectTagging",
        "PutObject",
        "PutObjectTagging",
    ];
    WRITES.contains(&operation)
}

/// A store as the function reaches it.
pub(super) struct Wire {
    pub(super) shared: Arc<Shared>,
    pub(super) inner: SharedService,
}

/// Whether an answer is heard.
enum Heard {
    Yes,
    Instead(Duration, Option<u16>),
    Never,
}

impl Service for Wire {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let Ok(attempt) = ATTEMPT.try_with(Arc::clone) else {
            return self.inner.call(request);
        };
        if attempt.is_killed.load(Ordering::Relaxed) {
            return Box::pin(pending());
        }
        let uri = request.uri().clone();
        let named = operation_of(request.method(), uri.path(), uri.query(), request.headers());
        let method = request.method().clone();
        let (operation, place) = (named.operation.as_str(), place(&named));
        let sent = self.shared.sent.fetch_add(1, Ordering::Relaxed);
        // Tags of buckets are cached in the process, so they are not the attempt's own.
        if operation == "GetBucketTagging" {
            self.shared
                .note(|| Line::Wire(format!("  #{sent} {}", shown(&request))));
            return self.inner.call(request);
        }
        let number = attempt.requests.fetch_add(1, Ordering::Relaxed);
        let effect = self
            .shared
            .plan
            .effect(attempt.delivery, attempt.attempt, number);
        self.shared.note(|| Line::Sent {
            request: sent,
            delivery: attempt.delivery,
            attempt: attempt.attempt,
            number,
            bucket: place.0,
            key: place.1,
            operation,
            detail: shown(&request),
            effect,
        });

        let mut delays = USUAL;
        let (mut arrives, mut heard) = (true, Heard::Yes);
        match effect {
            None => {}
            Some(Effect::Slow(slow)) => {
                delays = Delays {
                    // The embedded store copies at one moment.
                    way_in: USUAL.way_in + slow.way_in + slow.work,
                    work: 0,
                    way_back: USUAL.way_back + slow.way_back,
                };
            }
            Some(Effect::Answer(status)) => {
                arrives = false;
                heard = Heard::Instead(micros(USUAL.way_in + USUAL.way_back), Some(status));
            }
            Some(Effect::Reset {
                noticed,
                takes_effect,
                way_in,
            }) => {
                (arrives, delays.way_in) = (takes_effect, USUAL.way_in + way_in);
                heard = Heard::Instead(micros(noticed), None);
            }
            Some(Effect::Silence { way_in }) => {
                (heard, delays.way_in) = (Heard::Never, USUAL.way_in + way_in);
            }
            Some(Effect::Kill { sent, way_in }) => {
                (arrives, heard, delays.way_in) = (sent, Heard::Never, USUAL.way_in + way_in);
                attempt.is_killed.store(true, Ordering::Relaxed);
                attempt.killed.notify_one();
            }
            Some(Effect::Freeze(time)) => {
                let until = Instant::now() + micros(time);
                *attempt.frozen_until.lock().expect("no holder panics") = Some(until);
            }
        }
        if arrives && matches!(heard, Heard::Yes) && self.shared.is_down(place.0) {
            (arrives, heard) = (false, Heard::Instead(micros(USUAL.way_in), None));
        }

        if !matches!(heard, Heard::Yes) {
            attempt.disturbed.fetch_add(1, Ordering::Relaxed);
        }

        let (tell, told) = oneshot::channel();
        if arrives {
            let (inner, shared) = (Arc::clone(&self.inner), Arc::clone(&self.shared));
            let from = attempt.started;
            tokio::spawn(async move {
                sleep(micros(delays.way_in)).await;
                let mut answer = match arrived(request).await {
                    Ok(request) => {
                        shared
                            .take_effect(&inner, request, operation, place, from)
                            .await
                    }
                    Err(hangup) => Err(hangup),
                };
                let status = answer.as_ref().map(|answer| answer.status());
                shared.note(|| Line::Wire(format!("  #{sent} TAKES EFFECT: {status:?}")));
                if operation == "GetObject" {
                    answer = answer.map(|answer| answer.map(|body| Read::body(body, &shared.held)));
                }
                sleep(micros(delays.way_back)).await;
                // Nobody may be there any more.
                let _ = tell.send(answer);
            });
        }
        Box::pin(async move {
            match heard {
                Heard::Yes => told.await.unwrap_or(Err(Hangup)),
                Heard::Never => pending().await,
                Heard::Instead(after, status) => {
                    sleep(after).await;
                    match status {
                        None => Err(Hangup),
                        Some(200) if named.operation.may_fail_in_200() => {
                            Ok(error_in_200_answer(&method))
                        }
                        Some(200) => Ok(error_answer(500, &method, &named)),
                        Some(status) => Ok(error_answer(status, &method, &named)),
                    }
                }
            }
        })
    }
}

pub(super) fn micros(time: u64) -> Duration {
    Duration::from_micros(time)
}

/// A request in full, its headers in one order.
fn shown(request: &Request) -> String {
    let mut headers: Vec<String> = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort();
    format!(
        "{} {} {}",
        request.method(),
        request.uri(),
        headers.join(", ")
    )
}

/// A future that stands still while its attempt is frozen.
pub(super) struct Freezing<F> {
    pub(super) inner: Pin<Box<F>>,
    pub(super) attempt: Arc<Attempt>,
    thaw: Option<Pin<Box<Sleep>>>,
}

impl<F> Freezing<F> {
    pub(super) fn new(inner: F, attempt: Arc<Attempt>) -> Self {
        Self {
            inner: Box::pin(inner),
            attempt,
            thaw: None,
        }
    }
}

impl<F: Future> Future for Freezing<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let frozen = *self.attempt.frozen_until.lock().expect("no holder panics");
        if let Some(until) = frozen.filter(|until| Instant::now() < *until) {
            let thaw = self
                .thaw
                .get_or_insert_with(|| Box::pin(sleep_until(until)));
            if thaw.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        self.inner.as_mut().poll(context)
    }
}
