//! The walk itself: as many keys at once as are admitted, none begun once it is told to stop.

use std::cell::RefCell;
use std::pin::pin;

use futures_util::stream::{self, StreamExt};
use tokio::sync::SetOnce;

use super::keys::Keys;
use super::merge::{Next, Row};
use super::position::Position;
use crate::change::ObjectKey;
use crate::error::Failure;

/// How a walk is told to end.
#[derive(Debug, Default)]
pub struct Stop {
    /// Nothing new is begun; what has begun comes to its end.
    pub soon: SetOnce<()>,
    /// What has begun is left as it is.
    pub now: SetOnce<()>,
}

/// What a walk meets.
#[derive(Debug)]
pub enum Met<R> {
    /// A key has ended.
    Key(ObjectKey, R),
    /// A target is not asked any more.
    Lost(usize, Failure),
}

/// How a walk ended.
#[derive(Debug, Default)]
pub struct Walked {
    /// What ended it early: the master's listing, or the inventory.
    pub failure: Option<Failure>,
    /// It was told to stop.
    pub stopped: bool,
    /// Every key up to this one is confirmed.
    pub position: Option<ObjectKey>,
}

impl Walked {
    /// Whether every key was met.
    pub fn is_complete(&self) -> bool {
        self.failure.is_none() && !self.stopped
    }
}

/// Does `work` on every key, each once `admit` has let it in. `tell` hears what comes of it, and
/// says whether the key is confirmed.
pub async fn walk<P, R>(
    keys: Keys,
    after: Option<ObjectKey>,
    stop: &Stop,
    admit: impl AsyncFn() -> P,
    work: impl AsyncFn(&Row, P) -> R,
    mut tell: impl FnMut(Met<R>) -> bool,
) -> Walked {
    let position = RefCell::new(Position::after(after));
    let admitted = stream::unfold(keys, async |mut keys| {
        let place = admit().await;
        let next = keys.next().await?;
        Some(((next, place), keys))
    });
    let (work, open) = (&work, &position);
    let ended = admitted
        .take_until(stop.soon.wait())
        .map(|(next, place)| {
            // Here and not in the future, so that keys begin in their order.
            let next = match next {
                Next::Row(row) => Ok((open.borrow_mut().begin(&row.key), row)),
                Next::Lost(target, failure) => Err((target, failure)),
            };
            async move {
                let (ticket, row) = next?;
                let result = work(&row, place).await;
                Ok((ticket, row.key, result))
            }
        })
        .buffer_unordered(usize::MAX);
    let mut ended = pin!(ended);
    let mut walked = Walked::default();
    loop {
        let met = tokio::select! {
            biased;
            met = ended.next() => met,
            _ = stop.now.wait() => None,
        };
        match met {
            None => break,
            Some(Ok((ticket, key, result))) => {
                let is_confirmed = tell(Met::Key(key, result));
                position.borrow_mut().end(ticket, is_confirmed);
            }
            Some(Err((Some(target), failure))) => {
                tell(Met::Lost(target, failure));
            }
            Some(Err((None, failure))) => walked.failure = Some(failure),
        }
    }
    walked.stopped = stop.soon.initialized();
    walked.position = position.borrow().confirmed().cloned();
    walked
}
