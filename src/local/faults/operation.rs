//! Which S3 operation a request is, from its method, path, query and headers alone.
//!
//! Path-style only: the first segment is the bucket, the rest, percent-decoded, is the key.

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use serde::{Serialize, Serializer};

/// The name of an S3 operation, as its API reference spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct S3Operation(&'static str);

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The operation, or [`S3Operation::UNKNOWN`].
    pub operation: S3Operation,
    /// The bucket, where the path has one.
    pub bucket: Option<String>,
    /// The decoded key, where the path has one.
    pub key: Option<String>,
    /// The bucket and decoded key that a copy reads.
    pub source: Option<(String, String)>,
    /// Whether tags are written together with the object.
    pub sets_tags: bool,
}

/// There is no S3 operation of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no S3 operation is called {0:?}")]
pub struct UnknownOperation(pub String);

/// A query parameter that selects operations, and what each method means with it.
type Subresource = (&'static str, &'static [(&'static str, &'static str)]);

const BUCKET: &[Subresource] = &[
    (
        "accelerate",
        &[
            ("GET", "GetBucketAccelerateConfiguration"),
            ("PUT", "PutBucketAccelerateConfiguration"),
        ],
    ),
    ("acl", &[("GET", "GetBucketAcl"), ("PUT", "PutBucketAcl")]),
    (
        "cors",
        &[
            ("GET", "GetBucketCors"),
            ("PUT", "PutBucketCors"),
            ("DELETE", "DeleteBucketCors"),
        ],
    ),
    ("delete", &[("POST", "DeleteObjects")]),
    (
        "encryption",
        &[
            ("GET", "GetBucketEncryption"),
            ("PUT", "PutBucketEncryption"),
            ("DELETE", "DeleteBucketEncryption"),
        ],
    ),
    (
        "lifecycle",
        &[
            ("GET", "GetBucketLifecycleConfiguration"),
            ("PUT", "PutBucketLifecycleConfiguration"),
            ("DELETE", "DeleteBucketLifecycle"),
        ],
    ),
    ("location", &[("GET", "GetBucketLocation")]),
    (
        "logging",
        &[("GET", "GetBucketLogging"), ("PUT", "PutBucketLogging")],
    ),
    (
        "notification",
        &[
            ("GET", "GetBucketNotificationConfiguration"),
            ("PUT", "PutBucketNotificationConfiguration"),
        ],
    ),
    (
        "object-lock",
        &[
            ("GET", "GetObjectLockConfiguration"),
            ("PUT", "PutObjectLockConfiguration"),
        ],
    ),
    (
        "ownershipControls",
        &[
            ("GET", "GetBucketOwnershipControls"),
            ("PUT", "PutBucketOwnershipControls"),
            ("DELETE", "DeleteBucketOwnershipControls"),
        ],
    ),
    (
        "policy",
        &[
            ("GET", "GetBucketPolicy"),
            ("PUT", "PutBucketPolicy"),
            ("DELETE", "DeleteBucketPolicy"),
        ],
    ),
    ("policyStatus", &[("GET", "GetBucketPolicyStatus")]),
    (
        "publicAccessBlock",
        &[
            ("GET", "GetPublicAccessBlock"),
            ("PUT", "PutPublicAccessBlock"),
            ("DELETE", "DeletePublicAccessBlock"),
        ],
    ),
    (
        "replication",
        &[
            ("GET", "GetBucketReplication"),
            ("PUT", "PutBucketReplication"),
            ("DELETE", "DeleteBucketReplication"),
        ],
    ),
    (
        "requestPayment",
        &[
            ("GET", "GetBucketRequestPayment"),
            ("PUT", "PutBucketRequestPayment"),
        ],
    ),
    ("session", &[("GET", "CreateSession")]),
    (
        "tagging",
        &[
            ("GET", "GetBucketTagging"),
            ("PUT", "PutBucketTagging"),
            ("DELETE", "DeleteBucketTagging"),
        ],
    ),
    ("uploads", &[("GET", "ListMultipartUploads")]),
    (
        "versioning",
        &[
            ("GET", "GetBucketVersioning"),
            ("PUT", "PutBucketVersioning"),
        ],
    ),
    ("versions", &[("GET", "ListObjectVersions")]),
    (
        "website",
        &[
            ("GET", "GetBucketWebsite"),
            ("PUT", "PutBucketWebsite"),
            ("DELETE", "DeleteBucketWebsite"),
        ],
    ),
];

const OBJECT: &[Subresource] = &[
    (
        "uploadId",
        &[
            ("GET", "ListParts"),
            ("PUT", "UploadPart"),
            ("POST", "CompleteMultipartUpload"),
            ("DELETE", "AbortMultipartUpload"),
        ],
    ),
    ("acl", &[("GET", "GetObjectAcl"), ("PUT", "PutObjectAcl")]),
    ("attributes", &[("GET", "GetObjectAttributes")]),
    (
        "legal-hold",
        &[("GET", "GetObjectLegalHold"), ("PUT", "PutObjectLegalHold")],
    ),
    ("restore", &[("POST", "RestoreObject")]),
    (
        "retention",
        &[("GET", "GetObjectRetention"), ("PUT", "PutObjectRetention")],
    ),
    ("select", &[("POST", "SelectObjectContent")]),
    (
        "tagging",
        &[
            ("GET", "GetObjectTagging"),
            ("PUT", "PutObjectTagging"),
            ("DELETE", "DeleteObjectTagging"),
        ],
    ),
    ("torrent", &[("GET", "GetObjectTorrent")]),
    ("uploads", &[("POST", "CreateMultipartUpload")]),
];

/// What a method means without any such parameter.
const PLAIN_BUCKET: &[(&str, &str)] = &[
    ("GET", "ListObjects"),
    ("PUT", "CreateBucket"),
    ("HEAD", "HeadBucket"),
    ("DELETE", "DeleteBucket"),
];
const PLAIN_OBJECT: &[(&str, &str)] = &[
    ("GET", "GetObject"),
    ("PUT", "PutObject"),
    ("HEAD", "HeadObject"),
    ("DELETE", "DeleteObject"),
];
/// What further parameters and headers turn some of the above into.
const VARIANTS: &[&str] = &[
    "CopyObject",
    "ListBuckets",
    "ListObjectsV2",
    "UploadPartCopy",
];

impl S3Operation {
    /// A request that is no S3 operation known here.
    pub const UNKNOWN: Self = Self("Unknown");

    /// The operation's name.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether it can fail inside an HTTP 200, having answered before it was done.
    pub fn may_fail_in_200(self) -> bool {
        matches!(
            self.0,
            "CopyObject" | "UploadPartCopy" | "CompleteMultipartUpload"
        )
    }

    fn all() -> impl Iterator<Item = &'static str> {
        let with_parameter = BUCKET
            .iter()
            .chain(OBJECT)
            .flat_map(|(_, methods)| *methods);
        let plain = PLAIN_BUCKET.iter().chain(PLAIN_OBJECT);
        with_parameter
            .chain(plain)
            .map(|(_, name)| *name)
            .chain(VARIANTS.iter().copied())
    }
}

impl fmt::Display for S3Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl FromStr for S3Operation {
    type Err = UnknownOperation;

    fn from_str(name: &str) -> Result<Self, UnknownOperation> {
        let known = Self::all().find(|known| *known == name);
        known
            .map(Self)
            .ok_or_else(|| UnknownOperation(name.to_owned()))
    }
}

impl Serialize for S3Operation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

/// Names the operation of a path-style request. `path` is still percent-encoded.
pub fn operation_of(
    method: &Method,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Named {
    let path = path.strip_prefix('/').unwrap_or(path);
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let decoded = |text: &str| {
        (!text.is_empty()).then(|| percent_decode_str(text).decode_utf8_lossy().into_owned())
    };
    let (bucket, key) = (decoded(bucket), decoded(key));
    let query = query.unwrap_or_default();
    let source = headers.get("x-amz-copy-source");
    let copies = source.is_some();
    let source = source.and_then(|source| {
        let source = percent_decode_str(source.to_str().ok()?).decode_utf8_lossy();
        let (bucket, key) = source.trim_start_matches('/').split_once('/')?;
        Some((bucket.to_owned(), key.to_owned()))
    });
    let name = match (&bucket, &key) {
        (None, _) => (method == Method::GET).then_some("ListBuckets"),
        (Some(_), None) => match lookup(BUCKET, PLAIN_BUCKET, method, query) {
            Some("ListObjects") if has_parameter(query, "list-type") => Some("ListObjectsV2"),
            named => named,
        },
        (Some(_), Some(_)) => match lookup(OBJECT, PLAIN_OBJECT, method, query) {
            Some("PutObject") if copies => Some("CopyObject"),
            Some("UploadPart") if copies => Some("UploadPartCopy"),
            named => named,
        },
    };
    Named {
        operation: name.map_or(S3Operation::UNKNOWN, S3Operation),
        bucket,
        key,
        source,
        sets_tags: headers.contains_key("x-amz-tagging"),
    }
}

fn lookup(
    subresources: &[Subresource],
    plain: &'static [(&'static str, &'static str)],
    method: &Method,
    query: &str,
) -> Option<&'static str> {
    let selected = subresources
        .iter()
        .find(|(name, _)| has_parameter(query, name));
    let methods = selected.map_or(plain, |(_, methods)| methods);
    methods
        .iter()
        .find(|(name, _)| *name == method.as_str())
        .map(|(_, operation)| *operation)
}

fn has_parameter(query: &str, name: &str) -> bool {
    query
        .split('&')
        .any(|pair| pair.split('=').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::list_buckets("GET /", "ListBuckets", None, None)]
    #[case::create_bucket("PUT /b", "CreateBucket", Some("b"), None)]
    #[case::create_bucket_with_slash("PUT /b/", "CreateBucket", Some("b"), None)]
    #[case::head_bucket("HEAD /b", "HeadBucket", Some("b"), None)]
    #[case::delete_bucket("DELETE /b", "DeleteBucket", Some("b"), None)]
    #[case::list_v1("GET /b?prefix=x", "ListObjects", Some("b"), None)]
    #[case::list_v2("GET /b/?list-type=2&prefix=x", "ListObjectsV2", Some("b"), None)]
    #[case::list_versions("GET /b?versions", "ListObjectVersions", Some("b"), None)]
    #[case::list_uploads("GET /b?uploads", "ListMultipartUploads", Some("b"), None)]
    #[case::get_bucket_tags("GET /b?tagging", "GetBucketTagging", Some("b"), None)]
    #[case::put_bucket_tags("PUT /b?tagging=", "PutBucketTagging", Some("b"), None)]
    #[case::bucket_versioning("PUT /b?versioning", "PutBucketVersioning", Some("b"), None)]
    #[case::delete_objects("POST /b?delete", "DeleteObjects", Some("b"), None)]
    #[case::get("GET /b/k?x-id=GetObject", "GetObject", Some("b"), Some("k"))]
    #[case::get_version("GET /b/k?versionId=v", "GetObject", Some("b"), Some("k"))]
    #[case::head("HEAD /b/k", "HeadObject", Some("b"), Some("k"))]
    #[case::put("PUT /b/k?x-id=PutObject", "PutObject", Some("b"), Some("k"))]
    #[case::copy("COPY /b/k?x-id=CopyObject", "CopyObject", Some("b"), Some("k"))]
    #[case::delete("DELETE /b/k", "DeleteObject", Some("b"), Some("k"))]
    #[case::get_tags("GET /b/k?tagging", "GetObjectTagging", Some("b"), Some("k"))]
    #[case::put_tags(
        "PUT /b/k?tagging&versionId=v",
        "PutObjectTagging",
        Some("b"),
        Some("k")
    )]
    #[case::delete_tags("DELETE /b/k?tagging", "DeleteObjectTagging", Some("b"), Some("k"))]
    #[case::attributes("GET /b/k?attributes", "GetObjectAttributes", Some("b"), Some("k"))]
    #[case::create_upload("POST /b/k?uploads", "CreateMultipartUpload", Some("b"), Some("k"))]
    #[case::part("PUT /b/k?partNumber=1&uploadId=u", "UploadPart", Some("b"), Some("k"))]
    #[case::part_copy(
        "COPY /b/k?partNumber=1&uploadId=u",
        "UploadPartCopy",
        Some("b"),
        Some("k")
    )]
    #[case::complete(
        "POST /b/k?uploadId=u",
        "CompleteMultipartUpload",
        Some("b"),
        Some("k")
    )]
    #[case::abort("DELETE /b/k?uploadId=u", "AbortMultipartUpload", Some("b"), Some("k"))]
    #[case::list_parts("GET /b/k?uploadId=u", "ListParts", Some("b"), Some("k"))]
    #[case::encoded_key("GET /b/a%20b/%C3%A9%2B+", "GetObject", Some("b"), Some("a b/é++"))]
    #[case::leading_slash("GET /b//k", "GetObject", Some("b"), Some("/k"))]
    #[case::tagging_as_a_value("GET /b/k?x=tagging", "GetObject", Some("b"), Some("k"))]
    #[case::no_operation("PATCH /b/k", "Unknown", Some("b"), Some("k"))]
    fn request_is_named(
        #[case] request: &str,
        #[case] operation: &str,
        #[case] bucket: Option<&str>,
        #[case] key: Option<&str>,
    ) {
        let (method, target) = request.split_once(' ').unwrap();
        let mut headers = HeaderMap::new();
        let method = match method {
            "COPY" => {
                headers.insert("x-amz-copy-source", "from/k".parse().unwrap());
                Method::PUT
            }
            other => other.parse().unwrap(),
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let named = operation_of(&method, path, query, &headers);
        assert_eq!(named.operation.as_str(), operation);
        assert_eq!(
            (named.bucket.as_deref(), named.key.as_deref()),
            (bucket, key)
        );
    }

    #[test]
    fn every_name_is_known_by_itself_and_nothing_else_is() {
        for name in S3Operation::all() {
            assert_eq!(
                name.parse::<S3Operation>().map(S3Operation::as_str),
                Ok(name)
            );
        }
        assert_eq!(
            "copyobject".parse::<S3Operation>(),
            Err(UnknownOperation("copyobject".into()))
        );
        assert!("Unknown".parse::<S3Operation>().is_err());
    }
}
