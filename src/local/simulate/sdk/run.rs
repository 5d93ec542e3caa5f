//! Runs a plan against the world, and judges it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::wire::{ATTEMPT, Attempt, Freezing, micros};
use super::world::{World, name, region};
use crate::handler::{Answer, InvocationFailed};
use crate::local::simulate::oracle::{Divergence, Problem, Run};
use crate::local::simulate::plan::{Acknowledged, Delivery, Operation, Plan, What};
use crate::local::simulate::trace::Trace;
use crate::local::world::object::get;

/// As in the model.
const TIMEOUT: Duration = Duration::from_secs(30);
const REDELIVERY: Duration = Duration::from_secs(60);
/// After this, nothing is on its way any more.
const REST: Duration = Duration::from_secs(120);

/// Runs a plan to its end and judges it.
///
/// Runs on a current-thread runtime whose clock is paused, one plan at a time on a thread: jitter
/// comes from the thread's random numbers, which are seeded here.
pub async fn run(plan: &Plan, trace: Trace) -> Run {
    let world = World::new(plan, trace).await;
    let state = State::default();
    let mut deliveries: FuturesUnordered<_> = plan
        .deliveries
        .iter()
        .map(|delivery| deliver(&world, &state, plan, delivery))
        .collect();
    {
        let delivered = async { while deliveries.next().await.is_some() {} };
        futures_util::future::join(operate(&world, plan), delivered).await;
    }
    sleep(REST).await;
    drop(deliveries);
    let mut found = state
        .found
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    judge(&world, plan, &mut found).await;
    let trace = &world.shared.trace;
    found.trace = std::mem::take(&mut *trace.lock().expect("no holder of the trace panics"));
    found
}

#[derive(Default)]
struct State {
    found: Mutex<Run>,
    /// The events whose message is acknowledged for all deliveries.
    acknowledged: Mutex<Vec<u16>>,
}

impl State {
    fn problem(&self, problem: Problem, key: u8) {
        self.found(|found| {
            found.divergences.push(Divergence {
                problem,
                bucket: None,
                key,
            });
        });
    }

    fn found(&self, change: impl FnOnce(&mut Run)) {
        change(&mut self.found.lock().expect("no holder of the findings panics"));
    }
}

async fn operate(world: &World, plan: &Plan) {
    let mut made = Vec::new();
    for operation in &plan.operations {
        sleep_until(world.shared.started + micros(operation.at)).await;
        let version = world.operate(operation.key, operation.what, &made).await;
        if let Some(version) = version {
            made.push((operation.id, version));
        }
    }
}

async fn deliver(world: &World, state: &State, plan: &Plan, delivery: &Delivery) {
    let started = world.shared.started;
    sleep_until(started + micros(delivery.at)).await;
    let acknowledged = plan.shape.acknowledged;
    let mut events = delivery.events.clone();
    for attempt in 0..acknowledged.attempts() {
        if acknowledged == Acknowledged::Shared {
            let done = state.acknowledged.lock().expect("no holder panics");
            events.retain(|event| !done.contains(event));
        }
        if events.is_empty() {
            return;
        }
        let failed = invoke(world, plan, delivery.id, attempt, &events).await;
        world
            .shared
            .note(|| format!("{}.{attempt} of {events:?} failed: {failed:?}", delivery.id));
        let done = events.iter().filter(|event| !failed.contains(event));
        state
            .acknowledged
            .lock()
            .expect("no holder panics")
            .extend(done);
        state.found(|found| {
            found.invocations += 1;
            found.failed += u64::from(!failed.is_empty());
        });
        if failed.is_empty() {
            return;
        }
        if !plan.has_faults() {
            state.problem(Problem::FailedWithoutFault, key_of(plan, failed[0]));
        }
        events = failed;
        sleep(match acknowledged {
            Acknowledged::Whole => REDELIVERY,
            _ => TIMEOUT * 6,
        })
        .await;
    }
    state.problem(Problem::GivenUp, key_of(plan, events[0]));
}

fn key_of(plan: &Plan, event: u16) -> u8 {
    plan.operation(event).map_or(0, |operation| operation.key)
}

/// One invocation; answers the events that come again.
async fn invoke(world: &World, plan: &Plan, delivery: u16, number: u8, events: &[u16]) -> Vec<u16> {
    let attempt = Attempt::new(delivery, number);
    let payload = payload(plan, events);
    let deadline = Instant::now() + TIMEOUT;
    let request_id = format!("{delivery}.{number}");
    let handling = world.replicator.handle(&payload, &request_id, deadline);
    let handling = ATTEMPT.scope(attempt.clone(), handling);
    let handling = timeout_at(deadline, Freezing::new(handling, attempt.clone()));
    let answer = tokio::select! {
        biased;
        answer = handling => answer.ok(),
        () = attempt.killed.notified() => None,
    };
    match answer {
        Some(Ok(Answer::Sqs(response))) => {
            let failures = response.batch_item_failures.into_iter();
            failures
                .filter_map(|failure| failure.item_identifier.parse().ok())
                .collect()
        }
        Some(Ok(_)) => Vec::new(),
        Some(Err(InvocationFailed { .. })) | None => events.to_vec(),
    }
}

/// What the function is told of these events.
fn payload(plan: &Plan, events: &[u16]) -> String {
    let operations = events.iter().filter_map(|event| plan.operation(*event));
    if plan.shape.acknowledged == Acknowledged::Whole {
        let records: Vec<Value> = operations.map(record).collect();
        return json!({ "Records": records }).to_string();
    }
    let messages: Vec<Value> = operations
        .map(|operation| {
            let body = json!({ "Records": [record(operation)] }).to_string();
            json!({"messageId": operation.id.to_string(), "eventSource": "aws:sqs", "body": body})
        })
        .collect();
    json!({ "Records": messages }).to_string()
}

fn record(operation: &Operation) -> Value {
    let event = match operation.what {
        What::Put(_) => "ObjectCreated:Put",
        What::Tag(0) => "ObjectTagging:Delete",
        What::Tag(_) => "ObjectTagging:Put",
        What::Delete => "ObjectRemoved:Delete",
        What::DeleteVersion(_) => "ObjectRemoved:Delete",
    };
    json!({
        "eventSource": "aws:s3",
        "eventName": event,
        "awsRegion": region(0),
        "s3": {"bucket": {"name": name(0)}, "object": {"key": format!("k{}", operation.key)}},
    })
}

/// Looks at all buckets as any reader would.
async fn judge(world: &World, plan: &Plan, found: &mut Run) {
    for key in 0..plan.keys() as u8 {
        let path = format!("k{key}");
        let read = async |bucket: u8| {
            let content = get(world.client(bucket), &name(bucket), &path).await;
            content.expect("the embedded store answers its users")
        };
        let master = read(0).await;
        for target in plan.targets(0) {
            let replica = read(target).await;
            let differences = match (&master, &replica) {
                (Some(master), Some(replica)) => replica.differences(master),
                (None, None) => Vec::new(),
                (_, Some(_)) => vec!["present".to_owned()],
                (Some(_), None) => vec!["missing".to_owned()],
            };
            if !differences.is_empty() {
                world
                    .shared
                    .note(|| format!("{}/{path}: {}", name(target), differences.join("; ")));
                found.divergences.push(Divergence {
                    problem: Problem::Unlike,
                    bucket: Some(target),
                    key,
                });
            }
        }
    }
}
