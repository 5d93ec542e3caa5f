//! A step line: which step it is, and the steps that are not operations.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{Fields, Value};
use super::{expect, fault, operation, values};
use crate::local::recording::step::{Action, Operation, Payload, Settle};

const MOST_WAITED: u32 = 3600;
const LONGEST_PAUSE: u64 = 3_600_000;
const STEPS: [&str; 13] = [
    "put",
    "copy",
    "delete",
    "tag",
    "untag",
    "versioning",
    "bucket_tags",
    "deliver",
    "fault",
    "invoke",
    "settle",
    "pause",
    "expect",
];

/// Reads what the line of this text does; its id has been taken already.
pub(super) fn read(mut fields: Fields<'_>, text: &str, path: &Path) -> Option<Action> {
    // Beside an operation, `deliver` says when its event is delivered.
    let name = match fields.which(&operation::NAMES)[..] {
        [name]
            if fields
                .which(&STEPS)
                .iter()
                .all(|step| [name, "deliver"].contains(step)) =>
        {
            name
        }
        _ => fields.exactly_one(&STEPS)?,
    };
    let action = match name {
        "deliver" => fields.required(name, deliver).map(Action::Deliver),
        "fault" => fields.required(name, fault::read).map(Action::Fault),
        "invoke" => fields.required(name, |_| payload(text)).map(Action::Invoke),
        "settle" => fields.required(name, settle).map(Action::Settle),
        "pause" => fields.required(name, pause).map(Action::Pause),
        "expect" => fields
            .required(name, |value| expect::read(value, path))
            .map(Action::Expect),
        _ => {
            let kind = fields.required(name, |value| operation::read(name, value, path));
            let target = fields.optional("target", values::bucket_name);
            let held = fields.optional("deliver", |value| {
                value.text(r#""held", or nothing for at once"#, |text| text == "held")
            });
            kind.map(|kind| {
                Action::Operation(Operation {
                    target,
                    held: held.is_some(),
                    kind,
                })
            })
        }
    };
    fields.close();
    action
}

fn deliver(mut value: Value<'_>) -> Option<Vec<String>> {
    let what = "a list of ids, at least one";
    let ids = value.reborrow().list(what, values::id)?;
    if ids.is_empty() {
        value.expected(what)
    } else {
        Some(ids)
    }
}

/// The payload exactly as it stands in the line.
fn payload(line: &str) -> Option<Payload> {
    #[derive(Deserialize)]
    struct Invoke<'a> {
        #[serde(borrow)]
        invoke: &'a RawValue,
    }
    let line: Invoke<'_> = serde_json::from_str(line).ok()?;
    Payload::new(line.invoke.get()).ok()
}

fn pause(value: Value<'_>) -> Option<Duration> {
    let mut fields = value.fields()?;
    let time = fields.required("ms", |value| value.unsigned(1..=LONGEST_PAUSE));
    fields.close();
    time.map(Duration::from_millis)
}

fn settle(value: Value<'_>) -> Option<Settle> {
    let mut fields = value.fields()?;
    let within = fields.required("within_s", |value| value.seconds(MOST_WAITED));
    fields.close();
    Some(Settle { within: within? })
}
