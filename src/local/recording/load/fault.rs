//! A fault step.

use std::num::NonZeroU32;

use super::fields::{Value, boolean, yes};
use super::values;
use crate::local::faults::{Effect, Fault, S3Operation, Scope, When};

const EFFECTS: [&str; 7] = [
    "answer",
    "reset",
    "delay_ms",
    "cut_after",
    "error_in_200",
    "site_down",
    "kill",
];
const MOST_DELAY: u64 = 3_600_000;

pub(super) fn read(value: Value<'_>) -> Option<Fault> {
    let mut fields = value.fields()?;
    let name = fields.exactly_one(&EFFECTS)?;
    let effect = match name {
        "answer" => fields
            .required(name, |value| value.unsigned(400..=599))
            .map(|status| Effect::Answer(u16::try_from(status).expect("the range was checked"))),
        "reset" => fields
            .required(name, |value| when(value, When::Before))
            .map(Effect::Reset),
        "kill" => fields
            .required(name, |value| when(value, When::After))
            .map(Effect::Kill),
        "delay_ms" => {
            let delay = fields.required(name, |value| value.unsigned(1..=MOST_DELAY));
            let side = fields.optional("delay", side).unwrap_or(When::Before);
            delay.map(|milliseconds| Effect::Delay(milliseconds, side))
        }
        "cut_after" => fields
            .required(name, |value| value.unsigned(0..=u64::MAX))
            .map(Effect::CutAfter),
        "error_in_200" => fields.required(name, yes).map(|()| Effect::ErrorIn200),
        _ => fields.required(name, boolean).map(Effect::SiteDown),
    };
    let scopes = ["bucket", "site"];
    let is_anywhere = name != "site_down" && fields.which(&scopes).is_empty();
    let is_scoped_well = is_anywhere || fields.exactly_one(&scopes).is_some();
    let bucket = fields
        .optional("bucket", values::bucket_name)
        .map(Scope::Bucket);
    let site = fields.optional("site", values::region).map(Scope::Site);
    let scope = bucket.or(site).unwrap_or_default();
    let ends_outage = effect == Some(Effect::SiteDown(false));
    let mut fault = Fault::new(effect.unwrap_or(Effect::ErrorIn200));
    if name != "site_down" {
        fault.on = fields.optional("on", |value| operation(value, name == "error_in_200"));
        fault.key = fields.optional("key", values::key);
    }
    if !ends_outage {
        let after = fields.optional("after", |value| value.unsigned(0..=u64::from(u32::MAX)));
        fault.after = after.map_or(0, |after| after as u32);
        if let Some(times) = fields.optional("times", times) {
            fault.times = times;
        }
    }
    fields.close();
    (is_scoped_well && effect.is_some()).then_some(Fault { scope, ..fault })
}

fn operation(mut value: Value<'_>, in_200: bool) -> Option<S3Operation> {
    let operation: S3Operation = value
        .reborrow()
        .named("the name of an S3 operation, like CopyObject")?;
    if in_200 && !operation.may_fail_in_200() {
        return value.expected("CopyObject, UploadPartCopy or CompleteMultipartUpload");
    }
    Some(operation)
}

/// `true` stands for what happens most.
fn when(value: Value<'_>, yes: When) -> Option<When> {
    if value.is_text() {
        return side(value);
    }
    let mut value = value;
    match value.reborrow().json() {
        serde_json::Value::Bool(true) => Some(yes),
        _ => value.expected(r#"true, "before" or "after""#),
    }
}

fn side(value: Value<'_>) -> Option<When> {
    let what = r#""before" or "after""#;
    let text = value.text(what, |text| ["before", "after"].contains(&text))?;
    Some(if text == "before" {
        When::Before
    } else {
        When::After
    })
}

/// A number, or no end.
fn times(value: Value<'_>) -> Option<Option<NonZeroU32>> {
    if value.is_text() {
        return value
            .text(r#"a whole number from 1, or "all""#, |text| text == "all")
            .map(|_| None);
    }
    let times = value.unsigned(1..=u64::from(u32::MAX))?;
    u32::try_from(times).ok().map(NonZeroU32::new)
}
