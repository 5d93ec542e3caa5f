//! `record --from-dead-letters`: what was given up, as a recording that reproduces it.

use std::collections::BTreeMap;
use std::path::Path;

use aws_config::{Region, SdkConfig};

use crate::cli::CommandError;
use crate::cli::dev::place::Place;
use crate::cli::redrive::queues;
use crate::cli::store::StoreName;
use crate::envelope;
use crate::local::lambda::{Message, Source, sqs_event};
use crate::local::live::{DeadLetters, Letter, LiveError, bucket_tags};
use crate::local::record::{RecordError, Recorder};
use crate::local::recording::{Bucket, Header, TargetBucket};
use crate::targets::{is_region, parse};

/// Writes a recording of all messages in a queue, and leaves them there.
pub(super) async fn record(
    queue: &str,
    store: &StoreName,
    master: Option<&Place>,
    out: &Path,
    name: &str,
) -> Result<Recorder, CommandError> {
    let client = queues(store, queue).await?;
    let mut dead = DeadLetters::open(client, queue).await?;
    let letters = all(&mut dead).await?;
    let written = write(&dead, &letters, store, master, out, name).await;
    dead.release(&letters).await;
    written
}

async fn write(
    dead: &DeadLetters,
    letters: &[Letter],
    store: &StoreName,
    master: Option<&Place>,
    out: &Path,
    name: &str,
) -> Result<Recorder, CommandError> {
    if letters.is_empty() {
        let queue = dead.arn().to_owned();
        return Err(LiveError::NoLetters { queue }.into());
    }
    let aws = store.aws().await?;
    let master = match master {
        Some(place) => Some(Bucket::new(&place.bucket, &place.region)),
        None => named(letters)?,
    };
    let (client, header) = match master {
        Some(master) => {
            let client = client(&aws, &master.region);
            let header = describe(&client, master, name).await?;
            (client, header)
        }
        // What names no bucket is refused in any world.
        None => {
            let master = Bucket::new("master", "us-east-1");
            (client(&aws, &master.region), Header::new(name, master))
        }
    };
    let header = Header {
        source: Source::Sqs,
        ..header
    };
    let recorder = Recorder::create(out, &header, client)?;
    for letter in letters {
        let message = Message {
            body: letter.event().to_owned(),
            ..letter.message.clone()
        };
        let payload = sqs_event(&[message], dead.arn());
        recorder.dead_letter(&payload, &letter.message.id).await?;
    }
    Ok(recorder)
}

/// Everything that is in the queue.
async fn all(dead: &mut DeadLetters) -> Result<Vec<Letter>, CommandError> {
    let mut all = Vec::new();
    loop {
        let letters = dead.receive().await?;
        if letters.is_empty() {
            return Ok(all);
        }
        all.extend(letters);
    }
}

/// The one bucket that the messages are about, if they are about any.
fn named(letters: &[Letter]) -> Result<Option<Bucket>, CommandError> {
    let mut regions: BTreeMap<String, String> = BTreeMap::new();
    for letter in letters {
        let deliveries = envelope::parse(letter.event()).map(|it| it.deliveries);
        for change in deliveries
            .unwrap_or_default()
            .into_iter()
            .flat_map(|it| it.changes)
        {
            let region = change.region.unwrap_or_else(|| "us-east-1".to_owned());
            regions.insert(change.bucket, region);
        }
    }
    if regions.len() > 1 {
        let names: Vec<String> = regions.into_keys().collect();
        return Err(CommandError::Input(format!(
            "the messages are about {} buckets ({}); choose one with --master NAME@REGION",
            names.len(),
            names.join(", ")
        )));
    }
    Ok(regions
        .pop_first()
        .map(|(name, region)| Bucket::new(name, region)))
}

/// The master as it is, with its targets as its tags name them.
async fn describe(
    client: &aws_sdk_s3::Client,
    mut master: Bucket,
    name: &str,
) -> Result<Header, CommandError> {
    master.tags = bucket_tags(client, &master).await?;
    let pairs = master.tags.iter();
    let pairs = pairs.map(|(key, value)| (key.as_str(), value.as_str()));
    let targets = parse(pairs, |_| true).targets;
    let mut header = Header::new(name, master);
    for target in targets {
        if !is_region(&target.site) {
            return Err(CommandError::Record(RecordError::Site {
                bucket: target.bucket,
                site: target.site,
            }));
        }
        header.targets.push(TargetBucket {
            bucket: Bucket::new(&target.bucket, &target.site),
            separate: false,
            create: true,
        });
    }
    Ok(header)
}

fn client(aws: &SdkConfig, region: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(aws)
        .region(Region::new(region.to_owned()))
        .force_path_style(aws.endpoint_url().is_some());
    aws_sdk_s3::Client::from_conf(config.build())
}
