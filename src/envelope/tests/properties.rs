//! What holds for any payload.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::change::ObjectKey;

/// Fields that lead deep into the parser, with the values it looks for.
const FIELDS: [&str; 24] = [
    "Records",
    "tasks",
    "source",
    "requestPayload",
    "Type",
    "Message",
    "Event",
    "eventSource",
    "EventSource",
    "eventName",
    "awsRegion",
    "s3",
    "Sns",
    "messageId",
    "body",
    "bucket",
    "object",
    "name",
    "key",
    "detail",
    "detail-type",
    "taskId",
    "invocationId",
    "invocationSchemaVersion",
];
const TEXTS: [&str; 14] = [
    "aws:s3",
    "minio:s3",
    "aws:sns",
    "aws:sqs",
    "aws.s3",
    "lambda",
    "s3:TestEvent",
    "Notification",
    "ObjectCreated:Put",
    "Object Created",
    "1.0",
    "artifacts",
    "a%2",
    "{\"Records\":[{}]}",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(&TEXTS[..]).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 4, |inner| {
        let field = prop_oneof![
            4 => prop::sample::select(&FIELDS[..]).prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(field, inner.clone(), 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

#[derive(Debug, Clone, Copy)]
enum Wrapper {
    Sns,
    Sqs,
    SnsToQueue,
    Failed,
    FailedOnBus,
}

fn wrapped(wrapper: Wrapper, event: &Value) -> Value {
    let text = event.to_string();
    match wrapper {
        Wrapper::Sns => {
            json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text}}]})
        }
        Wrapper::Sqs => {
            json!({"Records": [{"eventSource": "aws:sqs", "messageId": "m", "body": text}]})
        }
        Wrapper::SnsToQueue => json!({"Type": "Notification", "Message": text}),
        Wrapper::Failed => json!({"version": "1.0", "requestPayload": event}),
        Wrapper::FailedOnBus => json!({"source": "lambda", "detail": {"requestPayload": event}}),
    }
}

fn any_wrapper() -> impl Strategy<Value = Wrapper> {
    prop::sample::select(vec![
        Wrapper::Sns,
        Wrapper::Sqs,
        Wrapper::SnsToQueue,
        Wrapper::Failed,
        Wrapper::FailedOnBus,
    ])
}

proptest! {
    #[test]
    fn any_text_is_read(payload in any::<String>()) {
        let _ = parse(&payload);
    }

    #[test]
    fn any_json_is_read(payload in any_json()) {
        let _ = parse(&payload.to_string());
    }

    #[test]
    fn any_body_gives_each_message_its_delivery(bodies in prop::collection::vec(any_json(), 1..5)) {
        let record = |(index, body): (usize, &Value)| {
            json!({"eventSource": "aws:sqs", "messageId": index.to_string(), "body": body})
        };
        let records: Vec<Value> = bodies.iter().enumerate().map(record).collect();
        let invocation = parse(&json!({ "Records": records }).to_string()).unwrap();
        let ids: Vec<String> = invocation.deliveries.into_iter().map(|delivery| delivery.id).collect();
        let expected: Vec<String> = (0..bodies.len()).map(|index| index.to_string()).collect();
        prop_assert_eq!(ids, expected);
    }

    #[test]
    fn records_in_any_envelope_give_as_many_changes(
        keys in prop::collection::vec("[ -~é🦀\n]{1,20}", 0..20),
        wrappers in prop::collection::vec(any_wrapper(), 0..6),
    ) {
        let keys: Vec<ObjectKey> = keys.into_iter().map(|key| ObjectKey::new(key).unwrap()).collect();
        let record = |key: &ObjectKey| json!({
            "eventSource": "aws:s3",
            "eventName": "ObjectRemoved:Delete",
            "s3": {"bucket": {"name": "artifacts"}, "object": {"key": key.to_form_urlencoded()}},
        });
        let event = json!({"Records": keys.iter().map(record).collect::<Vec<_>>()});
        let payload = wrappers.iter().fold(event, |event, &wrapper| wrapped(wrapper, &event));
        let mut invocation = parse(&payload.to_string()).unwrap();
        prop_assert_eq!(invocation.deliveries.len(), 1);
        let delivery = invocation.deliveries.remove(0);
        let read: Vec<ObjectKey> = delivery.changes.into_iter().map(|change| change.key).collect();
        prop_assert_eq!(read, keys);
        prop_assert_eq!(delivery.malformed, []);
    }
}
