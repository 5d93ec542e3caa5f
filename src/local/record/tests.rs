use std::sync::Arc;

use aws_sdk_s3::config::{BehaviorVersion, Credentials as SdkCredentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_sdk_s3::{Client, Config};
use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::local::http::in_process_client;
use crate::local::recording::{Bucket, TargetBucket};
use crate::local::s3::{Credentials, EmbeddedS3, Options};
use crate::local::world::tagging;

/// A master that is being recorded.
struct Stage {
    client: Client,
    recorder: Recorder,
    folder: TempDir,
}

impl Stage {
    async fn new() -> Self {
        Self::tagged(&[("ReplicatedTargetBuckets", "replica@eu-west-1")]).await
    }

    async fn tagged(tags: &[(&str, &str)]) -> Self {
        let service = EmbeddedS3::new(Options {
            credentials: vec![Credentials {
                access_key: "k".to_owned(),
                secret_key: "s".to_owned(),
            }],
            ..Options::default()
        });
        let client = Client::from_conf(
            Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .http_client(in_process_client(Arc::new(service)))
                .region(Region::from_static("us-east-1"))
                .endpoint_url("http://localhost")
                .force_path_style(true)
                .credentials_provider(SdkCredentials::new("k", "s", None, None, "test"))
                .build(),
        );
        client
            .create_bucket()
            .bucket("master")
            .send()
            .await
            .unwrap();
        let mut master = Bucket::new("master", "us-east-1");
        let tags = tags.iter();
        master.tags = tags
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let mut header = Header::new("test", master);
        header.targets.push(TargetBucket {
            bucket: Bucket::new("replica", "eu-west-1"),
            separate: false,
            create: true,
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it.jsonl");
        let recorder = Recorder::create(&path, &header, client.clone()).unwrap();
        Self {
            client,
            recorder,
            folder,
        }
    }

    async fn put(&self, key: &str, body: impl Into<ByteStream>) {
        let put = self.client.put_object().bucket("master").key(key);
        let put = put.body(body.into()).content_type("text/plain");
        put.send().await.unwrap();
    }

    async fn tag(&self, key: &str, tags: &[(&str, &str)]) {
        let tags = tags.iter();
        let tags = tags.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let tagging = tagging(&tags.collect());
        let tag = self.client.put_object_tagging().bucket("master").key(key);
        tag.tagging(tagging).send().await.unwrap();
    }

    async fn delete(&self, key: &str) {
        let delete = self.client.delete_object().bucket("master").key(key);
        delete.send().await.unwrap();
    }

    /// An event that names this key comes while others are in work.
    async fn event(&self, bucket: &str, key: &str) {
        let payload = event(bucket, key);
        self.recorder.payload(&payload, false).await.unwrap();
    }

    /// The lines after the header, as far as they are no events.
    fn operations(&self) -> Vec<String> {
        let lines = self.lines().into_iter().skip(1);
        lines.filter(|line| !line.contains("invoke")).collect()
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("it.jsonl")).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

fn event(bucket: &str, key: &str) -> String {
    let record = json!({
        "eventSource": "aws:s3",
        "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-02T03:04:05.678Z",
        "awsRegion": "us-east-1",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "sequencer": "1"}},
    });
    json!({"Records": [record]}).to_string()
}

#[tokio::test]
async fn write_is_recorded_before_its_event_and_both_at_once() {
    let stage = Stage::new().await;
    stage.put("a b.txt", ByteStream::from_static(b"one")).await;
    stage.event("master", "a+b.txt").await;
    let lines = stage.lines();
    assert_eq!(
        lines[1],
        r#"{"put": {"key": "a b.txt", "body": {"text": "one"}, "headers": {"Content-Type": "text/plain"}, "checksum": "CRC32"}, "deliver": "held"}"#
    );
    let payload = event("master", "a+b.txt");
    assert_eq!(lines[2], format!(r#"{{"invoke": {payload}}}"#));
    assert_eq!(lines.len(), 3);
}

#[tokio::test]
async fn what_changed_is_recorded_and_nothing_twice() {
    let stage = Stage::new().await;
    stage.put("k", ByteStream::from_static(b"one")).await;
    stage.event("master", "k").await;
    stage.event("master", "k").await;
    stage.tag("k", &[("t", "v")]).await;
    stage.event("master", "k").await;
    stage.tag("k", &[]).await;
    stage.event("master", "k").await;
    stage.delete("k").await;
    stage.event("master", "k").await;
    stage.event("master", "k").await;
    let operations = stage.operations();
    assert!(
        operations[0].starts_with(r#"{"put""#) && operations.len() == 4,
        "{operations:?}"
    );
    assert_eq!(
        operations[1..],
        [
            r#"{"tag": {"key": "k", "tags": {"t": "v"}}, "deliver": "held"}"#,
            r#"{"untag": {"key": "k"}, "deliver": "held"}"#,
            r#"{"delete": {"key": "k"}, "deliver": "held"}"#,
        ]
    );
    let recorded = stage.recorder.finish().await.unwrap();
    assert_eq!((recorded.payloads, recorded.operations), (6, 4));
}

#[tokio::test]
async fn late_event_is_recorded_with_what_there_is_to_be_seen() {
    let stage = Stage::new().await;
    stage.put("k", ByteStream::from_static(b"one")).await;
    stage.put("k", ByteStream::from_static(b"two")).await;
    stage.event("master", "k").await;
    stage.event("master", "k").await;
    let operations = stage.operations();
    assert_eq!(operations.len(), 1, "{operations:?}");
    assert!(operations[0].contains(r#""text": "two""#), "{operations:?}");
}

#[tokio::test]
async fn event_of_another_bucket_is_left_out_and_counted() {
    let stage = Stage::new().await;
    stage.event("other", "k").await;
    assert_eq!(stage.lines().len(), 1);
    assert_eq!(stage.recorder.finish().await.unwrap().others, 1);
}

#[tokio::test]
async fn replay_waits_where_all_earlier_events_had_been_handled() {
    let stage = Stage::new().await;
    for (key, is_idle) in [("a", true), ("b", false), ("c", true)] {
        let payload = event("master", key);
        stage.recorder.payload(&payload, is_idle).await.unwrap();
    }
    stage.recorder.finish().await.unwrap();
    let lines = stage.lines();
    let lines = lines.iter().skip(1);
    let kinds: Vec<&str> = lines.map(|line| line.split('"').nth(1).unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "delete", "invoke", "delete", "invoke", "settle", "delete", "invoke", "settle",
            "expect"
        ]
    );
}

#[rstest]
#[case::no_text(vec![0xff, 0, 0xfe], r#""body": {"base64": "/wD+"}"#)]
#[case::long(vec![b'x'; 5000], r#""body": {"file": "it.bodies/"#)]
#[tokio::test]
async fn body_is_kept_where_it_fits(#[case] body: Vec<u8>, #[case] expected: &str) {
    let stage = Stage::new().await;
    stage.put("k", body.clone()).await;
    stage.event("master", "k").await;
    let operations = stage.operations();
    assert!(operations[0].contains(expected), "{operations:?}");
    stage.recorder.finish().await.unwrap();
    let recording = Recording::load(stage.folder.path().join("it.jsonl")).unwrap();
    let Action::Operation(operation) = &recording.steps[0].action else {
        panic!("{:?}", recording.steps);
    };
    let OperationKind::Put(put) = &operation.kind else {
        panic!("{operation:?}");
    };
    let mut kept = Vec::new();
    for chunk in put.body.chunks().unwrap() {
        kept.extend_from_slice(&chunk.unwrap());
    }
    assert_eq!(kept, body);
}

#[tokio::test]
async fn multipart_upload_keeps_its_parts() {
    const SIZES: [usize; 2] = [5 * 1024 * 1024, 1];
    let stage = Stage::new().await;
    let client = &stage.client;
    let create = client.create_multipart_upload().bucket("master").key("k");
    let upload = create.send().await.unwrap().upload_id;
    let mut parts = Vec::new();
    for (number, size) in (1..).zip(SIZES) {
        let part = client
            .upload_part()
            .bucket("master")
            .key("k")
            .set_upload_id(upload.clone())
            .part_number(number)
            .body(vec![b'x'; size].into());
        let part = part.send().await.unwrap();
        let part = CompletedPart::builder()
            .part_number(number)
            .set_e_tag(part.e_tag)
            .set_checksum_crc32(part.checksum_crc32);
        parts.push(part.build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
    client
        .complete_multipart_upload()
        .bucket("master")
        .key("k")
        .set_upload_id(upload)
        .multipart_upload(parts.build())
        .send()
        .await
        .unwrap();
    stage.event("master", "k").await;
    let operations = stage.operations();
    assert!(
        operations[0].contains(r#""parts": [5242880, 1]"#),
        "{operations:?}"
    );
}

#[tokio::test]
async fn recording_ends_with_what_must_be_so() {
    let stage = Stage::new().await;
    stage.recorder.finish().await.unwrap();
    let expected = [
        r#"{"settle": {"within_s": 60}}"#,
        r#"{"expect": {"equal": true}}"#,
    ];
    assert_eq!(stage.lines()[1..], expected);
}

#[tokio::test]
async fn without_replicated_deletes_only_what_is_there_must_be_equal() {
    let tags = [
        ("ReplicatedTargetBuckets", "replica@eu-west-1"),
        ("ReplicatedDeletes", "false"),
    ];
    let stage = Stage::tagged(&tags).await;
    stage.put("kept", ByteStream::from_static(b"x")).await;
    stage.event("master", "kept").await;
    stage.event("master", "gone").await;
    stage.recorder.finish().await.unwrap();
    let last = stage.lines().pop().unwrap();
    assert_eq!(last, r#"{"expect": {"equal": true, "key": "kept"}}"#);
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let stage = Stage::new().await;
    let path = stage.folder.path().join("it.jsonl");
    let header = Header::new("again", Bucket::new("master", "us-east-1"));
    let error = Recorder::create(&path, &header, stage.client.clone()).err();
    assert!(matches!(error, Some(RecordError::Exists(_))), "{error:?}");
}

#[tokio::test]
async fn object_that_cannot_be_read_is_counted_and_its_event_kept() {
    let stage = Stage::new().await;
    let delete = stage.client.delete_bucket().bucket("master");
    delete.send().await.unwrap();
    stage.event("master", "k").await;
    assert!(stage.operations().is_empty());
    let recorded = stage.recorder.finish().await.unwrap();
    assert_eq!((recorded.payloads, recorded.unreadable), (1, 1));
}
