//! Reading the master: a range of its bytes, bound to the observed ETag, once for all targets.
//!
//! Every target gets a [`Body`]. The first one that is polled takes the target's share of the common
//! read; one that is polled later, because the SDK sends again, reads for itself.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{Instant, timeout};

use super::layout::Part;
use super::limits::Memory;
use super::{Job, SILENCE};
use crate::change::ObjectKey;
use crate::error::{Failure, Kind};
use crate::s3::send;
use crate::site::Bucket;

/// How many pieces wait for a target that is slower than the master.
const WINDOW: usize = 8;

/// The body said nothing for too long.
#[derive(Debug, thiserror::Error)]
#[error("no byte came for {} s", SILENCE.as_secs())]
struct Stalled;

/// The body ended before its end.
#[derive(Debug, thiserror::Error)]
#[error("the body ended before its end")]
struct CutOff;

/// A range of the master's object, as it was observed.
#[derive(Debug)]
pub(super) struct Source {
    master: Bucket,
    key: ObjectKey,
    etag: String,
    /// `None` for the whole object.
    part: Option<Part>,
    size: u64,
    until: Instant,
    memory: Memory,
    /// What went wrong with reading, whoever read.
    failure: Mutex<Option<Failure>>,
}

impl Source {
    /// All of the object, or one part of it.
    pub(super) fn new(job: &Job<'_>, part: Option<Part>) -> Arc<Self> {
        Arc::new(Self {
            master: job.master.clone(),
            key: job.key.clone(),
            etag: job.object.etag.clone(),
            part,
            size: part.map_or(job.object.size, |part| part.size),
            until: job.until,
            memory: job.limits.memory(),
            failure: Mutex::default(),
        })
    }

    /// A target's share of the common read, and the bodies to send it by.
    pub(super) fn share(self: &Arc<Self>) -> (Sender<Bytes>, Share) {
        let (sender, receiver) = channel(WINDOW);
        let share = Share {
            source: Arc::clone(self),
            common: Arc::new(Mutex::new(Some(receiver))),
            handed_over: Arc::new(AtomicBool::new(self.size == 0)),
        };
        (sender, share)
    }

    /// Why reading failed, if it did.
    pub(super) fn failure(&self) -> Option<Failure> {
        self.slot().clone()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failure.lock().expect("no holder of this lock panics")
    }

    /// Reads it from its beginning.
    pub(super) fn reading(&self) -> Reading<'_> {
        Reading {
            source: self,
            body: None,
            chunk: Bytes::new(),
            left: self.size,
            progressed: false,
        }
    }

    /// Opens what is left of it.
    async fn open(&self, left: u64) -> Result<ByteStream, Failure> {
        let (start, number) = self.part.map_or((0, 1), |part| (part.start, part.number));
        let rest = Part {
            number,
            start: start + self.size - left,
            size: left,
        };
        let range = (self.part.is_some() || left < self.size).then_some(rest);
        open(&self.master, &self.key, &self.etag, range, self.until).await
    }
}

/// One pass over a source.
pub(super) struct Reading<'a> {
    source: &'a Source,
    body: Option<ByteStream>,
    chunk: Bytes,
    left: u64,
    /// Whether anything came since the body was opened.
    progressed: bool,
}

impl Reading<'_> {
    /// The next piece, once the budget has room for it; `None` at the end, and after a failure,
    /// which the source remembers.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        match self.try_next().await {
            Ok(piece) => {
                self.left = self.left.saturating_sub(piece.len() as u64);
                Some(piece)
            }
            Err(failure) => {
                self.left = 0;
                self.source.slot().get_or_insert(failure);
                None
            }
        }
    }

    async fn try_next(&mut self) -> Result<Bytes, Failure> {
        let Source { master, key, .. } = self.source;
        while self.chunk.is_empty() {
            let body = match &mut self.body {
                Some(body) => body,
                None => self.body.insert(self.source.open(self.left).await?),
            };
            let chunk = next(master, key, body).await;
            let chunk = chunk.and_then(|chunk| chunk.ok_or_else(|| broken(master, key, CutOff)));
            match chunk {
                Ok(chunk) => self.chunk = chunk,
                // What was cut off goes on where it ended, as long as it goes on at all.
                Err(_) if std::mem::take(&mut self.progressed) => self.body = None,
                Err(failure) => return Err(failure),
            }
        }
        self.progressed = true;
        Ok(self.source.memory.piece(&mut self.chunk).await)
    }
}

/// Opens a body, bound to the observed ETag.
pub(super) async fn open(
    bucket: &Bucket,
    key: &ObjectKey,
    etag: &str,
    part: Option<Part>,
    until: Instant,
) -> Result<ByteStream, Failure> {
    let request = bucket
        .site
        .client
        .get_object()
        .bucket(&bucket.name)
        .key(key.as_str())
        .set_range(part.map(|part| part.range()))
        .if_match(format!("\"{}\"", etag));
    let output = send(bucket, Some(key), "GetObject", until, request.send()).await?;
    Ok(output.body)
}

/// The next bytes of a body; `None` at its end.
pub(super) async fn next(
    bucket: &Bucket,
    key: &ObjectKey,
    body: &mut ByteStream,
) -> Result<Option<Bytes>, Failure> {
    match timeout(SILENCE, body.try_next()).await {
        Ok(Ok(chunk)) => Ok(chunk),
        Ok(Err(error)) => Err(broken(bucket, key, error)),
        Err(_) => Err(broken(bucket, key, Stalled)),
    }
}

fn broken(
    bucket: &Bucket,
    key: &ObjectKey,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Failure {
    Failure::new(Kind::Retryable, "GetObject", bucket.place(Some(key)), cause)
}

/// One target's share of a read.
#[derive(Debug, Clone)]
pub(super) struct Share {
    source: Arc<Source>,
    common: Arc<Mutex<Option<Receiver<Bytes>>>>,
    handed_over: Arc<AtomicBool>,
}

impl Share {
    /// Whether any attempt got all bytes: without them, a request has no effect.
    pub(super) fn was_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::Relaxed)
    }

    /// A body of these bytes that the SDK can send again.
    pub(super) fn body(&self) -> ByteStream {
        let share = self.clone();
        ByteStream::new(SdkBody::retryable(move || {
            SdkBody::from_body_1_x(Body {
                left: share.source.size,
                share: share.clone(),
                pieces: None,
            })
        }))
    }

    fn pieces(&self) -> Receiver<Bytes> {
        let common = self
            .common
            .lock()
            .expect("no holder of this lock panics")
            .take();
        common.unwrap_or_else(|| {
            let (sender, receiver) = channel(WINDOW);
            let source = Arc::clone(&self.source);
            // Ends with its body: whoever drops that hangs up on the channel.
            tokio::spawn(async move {
                let mut reading = source.reading();
                let read = async {
                    while let Some(piece) = reading.next().await {
                        if sender.send(piece).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::select! {
                    () = read => {}
                    () = sender.closed() => {}
                }
            });
            receiver
        })
    }
}

/// A request's body, fed from the master.
struct Body {
    share: Share,
    pieces: Option<Receiver<Bytes>>,
    left: u64,
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self {
            share,
            pieces,
            left,
        } = &mut *self;
        if *left == 0 {
            return Poll::Ready(None);
        }
        let pieces = pieces.get_or_insert_with(|| share.pieces());
        match ready!(pieces.poll_recv(context)) {
            Some(piece) => {
                *left = left.saturating_sub(piece.len() as u64);
                if *left == 0 {
                    share.handed_over.store(true, Ordering::Relaxed);
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            None => Poll::Ready(Some(Err(Box::new(CutOff)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
