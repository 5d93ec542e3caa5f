//! An expect step.

use std::path::Path;

use super::fields::{Fields, Value, boolean, yes};
use super::values;
use crate::local::recording::expect::{Amount, Expect, ExpectedObject, OutcomeName, ResponseCheck};

/// What is expected of an object.
const OF_OBJECT: [&str; 6] = [
    "body",
    "metadata",
    "headers",
    "tags",
    "versions",
    "delete_markers",
];
/// What else may be expected.
const OTHERS: [&str; 7] = [
    "equal",
    "absent",
    "outcome",
    "requests",
    "response",
    "on_failure",
    "dead_letters",
];

pub(super) fn read(value: Value<'_>, path: &Path) -> Option<Expect> {
    let mut fields = value.fields()?;
    let of_object = fields.which(&OF_OBJECT);
    let others = fields.which(&OTHERS);
    let expect = match (&of_object[..], &others[..]) {
        ([_, ..], []) => object(&mut fields, path),
        ([], [name]) => other(&mut fields, name),
        _ => {
            let expected = format!(
                "either one of {} or some of {}",
                OTHERS.join(", "),
                OF_OBJECT.join(", ")
            );
            let found = [others, of_object].concat();
            let found = if found.is_empty() {
                "none".to_owned()
            } else {
                found.join(" and ")
            };
            fields.report_whole(&expected, found);
            return None;
        }
    };
    fields.close();
    expect
}

fn object(fields: &mut Fields<'_>, path: &Path) -> Option<Expect> {
    let target = fields.optional("target", values::bucket_name);
    let key = fields.required("key", values::key);
    Some(Expect::Object(ExpectedObject {
        body: fields.optional("body", |value| values::body(value, path)),
        metadata: fields.optional("metadata", values::metadata),
        headers: fields.optional("headers", values::headers),
        tags: fields.optional("tags", values::object_tags),
        versions: fields.optional("versions", number),
        delete_markers: fields.optional("delete_markers", number),
        target,
        key: key?,
    }))
}

fn other(fields: &mut Fields<'_>, name: &'static str) -> Option<Expect> {
    match name {
        "equal" => {
            let equal = fields.required(name, yes);
            let target = fields.optional("target", values::bucket_name);
            let key = fields.optional("key", values::key);
            equal.map(|()| Expect::Equal { target, key })
        }
        "absent" => {
            let absent = fields.required(name, yes);
            let target = fields.optional("target", values::bucket_name);
            let key = fields.required("key", values::key);
            absent.and(key).map(|key| Expect::Absent { target, key })
        }
        "outcome" => fields.required(name, outcome),
        "requests" => fields.required(name, requests),
        "response" => fields.required(name, response),
        "on_failure" => fields.required(name, number).map(Expect::OnFailure),
        _ => fields.required(name, number).map(Expect::DeadLetters),
    }
}

fn outcome(value: Value<'_>) -> Option<Expect> {
    let mut fields = value.fields()?;
    let target = fields.optional("target", values::bucket_name);
    let key = fields.optional("key", values::key);
    let names = OutcomeName::ALL.map(OutcomeName::as_str).join(", ");
    let is = fields.required("is", |value| value.named(&format!("one of {names}")));
    let retryable = match is {
        Some(OutcomeName::Failed) => fields.optional("retryable", boolean),
        _ => None,
    };
    let count = fields.optional("count", number);
    fields.close();
    Some(Expect::Outcome {
        target,
        key,
        is: is?,
        retryable,
        count,
    })
}

fn requests(value: Value<'_>) -> Option<Expect> {
    let mut fields = value.fields()?;
    let on = fields.optional("on", |value| {
        value.named("the name of an S3 operation, like CopyObject")
    });
    let bucket = fields.optional("bucket", values::bucket_name);
    let key = fields.optional("key", values::key);
    let amount = match fields.exactly_one(&["count", "at_most"]) {
        Some(name @ "count") => fields.required(name, number).map(Amount::Exactly),
        Some(name) => fields.required(name, number).map(Amount::AtMost),
        None => None,
    };
    amount?;
    fields.close();
    Some(Expect::Requests {
        on,
        bucket,
        key,
        amount: amount?,
    })
}

fn response(value: Value<'_>) -> Option<Expect> {
    let mut fields = value.fields()?;
    let of = fields.required("of", values::id);
    let is = match fields.exactly_one(&["includes", "error"])? {
        name @ "includes" => fields
            .required(name, |value| Some(value.json()))
            .map(ResponseCheck::Includes),
        name => fields.required(name, boolean).map(ResponseCheck::Error),
    };
    fields.close();
    Some(Expect::Response { of: of?, is: is? })
}

fn number(value: Value<'_>) -> Option<u64> {
    value.unsigned(0..=u64::MAX)
}
