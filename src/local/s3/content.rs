//! An object's bytes: shared chunks that are sliced and handed on, never copied.
//!
//! Invariant: `length` is the sum of the chunks' lengths, and a chunk is never empty.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use s3s::StdError;
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};

/// Below this, a chunk is copied into an allocation of its own when it is stored: it would
/// otherwise keep the connection's whole read buffer alive.
const SMALL_CHUNK: usize = 16 * 1024;

/// What a reader gets at once, so that a huge chunk still arrives as a stream.
const FRAME: usize = 128 * 1024;

/// Bytes that several objects, parts and readers share.
#[derive(Clone, Default)]
pub(super) struct Content {
    chunks: Arc<[Bytes]>,
    length: u64,
}

impl Content {
    /// Content of the given chunks, in order.
    pub(super) fn from_chunks(chunks: impl IntoIterator<Item = Bytes>) -> Content {
        let chunks: Vec<Bytes> = chunks
            .into_iter()
            .filter(|chunk| !chunk.is_empty())
            .map(|chunk| {
                if chunk.len() < SMALL_CHUNK {
                    Bytes::copy_from_slice(&chunk)
                } else {
                    chunk
                }
            })
            .collect();
        Content::shared(chunks)
    }

    /// Several contents, one after the other.
    pub(super) fn concat<'a>(contents: impl IntoIterator<Item = &'a Content>) -> Content {
        Content::shared(
            contents
                .into_iter()
                .flat_map(|content| content.chunks.iter().cloned()),
        )
    }

    fn shared(chunks: impl IntoIterator<Item = Bytes>) -> Content {
        let chunks: Arc<[Bytes]> = chunks.into_iter().collect();
        let length = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        Content { chunks, length }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }

    /// The bytes in `range`, which must lie within the content.
    pub(super) fn slice(&self, range: Range<u64>) -> Content {
        let mut chunks = Vec::new();
        let mut offset = 0;
        for chunk in self.chunks.iter() {
            let end = offset + chunk.len() as u64;
            let from = range.start.max(offset);
            let to = range.end.min(end);
            if from < to {
                chunks.push(chunk.slice((from - offset) as usize..(to - offset) as usize));
            }
            offset = end;
        }
        Content::shared(chunks)
    }

    /// The content as a response's body.
    pub(super) fn into_body(self) -> StreamingBlob {
        StreamingBlob::new(Frames {
            content: self,
            chunk: 0,
            offset: 0,
            sent: 0,
        })
    }
}

/// Hands out a content frame by frame.
struct Frames {
    content: Content,
    chunk: usize,
    offset: usize,
    sent: u64,
}

impl Stream for Frames {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(chunk) = self.content.chunks.get(self.chunk) else {
            return Poll::Ready(None);
        };
        let end = chunk.len().min(self.offset + FRAME);
        let frame = chunk.slice(self.offset..end);
        if end == chunk.len() {
            self.chunk += 1;
            self.offset = 0;
        } else {
            self.offset = end;
        }
        self.sent += frame.len() as u64;
        Poll::Ready(Some(Ok(frame)))
    }
}

impl ByteStream for Frames {
    fn remaining_length(&self) -> RemainingLength {
        let remaining = usize::try_from(self.content.length - self.sent);
        remaining.map_or_else(|_| RemainingLength::unknown(), RemainingLength::new_exact)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use rstest::rstest;

    use super::*;

    fn text(content: &Content) -> String {
        String::from_utf8(content.chunks().concat()).unwrap()
    }

    fn sample() -> Content {
        Content::from_chunks(["abc", "", "defg", "h"].map(Bytes::from))
    }

    #[rstest]
    #[case::all(0..8, "abcdefgh")]
    #[case::within_a_chunk(4..6, "ef")]
    #[case::across_chunks(2..8, "cdefgh")]
    #[case::nothing(3..3, "")]
    fn slice_is_the_bytes_of_the_range(#[case] range: Range<u64>, #[case] expected: &str) {
        let slice = sample().slice(range.clone());
        assert_eq!(text(&slice), expected);
        assert_eq!(slice.length(), range.end - range.start);
    }

    #[test]
    fn large_chunk_is_shared_and_not_copied() {
        let chunk = Bytes::from(vec![7; SMALL_CHUNK * 2]);
        let content = Content::from_chunks([chunk.clone()]);
        let slice = content.slice(10..SMALL_CHUNK as u64);
        assert_eq!(slice.chunks()[0].as_ptr(), chunk[10..].as_ptr());
    }

    #[tokio::test]
    async fn body_yields_bounded_frames_and_every_byte() {
        let bytes = Bytes::from((0..FRAME * 2 + 5).map(|n| n as u8).collect::<Vec<_>>());
        let body = Content::from_chunks([bytes.clone()]).into_body();
        let frames: Vec<Bytes> = body.try_collect().await.unwrap();
        assert!(frames.iter().all(|frame| frame.len() <= FRAME));
        assert_eq!(frames.concat(), bytes);
    }
}
