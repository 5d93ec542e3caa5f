//! S3 Batch Operations: one delivery a task. The schemas 1.0 and 2.0 differ for us in how they
//! name the bucket; the arguments that 2.0 may carry say nothing to us.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html>
//!
//! The version that a task may name is ignored: what is replicated is what the master holds now.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::malformed::{Malformed, Place};
use super::{Delivery, Invocation, Invoker, Notice, json, s3};
use crate::change::{Change, ChangeKind, Hints};

/// One invocation of a job, not yet looked into.
#[derive(Deserialize)]
pub(super) struct Job<'a> {
    #[serde(borrow, rename = "invocationSchemaVersion")]
    schema_version: Option<&'a RawValue>,
    #[serde(borrow, rename = "invocationId")]
    invocation_id: Option<&'a RawValue>,
    #[serde(borrow)]
    tasks: Option<&'a RawValue>,
}

/// One object of the job's manifest.
pub(super) struct Task<'a> {
    pub(super) id: Cow<'a, str>,
    fields: TaskFields<'a>,
}

#[derive(Clone, Copy, Deserialize)]
struct TaskFields<'a> {
    #[serde(borrow, rename = "taskId")]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "s3Key")]
    key: Option<&'a RawValue>,
    #[serde(borrow, rename = "s3Bucket")]
    bucket: Option<&'a RawValue>,
    #[serde(borrow, rename = "s3BucketArn")]
    bucket_arn: Option<&'a RawValue>,
    #[serde(borrow, rename = "s3VersionId")]
    version_id: Option<&'a RawValue>,
}

/// Reads an invocation.
pub(super) fn invocation(job: &Job<'_>, place: &Place<'_>) -> Result<Invocation, Malformed> {
    let invocation_id = json::require_id(job.invocation_id, &place.field("invocationId"))?;
    let invoker = Invoker::BatchOperations {
        schema_version: job.schema_version(place)?.into_owned(),
        invocation_id: invocation_id.into_owned(),
    };
    let deliveries = job.tasks(place)?.into_iter().map(|task| {
        let mut delivery = Delivery::new(task.id.as_ref());
        delivery.take(task.notice(&place.task(&task.id)));
        delivery
    });
    Ok(Invocation {
        invoker,
        deliveries: deliveries.collect(),
    })
}

impl<'a> Job<'a> {
    /// A schema that we don't know may encode its keys in another way.
    fn schema_version(&self, place: &Place<'_>) -> Result<Cow<'a, str>, Malformed> {
        let place = place.field("invocationSchemaVersion");
        let version = json::require_text(self.schema_version, &place)?;
        match version.as_ref() {
            "1.0" | "2.0" => Ok(version),
            other => Err(place.malformed_text("`1.0` or `2.0`", other)),
        }
    }

    /// The tasks, each with the id under which its result is reported.
    pub(super) fn tasks(&self, place: &Place<'_>) -> Result<Vec<Task<'a>>, Malformed> {
        self.schema_version(place)?;
        let tasks = match self.tasks {
            Some(tasks) => json::array(tasks, &place.field("tasks"))?,
            None => Vec::new(),
        };
        let place = place.field("tasks");
        let read = |(raw, number): (&'a RawValue, usize)| {
            let place = place.record(number);
            let fields: TaskFields<'a> = json::object(raw.get(), &place)?;
            let id = json::require_id(fields.id, &place.field("taskId"))?;
            Ok(Task { id, fields })
        };
        tasks.into_iter().zip(1..).map(read).collect()
    }
}

impl Task<'_> {
    /// What the task asks for.
    pub(super) fn notice(&self, place: &Place<'_>) -> Result<Notice, Malformed> {
        let TaskFields {
            key,
            bucket,
            bucket_arn,
            version_id,
            ..
        } = self.fields;
        let bucket = match bucket {
            Some(_) => s3::bucket_name(bucket, &place.field("s3Bucket"))?,
            None => bucket_of_arn(bucket_arn, &place.field("s3BucketArn"))?,
        };
        Ok(Notice::Change(Change {
            bucket,
            key: s3::encoded_key(key, &place.field("s3Key"))?,
            region: None,
            kind: ChangeKind::Requested,
            event_name: "BatchOperations".to_owned(),
            event_time: None,
            hints: Hints {
                version_id: json::hint(version_id),
                ..Hints::default()
            },
        }))
    }
}

/// `arn:aws:s3:::bucket`; the parts between may be filled.
fn bucket_of_arn(raw: Option<&RawValue>, place: &Place<'_>) -> Result<String, Malformed> {
    let arn = json::require_text(raw, place)?;
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, "s3", _, _, bucket] if s3::is_bucket(bucket) => Ok((*bucket).to_owned()),
        _ => Err(place.malformed_text("the ARN of a bucket", &arn)),
    }
}
