//! Notifications of SNS as Lambda receives them. What a queue receives is a notification without
//! a record around it, or with raw delivery the bare message.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::malformed::{Malformed, Place};
use super::{Record, json, s3};

#[derive(Deserialize)]
struct Notification<'a> {
    #[serde(borrow, rename = "Message")]
    message: Option<&'a RawValue>,
}

/// The message of a record whose source is SNS; `place` is the message's.
pub(super) fn message<'a>(
    record: &Record<'a>,
    place: &Place<'_>,
) -> Result<Cow<'a, str>, Malformed> {
    let notification: Notification<'a> = s3::nested(record.sns, place)?;
    json::require_text(notification.message, place)
}
