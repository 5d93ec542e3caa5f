//! A real SQS queue as a mapping polls it.
//!
//! Invariant: what fails here is left to the queue. A message that could not be deleted, or whose
//! time could not be prolonged, comes again when its visibility timeout has passed, and moves to
//! the dead letters by the queue's own redrive policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_sqs::config::{BehaviorVersion, Region};
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    Message as SqsMessage, MessageSystemAttributeName as Attribute, QueueAttributeName,
};
use aws_sdk_sqs::{Client, Config};
use serde::Deserialize;
use tokio::time::Instant;

use super::LiveError;
use crate::local::lambda::{Message, MessageQueue};
use crate::local::world::RemoteStore;

/// What one request receives, deletes or changes at most.
pub(super) const MOST_AT_ONCE: usize = 10;
/// How long to wait between looks that may not wait themselves.
const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait before a queue that does not answer is asked again.
const BACK_OFF: Duration = Duration::from_secs(1);

/// Is told of what goes wrong and of its end, for people.
pub type OnTrouble = Arc<dyn Fn(&str) + Send + Sync>;

/// A queue at a store's endpoint; clones are the same queue.
#[derive(Clone)]
pub struct SqsQueue {
    client: Client,
    url: String,
    arn: String,
    visibility_timeout: Duration,
    redrive: Option<RedrivePolicy>,
    trouble: Trouble,
}

/// When and where messages go that nobody manages to handle.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedrivePolicy {
    dead_letter_target_arn: String,
    /// LocalStack gives back the text that it was given.
    max_receive_count: serde_json::Value,
}

impl SqsQueue {
    /// Finds a queue by its ARN at the endpoint of the store, with the store's credentials.
    ///
    /// # Errors
    /// There is none, or it tells nothing of itself.
    pub async fn open(
        store: &RemoteStore,
        arn: &str,
        on_trouble: OnTrouble,
    ) -> Result<Self, LiveError> {
        let mut parts = arn.split(':').skip(3).map(str::to_owned);
        let (region, account, name) = (parts.next(), parts.next(), parts.next());
        let place = store.place();
        let client = Client::from_conf(
            Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .http_client(store.http_client())
                .region(region.map(Region::new))
                .endpoint_url(&place.endpoint)
                .credentials_provider(place.credentials.clone())
                .build(),
        );
        let found = client
            .get_queue_url()
            .set_queue_name(name)
            .set_queue_owner_aws_account_id(account)
            .send()
            .await
            .map_err(|error| LiveError::request("GetQueueUrl", arn, error))?;
        let url = found.queue_url.unwrap_or_default();
        let told = client
            .get_queue_attributes()
            .queue_url(&url)
            .attribute_names(QueueAttributeName::VisibilityTimeout)
            .attribute_names(QueueAttributeName::RedrivePolicy)
            .send()
            .await
            .map_err(|error| LiveError::request("GetQueueAttributes", arn, error))?;
        let told = told.attributes.unwrap_or_default();
        let seconds = told
            .get(&QueueAttributeName::VisibilityTimeout)
            .and_then(|seconds| seconds.parse().ok());
        let redrive = told
            .get(&QueueAttributeName::RedrivePolicy)
            .and_then(|policy| serde_json::from_str(policy).ok());
        Ok(Self {
            client,
            url,
            arn: arn.to_owned(),
            visibility_timeout: Duration::from_secs(seconds.unwrap_or(30)),
            redrive,
            trouble: Trouble::new(on_trouble),
        })
    }

    /// The ARN of its dead-letter queue, and after how many receipts messages go there.
    pub fn dead_letters(&self) -> Option<(&str, String)> {
        let RedrivePolicy {
            dead_letter_target_arn,
            max_receive_count,
        } = self.redrive.as_ref()?;
        let count = max_receive_count.to_string();
        Some((dead_letter_target_arn, count.trim_matches('"').to_owned()))
    }

    /// One look that waits `seconds` at most.
    async fn look(&self, max: usize, seconds: u64) -> Result<Vec<Message>, String> {
        let receive = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(max.min(MOST_AT_ONCE) as i32)
            .wait_time_seconds(seconds as i32)
            .message_system_attribute_names(Attribute::All);
        let received = receive.send().await.map_err(described)?;
        let messages = received.messages.unwrap_or_default();
        Ok(messages.into_iter().map(message).collect())
    }
}

impl MessageQueue for SqsQueue {
    fn arn(&self) -> &str {
        &self.arn
    }

    fn visibility_timeout(&self) -> Duration {
        self.visibility_timeout
    }

    async fn receive(&self, max: usize, wait: Duration) -> Vec<Message> {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // SQS waits for whole seconds.
            let pause = match self.look(max, left.as_secs().min(20)).await {
                Ok(messages) if !messages.is_empty() => {
                    self.trouble.ends();
                    return messages;
                }
                Ok(_) => {
                    self.trouble.ends();
                    PAUSE
                }
                Err(error) => {
                    self.trouble
                        .begins(&format!("queue {} does not answer: {error}", self.arn));
                    BACK_OFF
                }
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Vec::new();
            }
            tokio::time::sleep(pause.min(left)).await;
        }
    }

    async fn delete(&self, messages: &[&Message]) {
        for some in messages.chunks(MOST_AT_ONCE) {
            let entries = (0..).zip(some).map(|(number, message)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(number.to_string())
                    .receipt_handle(&message.receipt_handle)
                    .build()
                    .expect("id and handle are set")
            });
            let delete = self.client.delete_message_batch().queue_url(&self.url);
            let failed = match delete.set_entries(Some(entries.collect())).send().await {
                Ok(answer) => answer.failed.first().map(|entry| entry.code.clone()),
                Err(error) => Some(described(error)),
            };
            if let Some(why) = failed {
                let arn = &self.arn;
                self.trouble.say(&format!(
                    "messages of {arn} could not be deleted and come again: {why}"
                ));
            }
        }
    }

    async fn hide(&self, messages: &[&Message], after: Duration) {
        for some in messages.chunks(MOST_AT_ONCE) {
            let entries = (0..).zip(some).map(|(number, message)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(number.to_string())
                    .receipt_handle(&message.receipt_handle)
                    .visibility_timeout(after.as_secs() as i32)
                    .build()
                    .expect("id and handle are set")
            });
            let change = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.url);
            if let Err(error) = change.set_entries(Some(entries.collect())).send().await {
                let (arn, why) = (&self.arn, described(error));
                self.trouble.say(&format!(
                    "visibility of messages of {arn} could not be changed: {why}"
                ));
            }
        }
    }
}

pub(super) fn described<E: std::error::Error>(error: E) -> String {
    DisplayErrorContext(error).to_string()
}

/// A message as it came; what SQS leaves out is taken for the least.
pub(super) fn message(received: SqsMessage) -> Message {
    let attributes = received.attributes.unwrap_or_default();
    let text = |name: Attribute| attributes.get(&name).cloned().unwrap_or_default();
    let time = |name: Attribute| -> SystemTime {
        let millis = text(name).parse().unwrap_or(0);
        UNIX_EPOCH + Duration::from_millis(millis)
    };
    Message {
        id: received.message_id.unwrap_or_default(),
        body: received.body.unwrap_or_default(),
        receipt_handle: received.receipt_handle.unwrap_or_default(),
        sender_id: text(Attribute::SenderId),
        receive_count: text(Attribute::ApproximateReceiveCount)
            .parse()
            .unwrap_or(1),
        sent_at: time(Attribute::SentTimestamp),
        first_received_at: time(Attribute::ApproximateFirstReceiveTimestamp),
    }
}

/// Tells of trouble once, and of its end.
#[derive(Clone)]
struct Trouble {
    on_trouble: OnTrouble,
    there_is: Arc<AtomicBool>,
}

impl Trouble {
    fn new(on_trouble: OnTrouble) -> Self {
        Self {
            on_trouble,
            there_is: Arc::default(),
        }
    }

    fn begins(&self, what: &str) {
        if !self.there_is.swap(true, Ordering::Relaxed) {
            (self.on_trouble)(&format!("{what}; it is asked again every second"));
        }
    }

    fn ends(&self) {
        if self.there_is.swap(false, Ordering::Relaxed) {
            (self.on_trouble)("the queue answers again");
        }
    }

    fn say(&self, what: &str) {
        (self.on_trouble)(what);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn message_has_what_sqs_says_of_it() {
        let received = SqsMessage::builder()
            .message_id("m")
            .body("{}")
            .receipt_handle("r")
            .attributes(Attribute::SenderId, "000000000000")
            .attributes(Attribute::ApproximateReceiveCount, "3")
            .attributes(Attribute::SentTimestamp, "1545082649183")
            .attributes(Attribute::ApproximateFirstReceiveTimestamp, "1545082649185")
            .build();
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        let expected = Message {
            id: "m".to_owned(),
            body: "{}".to_owned(),
            receipt_handle: "r".to_owned(),
            sender_id: "000000000000".to_owned(),
            receive_count: 3,
            sent_at: at(1_545_082_649_183),
            first_received_at: at(1_545_082_649_185),
        };
        assert_eq!(message(received), expected);
    }

    #[test]
    fn trouble_is_told_once_and_so_is_its_end() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let trouble = Trouble::new(Arc::new(move |what| {
            heard.lock().unwrap().push(what.to_owned());
        }));
        trouble.ends();
        trouble.begins("it is down");
        trouble.begins("it is down");
        trouble.ends();
        trouble.ends();
        let told = told.lock().unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("it is down"));
    }
}
