//! What an object is now, and what a recording needs to make it again.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::ChecksumMode;

use super::RecordError;
use super::body::Bodies;
use crate::local::recording::{Checksum, Put};

/// How often an object that changes while it is read is read again.
const ROUNDS: usize = 5;
/// What a part has at least, except the last one.
const LEAST_PART: u64 = 5 * 1024 * 1024;

/// An object could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct ReadError {
    operation: &'static str,
    lasting: bool,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl ReadError {
    pub(super) fn passing(
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            operation,
            lasting: false,
            source: source.into(),
        }
    }

    /// An error that the store itself answers, other than of its own making, will not pass.
    fn of<E>(operation: &'static str, error: SdkError<E>) -> RecordError
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let status = error
            .raw_response()
            .map(|response| response.status().as_u16());
        RecordError::Read(Self {
            operation,
            lasting: status.is_some_and(|status| (400..500).contains(&status)),
            source: error.into(),
        })
    }

    /// Whether it would fail the same way the next time.
    pub fn is_lasting(&self) -> bool {
        self.lasting
    }
}

/// What an object was when it was seen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Object {
    content: Content,
    last_modified: Option<DateTime>,
    pub(super) tags: BTreeMap<String, String>,
}

/// What only a write changes.
#[derive(Debug, Clone, PartialEq, Default)]
struct Content {
    etag: Option<String>,
    size: u64,
    metadata: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
}

/// What is seen of a key.
pub(super) enum Observed {
    Absent,
    /// Nothing but its tags can have changed.
    There(Object),
    /// It was written since.
    Written(Put, Object),
}

/// Looks at a key of which `known` was seen before.
pub(super) async fn observe(
    client: &Client,
    bucket: &str,
    key: &str,
    known: Option<&Object>,
    bodies: &mut Bodies,
) -> Result<Observed, RecordError> {
    let mut last = None;
    for _ in 0..ROUNDS {
        let head = client.head_object().bucket(bucket).key(key);
        let head = match head.checksum_mode(ChecksumMode::Enabled).send().await {
            Ok(head) => head,
            Err(error) if is_404(&error) => {
                if is_missing_key(client, bucket, key).await? {
                    return Ok(Observed::Absent);
                }
                continue;
            }
            Err(error) => return Err(ReadError::of("HeadObject", error)),
        };
        let content = content(&head);
        let tags = tags(client, bucket, key).await?;
        let object = Object {
            content: content.clone(),
            last_modified: head.last_modified,
            tags: tags.clone(),
        };
        if let Some(known) = known
            && known.content == content
            && (known.last_modified == head.last_modified || known.tags != tags)
        {
            return Ok(Observed::There(object));
        }
        let get = client.get_object().bucket(bucket).key(key);
        let get = match get.set_if_match(head.e_tag.clone()).send().await {
            Ok(get) => get,
            // It has changed, or is gone, since it was looked at.
            Err(error) if is_404(&error) || error.code() == Some("PreconditionFailed") => {
                last = Some(ReadError::passing("GetObject", error));
                continue;
            }
            Err(error) => return Err(ReadError::of("GetObject", error)),
        };
        let put = Put {
            key: key.to_owned(),
            body: bodies.take(content.size, get.body).await?,
            metadata: content.metadata,
            headers: content.headers,
            tags,
            parts: parts(client, bucket, key, &head).await,
            checksum: checksum(&head),
        };
        return Ok(Observed::Written(put, object));
    }
    let never = || ReadError::passing("HeadObject", "the object changes whenever it is read");
    Err(RecordError::Read(last.unwrap_or_else(never)))
}

fn is_404<E>(error: &SdkError<E>) -> bool {
    error
        .raw_response()
        .is_some_and(|response| response.status().as_u16() == 404)
}

/// A 404 to HEAD does not tell a missing key from a missing bucket.
async fn is_missing_key(client: &Client, bucket: &str, key: &str) -> Result<bool, RecordError> {
    match client.get_object().bucket(bucket).key(key).send().await {
        Ok(_) => Ok(false),
        Err(error) if error.code() == Some("NoSuchKey") => Ok(true),
        Err(error) => Err(ReadError::of("GetObject", error)),
    }
}

fn content(head: &HeadObjectOutput) -> Content {
    let header = [
        ("Cache-Control", &head.cache_control),
        ("Content-Disposition", &head.content_disposition),
        ("Content-Encoding", &head.content_encoding),
        ("Content-Language", &head.content_language),
        ("Content-Type", &head.content_type),
        ("Expires", &head.expires_string),
        (
            "x-amz-website-redirect-location",
            &head.website_redirect_location,
        ),
    ];
    let headers = header
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    Content {
        etag: head.e_tag.clone(),
        size: head
            .content_length
            .and_then(|size| size.try_into().ok())
            .unwrap_or(0),
        metadata: head
            .metadata
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect(),
        headers: headers.filter(|(_, value)| !value.is_empty()).collect(),
    }
}

async fn tags(
    client: &Client,
    bucket: &str,
    key: &str,
) -> Result<BTreeMap<String, String>, RecordError> {
    let get = client.get_object_tagging().bucket(bucket).key(key);
    match get.send().await {
        Ok(answer) => Ok(answer
            .tag_set
            .into_iter()
            .map(|tag| (tag.key, tag.value))
            .collect()),
        Err(error) if error.code() == Some("NoSuchTagSet") || is_404(&error) => Ok(BTreeMap::new()),
        Err(error) => Err(ReadError::of("GetObjectTagging", error)),
    }
}

/// The sizes of the parts it was uploaded in; none if it was not, or the store does not tell.
async fn parts(client: &Client, bucket: &str, key: &str, head: &HeadObjectOutput) -> Vec<u64> {
    if !is_multipart(head) {
        return Vec::new();
    }
    let (mut sizes, mut count) = (Vec::new(), 1);
    while sizes.len() < count {
        let part = client
            .head_object()
            .bucket(bucket)
            .key(key)
            .set_if_match(head.e_tag.clone())
            .part_number(sizes.len() as i32 + 1);
        let Ok(part) = part.send().await else {
            return Vec::new();
        };
        let told = part.parts_count.unwrap_or(0).try_into().unwrap_or(0);
        count = told;
        sizes.extend(
            part.content_length
                .and_then(|size| u64::try_from(size).ok()),
        );
        if sizes.is_empty() {
            return Vec::new();
        }
    }
    let size = content(head).size;
    let all_but_last = &sizes[..sizes.len().saturating_sub(1)];
    let fit =
        sizes.iter().sum::<u64>() == size && all_but_last.iter().all(|size| *size >= LEAST_PART);
    if fit { sizes } else { Vec::new() }
}

fn is_multipart(head: &HeadObjectOutput) -> bool {
    head.e_tag.as_ref().is_some_and(|etag| etag.contains('-'))
}

/// The algorithm of a checksum over the whole object.
fn checksum(head: &HeadObjectOutput) -> Option<Checksum> {
    if is_multipart(head) {
        return None;
    }
    let known = [
        (&head.checksum_crc64_nvme, Checksum::Crc64Nvme),
        (&head.checksum_crc32, Checksum::Crc32),
        (&head.checksum_crc32_c, Checksum::Crc32c),
        (&head.checksum_sha1, Checksum::Sha1),
        (&head.checksum_sha256, Checksum::Sha256),
    ];
    let mut there = known
        .into_iter()
        .filter(|(value, _)| value.is_some())
        .map(|(_, algorithm)| algorithm);
    there.next()
}
