//! The Lambda Runtime API, HTTP side: one listener for one instance.
//!
//! Invariant: at most one event is with the process. It gets the next one only by asking for it
//! after it answered the last; every event taken is answered once or is left to the instance,
//! which knows the deadline and sees the process end.
//! See <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::invocation::{Event, FunctionError};
use super::timestamp::unix_millis;

/// The largest answer that Lambda takes: 6 MiB and 100 bytes.
pub const MAX_ANSWER: usize = 6 * 1024 * 1024 + 100;

const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// How one event ended.
pub(super) type Answer = Result<String, FunctionError>;

/// An event offered to the process.
pub(super) struct Offer {
    pub(super) event: Event,
    pub(super) function_arn: String,
    pub(super) trace_id: String,
    pub(super) deadline: SystemTime,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// The API of one instance; it stops listening when dropped.
pub(super) struct RuntimeApi {
    address: SocketAddr,
    offers: mpsc::UnboundedSender<Offer>,
    exchange: Arc<Exchange>,
    server: AbortHandle,
}

/// What the listener and the instance share.
struct Exchange {
    offered: tokio::sync::Mutex<mpsc::UnboundedReceiver<Offer>>,
    running: Mutex<Option<Running>>,
    phase: watch::Sender<Phase>,
    last_request: Arc<Mutex<Option<String>>>,
}

struct Running {
    request_id: String,
    answer: oneshot::Sender<Answer>,
}

/// What the process is doing, as far as its requests tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has not asked for an event yet.
    Starting,
    /// It gave up before it asked for an event.
    InitFailed(FunctionError),
    /// It waits for an event.
    Asking,
    /// It has an event, or has not come back from the last one.
    Away,
}

impl RuntimeApi {
    /// Listens on a loopback port of its own.
    pub(super) async fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (offers, offered) = mpsc::unbounded_channel();
        let exchange = Arc::new(Exchange {
            offered: tokio::sync::Mutex::new(offered),
            running: Mutex::new(None),
            phase: watch::Sender::new(Phase::Starting),
            last_request: Arc::default(),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(response),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(Arc::clone(&exchange));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            address,
            offers,
            exchange,
            server: serving.abort_handle(),
        })
    }

    /// Where it listens, as `AWS_LAMBDA_RUNTIME_API` wants it.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the process is doing.
    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.exchange.phase.subscribe()
    }

    /// The event that the process last took.
    pub(super) fn last_request(&self) -> Arc<Mutex<Option<String>>> {
        Arc::clone(&self.exchange.last_request)
    }

    /// Lays an event out for the process to take.
    pub(super) fn offer(&self, offer: Offer) {
        // Fails only when the listener has ended, and then the process's end is what is seen.
        let _ = self.offers.send(offer);
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Exchange {
    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_running(&self, request_id: &str) -> bool {
        self.running()
            .as_ref()
            .is_some_and(|running| running.request_id == request_id)
    }

    /// Ends the event, if it is still the one with the process.
    fn answer(&self, request_id: &str, answer: Answer) -> bool {
        let running = self
            .running()
            .take_if(|running| running.request_id == request_id);
        // Whoever gave the event up meanwhile (a deadline) does not listen any more.
        running.map(|running| running.answer.send(answer)).is_some()
    }
}

/// Says that the process asks, until its request is answered or gone.
struct Asking<'a>(&'a watch::Sender<Phase>);

impl<'a> Asking<'a> {
    fn begin(phase: &'a watch::Sender<Phase>) -> Self {
        phase.send_replace(Phase::Asking);
        Self(phase)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.send_replace(Phase::Away);
    }
}

async fn next(State(exchange): State<Arc<Exchange>>) -> Response {
    let mut offered = exchange.offered.lock().await;
    if exchange.running().is_some() {
        return refusal(
            StatusCode::FORBIDDEN,
            "InvalidStateTransition",
            "an event is unanswered",
        );
    }
    let asking = Asking::begin(&exchange.phase);
    // A process that went away drops this future here, where no event is lost with it.
    let Some(offer) = offered.recv().await else {
        return refusal(
            StatusCode::GONE,
            "InstanceStopped",
            "there are no more events",
        );
    };
    let request_id = offer.event.request_id;
    *exchange.running() = Some(Running {
        request_id: request_id.clone(),
        answer: offer.answer,
    });
    *exchange
        .last_request
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some(request_id.clone());
    drop(asking);
    (
        [
            ("content-type", "application/json".to_owned()),
            ("lambda-runtime-aws-request-id", request_id),
            (
                "lambda-runtime-deadline-ms",
                unix_millis(offer.deadline).to_string(),
            ),
            ("lambda-runtime-invoked-function-arn", offer.function_arn),
            ("lambda-runtime-trace-id", offer.trace_id),
        ],
        offer.event.payload,
    )
        .into_response()
}

async fn response(
    State(exchange): State<Arc<Exchange>>,
    Path(request_id): Path<String>,
    body: Body,
) -> Response {
    if !exchange.is_running(&request_id) {
        return unknown_request();
    }
    let received = match read(body).await {
        Ok(received) => received,
        // The event stays with the process: it answers again, ends, or runs into its deadline.
        Err(error) => {
            return refusal(
                StatusCode::BAD_REQUEST,
                "TruncatedResponse",
                &error.to_string(),
            );
        }
    };
    if received.size > MAX_ANSWER {
        let message = format!("exceeded maximum allowed payload size ({MAX_ANSWER} bytes)");
        let error = FunctionError::new(
            "Function.ResponseSizeTooLarge",
            format!("response payload size {message}"),
        );
        exchange.answer(&request_id, Err(error));
        return refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            &message,
        );
    }
    accept(exchange.answer(&request_id, received.into_answer()))
}

async fn error(
    State(exchange): State<Arc<Exchange>>,
    Path(request_id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if !exchange.is_running(&request_id) {
        return unknown_request();
    }
    let error = reported(&headers, body).await;
    accept(exchange.answer(&request_id, Err(error)))
}

async fn init_error(
    State(exchange): State<Arc<Exchange>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let error = reported(&headers, body).await;
    accept(exchange.phase.send_if_modified(|phase| {
        let starting = *phase == Phase::Starting;
        if starting {
            *phase = Phase::InitFailed(error);
        }
        starting
    }))
}

/// The error that a process reports: JSON in the body, else its type from the header.
async fn reported(headers: &HeaderMap, body: Body) -> FunctionError {
    let text = read(body)
        .await
        .map(|received| received.text())
        .unwrap_or_default();
    let kind = headers
        .get(ERROR_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("Unhandled");
    serde_json::from_str(&text).unwrap_or_else(|_| FunctionError::new(kind, text))
}

/// A body read to its end.
struct Received {
    bytes: Vec<u8>,
    size: usize,
    trailers: HeaderMap,
}

impl Received {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// A streamed answer may still turn out to be an error: its trailers say so.
    fn into_answer(self) -> Answer {
        match self
            .trailers
            .get(ERROR_TYPE)
            .and_then(|kind| kind.to_str().ok())
        {
            Some(kind) => Err(FunctionError::new(
                kind,
                "the answer's stream ended in an error",
            )),
            None => Ok(self.text()),
        }
    }
}

/// Reads a body of any framing to its end, keeping no more of it than an answer may have: a
/// process whose answer is too large shall read the refusal, not find the connection closed.
async fn read(mut body: Body) -> Result<Received, axum::Error> {
    let mut received = Received {
        bytes: Vec::new(),
        size: 0,
        trailers: HeaderMap::new(),
    };
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                received.size += data.len();
                if received.size <= MAX_ANSWER {
                    received.bytes.extend_from_slice(&data);
                }
            }
            Err(frame) => received
                .trailers
                .extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok(received)
}

fn accept(accepted: bool) -> Response {
    if accepted {
        json(StatusCode::ACCEPTED, serde_json::json!({"status": "OK"}))
    } else {
        refusal(
            StatusCode::FORBIDDEN,
            "InvalidStateTransition",
            "there is nothing to answer",
        )
    }
}

fn unknown_request() -> Response {
    refusal(
        StatusCode::BAD_REQUEST,
        "InvalidRequestID",
        "this is not the event in work",
    )
}

fn refusal(status: StatusCode, kind: &str, message: &str) -> Response {
    json(
        status,
        serde_json::json!({"errorType": kind, "errorMessage": message}),
    )
}

fn json(status: StatusCode, body: serde_json::Value) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}
