//! A store at a real endpoint, as a service.
//!
//! A request goes out as it came in, `Host` included, so that its signature still holds.

use futures_util::future::BoxFuture;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, Uri, header};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::local::http::{Body, Hangup, Request, Response, Service};

/// Headers that speak of one connection and not of the request.
const OF_ONE_CONNECTION: [HeaderName; 5] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    // The service before this one has already said that the body may come.
    header::EXPECT,
];

/// Forwards every request to an HTTP endpoint.
#[derive(Debug, Clone)]
pub struct RemoteService {
    client: Client<HttpConnector, Body>,
    authority: Authority,
}

/// The endpoint is not one that requests can be forwarded to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an endpoint like http://host:port without a path, found {0:?}")]
pub struct InvalidEndpoint(pub String);

impl RemoteService {
    /// A store at `http://host:port`.
    pub fn new(endpoint: &str) -> Result<Self, InvalidEndpoint> {
        let invalid = || InvalidEndpoint(endpoint.to_owned());
        let uri: Uri = endpoint.parse().map_err(|_| invalid())?;
        let parts = uri.into_parts();
        let no_path = parts.path_and_query.is_none_or(|path| path == "/");
        match (parts.scheme, parts.authority) {
            (Some(scheme), Some(authority)) if scheme == Scheme::HTTP && no_path => Ok(Self {
                client: Client::builder(TokioExecutor::new()).build_http(),
                authority,
            }),
            _ => Err(invalid()),
        }
    }
}

impl Service for RemoteService {
    fn call(&self, mut request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        drop_connection_headers(request.headers_mut());
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let uri = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .expect("the parts were valid before");
        *request.uri_mut() = uri;
        let client = self.client.clone();
        Box::pin(async move {
            // The layers above know no other failure than the connection's end.
            let response = client.request(request).await.map_err(|error| {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "endpoint did not answer"
                );
                Hangup
            })?;
            let mut response = response.map(|body| body.map_err(Into::into).boxed_unsync());
            drop_connection_headers(response.headers_mut());
            Ok(response)
        })
    }
}

fn drop_connection_headers(headers: &mut HeaderMap) {
    for name in &OF_ONE_CONNECTION {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::Full;
    use rstest::rstest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn request(host: &str) -> Request {
        http::Request::put("/b/a%20b?x-id=PutObject")
            .header("host", host)
            .header("expect", "100-continue")
            .header("content-length", "4")
            .body(
                Full::new(Bytes::from("body"))
                    .map_err(|never| match never {})
                    .boxed_unsync(),
            )
            .unwrap()
    }

    #[tokio::test]
    async fn request_is_forwarded_as_it_was_signed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut received = String::new();
            while !received.ends_with("\r\n\r\nbody") {
                received.push(stream.read_u8().await.unwrap().into());
            }
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .unwrap();
            received.to_lowercase()
        };
        let remote = RemoteService::new(&format!("http://{address}")).unwrap();
        let (received, answer) = tokio::join!(server, remote.call(request("s3.example:9")));
        assert!(
            received.starts_with("put /b/a%20b?x-id=putobject http/1.1\r\n"),
            "{received}"
        );
        assert!(received.contains("host: s3.example:9\r\n"), "{received}");
        assert!(!received.contains("expect:"), "{received}");
        assert_eq!(
            answer
                .unwrap()
                .into_body()
                .collect()
                .await
                .unwrap()
                .to_bytes(),
            "ok"
        );
    }

    #[tokio::test]
    async fn endpoint_that_does_not_listen_hangs_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let remote = RemoteService::new(&format!("http://{address}")).unwrap();
        assert_eq!(remote.call(request("localhost")).await.err(), Some(Hangup));
    }

    #[rstest]
    #[case::https("https://localhost:9000")]
    #[case::no_scheme("localhost:9000")]
    #[case::path("http://localhost:9000/path")]
    #[case::nothing("")]
    fn endpoint_is_checked(#[case] endpoint: &str) {
        assert_eq!(
            RemoteService::new(endpoint).err(),
            Some(InvalidEndpoint(endpoint.to_owned()))
        );
    }
}
