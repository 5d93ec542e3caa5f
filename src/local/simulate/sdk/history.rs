//! Every state that every key ever had, seen from outside whenever a write has taken effect.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use super::world::name;
use crate::local::simulate::oracle::Seen;
use crate::local::world::object::{Content, get};

impl Seen for Arc<Content> {
    fn is_equal_but_for_tags(&self, other: &Self) -> bool {
        self.differences(other)
            .iter()
            .all(|difference| difference.starts_with("tag "))
    }

    fn has_tags_of(&self, other: &Self) -> bool {
        self.tags == other.tags
    }
}

type States = Vec<(Instant, Option<Arc<Content>>)>;

/// The states of all keys, absent before the first.
#[derive(Debug)]
pub(super) struct History {
    /// A user's clients, one for each bucket.
    clients: Vec<Client>,
    states: Mutex<BTreeMap<(u8, u8), States>>,
    /// Held while something is written and looked at, so that no state goes unseen.
    writing: tokio::sync::Mutex<()>,
}

impl History {
    pub(super) fn new(clients: Vec<Client>) -> Self {
        Self {
            clients,
            states: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    /// Waits until what others have written has been looked at.
    pub(super) async fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().await
    }

    pub(super) fn client(&self, bucket: u8) -> &Client {
        &self.clients[usize::from(bucket)]
    }

    /// The object, as any reader gets it.
    pub(super) async fn read(&self, bucket: u8, key: u8) -> Option<Content> {
        let read = get(self.client(bucket), &name(bucket), &format!("k{key}")).await;
        read.expect("the embedded store answers its users")
    }

    /// Looks at a key that has just been written.
    pub(super) async fn look(&self, bucket: u8, key: u8) {
        let state = self.read(bucket, key).await.map(Arc::new);
        let mut states = self.states.lock().expect("no holder of the states panics");
        let states = states.entry((bucket, key)).or_default();
        states.push((Instant::now(), state));
    }

    /// The states that a key has had from `from` on, the first of them from before.
    pub(super) fn since(
        &self,
        (bucket, key): (u8, u8),
        from: Instant,
    ) -> Vec<Option<Arc<Content>>> {
        let states = self.states.lock().expect("no holder of the states panics");
        let states = states.get(&(bucket, key)).map_or(&[][..], Vec::as_slice);
        let later = states.partition_point(|(at, _)| *at < from);
        let (before, later) = states.split_at(later);
        let before = before.last().and_then(|(_, state)| state.clone());
        let later = later.iter().map(|(_, state)| state.clone());
        std::iter::once(before).chain(later).collect()
    }
}
