//! An event source mapping: takes messages off a queue and has a function handle them in batches.
//!
//! Invariant: a message is deleted only when the function handled it. While an invocation runs,
//! its messages stay invisible; after it failed, they come again once the delay has passed and
//! the store has quiesced. That is the order of things on AWS, where the visibility timeout is
//! six times the function's, without its minutes of waiting.
//!
//! The queue is in this program ([`Queue`]) or a real one; the mapping is the same.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::batch::{self, BatchLimits};
use super::invocation::{Event, Invoke, Quiesced, at_once};
use super::queue::{Message, Queue};

/// How long one look for messages waits for the first of them. It is also how long a mapping that
/// is told to stop may take to notice.
const POLL: Duration = Duration::from_secs(1);

/// A queue as a mapping needs it.
///
/// A message that was received is hidden, and comes again by itself when its visibility timeout
/// has passed. What cannot be done is left to that, so nothing here fails.
pub trait MessageQueue: Clone + Send + Sync + 'static {
    /// Its ARN: `arn:aws:sqs:REGION:ACCOUNT:NAME`.
    fn arn(&self) -> &str;

    /// How long a received message stays invisible.
    fn visibility_timeout(&self) -> Duration;

    /// Takes up to `max` messages; waits at most so long for the first. It must run to its end,
    /// or messages may be hidden that nobody has.
    fn receive(&self, max: usize, wait: Duration) -> impl Future<Output = Vec<Message>> + Send;

    /// Deletes messages that were received.
    fn delete(&self, messages: &[&Message]) -> impl Future<Output = ()> + Send;

    /// Makes messages that were received visible after this time from now.
    fn hide(&self, messages: &[&Message], after: Duration) -> impl Future<Output = ()> + Send;
}

impl MessageQueue for Queue {
    fn arn(&self) -> &str {
        self.arn()
    }

    fn visibility_timeout(&self) -> Duration {
        self.visibility_timeout()
    }

    async fn receive(&self, max: usize, wait: Duration) -> Vec<Message> {
        timeout(wait, self.receive(max)).await.unwrap_or_default()
    }

    async fn delete(&self, messages: &[&Message]) {
        for message in messages {
            self.delete(&message.receipt_handle);
        }
    }

    async fn hide(&self, messages: &[&Message], after: Duration) {
        for message in messages {
            self.change_visibility(&message.receipt_handle, after);
        }
    }
}

/// How messages are gathered and given back.
#[derive(Clone)]
pub struct MappingOptions {
    /// How messages are gathered. Lambda's default is ten, without a window.
    pub limits: BatchLimits,
    /// How many batches are in work at once. Lambda starts with five.
    pub concurrency: usize,
    /// Whether the function's answer names the messages that failed (`ReportBatchItemFailures`).
    pub report_batch_item_failures: bool,
    /// How long after a failed invocation its messages are received again at the earliest; without
    /// it the queue's visibility timeout alone decides, as on AWS.
    pub redelivery_delay: Option<Duration>,
    /// What else is awaited before that.
    pub quiesced: Quiesced,
}

impl Default for MappingOptions {
    fn default() -> Self {
        Self {
            limits: BatchLimits {
                size: 10,
                window: Duration::ZERO,
            },
            concurrency: 5,
            report_batch_item_failures: true,
            redelivery_delay: Some(Duration::from_secs(1)),
            quiesced: at_once(),
        }
    }
}

/// A mapping at work. Dropped, it stops at once, and what it had in work comes again.
pub struct Mapping {
    stop: watch::Sender<bool>,
    polling: JoinHandle<()>,
}

impl Mapping {
    /// Starts to poll the queue.
    pub fn start(queue: impl MessageQueue, invoke: Invoke, options: MappingOptions) -> Self {
        let (stop, stopped) = watch::channel(false);
        let polling = tokio::spawn(poll(queue, invoke, options, stopped));
        Self { stop, polling }
    }

    /// Takes no more messages, and waits until those in work are deleted or given back.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        // Fails only together with the runtime.
        let _ = (&mut self.polling).await;
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

async fn poll(
    queue: impl MessageQueue,
    invoke: Invoke,
    options: MappingOptions,
    stopped: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(options.concurrency));
    let mut deliveries = JoinSet::new();
    let mut stopping = stopped.clone();
    loop {
        let slot = tokio::select! {
            biased;
            // Nobody can stop it any more when the sender is gone, and then it is aborted.
            _ = stopping.wait_for(|stop| *stop) => break,
            slot = Arc::clone(&slots).acquire_owned() => slot.expect("nobody closes it"),
        };
        let slot = Arc::new(slot);
        let messages = gather(&queue, options.limits, &stopped).await;
        let batches = batch::split(messages, options.limits).into_iter();
        let delivering: Vec<_> = batches
            .map(|batch| {
                let slot = Arc::clone(&slot);
                deliver(
                    queue.clone(),
                    Arc::clone(&invoke),
                    options.clone(),
                    batch,
                    slot,
                )
            })
            .collect();
        if !delivering.is_empty() {
            deliveries.spawn(join_all(delivering));
        }
        while deliveries.try_join_next().is_some() {}
    }
    while deliveries.join_next().await.is_some() {}
}

/// Looks for messages until enough of them are there, or the first has waited long enough; none
/// if there are none for now.
async fn gather(
    queue: &impl MessageQueue,
    limits: BatchLimits,
    stopped: &watch::Receiver<bool>,
) -> Vec<Message> {
    let mut messages = queue.receive(limits.size, POLL).await;
    let first = Instant::now();
    let mut fresh = 0;
    while !messages.is_empty() && !batch::is_due(&messages, first.elapsed(), limits) {
        if *stopped.borrow() {
            queue.hide(&refer(&messages), Duration::ZERO).await;
            return Vec::new();
        }
        // The window must not eat into the time that the function has.
        let visibility = queue.visibility_timeout() + limits.window;
        queue.hide(&refer(&messages[fresh..]), visibility).await;
        fresh = messages.len();
        let left = limits.window.saturating_sub(first.elapsed());
        let missing = limits.size - messages.len();
        messages.extend(queue.receive(missing, left.min(POLL)).await);
    }
    messages
}

async fn deliver(
    queue: impl MessageQueue,
    invoke: Invoke,
    options: MappingOptions,
    batch: Vec<Message>,
    slot: Arc<OwnedSemaphorePermit>,
) {
    let handling = async {
        let invocation = invoke(Event::new(batch::event(&batch, queue.arn()))).await;
        drop(slot);
        let report = options.report_batch_item_failures;
        let failed = batch::failed(&batch, &invocation.result, report);
        let handled = batch.iter().filter(|message| !failed.contains(&message.id));
        queue.delete(&handled.collect::<Vec<_>>()).await;
        if let (Some(delay), false) = (options.redelivery_delay, failed.is_empty()) {
            tokio::time::sleep(delay).await;
            (options.quiesced)().await;
        }
        failed
    };
    let failed: BTreeSet<String> = hold(&queue, &batch, handling).await;
    if options.redelivery_delay.is_some() {
        let failed = batch.iter().filter(|message| failed.contains(&message.id));
        queue
            .hide(&failed.collect::<Vec<_>>(), Duration::ZERO)
            .await;
    }
}

/// Keeps messages invisible for as long as the work takes.
async fn hold<T>(
    queue: &impl MessageQueue,
    messages: &[Message],
    work: impl Future<Output = T>,
) -> T {
    let visibility = queue.visibility_timeout();
    let mut work = pin!(work);
    queue.hide(&refer(messages), visibility).await;
    loop {
        match timeout(visibility / 2, &mut work).await {
            Ok(done) => return done,
            Err(_) => queue.hide(&refer(messages), visibility).await,
        }
    }
}

fn refer(messages: &[Message]) -> Vec<&Message> {
    messages.iter().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::activity::Activity;
    use super::super::invocation::{FunctionError, Invocation};
    use super::super::queue::{QueueOptions, Redrive};
    use super::*;
    use serde_json::{Value, json};

    const POISON: &str = "poison";

    /// The bodies of each batch, and when it came.
    type Batches = Arc<Mutex<Vec<(Vec<String>, Instant)>>>;

    struct World {
        queue: Queue,
        dead_letters: Queue,
        activity: Activity,
        batches: Batches,
        start: Instant,
    }

    impl World {
        fn new() -> Self {
            let dead_letters = Queue::new(QueueOptions::new("arn:aws:sqs:::dead"));
            let activity = Activity::default();
            let queue = Queue::new(QueueOptions {
                redrive: Some(Redrive {
                    max_receive_count: 3,
                    dead_letters: dead_letters.clone(),
                }),
                activity: Some(activity.clone()),
                ..QueueOptions::new("arn:aws:sqs:us-east-1:000000000000:events")
            });
            let (batches, start) = (Batches::default(), Instant::now());
            Self {
                queue,
                dead_letters,
                activity,
                batches,
                start,
            }
        }

        /// Starts a mapping to a function that takes so long and fails what is poison.
        fn map(&self, takes: Duration, options: MappingOptions) -> Mapping {
            let batches = Arc::clone(&self.batches);
            let invoke: Invoke = Arc::new(move |event: Event| {
                let batches = Arc::clone(&batches);
                Box::pin(async move {
                    let payload: Value = serde_json::from_str(&event.payload).unwrap();
                    let records = payload["Records"].as_array().unwrap();
                    let bodies = records
                        .iter()
                        .map(|record| record["body"].as_str().unwrap());
                    let bodies = bodies.map(str::to_owned).collect();
                    batches.lock().unwrap().push((bodies, Instant::now()));
                    tokio::time::sleep(takes).await;
                    let poison = records.iter().filter(|record| record["body"] == POISON);
                    let failed: Vec<Value> = poison
                        .map(|record| json!({"itemIdentifier": record["messageId"]}))
                        .collect();
                    let result = match records.iter().any(|record| record["body"] == "crash") {
                        true => Err(FunctionError::new("Runtime.ExitError", "gone")),
                        false => Ok(json!({"batchItemFailures": failed}).to_string()),
                    };
                    Invocation {
                        request_id: event.request_id,
                        instance: None,
                        result,
                    }
                })
            });
            Mapping::start(self.queue.clone(), invoke, options)
        }

        /// The batches so far: when, in milliseconds, and what.
        fn seen(&self) -> Vec<(u128, Vec<String>)> {
            let batches = self.batches.lock().unwrap();
            let seen = batches.iter();
            seen.map(|(bodies, at)| ((*at - self.start).as_millis(), bodies.clone()))
                .collect()
        }
    }

    fn batches(expected: &[(u128, &[&str])]) -> Vec<(u128, Vec<String>)> {
        let owned = |bodies: &[&str]| bodies.iter().map(|body| (*body).to_owned()).collect();
        expected
            .iter()
            .map(|(at, bodies)| (*at, owned(bodies)))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_failed_message_comes_again_and_ends_with_the_dead() {
        let world = World::new();
        for body in ["a", POISON, "b"] {
            world.queue.send(body);
        }
        let _mapping = world.map(Duration::ZERO, MappingOptions::default());
        world.activity.wait_idle().await;
        let expected: [(u128, &[&str]); 3] = [
            (0, &["a", POISON, "b"]),
            (1000, &[POISON]),
            (2000, &[POISON]),
        ];
        assert_eq!(world.seen(), batches(&expected));
        assert_eq!(world.dead_letters.drain()[0].body, POISON);
        assert!(world.queue.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn every_message_of_a_crashed_invocation_comes_again() {
        let world = World::new();
        world.queue.send("crash");
        world.queue.send("a");
        let _mapping = world.map(Duration::ZERO, MappingOptions::default());
        world.activity.wait_idle().await;
        assert_eq!(world.seen().len(), 3);
        assert!(
            world
                .seen()
                .iter()
                .all(|(_, bodies)| *bodies == ["crash", "a"])
        );
        assert_eq!(world.dead_letters.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn messages_wait_for_others_as_long_as_the_window_is_open() {
        let world = World::new();
        let limits = BatchLimits {
            size: 2,
            window: Duration::from_secs(60),
        };
        let options = MappingOptions {
            limits,
            ..MappingOptions::default()
        };
        let _mapping = world.map(Duration::ZERO, options);
        for body in ["a", "b", "c"] {
            world.queue.send(body);
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        world.activity.wait_idle().await;
        let expected: [(u128, &[&str]); 2] = [(5000, &["a", "b"]), (70_000, &["c"])];
        assert_eq!(world.seen(), batches(&expected));
    }

    #[tokio::test(start_paused = true)]
    async fn messages_stay_invisible_however_long_the_invocation_runs() {
        let world = World::new();
        world.queue.send("a");
        let takes = world.queue.visibility_timeout() * 5;
        let _mapping = world.map(takes, MappingOptions::default());
        world.activity.wait_idle().await;
        assert_eq!(world.seen(), batches(&[(0, &["a"])]));
        assert_eq!(world.start.elapsed(), takes);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_redelivered_before_the_store_quiesced() {
        let world = World::new();
        let (quiet, quiets) = watch::channel(false);
        let quiesced: Quiesced = Arc::new(move || {
            let mut quiets = quiets.clone();
            Box::pin(async move {
                let _ = quiets.wait_for(|quiet| *quiet).await;
            })
        });
        world.queue.send(POISON);
        let options = MappingOptions {
            quiesced,
            ..MappingOptions::default()
        };
        let _mapping = world.map(Duration::ZERO, options);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(world.seen().len(), 1);
        assert!(!world.activity.is_idle());
        quiet.send_replace(true);
        world.activity.wait_idle().await;
        assert_eq!(world.seen().len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_batches_than_allowed_are_in_work() {
        let world = World::new();
        for body in ["a", "b", "c"] {
            world.queue.send(body);
        }
        let limits = BatchLimits {
            size: 1,
            window: Duration::ZERO,
        };
        let options = MappingOptions {
            limits,
            concurrency: 2,
            ..MappingOptions::default()
        };
        let _mapping = world.map(Duration::from_secs(10), options);
        world.activity.wait_idle().await;
        let at: Vec<u128> = world.seen().iter().map(|(at, _)| *at).collect();
        assert_eq!(at, [0, 0, 10_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_batch_keeps_no_other_from_its_turn_while_it_waits() {
        let world = World::new();
        let options = MappingOptions {
            concurrency: 1,
            redelivery_delay: Some(Duration::from_secs(60)),
            ..MappingOptions::default()
        };
        let _mapping = world.map(Duration::ZERO, options);
        world.queue.send(POISON);
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.queue.send("a");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let expected: [(u128, &[&str]); 2] = [(0, &[POISON]), (1000, &["a"])];
        assert_eq!(world.seen(), batches(&expected));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_stopped_mapping_had_in_work_comes_again() {
        let world = World::new();
        world.queue.send("a");
        let stopped = world.map(Duration::from_secs(10), MappingOptions::default());
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(stopped);
        let _mapping = world.map(Duration::ZERO, MappingOptions::default());
        world.activity.wait_idle().await;
        assert_eq!(world.seen().len(), 2);
        assert!(world.dead_letters.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_delay_the_visibility_timeout_alone_brings_messages_again() {
        let world = World::new();
        for body in ["a", POISON] {
            world.queue.send(body);
        }
        let options = MappingOptions {
            redelivery_delay: None,
            ..MappingOptions::default()
        };
        let _mapping = world.map(Duration::from_secs(1), options);
        world.activity.wait_idle().await;
        let expected: [(u128, &[&str]); 3] = [
            (0, &["a", POISON]),
            (30_000, &[POISON]),
            (60_000, &[POISON]),
        ];
        assert_eq!(world.seen(), batches(&expected));
        assert_eq!(world.dead_letters.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn mapping_told_to_stop_finishes_what_it_has_and_takes_no_more() {
        let world = World::new();
        world.queue.send("a");
        let mapping = world.map(Duration::from_secs(10), MappingOptions::default());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let stopping = tokio::spawn(mapping.stop());
        tokio::time::sleep(POLL * 2).await;
        world.queue.send("b");
        stopping.await.unwrap();
        assert_eq!(world.seen(), batches(&[(0, &["a"])]));
        assert_eq!(world.queue.messages()[0].receive_count, 0);
        assert_eq!(world.queue.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn messages_that_waited_for_others_are_given_back_at_once_on_a_stop() {
        let world = World::new();
        world.queue.send("a");
        let options = MappingOptions {
            limits: BatchLimits {
                size: 2,
                window: Duration::from_secs(300),
            },
            ..MappingOptions::default()
        };
        let mapping = world.map(Duration::ZERO, options);
        tokio::time::sleep(Duration::from_secs(1)).await;
        mapping.stop().await;
        assert!(world.seen().is_empty());
        assert_eq!(world.queue.try_receive(1).len(), 1);
    }
}
