//! Wraps what a bucket emits into what a function receives, or a queue holds, for each source.
//!
//! Invariant: what the S3 record says is taken over as it is; only what the source itself adds or
//! writes differently changes. The message inside SNS and SQS is the very text that S3 emitted.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::source::Source;
use super::timestamp::iso_millis;
use super::{eventbridge, minio};

/// Where topics, queues and rules live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Their region.
    pub region: String,
    /// Their account, twelve digits.
    pub account: String,
}

/// A notification that is not what S3 emits.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidNotification {
    /// No JSON.
    #[error("notification is no json")]
    Json(#[source] serde_json::Error),
    /// A record without a field that the source needs, or with one of another type.
    #[error("record of a notification has no valid {0}")]
    Field(&'static str),
    /// A key whose encoding is not that of notifications.
    #[error("key is no form-urlencoded utf-8: {0:?}")]
    Key(String),
}

/// What arrives for one notification: payloads of the function or, if the source's
/// [route](Source::route) is the queue, bodies of its messages.
///
/// EventBridge and MinIO send one event a record, and none for what they do not know
/// (`s3:TestEvent`, replication events). An EventBridge event is passed on as it is.
pub fn wrap(
    source: Source,
    notification: &str,
    place: &Place,
) -> Result<Vec<String>, InvalidNotification> {
    match source {
        Source::S3 | Source::Sqs => Ok(vec![notification.to_owned()]),
        Source::Sns => Ok(vec![sns_event(notification, place)]),
        Source::SnsSqs => Ok(vec![sns_message(notification, place)]),
        Source::EventBridge => {
            let parsed = parse(notification)?;
            if parsed.get("detail-type").is_some() {
                return Ok(vec![notification.to_owned()]);
            }
            let events = records(&parsed).iter();
            let events = events.map(|record| eventbridge::event(record, place));
            events.filter_map(Result::transpose).collect()
        }
        Source::Minio => records(&parse(notification)?)
            .iter()
            .map(minio::event)
            .collect(),
    }
}

fn parse(notification: &str) -> Result<Value, InvalidNotification> {
    serde_json::from_str(notification).map_err(InvalidNotification::Json)
}

/// A test event has no records.
fn records(notification: &Value) -> &[Value] {
    notification["Records"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

/// A string field of a record.
pub(super) fn text<'a>(
    record: &'a Value,
    pointer: &'static str,
) -> Result<&'a str, InvalidNotification> {
    let value = record.pointer(pointer).and_then(Value::as_str);
    value.ok_or(InvalidNotification::Field(pointer))
}

/// A record's key, decoded.
pub(super) fn key(record: &Value) -> Result<String, InvalidNotification> {
    let encoded = text(record, "/s3/object/key")?;
    let spaced = encoded.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| InvalidNotification::Key(encoded.to_owned()))
}

const SUBJECT: &str = "Amazon S3 Notification";
const SIGNATURE: &str = "EXAMPLE";

fn topic_arn(place: &Place) -> String {
    format!(
        "arn:aws:sns:{}:{}:s3-notifications",
        place.region, place.account
    )
}

/// What SNS invokes a function with. Lambda spells two fields otherwise than SNS does elsewhere.
fn sns_event(message: &str, place: &Place) -> String {
    let topic = topic_arn(place);
    json!({"Records": [{
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": format!("{topic}:{}", Uuid::new_v4()),
        "Sns": {
            "Type": "Notification",
            "MessageId": Uuid::new_v4().to_string(),
            "TopicArn": topic,
            "Subject": SUBJECT,
            "Message": message,
            "Timestamp": iso_millis(SystemTime::now()),
            "SignatureVersion": "1",
            "Signature": SIGNATURE,
            "SigningCertUrl": SIGNATURE,
            "UnsubscribeUrl": SIGNATURE,
            "MessageAttributes": {},
        },
    }]})
    .to_string()
}

/// What SNS sends to a queue without raw delivery.
fn sns_message(message: &str, place: &Place) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Notification<'a> {
        r#type: &'static str,
        message_id: String,
        topic_arn: String,
        subject: &'static str,
        message: &'a str,
        timestamp: String,
        signature_version: &'static str,
        signature: &'static str,
        #[serde(rename = "SigningCertURL")]
        signing_cert_url: &'static str,
        #[serde(rename = "UnsubscribeURL")]
        unsubscribe_url: &'static str,
    }
    let notification = Notification {
        r#type: "Notification",
        message_id: Uuid::new_v4().to_string(),
        topic_arn: topic_arn(place),
        subject: SUBJECT,
        message,
        timestamp: iso_millis(SystemTime::now()),
        signature_version: "1",
        signature: SIGNATURE,
        signing_cert_url: SIGNATURE,
        unsubscribe_url: SIGNATURE,
    };
    serde_json::to_string(&notification).expect("strings serialize")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TEST_EVENT: &str =
        r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"master","HostId":"h"}"#;

    fn place() -> Place {
        Place {
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
        }
    }

    fn notification(keys: &[&str]) -> String {
        let record = |key: &&str| {
            json!({
                "eventSource": "aws:s3",
                "awsRegion": "us-east-1",
                "eventTime": "2026-01-02T03:04:05.678Z",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "master"}, "object": {"key": key, "size": 3}}
            })
        };
        json!({"Records": keys.iter().map(record).collect::<Vec<_>>()}).to_string()
    }

    fn wrapped(source: Source, notification: &str) -> Vec<Value> {
        let wrapped = wrap(source, notification, &place()).unwrap();
        wrapped
            .iter()
            .map(|payload| serde_json::from_str(payload).unwrap())
            .collect()
    }

    #[rstest]
    #[case::s3(Source::S3)]
    #[case::sqs(Source::Sqs)]
    fn notification_arrives_as_it_was_emitted(#[case] source: Source) {
        for notification in [notification(&["a+b", "c"]), TEST_EVENT.to_owned()] {
            let wrapped = wrap(source, &notification, &place()).unwrap();
            assert_eq!(wrapped, [notification]);
        }
    }

    #[test]
    fn topic_invokes_the_function_with_the_notification_as_text() {
        let notification = notification(&["a+b"]);
        let event = wrapped(Source::Sns, &notification).remove(0);
        let record = &event["Records"][0];
        assert_eq!(record["EventSource"], "aws:sns");
        assert_eq!(record["Sns"]["Message"], notification);
        assert_eq!(
            record["Sns"]["TopicArn"],
            "arn:aws:sns:us-east-1:123456789012:s3-notifications"
        );
        assert!(record["Sns"]["SigningCertUrl"].is_string());
        assert!(record["Sns"]["MessageAttributes"].is_object());
    }

    #[test]
    fn topic_sends_the_notification_as_text_to_the_queue() {
        let notification = notification(&["a+b"]);
        let body = wrapped(Source::SnsSqs, &notification).remove(0);
        assert_eq!(body["Type"], "Notification");
        assert_eq!(body["Message"], notification);
        assert!(body["SigningCertURL"].is_string());
    }

    #[rstest]
    #[case::eventbridge(Source::EventBridge)]
    #[case::minio(Source::Minio)]
    fn each_record_is_an_event_of_its_own(#[case] source: Source) {
        assert_eq!(wrapped(source, &notification(&["a", "b", "c"])).len(), 3);
    }

    #[rstest]
    #[case::eventbridge(Source::EventBridge)]
    #[case::minio(Source::Minio)]
    fn test_event_is_unknown_outside_of_aws_queues_and_topics(#[case] source: Source) {
        assert_eq!(wrapped(source, TEST_EVENT), [json!(null); 0]);
    }

    #[test]
    fn eventbridge_event_is_passed_on() {
        let event = r#"{"detail-type":"Object Created","source":"aws.s3","detail":{}}"#;
        assert_eq!(wrap(Source::EventBridge, event, &place()).unwrap(), [event]);
    }

    #[rstest]
    #[case::plus_is_a_space("a+b", "a b")]
    #[case::encoded_plus("a%2Bb", "a+b")]
    #[case::encoded_percent("a%252Bb", "a%2Bb")]
    #[case::slash("a/b%2Fc", "a/b/c")]
    #[case::unicode("%C3%A9%F0%9F%8E%89", "é🎉")]
    #[case::newline("a%0Ab", "a\nb")]
    fn key_is_decoded_as_notifications_encode_it(#[case] encoded: &str, #[case] decoded: &str) {
        assert_eq!(
            key(&json!({"s3": {"object": {"key": encoded}}})).unwrap(),
            decoded
        );
    }

    #[rstest]
    #[case::no_json("{", "notification is no json")]
    #[case::no_event_name(
        r#"{"Records":[{"s3":{"bucket":{"name":"b"},"object":{"key":"k"}}}]}"#,
        "record of a notification has no valid /eventName"
    )]
    #[case::no_key(
        r#"{"Records":[{"eventName":"ObjectCreated:Put","eventTime":"t","awsRegion":"r",
            "s3":{"bucket":{"name":"b"},"object":{}}}]}"#,
        "record of a notification has no valid /s3/object/key"
    )]
    #[case::bad_key(
        r#"{"Records":[{"eventName":"ObjectCreated:Put","eventTime":"t","awsRegion":"r",
            "s3":{"bucket":{"name":"b"},"object":{"key":"%FF"}}}]}"#,
        r#"key is no form-urlencoded utf-8: "%FF""#
    )]
    fn invalid_notification_is_named(
        #[case] notification: &str,
        #[case] expected: &str,
        #[values(Source::EventBridge, Source::Minio)] source: Source,
    ) {
        let error = wrap(source, notification, &place()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
