//! Notifications as S3 and MinIO write them.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
//!
//! What the event is called is looked at first: one that needs nothing done is acknowledged,
//! whatever else its record holds.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::malformed::{Malformed, Place};
use super::{Notice, Record, json};
use crate::change::{Change, EventName, Hints, InvalidKey, ObjectKey};
use crate::excerpt::excerpt;

/// What S3 sends when notifications are configured, in a form of its own.
pub(super) const TEST_EVENT: &str = "s3:TestEvent";

#[derive(Deserialize)]
struct Entity<'a> {
    #[serde(borrow)]
    bucket: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

/// A bucket, here and in EventBridge.
#[derive(Deserialize)]
pub(super) struct Bucket<'a> {
    #[serde(borrow)]
    pub(super) name: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow, rename = "eTag")]
    etag: Option<&'a RawValue>,
    #[serde(borrow, rename = "versionId")]
    version_id: Option<&'a RawValue>,
    #[serde(borrow)]
    sequencer: Option<&'a RawValue>,
}

/// Reads a record whose source is S3.
pub(super) fn notice(record: &Record<'_>, place: &Place<'_>) -> Result<Notice, Malformed> {
    let event_name = json::require_text(record.event_name, &place.field("eventName"))?;
    let event_name = EventName::parse(&event_name);
    let Some(kind) = event_name.change() else {
        return Ok(Notice::Ignored(shown(&event_name.to_string())));
    };
    let Entity { bucket, object } = nested(record.s3, &place.field("s3"))?;
    let bucket: Bucket<'_> = nested(bucket, &place.field("s3.bucket"))?;
    let object: Object<'_> = nested(object, &place.field("s3.object"))?;
    Ok(Notice::Change(Change {
        bucket: bucket_name(bucket.name, &place.field("s3.bucket.name"))?,
        key: encoded_key(object.key, &place.field("s3.object.key"))?,
        region: region(record.aws_region, &place.field("awsRegion"))?,
        kind,
        event_name: shown(&event_name.to_string()),
        event_time: json::hint(record.event_time),
        hints: Hints {
            size: json::number_hint(object.size),
            etag: json::hint(object.etag),
            version_id: json::hint(object.version_id),
            sequencer: json::hint(object.sequencer),
        },
    }))
}

/// Reads an object that has to be there.
pub(super) fn nested<'a, T: Deserialize<'a>>(
    raw: Option<&'a RawValue>,
    place: &Place<'_>,
) -> Result<T, Malformed> {
    json::object(raw.map_or("", RawValue::get), place)
}

/// The name of a bucket that notified us.
pub(super) fn bucket_name(raw: Option<&RawValue>, place: &Place<'_>) -> Result<String, Malformed> {
    let name = json::require_text(raw, place)?;
    if is_bucket(&name) {
        Ok(name.into_owned())
    } else {
        Err(place.malformed_text("a bucket name", &name))
    }
}

/// Whether a bucket may have that name. Wider than the rules for new buckets, since old ones and
/// other stores have capitals and underscores, and names up to 255 characters.
pub(super) fn is_bucket(name: &str) -> bool {
    (3..=255).contains(&name.len()) && name.bytes().all(is_name_byte)
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._".contains(&b)
}

/// A key as S3 and Batch Operations encode it.
pub(super) fn encoded_key(
    raw: Option<&RawValue>,
    place: &Place<'_>,
) -> Result<ObjectKey, Malformed> {
    let key = json::require_text(raw, place)?;
    ObjectKey::from_form_urlencoded(&key)
        .map_err(|error| invalid_key("a form-urlencoded key", &key, error, place))
}

/// A key as EventBridge sends it.
pub(super) fn plain_key(raw: Option<&RawValue>, place: &Place<'_>) -> Result<ObjectKey, Malformed> {
    let key = json::require_text(raw, place)?;
    ObjectKey::new(Cow::as_ref(&key)).map_err(|error| invalid_key("a key", &key, error, place))
}

fn invalid_key(
    expected: &'static str,
    found: &str,
    error: InvalidKey,
    place: &Place<'_>,
) -> Malformed {
    Malformed {
        key: Some(error),
        ..place.malformed_text(expected, found)
    }
}

/// A region, which becomes part of a host name. MinIO leaves it empty.
pub(super) fn region(
    raw: Option<&RawValue>,
    place: &Place<'_>,
) -> Result<Option<String>, Malformed> {
    let Some(raw) = raw else { return Ok(None) };
    let region = json::require_text(Some(raw), place)?;
    match region.len() {
        0 => Ok(None),
        1..=63 if region.bytes().all(is_name_byte) => Ok(Some(region.into_owned())),
        _ => Err(place.malformed_text("a region", &region)),
    }
}

/// An event's name for logs.
pub(super) fn shown(event_name: &str) -> String {
    excerpt(event_name).to_string()
}
