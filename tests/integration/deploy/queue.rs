//! Queue, mapping and dead letters with the template's numbers, and the real handler behind them, all
//! in virtual time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use s3_replicator::local::lambda::{
    Activity, BatchLimits, Event, Invocation, Invoke, Mapping, MappingOptions, Queue, QueueOptions,
    Redrive,
};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::template::Template;
use crate::support::services::Services;

/// What the template gives queue, mapping and function; times are seconds.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    pub(super) timeout: u64,
    pub(super) visibility: u64,
    pub(super) retention: u64,
    pub(super) receives: u64,
    pub(super) batch: u64,
    pub(super) concurrency: u64,
}

impl Numbers {
    /// For this largest object and longest outage.
    pub(super) fn of(largest: &str, outage: &str) -> Self {
        let template = Template::with(&[
            ("MasterBuckets", "master"),
            ("TargetBuckets", "near-1,far-1"),
            ("LargestObject", largest),
            ("LongestOutage", outage),
        ]);
        let (queue, mapping) = (template.properties("Queue"), template.properties("Mapping"));
        let number = |value: &Value| value.as_u64().unwrap();
        let reports = &mapping["FunctionResponseTypes"][0];
        assert_eq!(reports, "ReportBatchItemFailures");
        Self {
            timeout: number(&template.properties("Function")["Timeout"]),
            visibility: number(&queue["VisibilityTimeout"]),
            retention: number(&queue["MessageRetentionPeriod"]),
            receives: number(&queue["RedrivePolicy"]["maxReceiveCount"]),
            batch: number(&mapping["BatchSize"]),
            concurrency: number(&mapping["ScalingConfig"]["MaximumConcurrency"]),
        }
    }
}

/// An event for the handler, and where its answer goes.
type Job = (Event, oneshot::Sender<Invocation>);

/// What the template makes, without its function.
pub(super) struct Deployed {
    pub(super) queue: Queue,
    pub(super) dead_letters: Queue,
    pub(super) activity: Activity,
    /// The bodies of each batch that the handler had.
    pub(super) batches: Vec<Vec<String>>,
    numbers: Numbers,
    jobs: mpsc::UnboundedReceiver<Job>,
    _mapping: Mapping,
}

impl Deployed {
    pub(super) fn start(numbers: Numbers) -> Self {
        let activity = Activity::default();
        let dead_letters = Queue::new(QueueOptions::new("arn:aws:sqs:us-east-1:1:dead-letters"));
        let queue = Queue::new(QueueOptions {
            visibility_timeout: Duration::from_secs(numbers.visibility),
            redrive: Some(Redrive {
                max_receive_count: numbers.receives as u32,
                dead_letters: dead_letters.clone(),
            }),
            activity: Some(activity.clone()),
            ..QueueOptions::new("arn:aws:sqs:us-east-1:1:events")
        });
        let (sender, jobs) = mpsc::unbounded_channel::<Job>();
        let invoke: Invoke = Arc::new(move |event| {
            let (answer, answered) = oneshot::channel();
            sender.send((event, answer)).expect("the test runs");
            Box::pin(async move { answered.await.expect("the test runs") })
        });
        let options = MappingOptions {
            limits: BatchLimits {
                size: numbers.batch as usize,
                window: Duration::ZERO,
            },
            concurrency: numbers.concurrency as usize,
            redelivery_delay: None,
            ..MappingOptions::default()
        };
        Self {
            _mapping: Mapping::start(queue.clone(), invoke, options),
            queue,
            dead_letters,
            activity,
            batches: Vec::new(),
            numbers,
            jobs,
        }
    }

    /// The handler works until the story is over.
    pub(super) async fn during<T>(
        &mut self,
        services: &Services,
        story: impl Future<Output = T>,
    ) -> T {
        let mut running = FuturesUnordered::new();
        let mut story = std::pin::pin!(story);
        loop {
            tokio::select! {
                biased;
                told = &mut story => return told,
                Some((event, answer)) = self.jobs.recv() => {
                    self.batches.push(bodies(&event));
                    running.push(handle(services, event, answer, self.numbers.timeout));
                }
                Some(()) = running.next(), if !running.is_empty() => {}
            }
        }
    }
}

fn bodies(event: &Event) -> Vec<String> {
    let event: Value = serde_json::from_str(&event.payload).unwrap();
    let records = event["Records"].as_array().unwrap().iter();
    let bodies = records.map(|record| record["body"].as_str().unwrap().to_owned());
    bodies.collect()
}

async fn handle(
    services: &Services,
    event: Event,
    answer: oneshot::Sender<Invocation>,
    timeout: u64,
) {
    let deadline = Instant::now() + Duration::from_secs(timeout);
    let handler = &services.replicator;
    let handled = handler.handle(&event.payload, &event.request_id, deadline);
    let handled = handled.await.expect("messages fail one by one");
    let _ = answer.send(Invocation {
        request_id: event.request_id,
        instance: None,
        result: Ok(serde_json::to_string(&handled).unwrap()),
    });
}
