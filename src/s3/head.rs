//! HEAD, and the tags where there are any: what S3 says of an object.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::types::{ChecksumMode, ChecksumType, ServerSideEncryption};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::request::send;
use crate::change::ObjectKey;
use crate::error::{Failure, Kind};
use crate::object::{Checksums, NotCompared, Object, SystemHeaders};
use crate::site::{Bucket, Service};

/// Metadata that HEAD cannot show cannot be carried either.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0} user metadata entries cannot be shown as headers (x-amz-missing-meta), so no replica \
     can be exact; rewrite the object with metadata that HTTP headers can carry"
)]
struct MissingMetadata(i32);

/// In which buckets a HEAD without a tag count can be taken for "no tags".
///
/// HEAD shows the count only to those who may read tags, and some stores never do. So the first
/// such key of a bucket is asked for its tags, once a process.
#[derive(Debug, Default)]
pub struct TagCounts(Mutex<HashMap<(Service, String), Known>>);

/// Set by the first key.
type Known = Arc<OnceCell<Trust>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// No count means no tags.
    Count,
    /// The store hides the count: tags are read for every key.
    Nothing,
}

impl TagCounts {
    fn of(&self, bucket: &Bucket) -> Known {
        let id = (bucket.site.service.clone(), bucket.name.clone());
        let mut known = self.0.lock().expect("no holder of this lock panics");
        Arc::clone(known.entry(id).or_default())
    }
}

/// The object's whole state, `None` if there is none.
///
/// A 404 to HEAD does not tell a missing key from a missing bucket; a 403 is never an absence.
pub(crate) async fn head(
    bucket: &Bucket,
    key: &ObjectKey,
    counts: &TagCounts,
    deadline: Instant,
) -> Result<Option<Object>, Failure> {
    let request = async {
        let request = bucket.site.client.head_object();
        match request
            .bucket(&bucket.name)
            .key(key.as_str())
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
        {
            Ok(output) => Ok(Some(output)),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(HeadObjectError::is_not_found) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    };
    let output = match send(bucket, Some(key), "HeadObject", deadline, request).await {
        Ok(Some(output)) => output,
        Ok(None) => return Ok(None),
        Err(failure) => return Err(explained(bucket, key, failure, deadline).await),
    };
    if let Some(missing) = output.missing_meta.filter(|missing| *missing > 0) {
        let place = bucket.place(Some(key));
        return Err(Failure::new(
            Kind::Permanent,
            "HeadObject",
            place,
            MissingMetadata(missing),
        ));
    }
    let count = output.tag_count.unwrap_or_default();
    let mut object = object(output);
    if count > 0 {
        // Whoever is shown a count is shown every count.
        let _ = counts.of(bucket).set(Trust::Count);
        object.tags = tags(bucket, key, deadline).await?;
        return Ok(Some(object));
    }
    let mut read = None;
    let ask = async || {
        let tags = read.insert(tags(bucket, key, deadline).await?);
        Ok(match tags.is_empty() {
            true => Trust::Count,
            false => Trust::Nothing,
        })
    };
    // Of keys that are looked at together, one asks for all.
    let trust = *counts.of(bucket).get_or_try_init(ask).await?;
    object.tags = match read {
        Some(tags) => tags,
        None if trust == Trust::Nothing => tags(bucket, key, deadline).await?,
        None => BTreeMap::new(),
    };
    Ok(Some(object))
}

/// HEAD has no body to say why: an expired token looks like an object that is encrypted with a key
/// of its owner's. The first byte, asked for, comes with a reason.
async fn explained(
    bucket: &Bucket,
    key: &ObjectKey,
    failure: Failure,
    deadline: Instant,
) -> Failure {
    if failure.kind != Kind::Unexplained {
        return failure;
    }
    let request = bucket.site.client.get_object();
    let request = request.bucket(&bucket.name).key(key.as_str());
    let first_byte = request.range("bytes=0-0").send();
    match send(bucket, Some(key), "GetObject", deadline, first_byte).await {
        Err(reason) if !reason.kind.is_retryable() => reason,
        _ => Failure {
            kind: Kind::Retryable,
            ..failure
        },
    }
}

/// The object's tags. An object that is gone by now is a race.
async fn tags(
    bucket: &Bucket,
    key: &ObjectKey,
    deadline: Instant,
) -> Result<BTreeMap<String, String>, Failure> {
    let request = async {
        let request = bucket.site.client.get_object_tagging();
        match request.bucket(&bucket.name).key(key.as_str()).send().await {
            Ok(output) => Ok(output.tag_set),
            // A store without object tags has none to show.
            Err(error)
                if error
                    .raw_response()
                    .is_some_and(|raw| raw.status().as_u16() == 501) =>
            {
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    };
    let tags = send(bucket, Some(key), "GetObjectTagging", deadline, request).await?;
    Ok(tags.into_iter().map(|tag| (tag.key, tag.value)).collect())
}

fn object(output: HeadObjectOutput) -> Object {
    let etag = output
        .e_tag
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned();
    let opaque = output.sse_customer_algorithm.is_some()
        || matches!(
            output.server_side_encryption,
            Some(ServerSideEncryption::AwsKms | ServerSideEncryption::AwsKmsDsse)
        );
    let sums = [
        ("crc32", output.checksum_crc32),
        ("crc32c", output.checksum_crc32_c),
        ("crc64nvme", output.checksum_crc64_nvme),
        ("sha1", output.checksum_sha1),
        ("sha256", output.checksum_sha256),
    ];
    let values: BTreeMap<_, _> = sums
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    // Before S3 named the type, a composite value was told by its part count: "…==-3".
    let composite = output.checksum_type == Some(ChecksumType::Composite)
        || values.values().any(|value| value.contains('-'));
    Object {
        etag_proves_content: !opaque && is_md5(&etag),
        etag,
        size: output.content_length.unwrap_or_default().unsigned_abs(),
        last_modified: output.last_modified.map_or(0, |time| time.secs()),
        version_id: output.version_id,
        metadata: output.metadata.unwrap_or_default().into_iter().collect(),
        headers: SystemHeaders {
            cache_control: output.cache_control,
            content_disposition: output.content_disposition,
            content_encoding: output.content_encoding,
            content_language: output.content_language,
            content_type: output.content_type,
            expires: output.expires_string,
            website_redirect: output.website_redirect_location,
        },
        tags: BTreeMap::new(),
        checksums: Checksums { values, composite },
        storage_class: NotCompared(output.storage_class.map(|class| class.as_str().to_owned())),
    }
}

/// Whether an ETag has the form of an MD5, or of an MD5 over parts' MD5s: `…-N`.
fn is_md5(etag: &str) -> bool {
    let digest = etag.split_once('-').map_or(etag, |(digest, _)| digest);
    digest.len() == 32 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}
