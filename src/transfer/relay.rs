//! One read, many writes: every piece of a range goes to all targets at once.
//!
//! A target that keeps the others waiting for long is left out; it catches up in a round of its
//! own, where nobody waits for it.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{join_all, select_all};
use tokio::sync::mpsc::Sender;
use tokio::sync::{Notify, SetOnce};
use tokio::time::{Instant, sleep, timeout_at};

use super::source::{Share, Source};

/// How long one target may keep the others waiting, in all, while a range is sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// A target fell too far behind the others.
#[derive(Debug, thiserror::Error)]
#[error("it kept the other targets waiting for {} s and was left behind", PATIENCE.as_secs())]
pub(super) struct LeftBehind {
    /// Whether it had got all bytes, which may then still take effect.
    pub(super) complete: bool,
}

/// Reads `source` once and sends it to every target; the answers are in their order.
pub(super) async fn relay<T, F: Future<Output = T>>(
    source: &Arc<Source>,
    targets: impl IntoIterator<Item = impl FnOnce(Share) -> F>,
) -> Vec<Result<T, LeftBehind>> {
    let (mut lanes, mut sends) = (Vec::new(), Vec::new());
    for send in targets {
        let (pieces, share) = source.share();
        let left_out = Arc::new(Notify::new());
        lanes.push(Lane {
            pieces: Some(pieces),
            patience: PATIENCE,
            left_out: Arc::clone(&left_out),
        });
        sends.push((send(share.clone()), share, left_out));
    }
    let is_alone = lanes.len() == 1;
    let (begun, first) = (Instant::now(), &SetOnce::new());
    let sends = sends.into_iter().map(async |(send, share, left_out)| {
        let left_behind = || LeftBehind {
            complete: share.was_handed_over(),
        };
        let patience = async {
            if is_alone {
                return pending().await;
            }
            // Whoever was first has shown how long it takes.
            let took: &Duration = first.wait().await;
            sleep(PATIENCE + *took).await;
        };
        tokio::select! {
            biased;
            answer = send => {
                // Who failed early has shown nothing.
                if share.was_handed_over() {
                    let _ = first.set(begun.elapsed());
                }
                Ok(answer)
            }
            () = left_out.notified() => Err(left_behind()),
            () = patience => Err(left_behind()),
        }
    });
    let reading = async {
        let mut reading = source.reading();
        while let Some(piece) = reading.next().await {
            if !offer(&mut lanes, piece).await {
                break;
            }
        }
        drop(lanes);
    };
    let mut sends = std::pin::pin!(join_all(sends));
    tokio::select! {
        biased;
        answers = &mut sends => answers,
        () = reading => sends.await,
    }
}

/// The way to one target.
struct Lane {
    /// `None` once it is left out.
    pieces: Option<Sender<Bytes>>,
    /// What is left of it.
    patience: Duration,
    left_out: Arc<Notify>,
}

/// Hands one piece to every lane; tells whether any lane is left.
async fn offer(lanes: &mut [Lane], piece: Bytes) -> bool {
    let open = lanes.iter_mut().filter(|lane| lane.pieces.is_some());
    let mut open: Vec<&mut Lane> = open.collect();
    let others_wait = open.len() > 1;
    if others_wait {
        // The clock runs from when the first of them has room.
        let rooms = open.iter().filter_map(|lane| lane.pieces.as_ref());
        let _ = select_all(rooms.map(|pieces| Box::pin(pieces.reserve()))).await;
    }
    let since = Instant::now();
    let hand = open.iter_mut().map(async |lane| {
        let Some(pieces) = &lane.pieces else { return };
        let send = pieces.send(piece.clone());
        let sent = match others_wait {
            true => timeout_at(since + lane.patience, send).await,
            false => Ok(send.await),
        };
        lane.patience = lane.patience.saturating_sub(since.elapsed());
        match sent {
            Ok(Ok(())) => {}
            // It has its answer, or gave up, or reads for itself by now.
            Ok(Err(_)) => lane.pieces = None,
            Err(_) => {
                lane.pieces = None;
                lane.left_out.notify_one();
            }
        }
    });
    join_all(hand).await;
    lanes.iter().any(|lane| lane.pieces.is_some())
}
