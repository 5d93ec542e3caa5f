//! Bodies that are counted as they pass, and bodies that break off.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::journal::{Direction, Journal};
use crate::local::http::{Body, BoxError};

/// A body whose bytes are added to a journal's entry as they pass.
pub(super) struct Counted {
    pub(super) inner: Body,
    pub(super) journal: Arc<Journal>,
    pub(super) sequence: usize,
    pub(super) direction: Direction,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.journal
                .count(self.sequence, self.direction, data.len());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A body that breaks off after so many bytes, unless it has no more.
pub(super) struct Cut {
    inner: Body,
    left: u64,
    is_broken: bool,
}

impl Cut {
    pub(super) fn after(bytes: u64, inner: Body) -> Self {
        Self {
            inner,
            left: bytes,
            is_broken: false,
        }
    }
}

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let cut_off = || Poll::Ready(Some(Err("the answer was cut off by a fault".into())));
        if self.is_broken {
            return cut_off();
        }
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = polled else {
            return polled;
        };
        let mut data = match frame.into_data() {
            Ok(data) => data,
            Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
        };
        match usize::try_from(self.left) {
            Ok(left) if left < data.len() => {
                self.is_broken = true;
                data.truncate(left);
                if data.is_empty() {
                    return cut_off();
                }
            }
            _ => self.left -= data.len() as u64,
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        !self.is_broken && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // The length that was promised, or the client would take the rest for all there is.
        if self.is_broken {
            SizeHint::default()
        } else {
            self.inner.size_hint()
        }
    }
}
