//! Events of EventBridge: those of S3, whose keys are not encoded, and those that Lambda makes of
//! a failed invocation.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::malformed::{Malformed, Place};
use super::{Envelope, Notice, json, s3};
use crate::change::{Change, ChangeKind, Hints};

#[derive(Deserialize)]
struct Outline<'a> {
    #[serde(borrow)]
    source: Option<&'a RawValue>,
    #[serde(borrow, rename = "detail-type")]
    detail_type: Option<&'a RawValue>,
    #[serde(borrow)]
    region: Option<&'a RawValue>,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

/// What Lambda reports of an invocation.
#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow, rename = "requestPayload")]
    request_payload: Option<&'a RawValue>,
}

/// An event whose source is S3.
pub(super) struct Event<'a> {
    detail_type: Cow<'a, str>,
    region: Option<&'a RawValue>,
    time: Option<&'a RawValue>,
    detail: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Detail<'a> {
    #[serde(borrow)]
    bucket: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    etag: Option<&'a RawValue>,
    #[serde(borrow, rename = "version-id")]
    version_id: Option<&'a RawValue>,
    #[serde(borrow)]
    sequencer: Option<&'a RawValue>,
}

/// Reads an event by its source.
pub(super) fn read<'a>(payload: &'a str, place: &Place<'_>) -> Result<Envelope<'a>, Malformed> {
    let outline: Outline<'a> = json::object(payload, place)?;
    let source = json::require_text(outline.source, &place.field("source"))?;
    match source.as_ref() {
        "aws.s3" => Ok(Envelope::EventBridge(Event {
            detail_type: json::require_text(outline.detail_type, &place.field("detail-type"))?,
            region: outline.region,
            time: outline.time,
            detail: outline.detail,
        })),
        "lambda" => {
            let place = place.field("detail");
            let failure: Failure<'a> = s3::nested(outline.detail, &place)?;
            failure
                .request_payload
                .map(Envelope::Failed)
                .ok_or_else(|| {
                    place.malformed(
                        "a failed invocation with its `requestPayload`",
                        "another object",
                    )
                })
        }
        source => Err(place
            .field("source")
            .malformed_text("`aws.s3` or `lambda`", source)),
    }
}

impl Event<'_> {
    /// What the event says.
    pub(super) fn notice(&self, place: &Place<'_>) -> Result<Notice, Malformed> {
        let kind = match self.detail_type.as_ref() {
            "Object Created" => ChangeKind::Created,
            "Object Deleted" => ChangeKind::Removed,
            "Object Tags Added" | "Object Tags Deleted" => ChangeKind::Tagged,
            "Object Restore Completed" => ChangeKind::Restored,
            detail_type => return Ok(Notice::Ignored(s3::shown(detail_type))),
        };
        let Detail { bucket, object } = s3::nested(self.detail, &place.field("detail"))?;
        let bucket: s3::Bucket<'_> = s3::nested(bucket, &place.field("detail.bucket"))?;
        let object: Object<'_> = s3::nested(object, &place.field("detail.object"))?;
        Ok(Notice::Change(Change {
            bucket: s3::bucket_name(bucket.name, &place.field("detail.bucket.name"))?,
            key: s3::plain_key(object.key, &place.field("detail.object.key"))?,
            region: s3::region(self.region, &place.field("region"))?,
            kind,
            event_name: self.detail_type.clone().into_owned(),
            event_time: json::hint(self.time),
            hints: Hints {
                size: json::number_hint(object.size),
                etag: json::hint(object.etag),
                version_id: json::hint(object.version_id),
                sequencer: json::hint(object.sequencer),
            },
        }))
    }
}
