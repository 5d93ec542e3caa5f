//! What is moved, counted for as long as the function holds it.
//!
//! Every byte of an object that the function reads has an owner that counts it until the last
//! clone of it is gone, whatever the function does with it.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Full};

use crate::local::http::{Body, BoxError, Hangup, Request};

/// What the function may hold at once, a fraction of the largest object.
pub(super) const BUDGET: usize = 256;

/// How many bytes come out of a body at a time: what is being read is held beside the budget.
const CHUNK: usize = 16;

/// The most that is held with so many reads at once.
pub(super) fn bound(reads: usize) -> usize {
    BUDGET + reads * CHUNK
}

/// How much is held now, and was at most.
#[derive(Debug, Default)]
pub(super) struct Held {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl Held {
    pub(super) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}

struct Counted {
    bytes: Bytes,
    held: Arc<Held>,
}

impl Counted {
    fn new(bytes: Bytes, held: &Arc<Held>) -> Self {
        let before = held.now.fetch_add(bytes.len(), Ordering::Relaxed);
        held.peak.fetch_max(before + bytes.len(), Ordering::Relaxed);
        Self {
            bytes,
            held: Arc::clone(held),
        }
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.held.now.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

/// A body that the function reads.
pub(super) struct Read {
    inner: Body,
    /// Came out of `inner`, and is not yet the function's.
    waiting: VecDeque<Bytes>,
    held: Arc<Held>,
}

impl Read {
    pub(super) fn body(inner: Body, held: &Arc<Held>) -> Body {
        let read = Self {
            inner,
            waiting: VecDeque::new(),
            held: Arc::clone(held),
        };
        read.boxed_unsync()
    }
}

impl http_body::Body for Read {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if let Some(chunk) = self.waiting.pop_front() {
                let chunk = Bytes::from_owner(Counted::new(chunk, &self.held));
                return Poll::Ready(Some(Ok(Frame::data(chunk))));
            }
            match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        self.waiting = data.chunks(CHUNK).map(Bytes::copy_from_slice).collect()
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                ended => return ended,
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let waiting: usize = self.waiting.iter().map(Bytes::len).sum();
        let inner = self.inner.size_hint();
        match inner.exact() {
            Some(left) => SizeHint::with_exact(left + waiting as u64),
            None => SizeHint::default(),
        }
    }
}

/// The request, read to its end, with nothing in it that the function holds.
pub(super) async fn arrived(request: Request) -> Result<Request, Hangup> {
    let (head, body) = request.into_parts();
    // A body that breaks off is a connection that does.
    let body = body.collect().await.map_err(|_| Hangup)?.to_bytes();
    let body = Full::new(Bytes::copy_from_slice(&body)).map_err(|never| match never {});
    Ok(Request::from_parts(head, body.boxed_unsync()))
}
