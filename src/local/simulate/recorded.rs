//! A plan as a recording, which `replay` runs against the embedded store with the real process.
//!
//! Virtual time becomes real time only where it matters: while something is under way. A fault is
//! bound to its request by operation, bucket, key and count.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::oracle::Run;
use super::plan::{Acknowledged, Effect, Micros, Plan, SECOND, State, What};
use super::trace::Line;
use crate::local::faults::{Effect as FaultEffect, Fault, S3Operation, Scope, When};
use crate::local::lambda::Source;
use crate::local::recording::{
    Action, Body, Bucket, Delete, Expect, Header, Operation, OperationKind, Put, Recording, Settle,
    Step, Tag, TargetBucket, Untag,
};

const REGIONS: [&str; 3] = ["us-east-1", "ap-southeast-1", "eu-central-1"];

/// The longest that a replay stands still where the plan says to.
const LONGEST_PAUSE: Micros = 5 * SECOND;

/// The smallest part that S3 takes.
const PART: u64 = 5 * 1024 * 1024;

/// The plan of a run as a recording. `run` must have kept its trace.
pub fn recorded(plan: &Plan, run: &Run) -> Recording {
    let mut actions: Vec<(Option<String>, Action)> = Vec::new();
    faults(run, &mut actions);
    let mut under_way = 0;
    let mut last: Micros = 0;
    for (at, line) in run.trace.lines() {
        match line {
            Line::Operated { id, .. } => {
                rest(&mut actions, under_way, *at - last);
                last = *at;
                let kind = plan.operation(*id).map(|one| kind(plan, one.key, one.what));
                if let Some(kind) = kind {
                    let operation = Operation {
                        target: None,
                        held: true,
                        kind,
                    };
                    actions.push((Some(format!("p{id}")), Action::Operation(operation)));
                }
            }
            Line::Started {
                delivery,
                attempt,
                events,
                ..
            } => {
                under_way += 1;
                if *attempt == 0 && plan.deliveries.iter().any(|one| one.id == *delivery) {
                    rest(&mut actions, under_way - 1, *at - last);
                    last = *at;
                    let ids = events.iter().map(|event| format!("p{event}")).collect();
                    actions.push((None, Action::Deliver(ids)));
                }
            }
            Line::Ended { .. } => under_way -= 1,
            _ => {}
        }
    }
    let within = Duration::from_secs(60);
    actions.push((None, Action::Settle(Settle { within })));
    actions.push((
        None,
        Action::Expect(Expect::Equal {
            target: None,
            key: None,
        }),
    ));
    let steps = actions
        .into_iter()
        .zip(2..)
        .map(|((id, action), line)| Step { line, id, action });
    Recording {
        path: Default::default(),
        header: header(plan),
        steps: steps.collect(),
    }
}

/// What stands between two steps: nothing; a pause; or, where nothing is under way, a settling.
fn rest(actions: &mut Vec<(Option<String>, Action)>, under_way: i32, gap: Micros) {
    let delivered = actions
        .iter()
        .any(|(_, action)| matches!(action, Action::Deliver(_)));
    if !delivered {
        return;
    }
    if under_way > 0 {
        let time = Duration::from_micros(gap.clamp(1000, LONGEST_PAUSE));
        actions.push((None, Action::Pause(time)));
    } else if matches!(actions.last(), Some((_, Action::Deliver(_)))) {
        let within = Duration::from_secs(60);
        actions.push((None, Action::Settle(Settle { within })));
    }
}

fn header(plan: &Plan) -> Header {
    let name = |number: u8| {
        if number == 0 {
            "master".to_owned()
        } else {
            format!("replica-{number}")
        }
    };
    let region = |number: u8| REGIONS[usize::from(number) % REGIONS.len()];
    let bucket = |number: u8| {
        let mut bucket = Bucket::new(name(number), region(number));
        bucket.versioning = if number == 0 {
            plan.shape.versioned_master
        } else {
            plan.shape.versioned_targets
        };
        let targets: Vec<String> = plan
            .targets(number)
            .map(|target| format!("{}@{}", name(target), region(target)))
            .collect();
        if !targets.is_empty() {
            bucket
                .tags
                .insert(crate::targets::TARGETS_TAG.to_owned(), targets.join(" "));
        }
        bucket
    };
    let mut header = Header::new(format!("{} {}", plan.configuration, plan.seed), bucket(0));
    header.seed = plan.seed;
    header.function.concurrency = 8;
    header.source = match plan.shape.acknowledged {
        Acknowledged::Whole => Source::S3,
        _ => Source::Sqs,
    };
    header.targets = (1..=plan.shape.targets)
        .map(|number| TargetBucket {
            bucket: bucket(number),
            separate: plan.shape.streams && number == plan.shape.targets,
            create: true,
        })
        .collect();
    header
}

fn kind(plan: &Plan, key: u8, what: What) -> OperationKind {
    let name = format!("k{key}");
    let one = |value: u8| BTreeMap::from([("k".to_owned(), value.to_string())]);
    let some = |value: u8| {
        if value > 0 {
            one(value)
        } else {
            BTreeMap::new()
        }
    };
    match what {
        What::Put(State {
            content,
            metadata,
            header,
            tags,
        }) => OperationKind::Put(Put {
            key: name,
            body: body(plan, content),
            parts: if plan.shape.parts {
                vec![PART; 2]
            } else {
                Vec::new()
            },
            metadata: some(metadata),
            headers: if header > 0 {
                BTreeMap::from([("Cache-Control".to_owned(), format!("max-age={header}"))])
            } else {
                BTreeMap::new()
            },
            tags: some(tags),
            ..Put::default()
        }),
        What::Tag(0) => OperationKind::Untag(Untag { key: name }),
        What::Tag(tags) => OperationKind::Tag(Tag {
            key: name,
            tags: one(tags),
        }),
        What::Delete => OperationKind::Delete(Delete {
            key: name,
            version: None,
        }),
        What::DeleteVersion(of) => {
            let version = plan.operation(of).map(|_| format!("p{of}"));
            OperationKind::Delete(Delete { key: name, version })
        }
    }
}

fn body(plan: &Plan, content: u8) -> Body {
    match plan.shape.parts {
        true => Body::Generated {
            size: 2 * PART,
            seed: content.into(),
        },
        false => Body::Text(format!("content {content}")),
    }
}

/// The disturbances that met a request, as faults of those requests.
fn faults(run: &Run, actions: &mut Vec<(Option<String>, Action)>) {
    // How many requests of a kind no fault has taken so far.
    let mut passed: HashMap<(&str, u8, u8), u32> = HashMap::new();
    for (_, line) in run.trace.lines() {
        let Line::Sent {
            bucket,
            key,
            operation: name,
            effect,
            ..
        } = line
        else {
            continue;
        };
        let passed = passed.entry((*name, *bucket, *key)).or_default();
        let effect = effect.and_then(|effect| fault_effect(effect, name));
        let (Some(effect), Ok(on)) = (effect, name.parse::<S3Operation>()) else {
            *passed += 1;
            continue;
        };
        let mut fault = Fault::new(effect);
        fault.on = Some(on);
        fault.scope = Scope::Bucket(if *bucket == 0 {
            "master".to_owned()
        } else {
            format!("replica-{bucket}")
        });
        fault.key = (*name != "HeadBucket").then(|| format!("k{key}"));
        fault.after = *passed;
        actions.push((None, Action::Fault(fault)));
    }
}

/// What the fault layer can do of it.
fn fault_effect(effect: Effect, operation: &str) -> Option<FaultEffect> {
    Some(match effect {
        Effect::Slow(delays) if delays.way_in + delays.work >= 1000 => {
            FaultEffect::Delay((delays.way_in + delays.work) / 1000, When::Before)
        }
        Effect::Slow(delays) if delays.way_back >= 1000 => {
            FaultEffect::Delay(delays.way_back / 1000, When::After)
        }
        Effect::Slow(_) => return None,
        Effect::Answer(200)
            if ["CopyObject", "UploadPartCopy", "CompleteMultipartUpload"].contains(&operation) =>
        {
            FaultEffect::ErrorIn200
        }
        Effect::Answer(200) => FaultEffect::Answer(500),
        Effect::Answer(status) => FaultEffect::Answer(status),
        Effect::Reset {
            takes_effect: true, ..
        } => FaultEffect::Reset(When::After),
        Effect::Reset { .. } => FaultEffect::Reset(When::Before),
        Effect::Silence { .. } => FaultEffect::Delay(60_000, When::After),
        Effect::Kill { sent: true, .. } => FaultEffect::Kill(When::After),
        Effect::Kill { .. } => FaultEffect::Kill(When::Before),
        Effect::Freeze(_) => return None,
    })
}
