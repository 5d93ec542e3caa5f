//! Every file of `fixtures/events`, and what it is read as.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

/// File name without `.json`, outline.
const EXPECTED: &[(&str, &[&str])] = &[
    (
        "batch-bad-tasks",
        &[
            "batch operations 1.0 YXNkbGZq",
            r#"delivery "t1""#,
            "  expected a form-urlencoded key at s3Key of task t1, found `a%2`: `%` is not followed by two hexadecimal digits at byte 1",
            r#"delivery "t2""#,
            "  expected the ARN of a bucket at s3BucketArn of task t2, found `arn:aws:s3:us-west-2:123456789012:accesspoint/point`",
            r#"delivery "t3""#,
            r#"  Requested artifacts "c" - BatchOperations"#,
            r#"delivery "t4""#,
            "  expected a text at s3BucketArn of task t4, found nothing",
        ],
    ),
    (
        "batch-unknown-schema",
        &["error: expected `1.0` or `2.0` at invocationSchemaVersion, found `3.0`"],
    ),
    (
        "batch-v1",
        &[
            "batch operations 1.0 YXNkbGZq",
            r#"delivery "dGFza2lkZ29lc2hlcmUK""#,
            r#"  Requested artifacts "photos/happy face+1.jpg" - BatchOperations"#,
        ],
    ),
    (
        "batch-v2",
        &[
            "batch operations 2.0 YXNkbGZq",
            r#"delivery "y5R3a2lkZ29lc2hlurcS""#,
            r#"  Requested artifacts "customerImage1.jpg" - BatchOperations"#,
            r#"delivery "y5R3a2lkZ29lc2hlurcT""#,
            r#"  Requested artifacts "café.txt" - BatchOperations"#,
        ],
    ),
    (
        "destination-eventbridge",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "a b+c%2B/é.txt" ca-central-1 Object Created"#,
        ],
    ),
    (
        "destination-other",
        &[
            "error: expected an event of S3, SNS, SQS, EventBridge or S3 Batch Operations at requestPayload, found another object",
        ],
    ),
    (
        "destination-s3",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "destination-sns",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "destination-test-event",
        &["asynchronous", r#"delivery """#, "  ignored s3:TestEvent"],
    ),
    (
        "destination-without-payload",
        &[
            "error: expected an event of S3, SNS, SQS, EventBridge or S3 Batch Operations at the payload, found another object",
        ],
    ),
    (
        "eventbridge-access-tier-changed",
        &[
            "asynchronous",
            r#"delivery """#,
            "  ignored Object Access Tier Changed",
        ],
    ),
    (
        "eventbridge-acl-updated",
        &[
            "asynchronous",
            r#"delivery """#,
            "  ignored Object ACL Updated",
        ],
    ),
    (
        "eventbridge-created",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "a b+c%2B/é.txt" ca-central-1 Object Created"#,
        ],
    ),
    (
        "eventbridge-delete-marker",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Removed artifacts "example-key" ca-central-1 Object Deleted"#,
        ],
    ),
    (
        "eventbridge-deleted",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Removed artifacts "example-key" ca-central-1 Object Deleted"#,
        ],
    ),
    (
        "eventbridge-destination-s3",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "eventbridge-lifecycle-expiration",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Removed artifacts "example-key" ca-central-1 Object Deleted"#,
        ],
    ),
    (
        "eventbridge-no-key",
        &[
            "asynchronous",
            r#"delivery """#,
            "  expected a text at detail.object.key, found nothing",
        ],
    ),
    (
        "eventbridge-restore-completed",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Restored artifacts "example-key" ca-central-1 Object Restore Completed"#,
        ],
    ),
    (
        "eventbridge-restore-expired",
        &[
            "asynchronous",
            r#"delivery """#,
            "  ignored Object Restore Expired",
        ],
    ),
    (
        "eventbridge-restore-initiated",
        &[
            "asynchronous",
            r#"delivery """#,
            "  ignored Object Restore Initiated",
        ],
    ),
    (
        "eventbridge-storage-class-changed",
        &[
            "asynchronous",
            r#"delivery """#,
            "  ignored Object Storage Class Changed",
        ],
    ),
    (
        "eventbridge-tags-added",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Tagged artifacts "example-key" ca-central-1 Object Tags Added"#,
        ],
    ),
    (
        "eventbridge-tags-deleted",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Tagged artifacts "example-key" ca-central-1 Object Tags Deleted"#,
        ],
    ),
    (
        "localstack-put",
        &[
            "sqs",
            r#"delivery "0331d6c8-0585-4564-bde4-b003b8a4bd10""#,
            r#"  Created artifacts "a b+c/é.txt" us-east-1 ObjectCreated:Put"#,
        ],
    ),
    (
        "localstack-test-event",
        &[
            "sqs",
            r#"delivery "65c03712-94a6-46e6-9b13-039e5eec22ef""#,
            "  ignored s3:TestEvent",
        ],
    ),
    (
        "minio-accessed",
        &[
            "asynchronous",
            r#"delivery """#,
            "  ignored ObjectAccessed:Get",
        ],
    ),
    (
        "minio-delete",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Removed artifacts "hello.txt" - ObjectRemoved:Delete"#,
        ],
    ),
    (
        "minio-delete-marker",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Removed artifacts "hello.txt" - ObjectRemoved:DeleteMarkerCreated"#,
        ],
    ),
    (
        "minio-multipart",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "disk.iso" - ObjectCreated:CompleteMultipartUpload"#,
        ],
    ),
    (
        "minio-put",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "a b+c/é.txt" - ObjectCreated:Put"#,
        ],
    ),
    (
        "minio-put-legal-hold",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "hello.txt" - ObjectCreated:PutLegalHold"#,
        ],
    ),
    (
        "minio-put-retention",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "hello.txt" - ObjectCreated:PutRetention"#,
        ],
    ),
    (
        "minio-put-tagging",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Tagged artifacts "hello.txt" - ObjectCreated:PutTagging"#,
        ],
    ),
    (
        "other-array",
        &["error: expected a JSON object at the payload, found an array"],
    ),
    (
        "other-dynamodb",
        &[
            "asynchronous",
            r#"delivery """#,
            "  expected S3, SNS or SQS at eventSource of record 1, found `aws:dynamodb`",
        ],
    ),
    (
        "other-empty-object",
        &[
            "error: expected an event of S3, SNS, SQS, EventBridge or S3 Batch Operations at the payload, found another object",
        ],
    ),
    (
        "other-http",
        &[
            "error: expected an event of S3, SNS, SQS, EventBridge or S3 Batch Operations at the payload, found another object",
        ],
    ),
    (
        "other-kinesis-beside-s3",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "one" us-west-2 ObjectCreated:Put"#,
            "  expected S3, SNS or SQS at eventSource of record 2, found `aws:kinesis`",
        ],
    ),
    (
        "other-null",
        &["error: expected a JSON object at the payload, found null"],
    ),
    (
        "other-schedule",
        &["error: expected `aws.s3` or `lambda` at source, found `aws.events`"],
    ),
    (
        "s3-acl-put",
        &["asynchronous", r#"delivery """#, "  ignored ObjectAcl:Put"],
    ),
    (
        "s3-copy",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "reports/2026-01.csv" us-west-2 ObjectCreated:Copy"#,
        ],
    ),
    (
        "s3-delete",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Removed artifacts "photos/happy face.jpg" us-west-2 ObjectRemoved:Delete"#,
        ],
    ),
    (
        "s3-delete-marker",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Removed artifacts "photos/happy face.jpg" us-west-2 ObjectRemoved:DeleteMarkerCreated"#,
        ],
    ),
    (
        "s3-delete-old-version",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Removed artifacts "photos/happy face.jpg" us-west-2 ObjectRemoved:Delete"#,
        ],
    ),
    ("s3-empty", &["asynchronous", r#"delivery """#]),
    (
        "s3-hints-of-wrong-type",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "s3-intelligent-tiering",
        &[
            "asynchronous",
            r#"delivery """#,
            "  ignored IntelligentTiering",
        ],
    ),
    (
        "s3-lifecycle-delete-marker",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Removed artifacts "photos/happy face.jpg" us-west-2 LifecycleExpiration:DeleteMarkerCreated"#,
        ],
    ),
    (
        "s3-lifecycle-expiration",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Removed artifacts "photos/happy face.jpg" us-west-2 LifecycleExpiration:Delete"#,
        ],
    ),
    (
        "s3-lifecycle-transition",
        &[
            "asynchronous",
            r#"delivery """#,
            "  ignored LifecycleTransition",
        ],
    ),
    (
        "s3-malformed-among-others",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "one" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "three" us-west-2 ObjectCreated:Put"#,
            "  expected a form-urlencoded key at s3.object.key of record 2, found `50%`: `%` is not followed by two hexadecimal digits at byte 2",
        ],
    ),
    (
        "s3-multipart",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "images/disk.iso" us-west-2 ObjectCreated:CompleteMultipartUpload"#,
        ],
    ),
    (
        "s3-no-bucket",
        &[
            "asynchronous",
            r#"delivery """#,
            "  expected a text at s3.bucket.name of record 1, found nothing",
        ],
    ),
    (
        "s3-put",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "s3-put-versioned",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "s3-reduced-redundancy-lost",
        &[
            "asynchronous",
            r#"delivery """#,
            "  ignored ReducedRedundancyLostObject",
        ],
    ),
    (
        "s3-replication-failed",
        &[
            "asynchronous",
            r#"delivery """#,
            "  ignored Replication:OperationFailedReplication",
        ],
    ),
    (
        "s3-restore-completed",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Restored artifacts "photos/happy face.jpg" us-west-2 ObjectRestore:Completed"#,
        ],
    ),
    (
        "s3-restore-post",
        &[
            "asynchronous",
            r#"delivery """#,
            "  ignored ObjectRestore:Post",
        ],
    ),
    (
        "s3-special-keys",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "a b.txt" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "a+b.txt" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "100%" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "a%2Bb" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "a//b" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "./a" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "/a" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "a\nb" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "🦀.txt" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "café (1).txt" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "year=2026/part-0.parquet" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "s3-tagging-delete",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Tagged artifacts "photos/happy face.jpg" us-west-2 ObjectTagging:Delete"#,
        ],
    ),
    (
        "s3-tagging-put",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Tagged artifacts "photos/happy face.jpg" us-west-2 ObjectTagging:Put"#,
        ],
    ),
    (
        "s3-test-event",
        &["asynchronous", r#"delivery """#, "  ignored s3:TestEvent"],
    ),
    (
        "s3-unknown-name",
        &[
            "asynchronous",
            r#"delivery """#,
            "  ignored ObjectDreamtOf:Once",
        ],
    ),
    (
        "sns-destination-s3",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "sns-eventbridge-created",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "a b+c%2B/é.txt" ca-central-1 Object Created"#,
        ],
    ),
    (
        "sns-other-message",
        &[
            "asynchronous",
            r#"delivery """#,
            "  expected an event of S3, SNS, SQS, EventBridge or S3 Batch Operations at Sns.Message of record 1, found another object",
        ],
    ),
    (
        "sns-put",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "sns-special-key",
        &[
            "asynchronous",
            r#"delivery """#,
            r#"  Created artifacts "café \"quoted\"\\.txt" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "sns-test-event",
        &["asynchronous", r#"delivery """#, "  ignored s3:TestEvent"],
    ),
    (
        "sqs-batch",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            r#"  Created artifacts "one" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "two" us-west-2 ObjectCreated:Put"#,
            r#"delivery "2e1424d4-f796-459a-8184-9c92662be6da""#,
            r#"  Removed artifacts "three" us-west-2 ObjectRemoved:Delete"#,
        ],
    ),
    (
        "sqs-destination-s3",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "sqs-destination-sqs",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            r#"  Created artifacts "one" us-west-2 ObjectCreated:Put"#,
            r#"  Created artifacts "two" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "sqs-destination-twice",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "sqs-empty-records",
        &["sqs", r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#],
    ),
    (
        "sqs-eventbridge-created",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            r#"  Created artifacts "a b+c%2B/é.txt" ca-central-1 Object Created"#,
        ],
    ),
    (
        "sqs-no-message-id",
        &["error: expected a text at messageId of record 1, found nothing"],
    ),
    (
        "sqs-poison",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            r#"  Created artifacts "one" us-west-2 ObjectCreated:Put"#,
            r#"delivery "2e1424d4-f796-459a-8184-9c92662be6da""#,
            "  expected a JSON object at message 2e1424d4-f796-459a-8184-9c92662be6da, found no JSON at line 1, column 1",
            r#"delivery "19dd0b57-b21e-4ac1-bd88-01bbb068cb78""#,
            "  expected a JSON object at message 19dd0b57-b21e-4ac1-bd88-01bbb068cb78, found nothing",
            r#"delivery "c80e8021-a70a-42c7-a470-796e1186f753""#,
            "  expected an event of S3, SNS, SQS, EventBridge or S3 Batch Operations at message c80e8021-a70a-42c7-a470-796e1186f753, found another object",
            r#"delivery "9e1a1e7c-2a1d-4d5a-8d0e-3a4f1f0c7c11""#,
            r#"  Created artifacts "two" us-west-2 ObjectCreated:Put"#,
            "  expected a form-urlencoded key at s3.object.key of record 1 of message 9e1a1e7c-2a1d-4d5a-8d0e-3a4f1f0c7c11, found `50%`: `%` is not followed by two hexadecimal digits at byte 2",
            r#"delivery "a2b1d5f0-7d3b-4c26-9d7e-8d1c3f1e6b55""#,
            "  expected S3, SNS or SQS at eventSource of record 1 of message a2b1d5f0-7d3b-4c26-9d7e-8d1c3f1e6b55, found `aws:dynamodb`",
        ],
    ),
    (
        "sqs-put",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "sqs-sns-eventbridge-created",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            r#"  Created artifacts "a b+c%2B/é.txt" ca-central-1 Object Created"#,
        ],
    ),
    (
        "sqs-sns-put",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "sqs-sns-raw-put",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            r#"  Created artifacts "photos/happy face.jpg" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "sqs-sns-special-key",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            r#"  Created artifacts "café \"quoted\"\\.txt" us-west-2 ObjectCreated:Put"#,
        ],
    ),
    (
        "sqs-sns-test-event",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            "  ignored s3:TestEvent",
        ],
    ),
    (
        "sqs-test-event",
        &[
            "sqs",
            r#"delivery "059f36b4-87a3-44ab-83d2-661975830a7d""#,
            "  ignored s3:TestEvent",
        ],
    ),
];

#[rstest]
fn fixture_is_read_as_expected(#[files("fixtures/events/*.json")] path: PathBuf) {
    let name = path.file_stem().unwrap().to_str().unwrap();
    let payload = std::fs::read_to_string(&path).unwrap();
    let expected = EXPECTED.iter().find(|(file, _)| *file == name);
    let (_, expected) = expected.unwrap_or_else(|| panic!("no expectation for {name}"));
    assert_eq!(outline(&payload), *expected);
}

#[test]
fn every_expectation_has_its_fixture() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/events");
    let files = std::fs::read_dir(folder).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected: BTreeSet<String> = EXPECTED
        .iter()
        .map(|(name, _)| format!("{name}.json"))
        .collect();
    assert_eq!(files, expected);
}
