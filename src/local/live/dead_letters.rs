//! A real dead-letter queue: what was given up, and how it gets another chance.
//!
//! It holds messages that failed as often as their queue allows, and the records that Lambda makes
//! of asynchronous events whose attempts have all failed.
//!
//! Invariant: a message is deleted only after it was put back. Whatever ends a redrive, each one is
//! in at least one of the two queues.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageAttributeValue, SendMessageBatchRequestEntry,
};
use serde_json::value::RawValue;

use super::LiveError;
use super::sqs::{MOST_AT_ONCE, described, message};
use crate::local::lambda::Message;

/// How long received messages stay hidden from others, in seconds.
const HIDDEN: i32 = 300;

/// A queue of what was given up.
pub struct DeadLetters {
    client: Client,
    url: String,
    arn: String,
    /// The ids of messages that were received, or put into this very queue.
    seen: BTreeSet<String>,
}

/// A message that was given up.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// The message as it is in the queue.
    pub message: Message,
    attributes: Option<HashMap<String, MessageAttributeValue>>,
}

impl Letter {
    /// What is put back: the message, or the event in the record that Lambda made of its failure.
    pub fn event(&self) -> &str {
        event_in(&self.message.body)
    }

    /// Whether it is a record of an asynchronous event.
    pub fn is_record(&self) -> bool {
        self.event().len() != self.message.body.len()
    }
}

/// The event inside a record of an on-failure destination; any other text is the event itself.
///
/// A record of a record is opened as well, so that what fails again and again does not nest.
fn event_in(body: &str) -> &str {
    let mut event = body;
    // A struct would be read from an array as well, which is no record.
    while let Ok(object) = serde_json::from_str::<BTreeMap<String, &RawValue>>(event)
        && let Some(request) = object.get("requestPayload")
    {
        event = request.get();
    }
    event
}

impl DeadLetters {
    /// Finds a queue by its name, ARN or URL.
    ///
    /// # Errors
    /// There is none, or it tells nothing of itself.
    pub async fn open(client: Client, queue: &str) -> Result<Self, LiveError> {
        let url = url_of(&client, queue).await?;
        let arn = arn_of(&client, &url).await?;
        Ok(Self {
            client,
            url,
            arn,
            seen: BTreeSet::new(),
        })
    }

    /// Its ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The queues whose messages end here, by their URLs.
    ///
    /// # Errors
    /// The request failed.
    pub async fn sources(&self) -> Result<Vec<String>, LiveError> {
        let list = self.client.list_dead_letter_source_queues();
        let list = list.queue_url(&self.url).send().await;
        let operation = "ListDeadLetterSourceQueues";
        let list = list.map_err(|error| LiveError::request(operation, &self.arn, error))?;
        Ok(list.queue_urls)
    }

    /// Takes messages that were not taken before, and hides them for five minutes; none if there
    /// are no more.
    ///
    /// # Errors
    /// The request failed.
    pub async fn receive(&mut self) -> Result<Vec<Letter>, LiveError> {
        let receive = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MOST_AT_ONCE as i32)
            .visibility_timeout(HIDDEN)
            // Without waiting, SQS looks into some of its servers only.
            .wait_time_seconds(1)
            .message_attribute_names("All")
            .message_system_attribute_names(aws_sdk_sqs::types::MessageSystemAttributeName::All);
        let received = receive.send().await;
        let received =
            received.map_err(|error| LiveError::request("ReceiveMessage", &self.arn, error))?;
        let received = received.messages.unwrap_or_default().into_iter();
        let letters = received.map(|received| Letter {
            attributes: received.message_attributes.clone(),
            message: message(received),
        });
        let mut letters: Vec<Letter> = letters.collect();
        letters.retain(|letter| self.seen.insert(letter.message.id.clone()));
        Ok(letters)
    }

    /// Shows messages again, to whoever looks next.
    pub async fn release(&self, letters: &[Letter]) {
        for some in letters.chunks(MOST_AT_ONCE) {
            let entries = (0..).zip(some).map(|(number, letter)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(number.to_string())
                    .receipt_handle(&letter.message.receipt_handle)
                    .visibility_timeout(0)
                    .build()
                    .expect("id and handle are set")
            });
            let show = self.client.change_message_visibility_batch();
            let show = show
                .queue_url(&self.url)
                .set_entries(Some(entries.collect()));
            // Five minutes later they show themselves.
            let _ = show.send().await;
        }
    }

    /// Puts up to ten messages into another queue, and then deletes them here; answers why it did
    /// not, for each that is still here.
    pub async fn put_back(&mut self, letters: &[Letter], url: &str) -> Vec<(String, String)> {
        let mut failed = self.send(letters, url).await;
        let sent = letters.iter().zip(0..);
        let sent: Vec<(&Letter, usize)> = sent
            .filter(|(_, number)| !failed.contains_key(number))
            .collect();
        failed.extend(self.delete(&sent).await);
        let ids = failed.into_iter();
        ids.map(|(number, why)| (letters[number].message.id.clone(), why))
            .collect()
    }

    /// Why each one was not sent, by its place among `letters`.
    async fn send(&mut self, letters: &[Letter], url: &str) -> BTreeMap<usize, String> {
        let entries = letters.iter().zip(0..).map(|(letter, number)| {
            SendMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .message_body(letter.event())
                .set_message_attributes(letter.attributes.clone())
                .build()
                .expect("id and body are set")
        });
        let send = self.client.send_message_batch().queue_url(url);
        match send.set_entries(Some(entries.collect())).send().await {
            Ok(answer) => {
                // Should they come here again, they had their chance.
                let sent = answer.successful.iter();
                self.seen.extend(sent.map(|sent| sent.message_id.clone()));
                let failed = answer.failed.into_iter();
                failed
                    .filter_map(|entry| {
                        let why = entry.message.unwrap_or(entry.code);
                        Some((entry.id.parse().ok()?, format!("not put back: {why}")))
                    })
                    .collect()
            }
            Err(error) => {
                let why = format!("not put back: {}", described(error));
                (0..letters.len())
                    .map(|number| (number, why.clone()))
                    .collect()
            }
        }
    }

    async fn delete(&self, letters: &[(&Letter, usize)]) -> BTreeMap<usize, String> {
        if letters.is_empty() {
            return BTreeMap::new();
        }
        let entries = letters.iter().map(|(letter, number)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(number.to_string())
                .receipt_handle(&letter.message.receipt_handle)
                .build()
                .expect("id and handle are set")
        });
        let why = |why: &str| format!("put back, but still here as well: {why}");
        let delete = self.client.delete_message_batch().queue_url(&self.url);
        match delete.set_entries(Some(entries.collect())).send().await {
            Ok(answer) => {
                let failed = answer.failed.into_iter();
                failed
                    .filter_map(|entry| Some((entry.id.parse().ok()?, why(&entry.code))))
                    .collect()
            }
            Err(error) => {
                let why = why(&described(error));
                letters
                    .iter()
                    .map(|(_, number)| (*number, why.clone()))
                    .collect()
            }
        }
    }
}

/// The URL of a queue that is named by its name, ARN or URL.
///
/// # Errors
/// There is none.
pub async fn url_of(client: &Client, queue: &str) -> Result<String, LiveError> {
    if queue.starts_with("http://") || queue.starts_with("https://") {
        return Ok(queue.to_owned());
    }
    let mut parts = queue.split(':').skip(4).map(str::to_owned);
    let (account, name) = (parts.next(), parts.next());
    let find = client
        .get_queue_url()
        .queue_name(name.unwrap_or_else(|| queue.to_owned()))
        .set_queue_owner_aws_account_id(account);
    let found = find.send().await;
    let found = found.map_err(|error| LiveError::request("GetQueueUrl", queue, error))?;
    Ok(found.queue_url.unwrap_or_default())
}

async fn arn_of(client: &Client, url: &str) -> Result<String, LiveError> {
    use aws_sdk_sqs::types::QueueAttributeName::QueueArn;
    let get = client.get_queue_attributes().queue_url(url);
    let told = get.attribute_names(QueueArn).send().await;
    let told = told.map_err(|error| LiveError::request("GetQueueAttributes", url, error))?;
    let arn = told
        .attributes
        .and_then(|told| told.get(&QueueArn).cloned());
    Ok(arn.unwrap_or_else(|| url.to_owned()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::message(r#"{"Records": []}"#, r#"{"Records": []}"#)]
    #[case::poison("no JSON", "no JSON")]
    #[case::other_json("[1]", "[1]")]
    #[case::record(
        r#"{"version": "1.0", "requestPayload": {"Records": [ 1 ]}}"#,
        r#"{"Records": [ 1 ]}"#
    )]
    #[case::record_of_a_record(
        r#"{"requestPayload": {"requestPayload": {"a": 1}}}"#,
        r#"{"a": 1}"#
    )]
    #[case::record_of_poison(r#"{"requestPayload": "no event"}"#, r#""no event""#)]
    fn event_is_taken_out_of_records(#[case] body: &str, #[case] expected: &str) {
        assert_eq!(event_in(body), expected);
    }
}
