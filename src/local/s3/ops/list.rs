//! Listings of objects and versions, and what all listings share.

use std::ops::Bound;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::super::api::Api;
use super::super::listing::{Page, Query, Row, page};
use super::super::names::encode_key;
use super::super::object::Object as StoredObject;
use super::super::store::{Bucket, Entry, Version};
use super::super::time::shown_time;
use super::buckets::owner;

/// Writes names as a listing's `encoding-type` asks for.
#[derive(Clone, Copy)]
pub(super) struct Encoder {
    is_url: bool,
}

impl Encoder {
    pub(super) fn new(encoding_type: Option<&EncodingType>) -> S3Result<Encoder> {
        match encoding_type.map(EncodingType::as_str) {
            None => Ok(Encoder { is_url: false }),
            Some("url") => Ok(Encoder { is_url: true }),
            Some(_) => Err(s3_error!(
                InvalidArgument,
                "Invalid Encoding Method specified in Request"
            )),
        }
    }

    pub(super) fn write(self, name: &str) -> String {
        if self.is_url {
            encode_key(name)
        } else {
            name.to_owned()
        }
    }

    pub(super) fn write_all(self, prefixes: Vec<String>) -> Option<CommonPrefixList> {
        let prefixes = prefixes.iter().map(|prefix| self.write(prefix));
        Some(
            prefixes
                .map(|prefix| CommonPrefix {
                    prefix: Some(prefix),
                })
                .collect(),
        )
    }
}

/// Checks how many rows are wanted; S3 gives at most 1,000.
pub(super) fn max_rows(max: Option<i32>, name: &str) -> S3Result<usize> {
    match max {
        None => Ok(1000),
        Some(max) if max < 0 => Err(s3_error!(
            InvalidArgument,
            "Argument {name} must be an integer between 0 and 2147483647"
        )),
        Some(max) => Ok(max.min(1000) as usize),
    }
}

pub(super) fn query<'a>(
    prefix: Option<&'a str>,
    delimiter: Option<&'a str>,
    after: Option<&'a str>,
    max: usize,
) -> Query<'a> {
    let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty());
    Query {
        prefix: prefix.unwrap_or_default(),
        delimiter,
        after,
        max,
    }
}

/// Where to begin: behind `after`, and not before `prefix`.
fn from<'a>(after: Option<&'a str>, prefix: &'a str) -> Bound<&'a str> {
    match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    }
}

/// A current object, with its key and when it was written.
type Current<'a> = (&'a str, &'a Version, &'a Arc<StoredObject>);

fn current_objects<'a>(bucket: &'a Bucket, query: Query<'_>) -> Page<Current<'a>> {
    let begin = from(query.after, query.prefix);
    let keys = bucket.objects.range::<str, _>((begin, Bound::Unbounded));
    let current = keys.filter_map(|(key, versions)| {
        let version = versions.last()?;
        match &version.entry {
            Entry::Object { object, .. } => Some((key.as_str(), (key.as_str(), version, object))),
            Entry::DeleteMarker => None,
        }
    });
    page(current, query)
}

/// The rows of a page, items and prefixes apart, and the name of the last.
pub(super) fn split<T>(
    rows: Vec<Row<T>>,
    name: impl Fn(&T) -> &str,
) -> (Vec<T>, Vec<String>, Option<String>) {
    let last = rows.last().map(|row| match row {
        Row::Item(item) => name(item).to_owned(),
        Row::Prefix(prefix) => prefix.clone(),
    });
    let mut items = Vec::new();
    let mut prefixes = Vec::new();
    for row in rows {
        match row {
            Row::Item(item) => items.push(item),
            Row::Prefix(prefix) => prefixes.push(prefix),
        }
    }
    (items, prefixes, last)
}

fn to_object(current: &Current<'_>, encoder: Encoder, with_owner: bool) -> Object {
    let (key, version, object) = current;
    let algorithm = object.checksum.as_ref().map(|sum| sum.algorithm.name());
    Object {
        checksum_algorithm: algorithm.map(|name| vec![ChecksumAlgorithm::from_static(name)]),
        checksum_type: object
            .checksum
            .as_ref()
            .map(|sum| ChecksumType::from_static(sum.coverage.name())),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        key: Some(encoder.write(key)),
        last_modified: Some(shown_time(version.modified)),
        owner: with_owner.then(owner),
        size: Some(object.content.length() as Size),
        storage_class: Some(object.attributes.storage_class.clone().into()),
        ..Default::default()
    }
}

pub(in super::super) fn objects(
    api: &Api,
    request: S3Request<ListObjectsInput>,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let input = request.input;
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let max = max_rows(input.max_keys, "max-keys")?;
    let marker = input.marker.as_deref().filter(|marker| !marker.is_empty());
    let query = query(
        input.prefix.as_deref(),
        input.delimiter.as_deref(),
        marker,
        max,
    );
    let store = api.lock();
    let page = current_objects(store.bucket(&input.bucket)?, query);
    let (items, prefixes, last) = split(page.rows, |(key, ..)| *key);
    Ok(S3Response::new(ListObjectsOutput {
        contents: Some(
            items
                .iter()
                .map(|item| to_object(item, encoder, true))
                .collect(),
        ),
        common_prefixes: encoder.write_all(prefixes),
        // Without a delimiter, the last key serves as the marker.
        next_marker: last
            .filter(|_| page.is_truncated && query.delimiter.is_some())
            .map(|last| encoder.write(&last)),
        is_truncated: Some(page.is_truncated),
        marker: Some(encoder.write(marker.unwrap_or_default())),
        max_keys: Some(max as MaxKeys),
        name: Some(input.bucket.clone()),
        prefix: Some(encoder.write(query.prefix)),
        delimiter: query.delimiter.map(|delimiter| encoder.write(delimiter)),
        encoding_type: input.encoding_type.clone(),
        ..Default::default()
    }))
}

pub(in super::super) fn objects_v2(
    api: &Api,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let input = request.input;
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let max = max_rows(input.max_keys, "max-keys")?;
    let continued = input
        .continuation_token
        .as_deref()
        .map(read_token)
        .transpose()?;
    let after = continued.as_deref().or(input.start_after.as_deref());
    let after = after.filter(|after| !after.is_empty());
    let query = query(
        input.prefix.as_deref(),
        input.delimiter.as_deref(),
        after,
        max,
    );
    let with_owner = input.fetch_owner == Some(true);
    let store = api.lock();
    let page = current_objects(store.bucket(&input.bucket)?, query);
    let (items, prefixes, last) = split(page.rows, |(key, ..)| *key);
    Ok(S3Response::new(ListObjectsV2Output {
        key_count: Some((items.len() + prefixes.len()) as KeyCount),
        contents: Some(
            items
                .iter()
                .map(|item| to_object(item, encoder, with_owner))
                .collect(),
        ),
        common_prefixes: encoder.write_all(prefixes),
        next_continuation_token: last
            .filter(|_| page.is_truncated)
            .map(|last| write_token(&last)),
        is_truncated: Some(page.is_truncated),
        continuation_token: input.continuation_token.clone(),
        max_keys: Some(max as MaxKeys),
        name: Some(input.bucket.clone()),
        prefix: Some(encoder.write(query.prefix)),
        delimiter: query.delimiter.map(|delimiter| encoder.write(delimiter)),
        start_after: input
            .start_after
            .as_deref()
            .map(|after| encoder.write(after)),
        encoding_type: input.encoding_type.clone(),
        ..Default::default()
    }))
}

/// A continuation token is the name of a row, made opaque.
fn write_token(name: &str) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

fn read_token(token: &str) -> S3Result<String> {
    let name = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|name| String::from_utf8(name).ok());
    name.ok_or_else(|| {
        s3_error!(
            InvalidArgument,
            "The continuation token provided is incorrect"
        )
    })
}

/// A version, with its key and whether it is the current one.
type Listed<'a> = (&'a str, &'a Version, bool);

pub(in super::super) fn versions(
    api: &Api,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<S3Response<ListObjectVersionsOutput>> {
    let input = request.input;
    let encoder = Encoder::new(input.encoding_type.as_ref())?;
    let max = max_rows(input.max_keys, "max-keys")?;
    let key_marker = input
        .key_marker
        .as_deref()
        .filter(|marker| !marker.is_empty());
    let id_marker = input
        .version_id_marker
        .as_deref()
        .filter(|marker| !marker.is_empty());
    if id_marker.is_some() && key_marker.is_none() {
        return Err(s3_error!(
            InvalidArgument,
            "A version-id marker cannot be specified without a key marker."
        ));
    }
    let query = query(
        input.prefix.as_deref(),
        input.delimiter.as_deref(),
        key_marker,
        max,
    );
    let store = api.lock();
    let bucket = store.bucket(&input.bucket)?;
    let begin = match (key_marker, id_marker) {
        (Some(key), Some(_)) if key >= query.prefix => Bound::Included(key),
        _ => from(key_marker, query.prefix),
    };
    let listed = bucket
        .objects
        .range::<str, _>((begin, Bound::Unbounded))
        .flat_map(|(key, versions)| newest_first(key, versions, key_marker, id_marker))
        .map(|listed| (listed.0, listed));
    let page = page(listed, query);
    let last_id = match page.rows.last() {
        Some(Row::Item((_, version, _))) => Some(version.id.clone()),
        _ => None,
    };
    let (items, prefixes, last) = split(page.rows, |(key, ..)| *key);
    let mut versions = Vec::new();
    let mut delete_markers = Vec::new();
    for (key, version, is_latest) in items {
        match &version.entry {
            Entry::Object { object, .. } => {
                versions.push(to_version(encoder.write(key), version, object, is_latest));
            }
            Entry::DeleteMarker => delete_markers.push(DeleteMarkerEntry {
                is_latest: Some(is_latest),
                key: Some(encoder.write(key)),
                last_modified: Some(shown_time(version.modified)),
                owner: Some(owner()),
                version_id: Some(version.id.clone()),
            }),
        }
    }
    Ok(S3Response::new(ListObjectVersionsOutput {
        versions: Some(versions),
        delete_markers: Some(delete_markers),
        common_prefixes: encoder.write_all(prefixes),
        is_truncated: Some(page.is_truncated),
        next_key_marker: last
            .filter(|_| page.is_truncated)
            .map(|last| encoder.write(&last)),
        next_version_id_marker: last_id.filter(|_| page.is_truncated),
        key_marker: Some(encoder.write(key_marker.unwrap_or_default())),
        version_id_marker: Some(id_marker.unwrap_or_default().to_owned()),
        max_keys: Some(max as MaxKeys),
        name: Some(input.bucket.clone()),
        prefix: Some(encoder.write(query.prefix)),
        delimiter: query.delimiter.map(|delimiter| encoder.write(delimiter)),
        encoding_type: input.encoding_type.clone(),
        ..Default::default()
    }))
}

/// The versions of a key, those up to the marker left out if it is the marker's key.
fn newest_first<'a>(
    key: &'a str,
    versions: &'a [Version],
    key_marker: Option<&str>,
    id_marker: Option<&str>,
) -> impl Iterator<Item = Listed<'a>> {
    let listed = id_marker
        .filter(|_| key_marker == Some(key))
        .and_then(|id| versions.iter().position(|version| version.id == id));
    // What is listed already stands at `listed` and behind it.
    let rest = &versions[..listed.unwrap_or(versions.len())];
    let latest = versions.len() - 1;
    rest.iter()
        .enumerate()
        .rev()
        .map(move |(index, version)| (key, version, index == latest))
}

fn to_version(
    key: String,
    version: &Version,
    object: &StoredObject,
    is_latest: bool,
) -> ObjectVersion {
    let algorithm = object.checksum.as_ref().map(|sum| sum.algorithm.name());
    ObjectVersion {
        checksum_algorithm: algorithm.map(|name| vec![ChecksumAlgorithm::from_static(name)]),
        checksum_type: object
            .checksum
            .as_ref()
            .map(|sum| ChecksumType::from_static(sum.coverage.name())),
        e_tag: Some(ETag::Strong(object.etag.clone())),
        is_latest: Some(is_latest),
        key: Some(key),
        last_modified: Some(shown_time(version.modified)),
        owner: Some(owner()),
        size: Some(object.content.length() as Size),
        storage_class: Some(object.attributes.storage_class.clone().into()),
        version_id: Some(version.id.clone()),
        ..Default::default()
    }
}
