//! What the whole process moves at once: keys and parts in work, bytes in flight.
//!
//! Invariant: whoever holds a place or bytes can finish without another place or other bytes, so
//! nobody waits for ever.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore, SemaphorePermit, SetOnce};

/// How many objects go by parts at once: each has all places for its parts, and one that ends is
/// worth more than several that are cut off.
const TRANSFERS: usize = 2;

/// The limits of one process.
#[derive(Debug)]
pub struct Limits {
    places: Arc<Semaphore>,
    count: usize,
    transfers: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    budget: usize,
    pub(super) part_size: u64,
    pub(super) threshold: u64,
}

impl Limits {
    /// `places` keys and parts at once, `memory` bytes in flight, objects above `threshold` in
    /// parts of `part_size` bytes where the master gives none.
    pub fn new(places: usize, memory: u64, part_size: u64, threshold: u64) -> Self {
        let budget = usize::try_from(memory).unwrap_or(Semaphore::MAX_PERMITS);
        let budget = budget.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        Self {
            places: Arc::new(Semaphore::new(places)),
            count: places,
            transfers: Arc::new(Semaphore::new(TRANSFERS)),
            bytes: Arc::new(Semaphore::new(budget)),
            budget,
            part_size,
            threshold,
        }
    }

    /// How many places there are.
    pub(super) fn places(&self) -> usize {
        self.count
    }

    /// Waits for a place, first come, first served.
    pub(super) async fn place(&self) -> SemaphorePermit<'_> {
        self.places.acquire().await.expect("never closed")
    }

    /// Waits for a place to work on a key; it is given up at the latest when it is dropped.
    pub async fn turn<'a>(&self, siblings: &'a SetOnce<()>) -> Turn<'a> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        Turn {
            place: Mutex::new(Some(place.expect("never closed"))),
            transfers: Arc::clone(&self.transfers),
            transfer: OnceCell::new(),
            siblings,
        }
    }

    /// The bytes that may be in flight.
    pub(super) fn memory(&self) -> Memory {
        Memory {
            bytes: Arc::clone(&self.bytes),
            piece: PIECE.min(self.budget),
        }
    }
}

/// A key's place among those in work.
#[derive(Debug)]
pub struct Turn<'a> {
    place: Mutex<Option<OwnedSemaphorePermit>>,
    transfers: Arc<Semaphore>,
    /// Held from when it begins until the key is done with.
    transfer: OnceCell<OwnedSemaphorePermit>,
    siblings: &'a SetOnce<()>,
}

impl Turn<'_> {
    /// A transfer by parts, each of which has a place of its own, gives the key's to a sibling, and
    /// begins when all siblings of the invocation have begun and few others are under way.
    pub(super) async fn step_aside(&self) {
        drop(
            self.place
                .lock()
                .expect("no holder of this lock panics")
                .take(),
        );
        self.siblings.wait().await;
        let begin = async || {
            let permit = Arc::clone(&self.transfers).acquire_owned().await;
            permit.expect("never closed")
        };
        self.transfer.get_or_init(begin).await;
    }
}

/// What is in flight is counted, and handed on, in pieces of at most so many bytes.
const PIECE: usize = 64 * 1024;

/// A share in the process's budget of bytes.
#[derive(Debug, Clone)]
pub(super) struct Memory {
    bytes: Arc<Semaphore>,
    piece: usize,
}

/// Bytes that count against the budget until the last clone of them is gone.
struct Counted {
    bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Memory {
    /// Takes the next piece off `chunk`, once there is room for it.
    pub(super) async fn piece(&self, chunk: &mut Bytes) -> Bytes {
        let bytes = chunk.split_to(chunk.len().min(self.piece));
        let size = u32::try_from(bytes.len()).expect("a piece is small");
        let permit = Arc::clone(&self.bytes).acquire_many_owned(size).await;
        Bytes::from_owner(Counted {
            bytes,
            _permit: permit.expect("never closed"),
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn bytes_count_until_the_last_clone_is_gone() {
        let limits = Limits::new(1, 100, 1, 1);
        let memory = limits.memory();
        let mut chunk = Bytes::from(vec![0; 150]);
        let first = memory.piece(&mut chunk).await;
        assert_eq!((first.len(), chunk.len()), (100, 50));
        let clone = first.clone();
        drop(first);
        assert!(memory.piece(&mut chunk.clone()).now_or_never().is_none());
        drop(clone);
        assert_eq!(memory.piece(&mut chunk).await.len(), 50);
    }

    #[tokio::test]
    async fn key_that_steps_aside_gives_its_place_up_and_waits_for_its_siblings() {
        let limits = Limits::new(1, 1, 1, 1);
        let siblings = SetOnce::new();
        let turn = limits.turn(&siblings).await;
        assert!(limits.place().now_or_never().is_none());
        assert!(turn.step_aside().now_or_never().is_none());
        assert!(limits.place().now_or_never().is_some());
        siblings.set(()).unwrap();
        assert!(turn.step_aside().now_or_never().is_some());
    }
}
