//! The layer itself: faults applied, requests counted, each run to its end.
//!
//! Every request is spawned: one whose client went away still takes effect, as on a real
//! server, and is in flight until it has.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method};
use http_body_util::BodyExt;
use tokio::sync::watch;

use super::answer;
use super::body::{Counted, Cut};
use super::fault::{Effect, Fault, When};
use super::journal::{Direction, Ending, Entry, Journal};
use super::operation::{Named, operation_of};
use crate::local::http::{Hangup, Request, Response, Service, SharedService};

/// Kills the instance of this name; without a name, whichever is at work.
pub type KillHook = Arc<dyn Fn(Option<&str>) + Send + Sync>;

/// The faults, the journal and the requests in flight of all stores of a world.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

struct Shared {
    site_of: BTreeMap<String, String>,
    kill: KillHook,
    armed: Mutex<Vec<Fault>>,
    journal: Arc<Journal>,
    in_flight: watch::Sender<usize>,
}

/// A store seen through [`Faults`].
#[derive(Clone)]
pub struct FaultLayer {
    faults: Faults,
    inner: SharedService,
}

impl Faults {
    /// No faults yet. `site_of` says at which site each bucket is.
    pub fn new(site_of: BTreeMap<String, String>, kill: KillHook) -> Self {
        let shared = Shared {
            site_of,
            kill,
            armed: Mutex::default(),
            journal: Arc::default(),
            in_flight: watch::Sender::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Puts the faults before a store. Several stores share one order of faults and requests.
    pub fn around(&self, inner: SharedService) -> FaultLayer {
        FaultLayer {
            faults: self.clone(),
            inner,
        }
    }

    /// Adds a fault behind those already armed. A request is offered to them in that order and
    /// the first that matches, and has let its `after` requests pass, takes it.
    /// `site_down: false` ends the outages of the same scope instead.
    pub fn arm(&self, fault: Fault) {
        let mut armed = self.armed_faults();
        match fault.effect {
            Effect::SiteDown(false) => armed.retain(|other| {
                other.effect != Effect::SiteDown(true) || other.scope != fault.scope
            }),
            _ => armed.push(fault),
        }
    }

    /// The faults that still wait for requests, `times` and `after` being what is left of them.
    pub fn armed(&self) -> Vec<Fault> {
        self.armed_faults().clone()
    }

    /// Every request so far, in the order of arrival.
    pub fn journal(&self) -> Vec<Entry> {
        self.shared.journal.entries()
    }

    /// Resolves once no request is in flight.
    pub async fn quiesced(&self) {
        let mut in_flight = self.shared.in_flight.subscribe();
        in_flight
            .wait_for(|count| *count == 0)
            .await
            .expect("the sender is borrowed from self");
    }

    fn armed_faults(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.shared
            .armed
            .lock()
            .expect("no holder of the faults panics")
    }

    /// The effect on this request, one of the function's.
    fn take(&self, request: &Named) -> Option<Effect> {
        let site = request
            .bucket
            .as_ref()
            .and_then(|bucket| self.shared.site_of.get(bucket));
        let mut armed = self.armed_faults();
        let taken = armed.iter_mut().position(|fault| {
            let matches = fault.matches(request, site.map(String::as_str));
            let passes = matches && fault.after > 0;
            if passes {
                fault.after -= 1;
            }
            matches && !passes
        })?;
        let fault = &mut armed[taken];
        let effect = fault.effect;
        if let Some(times) = fault.times {
            fault.times = NonZeroU32::new(times.get() - 1);
            if fault.times.is_none() {
                armed.remove(taken);
            }
        }
        Some(effect)
    }
}

impl Service for FaultLayer {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let uri = request.uri();
        let named = operation_of(request.method(), uri.path(), uri.query(), request.headers());
        let instance = instance_of(request.headers());
        let effect = instance.as_ref().and_then(|_| self.faults.take(&named));
        let Shared {
            journal,
            in_flight,
            kill,
            ..
        } = &*self.faults.shared;
        let sequence = journal.begin(&named, instance.clone(), effect.is_some());
        let in_flight = InFlight::begin(in_flight.clone());
        let exchange = Exchange {
            method: request.method().clone(),
            named,
            instance,
            inner: self.inner.clone(),
            kill: kill.clone(),
        };
        let journal = journal.clone();
        let request = request.map(|inner| {
            let journal = journal.clone();
            Counted {
                inner,
                journal,
                sequence,
                direction: Direction::In,
            }
            .boxed_unsync()
        });
        let running = tokio::spawn(async move {
            let result = exchange.run(request, effect).await;
            journal.end(
                sequence,
                match &result {
                    Ok(response) => Ending::Answered(response.status().as_u16()),
                    Err(Hangup) => Ending::HungUp,
                },
            );
            drop(in_flight);
            result.map(|response| {
                response.map(|inner| {
                    Counted {
                        inner,
                        journal,
                        sequence,
                        direction: Direction::Out,
                    }
                    .boxed_unsync()
                })
            })
        });
        // A store that panics leaves its client without an answer.
        Box::pin(async move { running.await.unwrap_or(Err(Hangup)) })
    }
}

/// What is known of a request while it runs.
struct Exchange {
    method: Method,
    named: Named,
    instance: Option<String>,
    inner: SharedService,
    kill: KillHook,
}

impl Exchange {
    async fn run(&self, request: Request, effect: Option<Effect>) -> Result<Response, Hangup> {
        let forward = |request| self.inner.call(request);
        let kill = || (self.kill)(self.instance.as_deref());
        match effect {
            None | Some(Effect::SiteDown(false)) => forward(request).await,
            Some(Effect::Answer(status)) => {
                read_to_end(request).await;
                Ok(answer::error(status, &self.method, &self.named))
            }
            Some(Effect::ErrorIn200) => {
                read_to_end(request).await;
                Ok(answer::error_in_200(&self.method))
            }
            Some(Effect::Reset(When::Before) | Effect::SiteDown(true)) => Err(Hangup),
            Some(Effect::Reset(When::After)) => {
                forward(request).await?;
                Err(Hangup)
            }
            Some(Effect::Kill(When::Before)) => {
                kill();
                Err(Hangup)
            }
            Some(Effect::Kill(When::After)) => {
                let answered = forward(request).await;
                kill();
                answered.and(Err(Hangup))
            }
            Some(Effect::Delay(milliseconds, When::Before)) => {
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                forward(request).await
            }
            Some(Effect::Delay(milliseconds, When::After)) => {
                let answered = forward(request).await;
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                answered
            }
            Some(Effect::CutAfter(left)) => {
                let response = forward(request).await?;
                Ok(response.map(|inner| Cut::after(left, inner).boxed_unsync()))
            }
        }
    }
}

/// A request is in flight for as long as this lives.
struct InFlight(watch::Sender<usize>);

impl InFlight {
    fn begin(count: watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// A client that still writes its body would not read the answer.
async fn read_to_end(request: Request) {
    let mut body = request.into_body();
    while let Some(Ok(_)) = body.frame().await {}
}

/// The instance a request came from, by the application id that the SDK sends.
pub(in crate::local) fn instance_of(headers: &HeaderMap) -> Option<String> {
    let agents = ["user-agent", "x-amz-user-agent"]
        .into_iter()
        .flat_map(|name| headers.get_all(name));
    agents
        .filter_map(|agent| agent.to_str().ok())
        .flat_map(str::split_whitespace)
        .find_map(|word| {
            let application = word.strip_prefix("app/")?;
            application
                .starts_with("instance-")
                .then(|| application.to_owned())
        })
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("armed", &self.armed())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for FaultLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultLayer")
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}
