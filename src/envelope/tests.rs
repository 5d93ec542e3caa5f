//! Every fixture, what fixtures cannot hold, and properties of any payload.

mod fixtures;
mod properties;

use std::error::Error;

use rstest::rstest;

use super::*;
use crate::change::Hints;

/// What a payload is read as, a line for each thing in it.
fn outline(payload: &str) -> Vec<String> {
    let invocation = match parse(payload) {
        Ok(invocation) => invocation,
        Err(malformed) => return vec![format!("error: {}", chain(&malformed))],
    };
    let mut lines = vec![match invocation.invoker {
        Invoker::Asynchronous => "asynchronous".to_owned(),
        Invoker::Sqs => "sqs".to_owned(),
        Invoker::BatchOperations {
            schema_version,
            invocation_id,
        } => {
            format!("batch operations {schema_version} {}", &invocation_id[..8])
        }
    }];
    for delivery in &invocation.deliveries {
        lines.push(format!("delivery {:?}", delivery.id));
        for change in &delivery.changes {
            let Change {
                bucket,
                key,
                region,
                kind,
                event_name,
                ..
            } = change;
            let region = region.as_deref().unwrap_or("-");
            lines.push(format!(
                "  {kind:?} {bucket} {:?} {region} {event_name}",
                key.as_str()
            ));
        }
        lines.extend(
            delivery
                .ignored
                .iter()
                .map(|name| format!("  ignored {name}")),
        );
        lines.extend(
            delivery
                .malformed
                .iter()
                .map(|malformed| format!("  {}", chain(malformed))),
        );
    }
    lines
}

fn chain(malformed: &Malformed) -> String {
    let source = malformed.source().map(|source| format!(": {source}"));
    format!("{malformed}{}", source.unwrap_or_default())
}

#[rstest]
#[case::nothing("", "expected a JSON object at the payload, found nothing")]
#[case::blank(" \n", "expected a JSON object at the payload, found nothing")]
#[case::words(
    "hello",
    "expected a JSON object at the payload, found no JSON at line 1, column 1"
)]
#[case::cut_off(
    "{\"Records\":\n[{",
    "expected a JSON object at the payload, found no JSON at line 2, column 2"
)]
#[case::rest(
    "{} {}",
    "expected a JSON object at the payload, found no JSON at line 1, column 4"
)]
#[case::text("\"secret\"", "expected a JSON object at the payload, found a text")]
#[case::number("-1", "expected a JSON object at the payload, found a number")]
#[case::boolean("true", "expected a JSON object at the payload, found a boolean")]
#[case::records_no_array(
    r#"{"Records":{"a":"secret"}}"#,
    "expected an array at Records, found an object"
)]
#[case::field_twice(
    r#"{"Records":[],"Records":[]}"#,
    "expected a JSON object at the payload, found an object with one field given twice"
)]
#[case::records_null(
    r#"{"Records":null}"#,
    "expected an event of S3, SNS, SQS, EventBridge or S3 Batch Operations at the payload, found another object"
)]
#[case::source_no_text(r#"{"source":1}"#, "expected a text at source, found a number")]
#[case::failure_without_request(
    r#"{"source":"lambda","detail":{"secret":1}}"#,
    "expected a failed invocation with its `requestPayload` at detail, found another object"
)]
#[case::tasks_no_array(
    r#"{"invocationSchemaVersion":"1.0","invocationId":"i","tasks":5}"#,
    "expected an array at tasks, found a number"
)]
#[case::job_without_id(
    r#"{"invocationSchemaVersion":"1.0","tasks":[]}"#,
    "expected a text at invocationId, found nothing"
)]
#[case::task_without_id(
    r#"{"invocationSchemaVersion":"1.0","invocationId":"i","tasks":[{"taskId":"a"},{}]}"#,
    "expected a text at taskId of record 2 of tasks, found nothing"
)]
#[case::message_without_id(
    r#"{"Records":[{"eventSource":"aws:sqs","messageId":"","body":"secret"}]}"#,
    "expected an id at messageId of record 1, found an empty text"
)]
#[case::stranger_among_messages(
    r#"{"Records":[{"eventSource":"aws:sqs","messageId":"m","body":"{}"},{"eventSource":"aws:s3"}]}"#,
    "expected SQS as in record 1 at eventSource of record 2, found `aws:s3`"
)]
fn payload_in_which_nothing_can_be_told_apart_is_an_error(
    #[case] payload: &str,
    #[case] expected: &str,
) {
    assert_eq!(parse(payload).unwrap_err().to_string(), expected);
}

#[rstest]
#[case::no_object("[]", "expected a JSON object at record 1, found an array")]
#[case::no_source("{}", "expected a text at eventSource of record 1, found nothing")]
#[case::other_source(
    r#"{"eventSource":"aws:ses"}"#,
    "expected S3, SNS or SQS at eventSource of record 1, found `aws:ses`"
)]
#[case::long_source(
    &format!(r#"{{"eventSource":"{}"}}"#, "x".repeat(100)),
    &format!("expected S3, SNS or SQS at eventSource of record 1, found `{}…`", "x".repeat(64))
)]
#[case::no_event_name(
    r#"{"eventSource":"aws:s3"}"#,
    "expected a text at eventName of record 1, found nothing"
)]
#[case::no_s3(
    r#"{"eventSource":"aws:s3","eventName":"ObjectCreated:Put"}"#,
    "expected a JSON object at s3 of record 1, found nothing"
)]
#[case::no_bucket(
    r#"{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{}}"#,
    "expected a JSON object at s3.bucket of record 1, found nothing"
)]
#[case::bad_bucket(
    r#"{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"a/b"},"object":{}}}"#,
    "expected a bucket name at s3.bucket.name of record 1, found `a/b`"
)]
#[case::no_key(
    r#"{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"abc"},"object":{}}}"#,
    "expected a text at s3.object.key of record 1, found nothing"
)]
#[case::empty_key(
    r#"{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"abc"},"object":{"key":""}}}"#,
    "expected a form-urlencoded key at s3.object.key of record 1, found ``: key is empty"
)]
#[case::key_not_utf8(
    r#"{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"abc"},"object":{"key":"caf%E9"}}}"#,
    "expected a form-urlencoded key at s3.object.key of record 1, found `caf%E9`: key is not UTF-8 at byte 3"
)]
#[case::region_that_would_be_another_host(
    r#"{"eventSource":"aws:s3","awsRegion":"x/y","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"abc"},"object":{"key":"a"}}}"#,
    "expected a region at awsRegion of record 1, found `x/y`"
)]
#[case::no_message(
    r#"{"EventSource":"aws:sns","Sns":{}}"#,
    "expected a text at Sns.Message of record 1, found nothing"
)]
#[case::no_notification(
    r#"{"EventSource":"aws:sns"}"#,
    "expected a JSON object at Sns.Message of record 1, found nothing"
)]
fn malformed_record_says_where_and_leaves_its_siblings(
    #[case] record: &str,
    #[case] expected: &str,
) {
    let sibling = s3_record("sibling");
    let mut invocation = parse(&format!(r#"{{"Records":[{record},{sibling}]}}"#)).unwrap();
    let delivery = invocation.deliveries.remove(0);
    assert_eq!(
        delivery.malformed.iter().map(chain).collect::<Vec<_>>(),
        [expected]
    );
    assert_eq!(delivery.changes.len(), 1);
}

#[test]
fn hints_are_taken_over() {
    let payload = include_str!("../../fixtures/events/s3-put-versioned.json");
    let change = parse(payload)
        .unwrap()
        .deliveries
        .remove(0)
        .changes
        .remove(0);
    assert_eq!(
        change.event_time.as_deref(),
        Some("1970-01-01T00:00:00.000Z")
    );
    assert_eq!(
        change.hints,
        Hints {
            size: Some(1024),
            etag: Some("d41d8cd98f00b204e9800998ecf8427e".to_owned()),
            version_id: Some("096fKKXTRTtl3on89fVO.nfljtsv6qko".to_owned()),
            sequencer: Some("0055AED6DCD90281E5".to_owned()),
        }
    );
}

#[test]
fn hints_of_eventbridge_are_taken_over() {
    let payload = include_str!("../../fixtures/events/eventbridge-created.json");
    let change = parse(payload)
        .unwrap()
        .deliveries
        .remove(0)
        .changes
        .remove(0);
    assert_eq!(change.event_time.as_deref(), Some("2021-11-12T00:00:00Z"));
    assert_eq!(
        change.hints,
        Hints {
            size: Some(5),
            etag: Some("b1946ac92492d2347c6235b4d2611184".to_owned()),
            version_id: Some("IYV3p45BT0ac8hjHg1houSdS1a.Mro8e".to_owned()),
            sequencer: Some("617f08299329d189".to_owned()),
        }
    );
}

#[test]
fn hints_of_wrong_type_are_none() {
    let payload = include_str!("../../fixtures/events/s3-hints-of-wrong-type.json");
    let change = parse(payload)
        .unwrap()
        .deliveries
        .remove(0)
        .changes
        .remove(0);
    assert_eq!((change.event_time, change.hints), (None, Hints::default()));
}

#[test]
fn nesting_ends_at_a_depth_without_losing_the_message() {
    let wrap = |levels| {
        (0..levels).fold(s3_event(1), |event, _| {
            format!(r#"{{"requestPayload":{event}}}"#)
        })
    };
    let message = |levels| sqs_event(&wrap(levels));

    let deepest = parse(&message(MAX_DEPTH - 1)).unwrap();
    assert_eq!(deepest.deliveries[0].changes.len(), 1);

    let beyond = parse(&message(MAX_DEPTH)).unwrap();
    assert_eq!(beyond.deliveries[0].changes, []);
    assert_eq!(beyond.deliveries[0].malformed.len(), 1);

    // The parser of JSON must not give out either.
    assert!(parse(&wrap(10_000)).is_err());
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse(&format!(r#"{{"Records":[{nested}]}}"#)).is_ok());
}

#[test]
fn change_keeps_about_two_kib_however_long_its_fields_are() {
    let long = "x".repeat(100_000);
    let key = "é".repeat(512);
    let bucket = "b".repeat(255);
    let payload = format!(
        r#"{{"Records":[{{"eventSource":"aws:s3","awsRegion":"{region}","eventTime":"{hint}",
            "eventName":"ObjectCreated:{long}","s3":{{"bucket":{{"name":"{bucket}"}},"object":
            {{"key":"{key}","eTag":"{long}","versionId":"{hint}","sequencer":"{hint}"}}}}}}]}}"#,
        region = "r".repeat(63),
        hint = "h".repeat(96),
    );
    let change = parse(&payload)
        .unwrap()
        .deliveries
        .remove(0)
        .changes
        .remove(0);
    let Hints {
        size: _,
        etag,
        version_id,
        sequencer,
    } = change.hints;
    assert_eq!(etag, None);
    let kept = [change.region, change.event_time, version_id, sequencer]
        .into_iter()
        .flatten()
        .chain([change.bucket, change.event_name])
        .map(|text| text.capacity())
        .sum::<usize>();
    assert!(size_of::<Change>() + kept + change.key.as_str().len() <= 2048);
}

fn s3_record(key: &str) -> String {
    format!(
        r#"{{"eventSource":"aws:s3","awsRegion":"us-east-1","eventName":"ObjectCreated:Put",
            "s3":{{"bucket":{{"name":"artifacts"}},"object":{{"key":"{key}"}}}}}}"#
    )
}

fn s3_event(records: usize) -> String {
    let records: Vec<String> = (0..records).map(|n| s3_record(&n.to_string())).collect();
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

fn sqs_event(body: &str) -> String {
    let body = quoted(body);
    format!(r#"{{"Records":[{{"eventSource":"aws:sqs","messageId":"m","body":{body}}}]}}"#)
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}
