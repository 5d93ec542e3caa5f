//! A service behind the SDK's HTTP client, in one process and without a socket.

use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::HeaderValue;
use http::header::HOST;
use http_body::Frame;
use http_body_util::BodyExt;

use super::{Body, BoxError, Request, SharedService};

/// An HTTP client for the SDK that hands its requests to `service`.
///
/// A [`Hangup`](super::Hangup) is an I/O error to the SDK, as a reset connection is. Connection
/// settings have no meaning here and are ignored.
pub fn in_process_client(service: SharedService) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(InProcess(service));
    http_client_fn(move |_, _| connector.clone())
}

struct InProcess(SharedService);

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match to_service(request) {
            Ok(request) => request,
            Err(error) => return HttpConnectorFuture::ready(Err(error)),
        };
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let response = answer
                .await
                .map_err(|hangup| ConnectorError::io(hangup.into()))?;
            let response = response.map(|body| SdkBody::from_body_1_x(SyncBody(Mutex::new(body))));
            HttpResponse::try_from(response)
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

fn to_service(request: HttpRequest) -> Result<Request, ConnectorError> {
    let user = |error: BoxError| ConnectorError::user(error);
    let mut request = request
        .try_into_http1x()
        .map_err(|error| user(error.into()))?;
    // A client with a socket adds the header that signatures cover.
    if !request.headers().contains_key(HOST)
        && let Some(authority) = request.uri().authority()
    {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|error| user(error.into()))?;
        request.headers_mut().insert(HOST, host);
    }
    Ok(request.map(|body| Fused(Some(body)).boxed_unsync()))
}

/// A body that may be asked again after its end, which not every body of the SDK allows. What it
/// carries arrives as a copy, as over a wire: whoever counts bytes in flight sees them leave.
struct Fused(Option<SdkBody>);

impl http_body::Body for Fused {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = std::task::ready!(Pin::new(body).poll_frame(cx));
        if frame.is_none() {
            self.0 = None;
        }
        let copied = |frame: Frame<Bytes>| frame.map_data(|data| Bytes::copy_from_slice(&data));
        Poll::Ready(frame.map(|frame| frame.map(copied)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        let ended = http_body::SizeHint::with_exact(0);
        self.0.as_ref().map_or(ended, http_body::Body::size_hint)
    }
}

/// The SDK wants bodies that threads may share, though it never does.
struct SyncBody(Mutex<Body>);

impl http_body::Body for SyncBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self
            .0
            .get_mut()
            .expect("nothing locks it, so nothing panics in it");
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().is_ok_and(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0
            .lock()
            .map(|body| body.size_hint())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it is asked.
    struct Counts(Arc<AtomicUsize>);

    impl http_body::Body for Counts {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(None)
        }
    }

    #[tokio::test]
    async fn request_body_is_left_alone_after_its_end() {
        let asked = Arc::new(AtomicUsize::new(0));
        let mut body = Fused(Some(SdkBody::from_body_1_x(Counts(Arc::clone(&asked)))));
        assert!(body.frame().await.is_none());
        let until_its_end = asked.load(Ordering::Relaxed);
        assert!(body.frame().await.is_none());
        assert_eq!(asked.load(Ordering::Relaxed), until_its_end);
    }
}
