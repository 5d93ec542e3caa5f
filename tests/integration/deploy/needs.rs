//! Which IAM actions a request to S3 needs, where master and targets are encrypted with KMS keys.
//!
//! After AWS's tables:
//! - operations and actions:
//!   <https://docs.aws.amazon.com/service-authorization/latest/reference/list_s3.html> and
//!   <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
//! - multipart uploads, with their keys:
//!   <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions>
//! - a HEAD of an absent key is a 404 with `s3:ListBucket` only, and one that asks for checksums
//!   decrypts: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>

use std::collections::BTreeMap;

use s3_replicator::local::faults::Entry;

use super::policy::Call;
use super::template::ACCOUNT;

/// The key that a bucket's objects are encrypted with.
pub(super) fn key_of(bucket: &str) -> String {
    format!("arn:aws:kms:eu-central-1:{ACCOUNT}:key/{bucket}")
}

/// Every action that the request is allowed by.
pub(super) fn needs(request: &Entry) -> Vec<Call> {
    let bucket = request.bucket.as_deref().unwrap_or_default();
    let key = request.key.as_deref().unwrap_or_default();
    let on_bucket = |action| on_bucket(action, bucket);
    let on_object = |action| on_object(action, bucket, key);
    let decrypts = || with_key("kms:Decrypt", bucket);
    let encrypts = || with_key("kms:GenerateDataKey", bucket);
    let mut calls = match request.operation.as_str() {
        "HeadBucket" => vec![on_bucket("s3:ListBucket")],
        "GetBucketTagging" => vec![on_bucket("s3:GetBucketTagging")],
        "ListMultipartUploads" => vec![on_bucket("s3:ListBucketMultipartUploads")],
        "HeadObject" => vec![
            on_object("s3:GetObject"),
            on_bucket("s3:ListBucket"),
            decrypts(),
        ],
        "GetObject" => vec![on_object("s3:GetObject"), decrypts()],
        "GetObjectAttributes" => vec![
            on_object("s3:GetObject"),
            on_object("s3:GetObjectAttributes"),
            decrypts(),
        ],
        "GetObjectTagging" => vec![on_object("s3:GetObjectTagging")],
        "PutObjectTagging" => vec![on_object("s3:PutObjectTagging")],
        "DeleteObjectTagging" => vec![on_object("s3:DeleteObjectTagging")],
        "DeleteObject" => vec![on_object("s3:DeleteObject")],
        "PutObject" | "CopyObject" => vec![on_object("s3:PutObject"), encrypts()],
        "CreateMultipartUpload" | "UploadPart" | "UploadPartCopy" | "CompleteMultipartUpload" => {
            vec![on_object("s3:PutObject"), encrypts(), decrypts()]
        }
        "ListParts" => vec![on_object("s3:ListMultipartUploadParts")],
        "AbortMultipartUpload" => vec![on_object("s3:AbortMultipartUpload")],
        other => panic!("nothing is known of {other}: look up what it needs"),
    };
    if request.sets_tags {
        calls.push(on_object("s3:PutObjectTagging"));
    }
    if let Some((bucket, key)) = &request.source {
        calls.push(self::on_object("s3:GetObject", bucket, key));
        calls.push(with_key("kms:Decrypt", bucket));
        if request.sets_tags {
            calls.push(self::on_object("s3:GetObjectTagging", bucket, key));
        }
    }
    calls
}

fn on_bucket(action: &'static str, bucket: &str) -> Call {
    in_s3(action, format!("arn:aws:s3:::{bucket}"))
}

fn on_object(action: &'static str, bucket: &str, key: &str) -> Call {
    in_s3(action, format!("arn:aws:s3:::{bucket}/{key}"))
}

fn in_s3(action: &'static str, resource: String) -> Call {
    Call {
        action,
        resource,
        context: BTreeMap::from([("aws:ResourceAccount", ACCOUNT.to_owned())]),
    }
}

fn with_key(action: &'static str, bucket: &str) -> Call {
    let via = "s3.eu-central-1.amazonaws.com".to_owned();
    Call {
        action,
        resource: key_of(bucket),
        context: BTreeMap::from([("kms:ViaService", via)]),
    }
}
