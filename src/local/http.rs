//! What every part of the local world speaks: HTTP requests and answers as plain values.
//!
//! A [`Service`] is a store, or a layer around one. The same service listens on a loopback port
//! ([`serve`]) or sits behind the SDK's HTTP client without any socket ([`in_process_client`]).

mod client;
mod server;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::combinators::UnsyncBoxBody;

pub use self::client::in_process_client;
pub use self::server::{Server, serve};

/// Why a body could not be read or sent to its end.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A request's or an answer's body.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;
/// A request as it reaches a store.
pub type Request = http::Request<Body>;
/// A store's answer.
pub type Response = http::Response<Body>;

/// The connection ends without an answer, as a reset does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection was reset")]
pub struct Hangup;

/// A store, or a layer around one.
pub trait Service: Send + Sync + 'static {
    /// Answers one request, or hangs up. Dropping the future means that the client went away.
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>>;
}

/// A service that several owners share.
pub type SharedService = Arc<dyn Service>;
