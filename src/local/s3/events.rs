//! The bodies of event notifications, as text.

use std::time::SystemTime;

use serde::Serialize;
use uuid::Uuid;

use super::event_shapes::{
    BridgeBucket, BridgeDetail, BridgeEvent, BridgeObject, Identity, Record, RecordBucket,
    RecordObject, RecordOfS3, Records, RequestParameters, ResponseElements, TestEvent,
};
use super::ids;
use super::names::encode_key;
use super::notify::{Destination, Notification, Rule};
use super::store::Bucket;
use super::time::json_date;

/// The account that owns all buckets.
pub(super) const ACCOUNT: &str = "123456789012";

/// The canonical id of that account.
pub(super) const CANONICAL_ID: &str =
    "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a";

/// The customer id that AWS gives for the owner of a bucket.
const OWNER_PRINCIPAL: &str = "A3NL1KOZZKEXAMPLE";

/// Who made a request, as far as a notification tells.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) request_id: String,
    pub(super) host_id: String,
    pub(super) access_key: String,
}

/// What happened to one object.
#[derive(Debug, Clone)]
pub(super) struct Event<'a> {
    pub(super) kind: Kind,
    pub(super) key: &'a str,
    /// `None` on removals.
    pub(super) size: Option<u64>,
    /// `None` on removals.
    pub(super) etag: Option<&'a str>,
    pub(super) version_id: Option<&'a str>,
    pub(super) time: SystemTime,
    pub(super) serial: u64,
}

/// The kinds of events that a store's operations cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An object was put.
    Put,
    /// An object was posted by a form.
    Post,
    /// An object was copied to here.
    Copy,
    /// A multipart upload was completed.
    CompleteMultipartUpload,
    /// An object or a version is gone.
    Delete,
    /// A delete marker was laid over an object.
    DeleteMarkerCreated,
    /// An object's tags were put.
    TagsPut,
    /// An object's tags were removed.
    TagsDelete,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Put => "ObjectCreated:Put",
            Kind::Post => "ObjectCreated:Post",
            Kind::Copy => "ObjectCreated:Copy",
            Kind::CompleteMultipartUpload => "ObjectCreated:CompleteMultipartUpload",
            Kind::Delete => "ObjectRemoved:Delete",
            Kind::DeleteMarkerCreated => "ObjectRemoved:DeleteMarkerCreated",
            Kind::TagsPut => "ObjectTagging:Put",
            Kind::TagsDelete => "ObjectTagging:Delete",
        }
    }

    fn version(self) -> &'static str {
        match self {
            Kind::TagsPut | Kind::TagsDelete => "2.3",
            _ => "2.1",
        }
    }

    /// EventBridge's `detail-type`, `reason` and `deletion-type`.
    fn detail(self) -> (&'static str, Option<&'static str>, Option<&'static str>) {
        match self {
            Kind::Put => ("Object Created", Some("PutObject"), None),
            Kind::Post => ("Object Created", Some("POST Object"), None),
            Kind::Copy => ("Object Created", Some("CopyObject"), None),
            Kind::CompleteMultipartUpload => {
                ("Object Created", Some("CompleteMultipartUpload"), None)
            }
            Kind::Delete => (
                "Object Deleted",
                Some("DeleteObject"),
                Some("Permanently Deleted"),
            ),
            Kind::DeleteMarkerCreated => (
                "Object Deleted",
                Some("DeleteObject"),
                Some("Delete Marker Created"),
            ),
            Kind::TagsPut => ("Object Tags Added", None, None),
            Kind::TagsDelete => ("Object Tags Deleted", None, None),
        }
    }
}

/// The notifications that a bucket's configuration asks for about an event.
pub(super) fn notifications(
    bucket: &Bucket,
    event: &Event<'_>,
    origin: &Origin,
) -> Vec<Notification> {
    let body = |rule: &Rule| match rule.destination {
        Destination::EventBridge => Some(event_bridge(bucket, event, origin)),
        _ if rule.matches(event.kind.name(), event.key) => {
            Some(records(bucket, rule, event, origin))
        }
        _ => None,
    };
    let notification = |rule: &Rule| {
        Some(Notification {
            destination: rule.destination.clone(),
            bucket: bucket.name.clone(),
            body: body(rule)?,
        })
    };
    bucket.rules.iter().filter_map(notification).collect()
}

/// What S3 sends to every queue and topic when a configuration is put.
pub(super) fn test_events(bucket: &Bucket, origin: &Origin, time: SystemTime) -> Vec<Notification> {
    let body = to_json(&TestEvent {
        service: "Amazon S3",
        event: "s3:TestEvent",
        time: json_date(time),
        bucket: &bucket.name,
        request_id: &origin.request_id,
        host_id: &origin.host_id,
    });
    let is_tested = |rule: &&Rule| {
        matches!(
            rule.destination,
            Destination::Queue { .. } | Destination::Topic { .. }
        )
    };
    let rules = bucket.rules.iter().filter(is_tested);
    rules
        .map(|rule| Notification {
            destination: rule.destination.clone(),
            bucket: bucket.name.clone(),
            body: body.clone(),
        })
        .collect()
}

fn records(bucket: &Bucket, rule: &Rule, event: &Event<'_>, origin: &Origin) -> String {
    to_json(&Records {
        records: [Record {
            event_version: event.kind.version(),
            event_source: "aws:s3",
            aws_region: &bucket.region,
            event_time: json_date(event.time),
            event_name: event.kind.name(),
            user_identity: Identity {
                principal_id: format!("AWS:{}", origin.access_key),
            },
            request_parameters: RequestParameters {
                source_ip_address: "127.0.0.1",
            },
            response_elements: ResponseElements {
                request_id: &origin.request_id,
                host_id: &origin.host_id,
            },
            s3: RecordOfS3 {
                schema_version: "1.0",
                configuration_id: &rule.id,
                bucket: RecordBucket {
                    name: &bucket.name,
                    owner_identity: Identity {
                        principal_id: OWNER_PRINCIPAL.to_owned(),
                    },
                    arn: format!("arn:aws:s3:::{}", bucket.name),
                },
                object: RecordObject {
                    key: encode_key(event.key),
                    size: event.size,
                    etag: event.etag,
                    version_id: event.version_id,
                    sequencer: ids::sequencer(event.serial),
                },
            },
        }],
    })
}

fn event_bridge(bucket: &Bucket, event: &Event<'_>, origin: &Origin) -> String {
    let (detail_type, reason, deletion_type) = event.kind.detail();
    to_json(&BridgeEvent {
        version: "0",
        id: Uuid::from_u64_pair(event.serial, u64::MAX).to_string(),
        detail_type,
        source: "aws.s3",
        account: ACCOUNT,
        // EventBridge's own time has no fraction.
        time: format!(
            "{}Z",
            json_date(event.time).split('.').next().unwrap_or_default()
        ),
        region: &bucket.region,
        resources: [format!("arn:aws:s3:::{}", bucket.name)],
        detail: BridgeDetail {
            version: "0",
            bucket: BridgeBucket { name: &bucket.name },
            object: BridgeObject {
                key: event.key,
                size: event.size,
                etag: event.etag,
                version_id: event.version_id,
                sequencer: ids::sequencer(event.serial),
            },
            request_id: &origin.request_id,
            requester: ACCOUNT,
            source_ip_address: "127.0.0.1",
            reason,
            deletion_type,
        },
    })
}

fn to_json(event: &impl Serialize) -> String {
    serde_json::to_string(event).expect("text and numbers always are JSON")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;
    use s3s::dto::{
        EventBridgeConfiguration, LambdaFunctionConfiguration, NotificationConfiguration,
        QueueConfiguration,
    };

    use serde_json::{Value, json};

    use super::super::notify;
    use super::*;

    fn bucket() -> Bucket {
        let all = [
            "s3:ObjectCreated:*",
            "s3:ObjectRemoved:*",
            "s3:ObjectTagging:*",
        ];
        let mut configuration = NotificationConfiguration {
            lambda_function_configurations: Some(vec![LambdaFunctionConfiguration {
                events: all.iter().map(|event| event.to_string().into()).collect(),
                filter: None,
                id: Some("replicate".into()),
                lambda_function_arn: "arn:aws:lambda:us-east-1:123456789012:function:f".into(),
            }]),
            queue_configurations: Some(vec![QueueConfiguration {
                events: vec!["s3:LifecycleExpiration:*".to_owned().into()],
                filter: None,
                id: None,
                queue_arn: "arn:aws:sqs:us-east-1:123456789012:q".into(),
            }]),
            event_bridge_configuration: Some(EventBridgeConfiguration {}),
            ..Default::default()
        };
        let mut bucket = Bucket::new("master".into(), "eu-west-1".into(), SystemTime::UNIX_EPOCH);
        bucket.rules = notify::rules(&mut configuration, || "generated".into()).unwrap();
        bucket
    }

    fn origin() -> Origin {
        Origin {
            request_id: "R".into(),
            host_id: "H".into(),
            access_key: "K".into(),
        }
    }

    fn event(kind: Kind) -> Event<'static> {
        let is_removal = matches!(kind, Kind::Delete | Kind::DeleteMarkerCreated);
        Event {
            kind,
            key: "a b+/é",
            size: (!is_removal).then_some(5),
            etag: (!is_removal).then_some("e"),
            version_id: Some("v"),
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
            serial: 10,
        }
    }

    fn bodies(kind: Kind) -> Vec<Value> {
        let all = notifications(&bucket(), &event(kind), &origin());
        all.iter()
            .map(|one| serde_json::from_str(&one.body).unwrap())
            .collect()
    }

    #[test]
    fn record_is_the_one_of_aws() {
        let expected = json!({ "Records": [{
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": "eu-west-1",
            "eventTime": "1970-01-01T00:00:01.500Z",
            "eventName": "ObjectCreated:Put",
            "userIdentity": { "principalId": "AWS:K" },
            "requestParameters": { "sourceIPAddress": "127.0.0.1" },
            "responseElements": { "x-amz-request-id": "R", "x-amz-id-2": "H" },
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "replicate",
                "bucket": {
                    "name": "master",
                    "ownerIdentity": { "principalId": "A3NL1KOZZKEXAMPLE" },
                    "arn": "arn:aws:s3:::master",
                },
                "object": {
                    "key": "a+b%2B/%C3%A9",
                    "size": 5,
                    "eTag": "e",
                    "versionId": "v",
                    "sequencer": "00000000000000000A",
                },
            },
        }]});
        assert_eq!(bodies(Kind::Put)[0], expected);
    }

    #[rstest]
    #[case::delete(Kind::Delete, "ObjectRemoved:Delete", "Permanently Deleted")]
    #[case::marker(
        Kind::DeleteMarkerCreated,
        "ObjectRemoved:DeleteMarkerCreated",
        "Delete Marker Created"
    )]
    fn removals_have_neither_size_nor_etag(
        #[case] kind: Kind,
        #[case] name: &str,
        #[case] deletion: &str,
    ) {
        let bodies = bodies(kind);
        let record = &bodies[0]["Records"][0];
        assert_eq!(record["eventName"], name);
        let object = record["s3"]["object"].as_object().unwrap();
        assert_eq!(
            object.keys().collect::<Vec<_>>(),
            ["key", "sequencer", "versionId"]
        );
        assert_eq!(bodies[1]["detail"]["deletion-type"], deletion);
    }

    #[test]
    fn event_bridge_gets_the_plain_key_and_whole_seconds() {
        let body = &bodies(Kind::Copy)[1];
        assert_eq!(body["detail-type"], "Object Created");
        assert_eq!(body["source"], "aws.s3");
        assert_eq!(body["time"], "1970-01-01T00:00:01Z");
        assert_eq!(body["detail"]["object"]["key"], "a b+/é");
        assert_eq!(body["detail"]["reason"], "CopyObject");
    }

    #[test]
    fn test_event_goes_to_queues_and_topics_only() {
        let tests = test_events(&bucket(), &origin(), SystemTime::UNIX_EPOCH);
        assert_eq!(tests.len(), 1);
        assert!(matches!(tests[0].destination, Destination::Queue { .. }));
        let body: Value = serde_json::from_str(&tests[0].body).unwrap();
        assert_eq!(body["Event"], "s3:TestEvent");
        assert_eq!(body["Time"], "1970-01-01T00:00:00.000Z");
    }
}
