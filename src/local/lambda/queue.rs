//! An in-memory queue that behaves like a standard SQS queue.
//!
//! Invariant: a message is in exactly one queue, visible or in flight, until it is deleted by the
//! handle of its last receipt. Nobody has to do anything for a message to come again: its
//! visibility timeout passes. A message received `max_receive_count` times without being deleted
//! moves to the dead letters when it would be received once more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::activity::{Activity, Busy};

/// What S3 is to a queue.
const SENDER: &str = "AIDAIENQZJOLO23YVJ4VO";

/// What a queue is.
#[derive(Debug, Clone)]
pub struct QueueOptions {
    /// Its ARN: `arn:aws:sqs:REGION:ACCOUNT:NAME`.
    pub arn: String,
    /// How long a received message stays invisible. SQS's default is 30 s.
    pub visibility_timeout: Duration,
    /// Where messages go that nobody manages to handle; without it they come again for ever.
    pub redrive: Option<Redrive>,
    /// Where its messages count as unfinished work; none for a queue of failures.
    pub activity: Option<Activity>,
}

impl QueueOptions {
    /// A queue with SQS's defaults.
    pub fn new(arn: impl Into<String>) -> Self {
        Self {
            arn: arn.into(),
            visibility_timeout: Duration::from_secs(30),
            redrive: None,
            activity: None,
        }
    }
}

/// When and where to give up on a message.
#[derive(Debug, Clone)]
pub struct Redrive {
    /// How often a message is received before it is dead.
    pub max_receive_count: u32,
    /// The queue of the dead.
    pub dead_letters: Queue,
}

/// A message as a consumer gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, the same in every queue and for every receipt.
    pub id: String,
    /// What was sent.
    pub body: String,
    /// Identifies this receipt; empty if it was never received.
    pub receipt_handle: String,
    /// Who sent it, as SQS calls them.
    pub sender_id: String,
    /// How often it has been received, this time included.
    pub receive_count: u32,
    /// When it was sent.
    pub sent_at: SystemTime,
    /// When it was first received; when it was sent, if it never was.
    pub first_received_at: SystemTime,
}

/// A queue; clones are the same queue.
#[derive(Debug, Clone)]
pub struct Queue(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: QueueOptions,
    entries: Mutex<VecDeque<Entry>>,
    changed: Notify,
}

#[derive(Debug)]
struct Entry {
    message: Message,
    visible_at: Instant,
    _busy: Option<Busy>,
}

impl Queue {
    /// An empty queue.
    pub fn new(options: QueueOptions) -> Self {
        Self(Arc::new(Inner {
            options,
            entries: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// Its ARN.
    pub fn arn(&self) -> &str {
        &self.0.options.arn
    }

    /// How long a received message stays invisible.
    pub fn visibility_timeout(&self) -> Duration {
        self.0.options.visibility_timeout
    }

    /// Puts a message in, and answers its id.
    pub fn send(&self, body: impl Into<String>) -> String {
        let now = SystemTime::now();
        let id = Uuid::new_v4().to_string();
        self.put(Message {
            id: id.clone(),
            body: body.into(),
            receipt_handle: String::new(),
            sender_id: SENDER.to_owned(),
            receive_count: 0,
            sent_at: now,
            first_received_at: now,
        });
        id
    }

    /// Takes up to `max` visible messages, oldest first, and hides them; waits for the first.
    pub async fn receive(&self, max: usize) -> Vec<Message> {
        loop {
            // Registered before looking, so that no change is missed in between.
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let received = self.try_receive(max);
            if !received.is_empty() {
                return received;
            }
            let next = self.entries().iter().map(|entry| entry.visible_at).min();
            match next {
                Some(at) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Takes up to `max` visible messages, oldest first, and hides them.
    pub fn try_receive(&self, max: usize) -> Vec<Message> {
        let now = Instant::now();
        let mut received = Vec::new();
        let mut dead = Vec::new();
        let mut entries = self.entries();
        let mut at = 0;
        while at < entries.len() && received.len() < max {
            let entry = &mut entries[at];
            if entry.visible_at > now {
                at += 1;
            } else if self.is_spent(&entry.message) {
                dead.extend(entries.remove(at));
            } else {
                entry.visible_at = now + self.0.options.visibility_timeout;
                received.push(entry.message.received());
                at += 1;
            }
        }
        drop(entries);
        if let Some(redrive) = &self.0.options.redrive {
            // Each dead message is in the other queue before it stops counting here.
            for entry in &dead {
                redrive.dead_letters.put(entry.message.clone());
            }
        }
        received
    }

    /// Deletes a message by its last receipt; false if there is none, or a later one.
    pub fn delete(&self, receipt_handle: &str) -> bool {
        let mut entries = self.entries();
        match position(&entries, receipt_handle) {
            Some(at) => entries.remove(at).is_some(),
            None => false,
        }
    }

    /// Makes a received message visible after this time from now; false as with
    /// [`delete`](Self::delete).
    pub fn change_visibility(&self, receipt_handle: &str, after: Duration) -> bool {
        let mut entries = self.entries();
        let found = position(&entries, receipt_handle);
        if let Some(at) = found {
            entries[at].visible_at = Instant::now() + after;
        }
        drop(entries);
        self.0.changed.notify_waiters();
        found.is_some()
    }

    /// How many messages are in it, visible or in flight.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether no message is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is in it, oldest first, without receiving it.
    pub fn messages(&self) -> Vec<Message> {
        self.entries()
            .iter()
            .map(|entry| entry.message.clone())
            .collect()
    }

    /// Takes everything out.
    pub fn drain(&self) -> Vec<Message> {
        self.entries()
            .drain(..)
            .map(|entry| entry.message)
            .collect()
    }

    fn put(&self, message: Message) {
        let busy = self.0.options.activity.as_ref().map(Activity::begin);
        self.entries().push_back(Entry {
            message,
            visible_at: Instant::now(),
            _busy: busy,
        });
        self.0.changed.notify_waiters();
    }

    fn is_spent(&self, message: &Message) -> bool {
        let redrive = self.0.options.redrive.as_ref();
        redrive.is_some_and(|redrive| message.receive_count >= redrive.max_receive_count)
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.0
            .entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Message {
    /// Notes a receipt, and answers the message as it is handed over.
    fn received(&mut self) -> Self {
        if self.receive_count == 0 {
            self.first_received_at = SystemTime::now();
        }
        self.receive_count += 1;
        self.receipt_handle = Uuid::new_v4().simple().to_string();
        self.clone()
    }
}

fn position(entries: &VecDeque<Entry>, receipt_handle: &str) -> Option<usize> {
    // A message that was never received has an empty handle, which is nobody's.
    let is_it = |entry: &Entry| entry.message.receipt_handle == receipt_handle;
    entries
        .iter()
        .position(is_it)
        .filter(|_| !receipt_handle.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VISIBILITY: Duration = Duration::from_secs(30);

    fn queue(redrive: Option<Redrive>) -> (Queue, Activity) {
        let activity = Activity::default();
        let queue = Queue::new(QueueOptions {
            redrive,
            activity: Some(activity.clone()),
            ..QueueOptions::new("arn:aws:sqs:us-east-1:000000000000:events")
        });
        (queue, activity)
    }

    fn bodies(messages: &[Message]) -> Vec<&str> {
        messages
            .iter()
            .map(|message| message.body.as_str())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn received_message_is_hidden_until_its_visibility_timeout_passes() {
        let (queue, _) = queue(None);
        let id = queue.send("a");
        let first = queue.receive(10).await.remove(0);
        tokio::time::advance(VISIBILITY - Duration::from_millis(1)).await;
        assert_eq!(queue.try_receive(10), []);
        tokio::time::advance(Duration::from_millis(1)).await;
        let second = queue.try_receive(10).remove(0);
        assert_eq!((first.id, first.receive_count), (id.clone(), 1));
        assert_eq!((second.id, second.receive_count), (id, 2));
        assert_ne!(first.receipt_handle, second.receipt_handle);
        assert_eq!(first.sent_at, second.sent_at);
        assert_eq!(first.first_received_at, second.first_received_at);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_consumer_gets_a_message_as_soon_as_it_is_visible() {
        let (queue, _) = queue(None);
        queue.send("a");
        queue.receive(10).await;
        let start = Instant::now();
        let again = tokio::time::timeout(VISIBILITY * 2, queue.receive(10)).await;
        assert_eq!(bodies(&again.unwrap()), ["a"]);
        assert_eq!(start.elapsed(), VISIBILITY);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_consumer_gets_a_message_sent_or_released_meanwhile() {
        let (queue, _) = queue(None);
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.receive(1).await.remove(0) }
        });
        tokio::task::yield_now().await;
        queue.send("a");
        let message = waiting.await.unwrap();
        let start = Instant::now();
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.receive(1).await.remove(0) }
        });
        tokio::task::yield_now().await;
        assert!(queue.change_visibility(&message.receipt_handle, Duration::ZERO));
        assert_eq!(waiting.await.unwrap().receive_count, 2);
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn late_delete_by_an_earlier_receipt_does_not_lose_the_message() {
        let (queue, activity) = queue(None);
        queue.send("a");
        assert!(!queue.delete(""));
        let first = queue.receive(1).await.remove(0);
        tokio::time::advance(VISIBILITY).await;
        let second = queue.receive(1).await.remove(0);
        assert!(!queue.delete(&first.receipt_handle));
        assert_eq!(queue.len(), 1);
        assert!(!activity.is_idle());
        assert!(queue.delete(&second.receipt_handle));
        assert!(queue.is_empty() && activity.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn message_received_too_often_moves_to_the_dead_letters_as_it_was() {
        let dead_letters = Queue::new(QueueOptions::new("arn:aws:sqs:::dead"));
        let redrive = Redrive {
            max_receive_count: 2,
            dead_letters: dead_letters.clone(),
        };
        let (queue, activity) = queue(Some(redrive));
        let id = queue.send("poison");
        for _ in 0..2 {
            assert_eq!(bodies(&queue.receive(1).await), ["poison"]);
            assert!(dead_letters.is_empty());
        }
        queue.send("good");
        tokio::time::advance(VISIBILITY).await;
        assert_eq!(bodies(&queue.receive(1).await), ["good"]);
        assert_eq!(queue.len(), 1);
        let dead = dead_letters.drain().remove(0);
        assert_eq!(
            (dead.id, dead.body, dead.receive_count),
            (id, "poison".to_owned(), 2)
        );
        queue.drain();
        assert!(activity.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_asked_for_is_received_in_the_order_sent() {
        let (queue, _) = queue(None);
        for body in ["a", "b", "c"] {
            queue.send(body);
        }
        assert_eq!(bodies(&queue.receive(2).await), ["a", "b"]);
        assert_eq!(bodies(&queue.receive(2).await), ["c"]);
    }
}
