//! A real store's own events, shown as they are handled.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::Serialize;

use super::arguments::WorldArguments;
use crate::cli::spectator::{json, line, show_outcome};
use crate::cli::{CommandError, Ended, told_to_end};
use crate::local::lambda::{MessageQueue, Program};
use crate::local::live::{Channels, LiveOptions, LiveWorld, Master, Tap};
use crate::local::world::RemoteStore;

/// What is listened to: masters, and how their events leave the store.
pub(in crate::cli) struct Heard {
    pub(in crate::cli) masters: Vec<Master>,
    pub(in crate::cli) channels: Channels,
}

/// Finds, or makes, the masters that the flags ask for.
pub(in crate::cli) async fn hear(
    arguments: &WorldArguments,
    store: &Arc<RemoteStore>,
) -> Result<Heard, CommandError> {
    let masters = arguments.masters(store).await?;
    let mut channels = Channels::new();
    for master in &masters {
        channels.extend(master.channels(store).await?);
    }
    Ok(Heard { masters, channels })
}

/// Starts the function and listens; says what there is and how to try it.
pub(in crate::cli) async fn listen(
    arguments: &WorldArguments,
    store: &Arc<RemoteStore>,
    heard: &Heard,
    program: &Program,
    tap: Option<Tap>,
) -> Result<LiveWorld, CommandError> {
    let is_json = arguments.json;
    let region = heard.masters.first().map(|it| it.bucket.region.clone());
    let mut options = LiveOptions::new(Arc::clone(store), heard.channels.clone(), program.clone());
    options.region = region.unwrap_or(options.region);
    options.listen = arguments.webhook();
    options.tap = tap;
    options.on_trouble = Arc::new(|what| anstream::eprintln!("warning: {what}"));
    let world = LiveWorld::start(options, move |_, outcome| match outcome {
        Some(outcome) if is_json => json(outcome),
        Some(outcome) => show_outcome(&[], outcome),
        None => {}
    })
    .await?;
    greet(arguments, store, heard, &world);
    Ok(world)
}

/// Takes no more events, finishes those that were accepted, and says what could not be done. A
/// second signal ends it at once.
pub(in crate::cli) async fn finish(world: LiveWorld) -> Ended {
    let ended = tokio::select! {
        ended = world.stop() => ended,
        () = told_to_end() => return Ended::Interrupted,
    };
    for record in &ended.on_failure {
        anstream::eprintln!("warning: an event failed for good: {record}");
    }
    if ended.abandoned {
        anstream::eprintln!(
            "error: events were still in work, and are lost unless they were messages of a queue"
        );
        return Ended::WithDifferences;
    }
    Ended::Well
}

fn greet(arguments: &WorldArguments, store: &RemoteStore, heard: &Heard, world: &LiveWorld) {
    #[derive(Serialize)]
    struct Ready<'a> {
        ready: bool,
        endpoint: &'a str,
        masters: Vec<&'a str>,
        webhooks: Vec<SocketAddr>,
        queues: Vec<&'a str>,
    }

    let place = store.place();
    let masters = heard.masters.iter();
    if arguments.json {
        return json(&Ready {
            ready: true,
            endpoint: &place.endpoint,
            masters: masters.map(|master| master.bucket.name.as_str()).collect(),
            webhooks: world.webhooks(),
            queues: world.queues().iter().map(MessageQueue::arn).collect(),
        });
    }
    line(format_args!(
        "{} at {}, Ctrl-C ends it",
        place.name, place.endpoint
    ));
    for Master { bucket, targets } in masters {
        let targets: Vec<String> = targets
            .iter()
            .map(|target| format!("{}@{}", target.bucket, target.site))
            .collect();
        let targets = match targets.as_slice() {
            [] => "no target: tag it with ReplicatedTargetBuckets".to_owned(),
            targets => targets.join(" "),
        };
        line(format_args!(
            "master {}@{} to {targets}",
            bucket.name, bucket.region
        ));
    }
    let webhooks = world.webhooks();
    if !webhooks.is_empty() {
        let webhooks: Vec<String> = webhooks.iter().map(ToString::to_string).collect();
        line(format_args!(
            "events by webhook on {}",
            webhooks.join(" and ")
        ));
    }
    for queue in world.queues() {
        let dead_letters = match queue.dead_letters() {
            Some((arn, count)) => format!("after {count} receives to {arn}"),
            None => "no dead letters".to_owned(),
        };
        line(format_args!("events from {}, {dead_letters}", queue.arn()));
    }
    show_commands(arguments, store, &heard.masters[0]);
}

/// Lines to paste. Keys that everybody knows are among them, the user's own are not.
fn show_commands(arguments: &WorldArguments, store: &RemoteStore, master: &Master) {
    let place = store.place();
    line(format_args!(""));
    line(format_args!(
        "  export AWS_ENDPOINT_URL={} AWS_REGION={}",
        place.endpoint, master.bucket.region
    ));
    if arguments.function.store.has_well_known_keys() {
        line(format_args!(
            "  export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}",
            place.credentials.access_key_id(),
            place.credentials.secret_access_key()
        ));
    }
    line(format_args!(
        "  echo hello | aws s3 cp - s3://{}/hello.txt",
        master.bucket.name
    ));
    if let Some(target) = master.targets.first() {
        line(format_args!("  aws s3 ls s3://{}", target.bucket));
    }
    line(format_args!(""));
}
