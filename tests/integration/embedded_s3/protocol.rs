//! Signatures, sockets, hangups, and writes whose client has gone.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryFutureExt};
use http_body_util::{BodyExt, Full};
use rstest::rstest;
use s3_replicator::local::http::{
    Hangup, Request, Response, Server, Service, SharedService, in_process_client, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::store::{ACCESS_KEY, MASTER, SECRET_KEY, Store, client, config, failure};

async fn listen(service: SharedService) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    serve(listener, service).await
}

/// A client that connects to the server, with the SDK's defaults for checksums.
fn socket_client(server: &Server) -> Client {
    let http_client = aws_smithy_http_client::Builder::new().build_http();
    let config = config(ACCESS_KEY, SECRET_KEY)
        .endpoint_url(format!("http://{}", server.address()))
        .http_client(http_client);
    Client::from_conf(config.build())
}

#[rstest]
#[case::wrong_secret(ACCESS_KEY, "wrong", "SignatureDoesNotMatch")]
#[case::unknown_key("unknown", SECRET_KEY, "InvalidAccessKeyId")]
#[tokio::test]
async fn only_known_keys_may_sign(
    #[case] access_key: &str,
    #[case] secret_key: &str,
    #[case] code: &str,
) {
    let store = Store::with_master().await;
    let config = config(access_key, secret_key)
        .endpoint_url("http://embedded.test")
        .http_client(in_process_client(Arc::clone(&store.service)));
    let stranger = Client::from_conf(config.build());
    let put = stranger.put_object().bucket(MASTER).key("k").send().await;
    assert_eq!(failure(put), (code.into(), 403));
}

#[tokio::test]
async fn unsigned_request_is_denied_in_the_words_of_s3() {
    let store = Store::with_master().await;
    let server = listen(Arc::clone(&store.service)).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let request = "GET /master/k HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    assert!(
        answer.contains("<Error><Code>AccessDenied</Code><Message>"),
        "{answer}"
    );
    assert!(
        answer.contains("<Resource>/master/k</Resource><RequestId>"),
        "{answer}"
    );
}

#[tokio::test]
async fn head_of_an_absent_key_is_not_found_and_has_no_body() {
    let store = Store::with_master().await;
    let head = store
        .client
        .head_object()
        .bucket(MASTER)
        .key("absent")
        .send()
        .await;
    let error = head.unwrap_err();
    assert_eq!(error.raw_response().unwrap().body().bytes(), Some(&b""[..]));
    assert!(error.into_service_error().is_not_found());
}

#[tokio::test]
async fn socket_takes_streamed_uploads_with_trailing_checksums() {
    let store = Store::with_master().await;
    let server = listen(Arc::clone(&store.service)).await;
    let client = socket_client(&server);
    let file = tempfile::NamedTempFile::new().unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    std::fs::write(file.path(), &bytes).unwrap();
    let body = ByteStream::read_from()
        .path(file.path())
        .build()
        .await
        .unwrap();
    let put = client
        .put_object()
        .bucket(MASTER)
        .key("k")
        .body(body)
        .send()
        .await
        .unwrap();
    assert!(put.checksum_crc32().is_some());
    let get = client
        .get_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(get.body.collect().await.unwrap().to_vec(), bytes);
    server.stop().await;
}

#[tokio::test]
async fn stopped_server_refuses_connections() {
    let store = Store::with_master().await;
    let server = listen(Arc::clone(&store.service)).await;
    let address = server.address();
    // An idle connection does not keep it from stopping.
    let _idle = TcpStream::connect(address).await.unwrap();
    server.stop().await;
    let error = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

/// Passes every request on, and hangs up without waiting for the answer.
struct GoesAway(SharedService);

impl Service for GoesAway {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        drop(self.0.call(request));
        std::future::ready(Err(Hangup)).boxed()
    }
}

#[tokio::test]
async fn write_takes_effect_although_its_client_has_gone() {
    let store = Store::with_master().await;
    let gone = client(Arc::new(GoesAway(Arc::clone(&store.service))));
    let put = gone.put_object().bucket(MASTER).key("k");
    let put = put.body(ByteStream::from_static(b"hello")).send().await;
    assert!(
        matches!(put, Err(aws_sdk_s3::error::SdkError::DispatchFailure(_))),
        "{put:?}"
    );
    // The write is under way on its own; nothing says when it is done.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    loop {
        let head = store
            .client
            .head_object()
            .bucket(MASTER)
            .key("k")
            .send()
            .await;
        if head.is_ok() {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "the write was lost");
        tokio::task::yield_now().await;
    }
    assert_eq!(store.get("k").await, b"hello");
}

/// Replaces the body of every request after it was signed.
struct Tampers(SharedService);

impl Service for Tampers {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let replaced = Full::from("olleh").map_err(|never| match never {});
        self.0.call(request.map(|_| replaced.boxed_unsync()))
    }
}

#[tokio::test]
async fn body_that_was_not_signed_is_refused() {
    let store = Store::with_master().await;
    let tampered = client(Arc::new(Tampers(Arc::clone(&store.service))));
    let put = tampered.put_object().bucket(MASTER).key("k");
    let put = put.body(ByteStream::from_static(b"hello")).send().await;
    assert_eq!(failure(put), ("XAmzContentSHA256Mismatch".into(), 400));
}

/// Remembers the status of the last answer, which the SDK keeps to itself.
struct Watches(SharedService, Arc<AtomicU16>);

impl Service for Watches {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let (answer, last) = (self.0.call(request), Arc::clone(&self.1));
        answer
            .inspect_ok(move |answer| last.store(answer.status().as_u16(), Ordering::Relaxed))
            .boxed()
    }
}

#[tokio::test]
async fn statuses_are_those_of_s3() {
    let store = Store::with_master().await;
    store.put("k", "hello").await;
    let status = Arc::new(AtomicU16::new(0));
    let client = client(Arc::new(Watches(
        Arc::clone(&store.service),
        Arc::clone(&status),
    )));
    let last = || status.load(Ordering::Relaxed);

    client
        .head_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(last(), 200);
    client
        .head_object()
        .bucket(MASTER)
        .key("k")
        .part_number(1)
        .send()
        .await
        .unwrap();
    assert_eq!(last(), 206);
    client
        .get_object()
        .bucket(MASTER)
        .key("k")
        .range("bytes=0-1")
        .send()
        .await
        .unwrap();
    assert_eq!(last(), 206);
    client
        .delete_object_tagging()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(last(), 204);
    client
        .delete_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    assert_eq!(last(), 204);
}

#[tokio::test]
async fn hangup_resets_the_connection() {
    let store = Store::with_master().await;
    let server = listen(Arc::new(GoesAway(Arc::clone(&store.service)))).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let error = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn connection_is_kept_alive() {
    let store = Store::with_master().await;
    let server = listen(Arc::clone(&store.service)).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    for _ in 0..2 {
        let request = "HEAD /master HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 403"));
    }
}
