//! How a bucket's events leave its store: what its notification configuration says.

use std::collections::BTreeSet;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};

use super::{LiveError, Master};

/// A way out of a store that can be listened to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// MinIO posts each event to a URL that only its own configuration knows.
    Webhook,
    /// Events are messages of this queue, at the store's own endpoint.
    Queue {
        /// Its ARN.
        arn: String,
    },
}

/// Every channel that is in use, each once.
pub type Channels = BTreeSet<Channel>;

/// Where a bucket that notifies nobody yet is to send its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wiring {
    /// `arn:minio:sqs::ID:webhook` or a queue's ARN.
    pub arn: String,
    /// Where copies go ahead of it, if the store has that at all.
    pub prompt: Option<String>,
    /// Which events.
    pub events: &'static [&'static str],
}

impl Wiring {
    /// MinIO's webhooks as `just up` configures them. The one with a queue folder loses nothing and
    /// looks into its folder every three seconds; the other sends at once, or never. Changes of
    /// tags count as creations there.
    pub fn minio() -> Self {
        Self {
            arn: "arn:minio:sqs::REPLICATOR:webhook".to_owned(),
            prompt: Some("arn:minio:sqs::PROMPT:webhook".to_owned()),
            events: &["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        }
    }

    /// LocalStack's queue as `just up` makes it.
    pub fn localstack() -> Self {
        Self::queue("arn:aws:sqs:us-east-1:000000000000:s3-replicator-events")
    }

    /// A queue that behaves as on AWS.
    pub fn queue(arn: impl Into<String>) -> Self {
        Self {
            arn: arn.into(),
            prompt: None,
            events: &[
                "s3:ObjectCreated:*",
                "s3:ObjectRemoved:*",
                "s3:ObjectTagging:*",
            ],
        }
    }
}

/// The channels of these masters.
///
/// # Errors
/// One of them has none that can be listened to.
pub async fn channels<'a>(
    client: impl Fn(&str) -> Client,
    endpoint: &str,
    masters: impl IntoIterator<Item = &'a Master>,
) -> Result<Channels, LiveError> {
    let mut all = Channels::new();
    for Master { bucket, .. } in masters {
        let configuration = read(&client(&bucket.region), &bucket.name).await;
        let (found, others) = match &configuration {
            Ok(configuration) => sort(configuration),
            // Not every store knows the request, and then it can't do what it asks about either.
            Err(error) => (Channels::new(), vec![error.clone()]),
        };
        if found.is_empty() {
            let found = match others.as_slice() {
                [] => "its notification configuration is empty".to_owned(),
                others => others.join(", "),
            };
            return Err(LiveError::NoEvents {
                bucket: bucket.name.clone(),
                endpoint: endpoint.to_owned(),
                found,
            });
        }
        all.extend(found);
    }
    Ok(all)
}

/// Has a bucket send its events there as well, unless it does already.
pub(super) async fn wire(
    client: &Client,
    master: &Master,
    wiring: &Wiring,
) -> Result<(), LiveError> {
    let bucket = &master.bucket;
    let configuration = read(client, &bucket.name)
        .await
        .map_err(|error| LiveError::bucket("GetBucketNotificationConfiguration", bucket, error))?;
    let put = async |arns: &[&String]| {
        let mut configuration = configuration.clone();
        let queues = configuration.queue_configurations.get_or_insert_default();
        let is_new = |arn: &&&String| queues.iter().all(|queue| queue.queue_arn != ***arn);
        let new: Vec<&&String> = arns.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let added = new.into_iter().map(|arn| {
            let events = wiring.events.iter().map(|name| Event::from(*name));
            QueueConfiguration::builder()
                .queue_arn(arn.as_str())
                .set_events(Some(events.collect()))
                .build()
                .expect("arn and events are set")
        });
        queues.extend(added);
        let put = client.put_bucket_notification_configuration();
        let put = put
            .bucket(&bucket.name)
            .notification_configuration(configuration);
        put.send().await.map(drop)
    };
    if let Some(prompt) = &wiring.prompt
        && put(&[&wiring.arn, prompt]).await.is_ok()
    {
        return Ok(());
    }
    put(&[&wiring.arn])
        .await
        .map_err(|error| LiveError::Wiring {
            bucket: bucket.name.clone(),
            arn: wiring.arn.clone(),
            source: error.into(),
        })
}

async fn read(client: &Client, bucket: &str) -> Result<NotificationConfiguration, String> {
    let get = client
        .get_bucket_notification_configuration()
        .bucket(bucket);
    match get.send().await {
        Ok(answer) => Ok(NotificationConfiguration::builder()
            .set_queue_configurations(answer.queue_configurations)
            .set_topic_configurations(answer.topic_configurations)
            .set_lambda_function_configurations(answer.lambda_function_configurations)
            .set_event_bridge_configuration(answer.event_bridge_configuration)
            .build()),
        Err(error) => Err(DisplayErrorContext(error).to_string()),
    }
}

/// What can be listened to, and the ARNs of what can not.
fn sort(configuration: &NotificationConfiguration) -> (Channels, Vec<String>) {
    let (mut channels, mut others) = (Channels::new(), Vec::new());
    for queue in configuration.queue_configurations() {
        let parts: Vec<&str> = queue.queue_arn.split(':').collect();
        match parts[..] {
            ["arn", "minio", "sqs", _, _, "webhook"] => drop(channels.insert(Channel::Webhook)),
            ["arn", _, "sqs", region, _, _] if !region.is_empty() => {
                let arn = queue.queue_arn.clone();
                channels.insert(Channel::Queue { arn });
            }
            _ => others.push(queue.queue_arn.clone()),
        }
    }
    let topics = configuration.topic_configurations().iter();
    others.extend(topics.map(|topic| topic.topic_arn.clone()));
    let functions = configuration.lambda_function_configurations().iter();
    others.extend(functions.map(|function| function.lambda_function_arn.clone()));
    (channels, others)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn configuration(arn: &str) -> NotificationConfiguration {
        let queue = QueueConfiguration::builder()
            .queue_arn(arn)
            .events(Event::from("s3:ObjectCreated:*"))
            .build()
            .unwrap();
        NotificationConfiguration::builder()
            .queue_configurations(queue)
            .build()
    }

    #[rstest]
    #[case::webhook("arn:minio:sqs::REPLICATOR:webhook", Some(Channel::Webhook))]
    #[case::queue(
        "arn:aws:sqs:eu-west-1:000000000000:q",
        Some(Channel::Queue { arn: "arn:aws:sqs:eu-west-1:000000000000:q".to_owned() })
    )]
    #[case::kafka("arn:minio:sqs::1:kafka", None)]
    #[case::nothing_known("queue", None)]
    fn channel_is_read_from_the_arn(#[case] arn: &str, #[case] expected: Option<Channel>) {
        let (channels, others) = sort(&configuration(arn));
        assert_eq!(others.is_empty(), expected.is_some());
        assert_eq!(channels.into_iter().next(), expected);
    }
}
