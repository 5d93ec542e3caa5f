//! Between the function and its stores: numbers its requests, and does to them what the plan says.
//!
//! Every request runs in a task of its own, so that it takes effect whether or not its sender is
//! still there.

use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::local::faults::{error_answer, error_in_200_answer, operation_of};
use crate::local::http::{Hangup, Request, Response, Service, SharedService};
use crate::local::simulate::plan::{Delays, Effect, Plan, USUAL};
use crate::local::simulate::trace::{Line, Trace};

tokio::task_local! {
    /// The attempt on whose behalf requests are sent.
    pub(super) static ATTEMPT: Arc<Attempt>;
}

/// One attempt of a delivery.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    delivery: u16,
    attempt: u8,
    requests: AtomicU16,
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
            ..Self::default()
        })
    }
}

/// What all stores of a world have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) started: Instant,
    pub(super) trace: Mutex<Trace>,
}

impl Shared {
    pub(super) fn note(&self, text: impl FnOnce() -> String) {
        let at = self.started.elapsed().as_micros() as u64;
        let mut trace = self.trace.lock().expect("no holder of the trace panics");
        trace.add(at, || Line::Wire(text()));
    }

    fn is_down(&self, bucket: Option<&str>) -> bool {
        let at = self.started.elapsed().as_micros() as u64;
        let number = bucket.map(|name| match name.strip_prefix("replica-") {
            Some(number) => number.parse().unwrap_or_default(),
            None => 0u8,
        });
        let mut outages = self.plan.outages.iter();
        outages.any(|outage| {
            Some(outage.bucket) == number && (outage.from..outage.until).contains(&at)
        })
    }
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
        let Attempt {
            delivery,
            attempt: number,
            ..
        } = *attempt;
        // Tags of buckets are cached in the process, so they are not the attempt's own.
        let is_of_bucket = named.operation.as_str() == "GetBucketTagging";
        let effect = if is_of_bucket {
            None
        } else {
            let request = attempt.requests.fetch_add(1, Ordering::Relaxed);
            self.shared.plan.effect(delivery, number, request)
        };
        self.shared
            .note(|| format!("{delivery}.{number} {} {effect:?}", shown(&request)));

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
        if arrives && matches!(heard, Heard::Yes) && self.shared.is_down(named.bucket.as_deref()) {
            (arrives, heard) = (false, Heard::Instead(micros(USUAL.way_in), None));
        }

        let (tell, told) = oneshot::channel();
        if arrives {
            let (inner, shared) = (Arc::clone(&self.inner), Arc::clone(&self.shared));
            let what = named.operation;
            tokio::spawn(async move {
                sleep(micros(delays.way_in)).await;
                let answer = inner.call(request).await;
                shared.note(|| {
                    let status = answer.as_ref().map(|answer| answer.status().as_u16());
                    format!(
                        "{delivery}.{number} {what:?} {:?} done: {status:?}",
                        uri.path()
                    )
                });
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
