//! A bound on the requests that go out, attempts of the SDK's included, and their number.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use tokio::time::{Instant, sleep_until};

/// What all requests of a process go through.
#[derive(Clone, Default)]
pub struct Throttle(Arc<Gate>);

#[derive(Default)]
struct Gate {
    sent: AtomicU64,
    /// Between two requests.
    pause: Duration,
    /// When the next one may go out.
    next: Mutex<Option<Instant>>,
}

impl Throttle {
    /// At most so many requests a second, or any number.
    pub fn new(per_second: Option<NonZeroU32>) -> Self {
        let pause = per_second.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.get());
        Self(Arc::new(Gate {
            pause,
            ..Gate::default()
        }))
    }

    /// How many requests went out.
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// `client`, with every request going through here.
    pub fn around(&self, client: SharedHttpClient) -> SharedHttpClient {
        let throttle = self.clone();
        http_client_fn(move |settings, components| {
            SharedHttpConnector::new(Connector {
                throttle: throttle.clone(),
                inner: client.http_connector(settings, components),
            })
        })
    }

    /// Waits until a request may go out, in the order of asking.
    async fn pass(&self) {
        self.0.sent.fetch_add(1, Ordering::Relaxed);
        if self.0.pause.is_zero() {
            return;
        }
        let at = {
            let mut next = self.0.next.lock().expect("no holder of this lock panics");
            let now = Instant::now();
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + self.0.pause);
            at
        };
        sleep_until(at).await;
    }
}

struct Connector {
    throttle: Throttle,
    inner: SharedHttpConnector,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Throttle")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (throttle, inner) = (self.throttle.clone(), self.inner.clone());
        HttpConnectorFuture::new(async move {
            throttle.pass().await;
            inner.call(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_go_out_at_the_rate_that_was_asked_for() {
        let throttle = Throttle::new(NonZeroU32::new(10));
        let started = Instant::now();
        for _ in 0..21 {
            throttle.pass().await;
        }
        assert_eq!(started.elapsed(), Duration::from_secs(2));
        assert_eq!(throttle.sent(), 21);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_nothing_waits() {
        let throttle = Throttle::new(None);
        let started = Instant::now();
        for _ in 0..1000 {
            throttle.pass().await;
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
