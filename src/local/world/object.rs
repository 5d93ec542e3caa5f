//! What a bucket has, read with GET and LIST.
//!
//! Expectations are judged by this and by nothing of reconcile's: no HEAD, no ETag, no checksum.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use bytes::Bytes;

use super::WorldError;

/// An object as a reader gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::local) struct Content {
    pub(super) body: Bytes,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) headers: BTreeMap<&'static str, String>,
    pub(in crate::local) tags: BTreeMap<String, String>,
}

impl Content {
    /// In what two objects differ, in words; empty if in nothing.
    pub(in crate::local) fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = Vec::new();
        if self.body != other.body {
            found.push(format!(
                "body differs at byte {} ({} bytes, expected {})",
                self.body
                    .iter()
                    .zip(&other.body)
                    .take_while(|(a, b)| a == b)
                    .count(),
                self.body.len(),
                other.body.len()
            ));
        }
        found.extend(map_differences("metadata", &self.metadata, &other.metadata));
        found.extend(map_differences("header", &self.headers, &other.headers));
        found.extend(map_differences("tag", &self.tags, &other.tags));
        found
    }
}

/// The entries in which `found` is not as `expected`.
pub(super) fn map_differences<K: Ord + AsRef<str>>(
    what: &str,
    found: &BTreeMap<K, String>,
    expected: &BTreeMap<K, String>,
) -> Vec<String> {
    let missing_or_other = expected.iter().filter_map(|(name, value)| {
        let name_text = name.as_ref();
        match found.get(name) {
            Some(there) if there == value => None,
            Some(there) => Some(format!(
                "{what} {name_text} is {there:?}, expected {value:?}"
            )),
            None => Some(format!("{what} {name_text} is missing, expected {value:?}")),
        }
    });
    let extra = found
        .iter()
        .filter(|(name, _)| !expected.contains_key(name))
        .map(|(name, value)| format!("{what} {} is {value:?}, expected none", name.as_ref()));
    missing_or_other.chain(extra).collect()
}

/// The object at `key`, `None` if there is none.
pub(in crate::local) async fn get(
    client: &Client,
    bucket: &str,
    key: &str,
) -> Result<Option<Content>, WorldError> {
    let answer = client.get_object().bucket(bucket).key(key).send().await;
    let output = match answer {
        Ok(output) => output,
        Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => {
            return Ok(None);
        }
        Err(error) => return Err(WorldError::request("GetObject", bucket, Some(key), error)),
    };
    let (metadata, headers) = (
        output.metadata.clone().unwrap_or_default(),
        headers(&output),
    );
    let body = output.body.collect().await;
    let body = body.map_err(|error| WorldError::request("GetObject", bucket, Some(key), error))?;
    let tagging = client
        .get_object_tagging()
        .bucket(bucket)
        .key(key)
        .send()
        .await;
    let tagging = tagging
        .map_err(|error| WorldError::request("GetObjectTagging", bucket, Some(key), error))?;
    Ok(Some(Content {
        body: body.into_bytes(),
        metadata: metadata.into_iter().collect(),
        headers,
        tags: tagging
            .tag_set
            .into_iter()
            .map(|tag| (tag.key, tag.value))
            .collect(),
    }))
}

fn headers(output: &GetObjectOutput) -> BTreeMap<&'static str, String> {
    let all = [
        ("Cache-Control", &output.cache_control),
        ("Content-Disposition", &output.content_disposition),
        ("Content-Encoding", &output.content_encoding),
        ("Content-Language", &output.content_language),
        ("Content-Type", &output.content_type),
        ("Expires", &output.expires_string),
        (
            "x-amz-website-redirect-location",
            &output.website_redirect_location,
        ),
    ];
    all.into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect()
}

/// Every key of a bucket, in its own order.
pub(in crate::local) async fn keys(
    client: &Client,
    bucket: &str,
) -> Result<Vec<String>, WorldError> {
    let mut pages = client
        .list_objects_v2()
        .bucket(bucket)
        .into_paginator()
        .send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        let page =
            page.map_err(|error| WorldError::request("ListObjectsV2", bucket, None, error))?;
        keys.extend(
            page.contents
                .unwrap_or_default()
                .into_iter()
                .filter_map(|object| object.key),
        );
    }
    Ok(keys)
}

/// How many versions and how many delete markers a key has.
pub(in crate::local) async fn versions(
    client: &Client,
    bucket: &str,
    key: &str,
) -> Result<(u64, u64), WorldError> {
    let answer = client
        .list_object_versions()
        .bucket(bucket)
        .prefix(key)
        .send()
        .await;
    let output = answer
        .map_err(|error| WorldError::request("ListObjectVersions", bucket, Some(key), error))?;
    let versions = output.versions.unwrap_or_default();
    let markers = output.delete_markers.unwrap_or_default();
    let of_key = |other: &Option<String>| other.as_deref() == Some(key);
    Ok((
        versions
            .iter()
            .filter(|version| of_key(&version.key))
            .count() as u64,
        markers.iter().filter(|marker| of_key(&marker.key)).count() as u64,
    ))
}
