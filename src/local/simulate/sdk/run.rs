//! Runs a plan against the world: users, deliveries and invocations in virtual time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::instrument::WithSubscriber;

use super::wire::{ATTEMPT, Attempt, Freezing, micros};
use super::world::{Echoes, World, name, region};
use crate::handler::{Answer, InvocationFailed};
use crate::local::simulate::oracle::{Problem, Run};
use crate::local::simulate::plan::{Acknowledged, Micros, Operation, Plan, USUAL, What};
use crate::local::simulate::trace::{Line, Trace};

/// As in the model.
const TIMEOUT: Duration = Duration::from_secs(30);
const REDELIVERY: Duration = Duration::from_secs(60);
/// After this, nothing is on its way any more.
const REST: Duration = Duration::from_secs(120);
/// As in the model: deliveries of a replica's own events have numbers from here on.
const ECHOES: u16 = 1000;

/// One event: what is told of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    event: u16,
    pub(super) key: u8,
    name: &'static str,
}

/// Events that are delivered together.
struct Parcel {
    delivery: u16,
    at: Instant,
    bucket: u8,
    items: Vec<Item>,
}

/// Runs a plan to its end and judges it.
///
/// Runs on a current-thread runtime whose clock is paused, one plan at a time on a thread: jitter
/// comes from the thread's random numbers, which are seeded here.
pub(in crate::local::simulate) async fn run(plan: &Plan, trace: Trace) -> Run {
    let (world, echoes) = World::new(plan, trace).await;
    let state = State::default();
    let all = deliver_all(&world, &state, plan, echoes).with_subscriber(world.log.dispatch());
    futures_util::future::join(operate(&world, plan), all).await;
    world.judge().await;
    let mut found = state
        .found
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    found.divergences = world.shared.problems();
    // What a user would notice first.
    found
        .divergences
        .sort_by_key(|divergence| !divergence.problem.is_at_rest());
    for divergence in &mut found.divergences {
        if let (Problem::BlindMarker { markers }, Some(bucket)) =
            (&mut divergence.problem, divergence.bucket)
        {
            *markers = world.markers(bucket, divergence.key).await;
        }
    }
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
    fn found(&self, change: impl FnOnce(&mut Run)) {
        change(&mut self.found.lock().expect("no holder of the findings panics"));
    }
}

async fn operate(world: &World, plan: &Plan) {
    let mut made = Vec::new();
    for operation in &plan.operations {
        sleep_until(world.shared.started + micros(operation.at)).await;
        let history = &world.shared.history;
        let writing = history.writing().await;
        let version = world.operate(operation.key, operation.what, &made).await;
        history.look(0, operation.key).await;
        drop(writing);
        world.shared.note(|| Line::Operated {
            id: operation.id,
            key: operation.key,
            state: match operation.what {
                What::Put(state) => Some(state),
                _ => None,
            },
        });
        if let Some(version) = version {
            made.push((operation.id, version));
        }
    }
}

/// Delivers what the plan says, and the events of replicas that are masters of others, until
/// nothing is on its way any more.
async fn deliver_all(world: &World, state: &State, plan: &Plan, mut echoes: Echoes) {
    let mut deliveries: FuturesUnordered<_> = plan
        .deliveries
        .iter()
        .map(|delivery| {
            let operations = delivery.events.iter().filter_map(|id| plan.operation(*id));
            let parcel = Parcel {
                delivery: delivery.id,
                at: world.shared.started + micros(delivery.at),
                bucket: 0,
                items: operations.map(item).collect(),
            };
            deliver(world, state, plan, parcel)
        })
        .collect();
    let mut told = 0;
    loop {
        let is_idle = deliveries.is_empty();
        tokio::select! {
            biased;
            Some((bucket, key)) = echoes.recv() => {
                let delays: &[Micros] = &plan.echoes;
                let delay = delays.get(told % delays.len().max(1)).copied();
                let item = Item {
                    event: ECHOES + told as u16,
                    key,
                    // An event only says that a key is to be looked at.
                    name: "ObjectCreated:Copy",
                };
                told += 1;
                let parcel = Parcel {
                    delivery: item.event,
                    at: Instant::now() + micros(delay.unwrap_or(USUAL.way_in)),
                    bucket,
                    items: vec![item],
                };
                deliveries.push(deliver(world, state, plan, parcel));
            }
            Some(()) = deliveries.next() => {}
            () = sleep(REST), if is_idle => return,
        }
    }
}

async fn deliver(world: &World, state: &State, plan: &Plan, parcel: Parcel) {
    sleep_until(parcel.at).await;
    let acknowledged = plan.shape.acknowledged;
    let Parcel {
        delivery,
        bucket,
        mut items,
        ..
    } = parcel;
    for attempt in 0..acknowledged.attempts() {
        if acknowledged == Acknowledged::Shared {
            let done = state.acknowledged.lock().expect("no holder panics");
            items.retain(|item| !done.contains(&item.event));
        }
        if items.is_empty() {
            return;
        }
        let failed = invoke(world, plan, (delivery, attempt), bucket, &items).await;
        let done = items
            .iter()
            .map(|item| item.event)
            .filter(|event| !failed.contains(event));
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
        items.retain(|item| failed.contains(&item.event));
        if !plan.has_faults() {
            let problem = Problem::FailedWithoutFault;
            world.shared.problem(problem, None, items[0].key);
        }
        sleep(match acknowledged {
            Acknowledged::Whole => REDELIVERY,
            _ => TIMEOUT * 6,
        })
        .await;
    }
    world.shared.note(|| Line::GivenUp {
        delivery,
        events: items.iter().map(|item| item.event).collect(),
    });
    world.shared.problem(Problem::GivenUp, None, items[0].key);
}

/// One invocation; answers the events that come again.
async fn invoke(
    world: &World,
    plan: &Plan,
    (delivery, number): (u16, u8),
    bucket: u8,
    items: &[Item],
) -> Vec<u16> {
    let events: Vec<u16> = items.iter().map(|item| item.event).collect();
    world.shared.note(|| Line::Started {
        delivery,
        attempt: number,
        bucket,
        events: events.clone(),
    });
    let attempt = Attempt::new(delivery, number);
    let payload = payload(plan, bucket, items);
    let deadline = Instant::now() + TIMEOUT;
    let request_id = format!("{delivery}.{number}");
    let handling = world.replicator.handle(&payload, &request_id, deadline);
    let handling = ATTEMPT.scope(attempt.clone(), handling);
    let handling = timeout_at(deadline, Freezing::new(handling, attempt.clone()));
    let answer = tokio::select! {
        biased;
        answer = handling => Some(answer),
        () = attempt.killed.notified() => None,
    };
    let told = world.log.take(&request_id);
    let (how, failed) = match answer {
        None => ("killed", events),
        Some(Err(_)) => {
            if !attempt.was_frozen() {
                world.shared.problem(Problem::TimedOut, None, items[0].key);
            }
            ("timed out", events)
        }
        Some(Ok(answer)) => {
            let failed = match answer {
                Ok(Answer::Sqs(response)) => {
                    let failures = response.batch_item_failures.into_iter();
                    failures
                        .filter_map(|failure| failure.item_identifier.parse().ok())
                        .collect()
                }
                Ok(_) => Vec::new(),
                Err(InvocationFailed { .. }) => events,
            };
            let done = items.iter().filter(|item| !failed.contains(&item.event));
            let done: Vec<Item> = done.copied().collect();
            world.check(&attempt, bucket, &done, &told);
            match failed.is_empty() {
                true => ("acknowledged", failed),
                false => ("failed", failed),
            }
        }
    };
    world.shared.note(|| Line::Ended {
        delivery,
        attempt: number,
        how,
        outcomes: told.iter().map(|line| line.outcome.clone()).collect(),
        failed: failed.clone(),
    });
    failed
}

/// What the function is told of these events.
fn payload(plan: &Plan, bucket: u8, items: &[Item]) -> String {
    if plan.shape.acknowledged == Acknowledged::Whole {
        let records: Vec<Value> = items.iter().map(|item| record(bucket, item)).collect();
        return json!({ "Records": records }).to_string();
    }
    let messages: Vec<Value> = items
        .iter()
        .map(|item| {
            let body = json!({ "Records": [record(bucket, item)] }).to_string();
            json!({"messageId": item.event.to_string(), "eventSource": "aws:sqs", "body": body})
        })
        .collect();
    json!({ "Records": messages }).to_string()
}

fn item(operation: &Operation) -> Item {
    let name = match operation.what {
        What::Put(_) => "ObjectCreated:Put",
        What::Tag(0) => "ObjectTagging:Delete",
        What::Tag(_) => "ObjectTagging:Put",
        What::Delete => "ObjectRemoved:Delete",
        What::DeleteVersion(_) => "ObjectRemoved:Delete",
    };
    Item {
        event: operation.id,
        key: operation.key,
        name,
    }
}

fn record(bucket: u8, item: &Item) -> Value {
    json!({
        "eventSource": "aws:s3",
        "eventName": item.name,
        "awsRegion": region(bucket),
        "s3": {"bucket": {"name": name(bucket)}, "object": {"key": format!("k{}", item.key)}},
    })
}
