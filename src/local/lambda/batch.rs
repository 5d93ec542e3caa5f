//! What an event source mapping decides, as pure functions over messages: when a batch is full,
//! what the function receives, and which messages failed.
//!
//! Nothing here knows where messages come from: they may be polled from a real SQS as well.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::invocation::FunctionError;
use super::queue::Message;
use super::timestamp::unix_millis;

/// The largest payload that Lambda hands to a function, in bytes.
const MAX_PAYLOAD: usize = 6 * 1024 * 1024;

/// What surrounds a body in the payload takes about so much.
const MESSAGE_OVERHEAD: usize = 1024;

/// How messages are gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// How many messages make a batch at most.
    pub size: usize,
    /// How long the first message waits for others.
    pub window: Duration,
}

/// Whether the messages gathered so far go to the function now.
pub fn is_due(messages: &[Message], waited: Duration, limits: BatchLimits) -> bool {
    let full = messages.len() >= limits.size || payload_size(messages) >= MAX_PAYLOAD;
    !messages.is_empty() && (full || waited >= limits.window)
}

/// Cuts messages into batches, in order, none of them larger than the function may receive.
pub fn split(messages: Vec<Message>, limits: BatchLimits) -> Vec<Vec<Message>> {
    let mut batches: Vec<Vec<Message>> = Vec::new();
    let mut size = 0;
    for message in messages {
        let added = message_size(&message);
        match batches.last_mut() {
            Some(batch) if batch.len() < limits.size && size + added <= MAX_PAYLOAD => {
                size += added;
                batch.push(message);
            }
            _ => {
                size = added;
                batches.push(vec![message]);
            }
        }
    }
    batches
}

fn payload_size(messages: &[Message]) -> usize {
    messages.iter().map(message_size).sum()
}

fn message_size(message: &Message) -> usize {
    // A JSON body's quotes are escaped in the payload; its text says how many there are.
    let escapes = message
        .body
        .bytes()
        .filter(|byte| matches!(byte, b'"' | b'\\'))
        .count();
    message.body.len() + escapes + MESSAGE_OVERHEAD
}

/// The ids of the messages that come again, given what the function did with the batch.
///
/// With `ReportBatchItemFailures` an answer without failures is a success (`null`, `{}`, an empty
/// or a null list), and one that can't be understood fails the whole batch: no JSON, another type,
/// an identifier that is missing, empty or of no message in the batch. Without it, any answer is a
/// success. A function that erred has failed the whole batch in either case. See
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>.
pub fn failed(
    batch: &[Message],
    result: &Result<String, FunctionError>,
    report_batch_item_failures: bool,
) -> BTreeSet<String> {
    let all: BTreeSet<String> = batch.iter().map(|message| message.id.clone()).collect();
    match result {
        Err(_) => all,
        Ok(_) if !report_batch_item_failures => BTreeSet::new(),
        Ok(answer) => match reported(answer) {
            Some(failed) if failed.is_subset(&all) => failed,
            _ => all,
        },
    }
}

/// The identifiers in an answer, or nothing if it is not of the shape that was agreed.
fn reported(answer: &str) -> Option<BTreeSet<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Response {
        #[serde(default)]
        batch_item_failures: Option<Vec<Failure>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Failure {
        item_identifier: String,
    }
    // A struct would be read from an array as well, which is no response.
    let answer: serde_json::Value = serde_json::from_str(answer).ok()?;
    if answer.is_array() {
        return None;
    }
    let response: Option<Response> = serde_json::from_value(answer).ok()?;
    let failures = response
        .and_then(|response| response.batch_item_failures)
        .unwrap_or_default();
    Some(
        failures
            .into_iter()
            .map(|failure| failure.item_identifier)
            .collect(),
    )
}

/// The payload that a function receives for a batch from this queue.
pub fn event(batch: &[Message], queue_arn: &str) -> String {
    let records = batch
        .iter()
        .map(|message| Record::new(message, queue_arn))
        .collect();
    serde_json::to_string(&SqsEvent { records }).expect("strings and maps serialize")
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SqsEvent<'a> {
    records: Vec<Record<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    message_id: &'a str,
    receipt_handle: &'a str,
    body: &'a str,
    attributes: Attributes<'a>,
    message_attributes: serde_json::Map<String, serde_json::Value>,
    md5_of_body: String,
    event_source: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
    aws_region: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Attributes<'a> {
    approximate_receive_count: String,
    sent_timestamp: String,
    sender_id: &'a str,
    approximate_first_receive_timestamp: String,
}

impl<'a> Record<'a> {
    fn new(message: &'a Message, queue_arn: &'a str) -> Self {
        Self {
            message_id: &message.id,
            receipt_handle: &message.receipt_handle,
            body: &message.body,
            attributes: Attributes {
                approximate_receive_count: message.receive_count.to_string(),
                sent_timestamp: unix_millis(message.sent_at).to_string(),
                sender_id: &message.sender_id,
                approximate_first_receive_timestamp: unix_millis(message.first_received_at)
                    .to_string(),
            },
            message_attributes: serde_json::Map::new(),
            md5_of_body: md5_hex(&message.body),
            event_source: "aws:sqs",
            event_source_arn: queue_arn,
            aws_region: queue_arn.split(':').nth(3).unwrap_or_default(),
        }
    }
}

fn md5_hex(text: &str) -> String {
    Md5::digest(text)
        .iter()
        .fold(String::with_capacity(32), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes all that is written");
            hex
        })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn message(id: &str, body: &str) -> Message {
        Message {
            id: id.to_owned(),
            body: body.to_owned(),
            receipt_handle: format!("receipt-{id}"),
            sender_id: "AIDAIENQZJOLO23YVJ4VO".to_owned(),
            receive_count: 2,
            sent_at: UNIX_EPOCH + Duration::from_millis(1_545_082_649_183),
            first_received_at: UNIX_EPOCH + Duration::from_millis(1_545_082_649_185),
        }
    }

    fn messages(ids: &[&str]) -> Vec<Message> {
        ids.iter().map(|id| message(id, "{}")).collect()
    }

    #[rstest]
    #[case::null("null", &[])]
    #[case::empty_object("{}", &[])]
    #[case::other_fields("{\"statusCode\": 200}", &[])]
    #[case::empty_list(r#"{"batchItemFailures": []}"#, &[])]
    #[case::null_list(r#"{"batchItemFailures": null}"#, &[])]
    #[case::one(r#"{"batchItemFailures": [{"itemIdentifier": "b"}]}"#, &["b"])]
    #[case::one_twice(
        r#"{"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "b"}]}"#, &["b"])]
    #[case::two(
        r#"{"batchItemFailures": [{"itemIdentifier": "c"}, {"itemIdentifier": "a"}]}"#, &["a", "c"])]
    #[case::unknown_id(
        r#"{"batchItemFailures": [{"itemIdentifier": "b"}, {"itemIdentifier": "z"}]}"#,
        &["a", "b", "c"])]
    #[case::empty_id(r#"{"batchItemFailures": [{"itemIdentifier": ""}]}"#, &["a", "b", "c"])]
    #[case::null_id(r#"{"batchItemFailures": [{"itemIdentifier": null}]}"#, &["a", "b", "c"])]
    #[case::bad_key_name(r#"{"batchItemFailures": [{"messageId": "b"}]}"#, &["a", "b", "c"])]
    #[case::bare_ids(r#"{"batchItemFailures": ["b"]}"#, &["a", "b", "c"])]
    #[case::no_list(r#"{"batchItemFailures": "b"}"#, &["a", "b", "c"])]
    #[case::array("[]", &["a", "b", "c"])]
    #[case::array_of_list("[[]]", &["a", "b", "c"])]
    #[case::string("\"ok\"", &["a", "b", "c"])]
    #[case::no_json("ok", &["a", "b", "c"])]
    #[case::nothing("", &["a", "b", "c"])]
    fn answer_tells_which_messages_failed(#[case] answer: &str, #[case] expected: &[&str]) {
        let batch = messages(&["a", "b", "c"]);
        let expected = expected.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(failed(&batch, &Ok(answer.to_owned()), true), expected);
    }

    #[rstest]
    #[case::reporting(true)]
    #[case::not_reporting(false)]
    fn erring_function_fails_the_whole_batch(#[case] report: bool) {
        let error = Err(FunctionError::new("Runtime.ExitError", "gone"));
        assert_eq!(failed(&messages(&["a", "b"]), &error, report).len(), 2);
    }

    #[test]
    fn any_answer_is_a_success_where_failures_are_not_reported() {
        let answer = Ok(r#"{"batchItemFailures": [{"itemIdentifier": "a"}]}"#.to_owned());
        assert_eq!(failed(&messages(&["a"]), &answer, false), BTreeSet::new());
    }

    #[rstest]
    #[case::nothing(0, 99, false)]
    #[case::few_and_young(2, 4, false)]
    #[case::few_and_old(2, 5, true)]
    #[case::full(3, 0, true)]
    fn batch_is_due_when_full_or_old(
        #[case] count: usize,
        #[case] waited_s: u64,
        #[case] expected: bool,
    ) {
        let limits = BatchLimits {
            size: 3,
            window: Duration::from_secs(5),
        };
        let gathered = messages(&["a", "b", "c"][..count]);
        assert_eq!(
            is_due(&gathered, Duration::from_secs(waited_s), limits),
            expected
        );
    }

    #[test]
    fn batch_is_due_at_once_without_a_window() {
        let limits = BatchLimits {
            size: 10,
            window: Duration::ZERO,
        };
        assert!(is_due(&messages(&["a"]), Duration::ZERO, limits));
    }

    #[rstest]
    #[case::by_count(&[1, 1, 1, 1, 1], 2, &[2, 2, 1])]
    #[case::one_batch(&[1, 1], 10, &[2])]
    #[case::by_bytes(&[3_000_000, 3_000_000, 3_000_000], 10, &[2, 1])]
    #[case::alone_too_large(&[7_000_000, 1], 10, &[1, 1])]
    fn messages_are_cut_into_batches(
        #[case] sizes: &[usize],
        #[case] size: usize,
        #[case] expected: &[usize],
    ) {
        let all: Vec<Message> = sizes
            .iter()
            .map(|size| message("m", &"x".repeat(*size)))
            .collect();
        let batches = split(
            all,
            BatchLimits {
                size,
                window: Duration::ZERO,
            },
        );
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn quotes_count_twice_towards_the_payload() {
        let limits = BatchLimits {
            size: 10,
            window: Duration::ZERO,
        };
        let all = vec![
            message("a", &"\"".repeat(2_000_000)),
            message("b", &"\"".repeat(2_000_000)),
        ];
        assert_eq!(split(all, limits).len(), 2);
    }

    #[test]
    fn messages_are_handed_over_as_lambda_does() {
        let batch = [message(
            "059f36b4-87a3-44ab-83d2-661975830a7d",
            "Test message.",
        )];
        let event = event(&batch, "arn:aws:sqs:us-east-2:123456789012:my-queue");
        assert_eq!(
            serde_json::from_str::<Value>(&event).unwrap(),
            json!({"Records": [{
                "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
                "receiptHandle": "receipt-059f36b4-87a3-44ab-83d2-661975830a7d",
                "body": "Test message.",
                "attributes": {
                    "ApproximateReceiveCount": "2",
                    "SentTimestamp": "1545082649183",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1545082649185"
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
                "awsRegion": "us-east-2"
            }]})
        );
    }
}
