//! A listener for MinIO's webhook.
//!
//! Invariant: success is answered only when the event was accepted. Anything else, no answer
//! included, makes MinIO keep the event in its queue folder and send it again.
//!
//! MinIO looks into that folder every three seconds. So that nobody waits for that, a bucket may
//! notify a second webhook without a folder as well, which sends at once and nothing again. Of two
//! copies, equal in every byte, the later one is answered and otherwise left alone. No two events
//! are equal: the id of the request that caused them is among the bytes, and the key.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use super::LiveError;
use crate::local::http::{Body, Hangup, Request, Response, Server, Service, serve};

/// How many events are remembered to know their copies by; MinIO's folder holds 100,000.
const REMEMBERED: usize = 10_000;

/// The largest event that Lambda accepts for an asynchronous invocation.
const MAX_EVENT: usize = 1024 * 1024;

/// Takes an event, exactly as it came; when this is done, it is safe.
pub type Accept = Arc<dyn Fn(String) -> BoxFuture<'static, Result<(), Refusal>> + Send + Sync>;

/// An event cannot be taken now, and is to be sent again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// A listener. Dropping it closes its ports and cuts its connections.
#[derive(Debug)]
pub struct Webhook {
    servers: Vec<Server>,
}

impl Webhook {
    /// Listens on an address and, for one on loopback, where containers reach it as well.
    ///
    /// # Errors
    /// The address cannot be had, or the one for containers is taken.
    pub async fn listen(address: SocketAddr, accept: Accept) -> Result<Self, LiveError> {
        let service = Arc::new(Listener::new(accept));
        let failed = |address| move |source| LiveError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed(address))?;
        let mut servers = vec![serve(listener, Arc::clone(&service) as _).await];
        if let Some(bridge) = super::beside(servers[0].address()).await {
            match TcpListener::bind(bridge).await {
                Ok(listener) => servers.push(serve(listener, service).await),
                // Docker's bridge is inside of a virtual machine, which reaches loopback here.
                Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => {}
                Err(error) => return Err(failed(bridge)(error)),
            }
        }
        Ok(Self { servers })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(Server::address).collect()
    }

    /// Closes the ports, then waits a second at most for calls that are being answered.
    pub async fn stop(self) {
        for server in self.servers {
            server.stop().await;
        }
    }
}

struct Listener {
    accept: Accept,
    accepted: Arc<Mutex<Accepted>>,
}

impl Listener {
    fn new(accept: Accept) -> Self {
        Self {
            accept,
            accepted: Arc::default(),
        }
    }
}

/// Digests of the latest events that were accepted.
#[derive(Default)]
struct Accepted(VecDeque<[u8; 32]>);

impl Accepted {
    /// Has an event accepted, unless it was before.
    async fn take(&mut self, event: String, accept: &Accept) -> Result<(), Refusal> {
        let digest = Sha256::digest(&event).into();
        if self.0.contains(&digest) {
            return Ok(());
        }
        accept(event).await?;
        self.0.push_back(digest);
        if self.0.len() > REMEMBERED {
            self.0.pop_front();
        }
        Ok(())
    }
}

impl Service for Listener {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let (accept, accepted) = (Arc::clone(&self.accept), Arc::clone(&self.accepted));
        Box::pin(async move {
            if request.method() != Method::POST {
                // MinIO and people look whether somebody is there.
                return Ok(answer(StatusCode::OK, "post S3 events here\n"));
            }
            let Some(body) = read(request.into_body()).await? else {
                return Ok(answer(StatusCode::PAYLOAD_TOO_LARGE, "more than 1 MiB\n"));
            };
            let event = match String::from_utf8(body) {
                Ok(text) if serde_json::from_str::<&RawValue>(&text).is_ok() => text,
                _ => return Ok(answer(StatusCode::BAD_REQUEST, "expected JSON\n")),
            };
            // It goes on even if the caller hangs up: what was begun is not left half done. One
            // after the other, so that a copy finds the first one accepted or refused.
            let accepting =
                tokio::spawn(async move { accepted.lock().await.take(event, &accept).await });
            Ok(match accepting.await {
                Ok(Ok(())) => answer(StatusCode::OK, ""),
                Ok(Err(refusal)) => {
                    answer(StatusCode::SERVICE_UNAVAILABLE, &format!("{refusal}\n"))
                }
                Err(_) => answer(StatusCode::INTERNAL_SERVER_ERROR, "it was not accepted\n"),
            })
        })
    }
}

/// A body's bytes; none if they are too many.
async fn read(mut body: Body) -> Result<Option<Vec<u8>>, Hangup> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Hangup)?.into_data() {
            bytes.extend_from_slice(&data);
        }
        if bytes.len() > MAX_EVENT {
            return Ok(None);
        }
    }
    Ok(Some(bytes))
}

fn answer(status: StatusCode, text: &str) -> Response {
    let body = Full::new(Bytes::copy_from_slice(text.as_bytes()));
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use rstest::rstest;

    use super::*;

    const EVENT: &str = "{\"EventName\": \"s3:ObjectCreated:Put\",\n \"Records\": [ ]}";

    type Taken = Arc<std::sync::Mutex<Vec<String>>>;

    /// A listener that accepts, or does not, and what it was given.
    fn listener(verdict: Result<(), Refusal>) -> (Listener, Taken) {
        let taken = Taken::default();
        let given = Arc::clone(&taken);
        let accept: Accept = Arc::new(move |event| {
            given.lock().unwrap().push(event);
            let verdict = verdict.clone();
            Box::pin(async { verdict })
        });
        (Listener::new(accept), taken)
    }

    async fn post(listener: &Listener, body: impl Into<Bytes>) -> StatusCode {
        let body = Full::new(body.into()).map_err(|never| match never {});
        let request = http::Request::post("/minio").body(body.boxed_unsync());
        let answer = listener.call(request.unwrap()).await.unwrap();
        answer.status()
    }

    #[tokio::test]
    async fn event_is_passed_on_exactly_as_it_came() {
        let (listener, taken) = listener(Ok(()));
        assert_eq!(post(&listener, EVENT).await, StatusCode::OK);
        assert_eq!(*taken.lock().unwrap(), [EVENT]);
    }

    #[tokio::test]
    async fn event_that_was_not_accepted_is_to_be_sent_again() {
        let (listener, _) = listener(Err(Refusal("the disk is full".to_owned())));
        let status = post(&listener, EVENT).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn copy_of_an_event_is_answered_and_not_passed_on() {
        let (listener, taken) = listener(Ok(()));
        for event in [EVENT, "{}", EVENT] {
            assert_eq!(post(&listener, event).await, StatusCode::OK);
        }
        assert_eq!(*taken.lock().unwrap(), [EVENT, "{}"]);
    }

    #[tokio::test(start_paused = true)]
    async fn copy_that_comes_while_the_first_is_being_accepted_waits_for_it() {
        let taken = Taken::default();
        let given = Arc::clone(&taken);
        let listener = Listener::new(Arc::new(move |event| {
            let given = Arc::clone(&given);
            Box::pin(async move {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                given.lock().unwrap().push(event);
                Ok(())
            })
        }));
        let answers = tokio::join!(post(&listener, EVENT), post(&listener, EVENT));
        assert_eq!(answers, (StatusCode::OK, StatusCode::OK));
        assert_eq!(*taken.lock().unwrap(), [EVENT]);
    }

    #[tokio::test]
    async fn event_that_was_refused_is_passed_on_when_it_comes_again() {
        let (listener, taken) = listener(Err(Refusal("not now".to_owned())));
        for _ in 0..2 {
            post(&listener, EVENT).await;
        }
        assert_eq!(taken.lock().unwrap().len(), 2);
    }

    #[rstest]
    #[case::no_json(b"hello".to_vec(), StatusCode::BAD_REQUEST)]
    #[case::no_text(vec![b'"', 0xff, b'"'], StatusCode::BAD_REQUEST)]
    #[case::too_large(vec![b' '; MAX_EVENT + 1], StatusCode::PAYLOAD_TOO_LARGE)]
    #[tokio::test]
    async fn what_lambda_would_not_take_is_refused(
        #[case] body: Vec<u8>,
        #[case] expected: StatusCode,
    ) {
        let (listener, taken) = listener(Ok(()));
        assert_eq!(post(&listener, body).await, expected);
        assert!(taken.lock().unwrap().is_empty());
    }
}
