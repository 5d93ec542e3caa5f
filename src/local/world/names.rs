//! Bucket names of a recording, made unique where a store is shared by many runs.
//!
//! Invariant: nothing but bucket names changes. What is shown to people has the recording's own.

use std::borrow::Cow;

use crate::local::faults::Scope;
use crate::local::recording::{Action, Bucket, Expect, Header, OperationKind, Payload, Recording};
use crate::targets::TARGETS_TAG;

/// The longest that a bucket's name may be.
const MAX_LENGTH: usize = 63;

/// How names are changed: by a suffix, or not at all.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    suffix: Option<String>,
    known: Vec<String>,
}

impl Names {
    /// A suffix for the buckets of a header.
    pub(super) fn unique(header: &Header, suffix: &str) -> Self {
        Self {
            suffix: Some(format!("-{suffix}")),
            known: header.buckets().map(|bucket| bucket.name.clone()).collect(),
        }
    }

    /// The name that the store knows a bucket by. Others than the recording's stay as they are.
    pub(super) fn real(&self, bucket: &str) -> String {
        match &self.suffix {
            Some(suffix) if self.known.iter().any(|known| known == bucket) => {
                let length = bucket.len().min(MAX_LENGTH - suffix.len());
                format!("{}{suffix}", bucket[..length].trim_end_matches(['-', '.']))
            }
            _ => bucket.to_owned(),
        }
    }

    /// A text as people are to see it.
    pub(super) fn shown<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.suffix {
            Some(suffix) if text.contains(suffix.as_str()) => text.replace(suffix, "").into(),
            _ => text.into(),
        }
    }

    /// The world of a recording under the names that the store knows.
    pub(super) fn header(&self, header: &Header) -> Header {
        let mut header = header.clone();
        self.bucket(&mut header.master);
        for target in &mut header.targets {
            self.bucket(&mut target.bucket);
        }
        for value in header.function.environment.values_mut() {
            let words = value.split(' ').map(|word| self.real(word));
            *value = words.collect::<Vec<_>>().join(" ");
        }
        header
    }

    /// A recording under the names that the store knows.
    pub(super) fn recording(&self, recording: &Recording) -> Recording {
        let mut recording = recording.clone();
        if self.suffix.is_none() {
            return recording;
        }
        recording.header = self.header(&recording.header);
        for step in &mut recording.steps {
            self.action(&mut step.action);
        }
        recording
    }

    fn bucket(&self, bucket: &mut Bucket) {
        bucket.name = self.real(&bucket.name);
        self.tags(&mut bucket.tags);
    }

    /// The names in `name@site name@site`, of every tag that lists targets.
    fn tags(&self, tags: &mut std::collections::BTreeMap<String, String>) {
        for (_, value) in tags
            .iter_mut()
            .filter(|(tag, _)| tag.starts_with(TARGETS_TAG))
        {
            let entries = value.split(' ').map(|entry| match entry.split_once('@') {
                Some((bucket, site)) => format!("{}@{site}", self.real(bucket)),
                None => entry.to_owned(),
            });
            *value = entries.collect::<Vec<_>>().join(" ");
        }
    }

    fn optional(&self, bucket: &mut Option<String>) {
        if let Some(bucket) = bucket {
            *bucket = self.real(bucket);
        }
    }

    fn action(&self, action: &mut Action) {
        match action {
            Action::Operation(operation) => {
                self.optional(&mut operation.target);
                if let OperationKind::BucketTags(tags) = &mut operation.kind {
                    self.tags(tags);
                }
            }
            Action::Fault(fault) => {
                if let Scope::Bucket(bucket) = &mut fault.scope {
                    *bucket = self.real(bucket);
                }
            }
            Action::Invoke(payload) => {
                if let Ok(renamed) = Payload::new(&self.payload(payload.as_str())) {
                    *payload = renamed;
                }
            }
            Action::Expect(expect) => match expect {
                Expect::Equal { target, .. }
                | Expect::Absent { target, .. }
                | Expect::Outcome { target, .. } => self.optional(target),
                Expect::Object(object) => self.optional(&mut object.target),
                Expect::Requests { bucket, .. } => self.optional(bucket),
                Expect::Response { .. } | Expect::OnFailure(_) | Expect::DeadLetters(_) => {}
            },
            Action::Deliver(_) | Action::Settle(_) | Action::Pause(_) => {}
        }
    }

    /// A payload's text, untouched but for the names of buckets, however deep they are quoted.
    fn payload(&self, text: &str) -> String {
        let mut renamed = text.to_owned();
        for bucket in &self.known {
            let mut done = String::new();
            let mut rest = renamed.as_str();
            while let Some(at) = rest.find(bucket.as_str()) {
                let (before, after) = (&rest[..at], &rest[at + bucket.len()..]);
                done.push_str(before);
                match is_bucket(&done, after) {
                    true => done.push_str(&self.real(bucket)),
                    false => done.push_str(bucket),
                }
                rest = after;
            }
            done.push_str(rest);
            renamed = done;
        }
        renamed
    }
}

/// Whether a name between these texts stands where payloads have a bucket's: in an ARN, as
/// `"name": "…"` or `"s3Bucket": "…"`, or first in MinIO's `"Key": "bucket/key"`.
fn is_bucket(before: &str, after: &str) -> bool {
    let ends = after.starts_with(['"', '\\']);
    let field = before.trim_end_matches(['\\', '"', ':', ' ']);
    let quoted = before.ends_with('"');
    (before.ends_with(":::") && (ends || after.starts_with('/')))
        || (quoted && ends && (field.ends_with("name") || field.ends_with("s3Bucket")))
        || (quoted && after.starts_with('/') && field.ends_with("Key"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;

    const HEADER: &str = r#"{"recording": 1, "name": "n", "master": {"bucket": "master", "region": "us-east-1", "tags": {"ReplicatedTargetBuckets": "replica-1@eu-west-1  oops other@eu-west-1"}}, "targets": [{"bucket": "replica-1", "region": "eu-west-1"}]}"#;

    fn recording(step: &str) -> Recording {
        let text = format!("{HEADER}\n{step}\n");
        Recording::parse(&text, Path::new("test.jsonl")).unwrap()
    }

    fn renamed(step: &str) -> Recording {
        let recording = recording(step);
        Names::unique(&recording.header, "x1").recording(&recording)
    }

    #[test]
    fn tags_follow_their_buckets() {
        let recording = renamed(r#"{"settle": {"within_s": 1}}"#);
        assert_eq!(recording.header.master.name, "master-x1");
        assert_eq!(
            recording.header.master.tags[TARGETS_TAG],
            "replica-1-x1@eu-west-1  oops other@eu-west-1"
        );
    }

    #[rstest]
    #[case::operation(r#"{"delete": {"key": "master"}, "target": "replica-1"}"#, 1)]
    #[case::fault(
        r#"{"fault": {"on": "CopyObject", "bucket": "replica-1", "answer": 503}}"#,
        1
    )]
    #[case::expectation(
        r#"{"expect": {"target": "master", "key": "replica-1", "absent": true}}"#,
        1
    )]
    #[case::requests(r#"{"expect": {"requests": {"bucket": "master", "count": 0}}}"#, 1)]
    #[case::payload(
        r#"{"invoke": {"Records": [{"s3": {"bucket": {"name": "master", "arn": "arn:aws:s3:::master"}, "object": {"key": "master"}}}]}}"#,
        2
    )]
    #[case::quoted(
        r#"{"invoke": {"Records": [{"body": "{\"bucket\": {\"name\":\"master\"}, \"key\": \"master\"}"}]}}"#,
        1
    )]
    #[case::minio(r#"{"invoke": {"Key": "master/master/master", "Records": []}}"#, 1)]
    #[case::batch(r#"{"invoke": {"s3Bucket": "master", "s3Key": "master"}}"#, 1)]
    fn only_buckets_are_renamed(#[case] step: &str, #[case] times: usize) {
        let line = renamed(step).steps[0].to_json_line();
        assert_eq!(line.matches("-x1").count(), times, "{line}");
        assert_eq!(
            line.replace("-x1", ""),
            recording(step).steps[0].to_json_line()
        );
    }

    #[test]
    fn long_name_is_cut_to_what_is_allowed() {
        let mut header = recording(r#"{"settle": {"within_s": 1}}"#).header;
        header.master.name = "m".repeat(63);
        let name = Names::unique(&header, "x1").real(&header.master.name);
        assert_eq!(name.len(), 63);
        assert!(name.ends_with("m-x1"));
    }

    #[test]
    fn people_see_the_recordings_names() {
        let names = Names::unique(&recording(r#"{"settle": {"within_s": 1}}"#).header, "x1");
        assert_eq!(names.shown("s3://replica-1-x1/k"), "s3://replica-1/k");
    }
}
