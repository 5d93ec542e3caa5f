//! An S3 record as EventBridge tells it: other names, and a key that is not encoded.
//!
//! See <https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html>.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::envelope::{InvalidNotification, Place, key, text};

/// The event for a record, or nothing if EventBridge has none for its kind.
pub(super) fn event(record: &Value, place: &Place) -> Result<Option<String>, InvalidNotification> {
    let name = text(record, "/eventName")?;
    let Some(kind) = Kind::of(name) else {
        return Ok(None);
    };
    let bucket = text(record, "/s3/bucket/name")?;
    let mut object = Map::from_iter([("key".to_owned(), Value::from(key(record)?))]);
    for (theirs, ours) in [
        ("size", "size"),
        ("eTag", "etag"),
        ("versionId", "version-id"),
        ("sequencer", "sequencer"),
    ] {
        if let Some(value) = record["s3"]["object"].get(theirs) {
            object.insert(ours.to_owned(), value.clone());
        }
    }
    let mut detail = json!({
        "version": "0",
        "bucket": {"name": bucket},
        "object": object,
        "request-id": record["responseElements"]["x-amz-request-id"],
        "requester": place.account,
        "source-ip-address": record["requestParameters"]["sourceIPAddress"],
    });
    let mut add = |field: &str, value: Option<&str>| {
        if let Some(value) = value {
            detail[field] = value.into();
        }
    };
    add("reason", kind.reason);
    add("deletion-type", kind.deletion);
    // Whole seconds, where the record has milliseconds.
    let time = text(record, "/eventTime")?;
    let time = time
        .split_once('.')
        .map_or(time.to_owned(), |(seconds, _)| format!("{seconds}Z"));
    let event = json!({
        "version": "0",
        "id": Uuid::new_v4().to_string(),
        "detail-type": kind.detail,
        "source": "aws.s3",
        "account": place.account,
        "time": time,
        "region": text(record, "/awsRegion")?,
        "resources": [format!("arn:aws:s3:::{bucket}")],
        "detail": detail,
    });
    Ok(Some(event.to_string()))
}

/// What the name of a record's event becomes.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    detail: &'static str,
    reason: Option<&'static str>,
    deletion: Option<&'static str>,
}

impl Kind {
    fn of(event_name: &str) -> Option<Self> {
        let deleted = |reason, deletion| Self {
            detail: "Object Deleted",
            reason: Some(reason),
            deletion: Some(deletion),
        };
        let created = |reason| Self {
            detail: "Object Created",
            reason: Some(reason),
            deletion: None,
        };
        let plain = |detail| Self {
            detail,
            reason: None,
            deletion: None,
        };
        Some(match event_name {
            "ObjectCreated:Put" => created("PutObject"),
            "ObjectCreated:Post" => created("POST Object"),
            "ObjectCreated:Copy" => created("CopyObject"),
            "ObjectCreated:CompleteMultipartUpload" => created("CompleteMultipartUpload"),
            "ObjectRemoved:Delete" => deleted("DeleteObject", "Permanently Deleted"),
            "ObjectRemoved:DeleteMarkerCreated" => deleted("DeleteObject", "Delete Marker Created"),
            "LifecycleExpiration:Delete" => deleted("Lifecycle Expiration", "Permanently Deleted"),
            "LifecycleExpiration:DeleteMarkerCreated" => {
                deleted("Lifecycle Expiration", "Delete Marker Created")
            }
            "ObjectTagging:Put" => plain("Object Tags Added"),
            "ObjectTagging:Delete" => plain("Object Tags Deleted"),
            "ObjectAcl:Put" => plain("Object ACL Updated"),
            "ObjectRestore:Post" => plain("Object Restore Initiated"),
            "ObjectRestore:Completed" => plain("Object Restore Completed"),
            "ObjectRestore:Delete" => plain("Object Restore Expired"),
            "LifecycleTransition" => plain("Object Storage Class Changed"),
            "IntelligentTiering" => plain("Object Access Tier Changed"),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn place() -> Place {
        Place {
            region: "us-east-1".to_owned(),
            account: "123456789012".to_owned(),
        }
    }

    fn record(name: &str) -> Value {
        json!({
            "awsRegion": "ca-central-1",
            "eventTime": "2026-01-02T03:04:05.678Z",
            "eventName": name,
            "requestParameters": {"sourceIPAddress": "127.0.0.1"},
            "responseElements": {"x-amz-request-id": "REQUEST"},
            "s3": {
                "bucket": {"name": "master"},
                "object": {
                    "key": "a+b%2Bc/%C3%A9", "size": 3, "eTag": "e", "versionId": "v",
                    "sequencer": "00"
                }
            }
        })
    }

    #[test]
    fn record_is_told_in_eventbridges_words_with_a_plain_key() {
        let event = event(&record("ObjectCreated:Copy"), &place())
            .unwrap()
            .unwrap();
        let mut event: Value = serde_json::from_str(&event).unwrap();
        assert!(event["id"].take().is_string());
        assert_eq!(
            event,
            json!({
                "version": "0",
                "id": null,
                "detail-type": "Object Created",
                "source": "aws.s3",
                "account": "123456789012",
                "time": "2026-01-02T03:04:05Z",
                "region": "ca-central-1",
                "resources": ["arn:aws:s3:::master"],
                "detail": {
                    "version": "0",
                    "bucket": {"name": "master"},
                    "object": {
                        "key": "a b+c/é", "size": 3, "etag": "e", "version-id": "v",
                        "sequencer": "00"
                    },
                    "request-id": "REQUEST",
                    "requester": "123456789012",
                    "source-ip-address": "127.0.0.1",
                    "reason": "CopyObject"
                }
            })
        );
    }

    #[rstest]
    #[case::put("ObjectCreated:Put", "Object Created", Some("PutObject"), None)]
    #[case::multipart(
        "ObjectCreated:CompleteMultipartUpload",
        "Object Created",
        Some("CompleteMultipartUpload"),
        None
    )]
    #[case::delete(
        "ObjectRemoved:Delete",
        "Object Deleted",
        Some("DeleteObject"),
        Some("Permanently Deleted")
    )]
    #[case::marker(
        "ObjectRemoved:DeleteMarkerCreated",
        "Object Deleted",
        Some("DeleteObject"),
        Some("Delete Marker Created")
    )]
    #[case::expired(
        "LifecycleExpiration:Delete",
        "Object Deleted",
        Some("Lifecycle Expiration"),
        Some("Permanently Deleted")
    )]
    #[case::tagged("ObjectTagging:Put", "Object Tags Added", None, None)]
    #[case::untagged("ObjectTagging:Delete", "Object Tags Deleted", None, None)]
    #[case::restored("ObjectRestore:Completed", "Object Restore Completed", None, None)]
    fn event_name_decides_the_detail_type(
        #[case] name: &str,
        #[case] detail: &str,
        #[case] reason: Option<&str>,
        #[case] deletion: Option<&str>,
    ) {
        let event = event(&record(name), &place()).unwrap().unwrap();
        let event: Value = serde_json::from_str(&event).unwrap();
        assert_eq!(event["detail-type"], detail);
        assert_eq!(event["detail"]["reason"].as_str(), reason);
        assert_eq!(event["detail"]["deletion-type"].as_str(), deletion);
    }

    #[test]
    fn kind_unknown_to_eventbridge_makes_no_event() {
        let event = event(&record("Replication:OperationFailedReplication"), &place());
        assert_eq!(event.unwrap(), None);
    }

    #[test]
    fn missing_size_and_etag_stay_missing() {
        let mut record = record("ObjectRemoved:Delete");
        record["s3"]["object"] = json!({"key": "k", "sequencer": "00"});
        let event: Value =
            serde_json::from_str(&event(&record, &place()).unwrap().unwrap()).unwrap();
        assert_eq!(
            event["detail"]["object"],
            json!({"key": "k", "sequencer": "00"})
        );
    }
}
