//! A service on a loopback port: HTTP/1.1, connections kept alive, bodies streamed.
//!
//! Invariant: a hangup resets its connection, so that the client sees what it would see of a
//! server that died, and never an empty answer.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::{Hangup, Response, SharedService};

/// How long requests in work may take when the server is stopped.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait for a connection to become free when there are too many.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server in the background. Dropping it cuts its connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port, then waits a second at most for requests that are in work.
    pub async fn stop(mut self) {
        // Fails only if the task has ended already.
        let _ = self.stop.send(true);
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves `service` on `listener` until the server is stopped or dropped.
pub async fn serve(listener: TcpListener, service: SharedService) -> Server {
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    let (stop, stopped) = watch::channel(false);
    let accepting = tokio::spawn(accept(listener, service, stopped));
    Server {
        address,
        stop,
        accepting,
    }
}

async fn accept(listener: TcpListener, service: SharedService, stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let mut stopping = Box::pin(wait(stopped.clone()));
    loop {
        tokio::select! {
            biased;
            () = &mut stopping => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let connection = connection(stream, Arc::clone(&service), stopped.clone());
                    connections.spawn(connection);
                }
                // The client has gone already, or there are too many connections: both pass.
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, drained).await;
}

async fn connection(stream: TcpStream, service: SharedService, stopped: watch::Receiver<bool>) {
    // Small answers must not wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let hung_up = Arc::new(AtomicBool::new(false));
    let answer = {
        let hung_up = Arc::clone(&hung_up);
        service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
            Box::pin(answer(service.call(request), Arc::clone(&hung_up)))
        })
    };
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
    let mut stopping = Box::pin(wait(stopped)).fuse();
    let outcome = poll_fn(|cx: &mut Context<'_>| -> Poll<hyper::Result<()>> {
        if stopping.poll_unpin(cx).is_ready() {
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx)
    })
    .await;
    if let Err(error) = outcome {
        tracing::debug!(error = &error as &dyn std::error::Error, "connection ended");
    }
    let mut stream = connection.into_parts().io.into_inner();
    if hung_up.load(Ordering::Relaxed) {
        // Closing now sends a reset, whatever is still in the buffers.
        let _ = stream.set_zero_linger();
    } else {
        let _: io::Result<()> = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
    }
}

async fn answer(
    answer: BoxFuture<'static, Result<Response, Hangup>>,
    hung_up: Arc<AtomicBool>,
) -> Result<Response, Hangup> {
    let answer = answer.await;
    if answer.is_err() {
        hung_up.store(true, Ordering::Relaxed);
    }
    answer
}

async fn wait(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
