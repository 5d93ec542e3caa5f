//! The fields of event notifications, in the order in which AWS writes them.
//!
//! Shapes as in
//! [Event message structure](https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html)
//! and [EventBridge event message structure](https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html).
//! A field that is `None` is absent, never `null`.

use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Records<'a> {
    #[serde(rename = "Records")]
    pub(super) records: [Record<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record<'a> {
    pub(super) event_version: &'a str,
    pub(super) event_source: &'a str,
    pub(super) aws_region: &'a str,
    pub(super) event_time: String,
    pub(super) event_name: &'a str,
    pub(super) user_identity: Identity,
    pub(super) request_parameters: RequestParameters<'a>,
    pub(super) response_elements: ResponseElements<'a>,
    pub(super) s3: RecordOfS3<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    pub(super) principal_id: String,
}

#[derive(Serialize)]
pub(super) struct RequestParameters<'a> {
    #[serde(rename = "sourceIPAddress")]
    pub(super) source_ip_address: &'a str,
}

#[derive(Serialize)]
pub(super) struct ResponseElements<'a> {
    #[serde(rename = "x-amz-request-id")]
    pub(super) request_id: &'a str,
    #[serde(rename = "x-amz-id-2")]
    pub(super) host_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecordOfS3<'a> {
    #[serde(rename = "s3SchemaVersion")]
    pub(super) schema_version: &'a str,
    pub(super) configuration_id: &'a str,
    pub(super) bucket: RecordBucket<'a>,
    pub(super) object: RecordObject<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecordBucket<'a> {
    pub(super) name: &'a str,
    pub(super) owner_identity: Identity,
    pub(super) arn: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecordObject<'a> {
    /// Form-urlencoded.
    pub(super) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    #[serde(rename = "eTag", skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version_id: Option<&'a str>,
    pub(super) sequencer: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TestEvent<'a> {
    pub(super) service: &'a str,
    pub(super) event: &'a str,
    pub(super) time: String,
    pub(super) bucket: &'a str,
    pub(super) request_id: &'a str,
    pub(super) host_id: &'a str,
}

#[derive(Serialize)]
pub(super) struct BridgeEvent<'a> {
    pub(super) version: &'a str,
    pub(super) id: String,
    #[serde(rename = "detail-type")]
    pub(super) detail_type: &'a str,
    pub(super) source: &'a str,
    pub(super) account: &'a str,
    pub(super) time: String,
    pub(super) region: &'a str,
    pub(super) resources: [String; 1],
    pub(super) detail: BridgeDetail<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct BridgeDetail<'a> {
    pub(super) version: &'a str,
    pub(super) bucket: BridgeBucket<'a>,
    pub(super) object: BridgeObject<'a>,
    pub(super) request_id: &'a str,
    pub(super) requester: &'a str,
    pub(super) source_ip_address: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) deletion_type: Option<&'a str>,
}

#[derive(Serialize)]
pub(super) struct BridgeBucket<'a> {
    pub(super) name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct BridgeObject<'a> {
    /// As it is.
    pub(super) key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) etag: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version_id: Option<&'a str>,
    pub(super) sequencer: String,
}
