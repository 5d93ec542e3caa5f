//! LocalStack's bucket notifications, by a real SQS queue.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use s3_replicator::local::lambda::BatchLimits;
use s3_replicator::local::live::{LiveError, LiveWorld, Wiring};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::servers::{Kind, Server};
use super::world::{MASTER, REPLICA, stage, start};
use crate::live::store::{put, wait_until_equal};

/// What is skipped where LocalStack is not switched on.
const WHAT: &str = "events by its queue";

/// The queue's, and no less than the function's timeout.
const VISIBILITY: Duration = Duration::from_secs(15);

/// A queue whose messages are dead after two receives, and its dead-letter queue.
pub(crate) struct Queues {
    pub(crate) client: aws_sdk_sqs::Client,
    pub(crate) url: String,
    pub(super) dead_url: String,
}

impl Queues {
    /// Makes them, with the name that `just up` gives the first.
    pub(crate) async fn create(server: &Server, visibility: Duration) -> Self {
        use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
        let client = aws_sdk_sqs::Client::from_conf(
            aws_sdk_sqs::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .region(Region::from_static("us-east-1"))
                .endpoint_url(server.access().0)
                .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                .build(),
        );
        let dead = client.create_queue().queue_name("dead").send();
        let dead_url = dead.await.unwrap().queue_url.unwrap();
        let redrive = json!({
            "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead",
            "maxReceiveCount": 2,
        });
        let queue = client
            .create_queue()
            .queue_name("s3-replicator-events")
            .attributes(QueueAttributeName::RedrivePolicy, redrive.to_string())
            .attributes(
                QueueAttributeName::VisibilityTimeout,
                visibility.as_secs().to_string(),
            );
        let url = queue.send().await.unwrap().queue_url.unwrap();
        Self {
            client,
            url,
            dead_url,
        }
    }

    async fn send(&self, body: &str) {
        let send = self.client.send_message().queue_url(&self.url);
        send.message_body(body).send().await.unwrap();
    }

    /// Waits for a dead letter; answers its body.
    async fn dead_letter(&self) -> String {
        let receive = self
            .client
            .receive_message()
            .queue_url(&self.dead_url)
            .wait_time_seconds(20);
        let mut messages = receive.send().await.unwrap().messages.unwrap_or_default();
        assert_eq!(messages.len(), 1, "{messages:?}");
        messages.remove(0).body.unwrap()
    }

    /// How many messages there are, hidden ones included.
    async fn len(&self) -> usize {
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let get = self.client.get_queue_attributes().queue_url(&self.url);
        let get = get.set_attribute_names(Some(counts.to_vec()));
        let told = get.send().await.unwrap().attributes.unwrap();
        let count = |name| told[name].parse::<usize>().unwrap();
        counts.iter().map(count).sum()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_failing_messages_of_a_batch_of_ten_come_again_and_end_with_the_dead() {
    if !Kind::LocalStack.is_on(WHAT) {
        return;
    }
    let server = Kind::LocalStack.own_server().await;
    let queues = Queues::create(&server, VISIBILITY).await;
    let (client, mut options) = stage(&server, &Wiring::localstack()).await;
    // All messages are there before anybody looks, so that they make one batch; LocalStack's test
    // event is the first of them.
    put(&client, MASTER, "a b/é.txt", "x").await;
    for number in 1..7 {
        put(&client, MASTER, &format!("k{number}"), "x").await;
    }
    queues.send("poison").await;
    queues.send("more poison").await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while queues.visible().await < 10 {
        assert!(Instant::now() < deadline, "not all events came");
        sleep(Duration::from_millis(50)).await;
    }
    options.timeout = VISIBILITY;
    options.limits = BatchLimits {
        size: 10,
        window: Duration::from_secs(2),
    };
    let batches: Arc<Mutex<Vec<(Value, Instant)>>> = Arc::default();
    let seen = Arc::clone(&batches);
    options.tap = Some(Arc::new(move |payload: String, _| {
        let payload = serde_json::from_str(&payload).unwrap();
        seen.lock().unwrap().push((payload, Instant::now()));
        Box::pin(async { Ok(()) })
    }));
    let (world, outcomes) = start(options).await;
    wait_until_equal(&client, MASTER, REPLICA).await;
    let deadline = Instant::now() + VISIBILITY * 6;
    while queues.len().await > 0 {
        assert!(Instant::now() < deadline, "the queue is not emptied");
        sleep(Duration::from_millis(200)).await;
    }
    let mut dead = [queues.dead_letter().await, queues.dead_letter().await];
    dead.sort();
    assert_eq!(dead, ["more poison", "poison"]);
    assert!(!world.stop().await.abandoned);

    let batches = batches.lock().unwrap();
    let bodies = |batch: &Value| -> Vec<String> {
        let records = batch["Records"].as_array().unwrap().iter();
        records
            .map(|record| record["body"].as_str().unwrap().to_owned())
            .collect()
    };
    let with_poison: Vec<_> = batches
        .iter()
        .filter(|(batch, _)| bodies(batch).contains(&dead[0]))
        .collect();
    let [(first, at), (second, again)] = with_poison.as_slice() else {
        panic!("poison was received {} times", with_poison.len());
    };
    assert_eq!(bodies(first).len(), 10, "{first}");
    // What was handled was deleted, and what failed came again by the queue's own timeout.
    let mut again_bodies = bodies(second);
    again_bodies.sort();
    assert_eq!(again_bodies, dead, "{outcomes:?}");
    assert!(*again - *at >= VISIBILITY - Duration::from_secs(1));
    let record = &second["Records"][0];
    assert_eq!(record["attributes"]["ApproximateReceiveCount"], "2");
    assert_eq!(
        record["eventSourceARN"],
        "arn:aws:sqs:us-east-1:000000000000:s3-replicator-events"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn world_that_stops_leaves_no_message_hidden() {
    if !Kind::LocalStack.is_on(WHAT) {
        return;
    }
    let server = Kind::LocalStack.own_server().await;
    let queues = Queues::create(&server, Duration::from_secs(900)).await;
    let (client, mut options) = stage(&server, &Wiring::localstack()).await;
    options.limits.window = Duration::from_secs(300);
    let (world, outcomes) = start(options.clone()).await;
    put(&client, MASTER, "k", "x").await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while queues.visible().await > 0 {
        assert!(Instant::now() < deadline, "no message was received");
        sleep(Duration::from_millis(50)).await;
    }
    world.stop().await;
    assert!(outcomes.lock().unwrap().is_empty());
    assert!(queues.visible().await > 0);
    options.limits.window = Duration::ZERO;
    let (world, _) = start(options).await;
    wait_until_equal(&client, MASTER, REPLICA).await;
    world.stop().await;
    assert_eq!(queues.len().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queue_that_hides_messages_for_too_short_a_time_is_refused() {
    if !Kind::LocalStack.is_on(WHAT) {
        return;
    }
    let server = Kind::LocalStack.own_server().await;
    Queues::create(&server, VISIBILITY).await;
    let (_, mut options) = stage(&server, &Wiring::localstack()).await;
    options.timeout = VISIBILITY + Duration::from_secs(1);
    let error = LiveWorld::start(options, |_, _| {}).await.err();
    assert!(
        matches!(error, Some(LiveError::Visibility { .. })),
        "{error:?}"
    );
}

impl Queues {
    /// How many messages anybody could receive.
    async fn visible(&self) -> usize {
        let count = QueueAttributeName::ApproximateNumberOfMessages;
        let get = self.client.get_queue_attributes().queue_url(&self.url);
        let told = get.attribute_names(count.clone()).send().await.unwrap();
        told.attributes.unwrap()[&count].parse().unwrap()
    }
}
