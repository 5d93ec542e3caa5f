//! How it is measured what a store can express: by trying, in buckets of its own.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
    VersioningConfiguration,
};

use super::capabilities::REDIRECT;
use super::object::{get, keys, versions};
use super::remote::RemoteStore;
use crate::error::chain;

impl RemoteStore {
    pub(super) async fn probe_region(&self, region: &str) -> Option<String> {
        let made = self.probe_bucket(region).await;
        let reason = made
            .as_ref()
            .err()
            .map(|error| format!("region {region}: {error}"));
        self.remove(made.ok()).await;
        reason
    }

    pub(super) async fn probe_versioning(&self) -> Option<String> {
        let bucket = match self.probe_bucket("us-east-1").await {
            Ok(bucket) => bucket,
            Err(error) => return Some(format!("versioning: {error}")),
        };
        let tried = try_versioning(&self.client("us-east-1"), &bucket).await;
        self.remove([bucket]).await;
        tried.err().map(|error| format!("versioning: {error}"))
    }

    /// Puts an object with the header, then looks whether it is there.
    pub(super) async fn probe_redirect(&self) -> Option<String> {
        let tried = async {
            let bucket = self.probe_bucket("us-east-1").await?;
            let client = self.client("us-east-1");
            let put = client.put_object().bucket(&bucket).key("k");
            let put = put.website_redirect_location("/elsewhere").send().await;
            let there = get(&client, &bucket, "k").await;
            self.remove([bucket]).await;
            put.map_err(|error| words(&error))?;
            let there = there.map_err(|error| chain(&error))?;
            let there = there.and_then(|there| there.headers.get(REDIRECT).cloned());
            match there.as_deref() {
                Some("/elsewhere") => Ok(()),
                Some(other) => Err(format!(
                    "it is {other:?} after it was put as \"/elsewhere\""
                )),
                None => Err("it is not there after it was put".to_owned()),
            }
        };
        let reason: Result<(), String> = tried.await;
        reason.err().map(|why| format!("header {REDIRECT}: {why}"))
    }

    /// Puts all keys into one bucket, then looks which of them are there as they were put.
    pub(super) async fn probe_keys(&self, unknown: &[&String]) -> BTreeMap<String, Option<String>> {
        let all = |reason: &str| {
            let each = unknown.iter().map(|key| {
                let reason = format!("key {}: {reason}", shortened(key));
                ((*key).clone(), Some(reason))
            });
            each.collect()
        };
        let bucket = match self.probe_bucket("us-east-1").await {
            Ok(bucket) => bucket,
            Err(error) => return all(&error),
        };
        let client = self.client("us-east-1");
        let mut found = BTreeMap::new();
        for &key in unknown {
            let put = client.put_object().bucket(&bucket).key(key);
            let body = key.as_bytes().to_vec().into();
            let reason = put.body(body).send().await.err().map(|error| words(&error));
            found.insert(key.clone(), reason);
        }
        let listed = keys(&client, &bucket).await.unwrap_or_default();
        for (key, reason) in &mut found {
            if reason.is_none() {
                let there = get(&client, &bucket, key).await;
                let same = there.is_ok_and(|there| {
                    there.is_some_and(|there| there.body.as_ref() == key.as_bytes())
                });
                *reason = match (same, listed.contains(key)) {
                    (true, true) => None,
                    (false, _) => Some("it is not there after it was put".to_owned()),
                    (true, false) => Some("it is listed under another name".to_owned()),
                };
            }
            if let Some(reason) = reason {
                *reason = format!("key {}: {reason}", shortened(key));
            }
        }
        self.remove([bucket]).await;
        found
    }

    async fn probe_bucket(&self, region: &str) -> Result<String, String> {
        let bucket = format!("s3-replicator-probe-{}", Self::unique());
        self.note(&bucket, region);
        let mut create = self.client(region).create_bucket().bucket(&bucket);
        if region != "us-east-1" {
            let location = BucketLocationConstraint::from(region);
            create = create.create_bucket_configuration(
                CreateBucketConfiguration::builder()
                    .location_constraint(location)
                    .build(),
            );
        }
        match create.send().await {
            Ok(_) => Ok(bucket),
            Err(error) => {
                self.remove([bucket]).await;
                Err(words(&error))
            }
        }
    }
}

/// Versions, delete markers and a suspension, as recordings use them.
async fn try_versioning(client: &Client, bucket: &str) -> Result<(), String> {
    const KEY: &str = "k";
    let set = async |status| {
        let configuration = VersioningConfiguration::builder().status(status).build();
        let put = client.put_bucket_versioning().bucket(bucket);
        let put = put.versioning_configuration(configuration).send().await;
        put.map(drop).map_err(|error| words(&error))
    };
    let put = async |body: &'static str| {
        let put = client.put_object().bucket(bucket).key(KEY);
        let put = put.body(body.as_bytes().to_vec().into()).send().await;
        put.map(drop).map_err(|error| words(&error))
    };
    let counts = async |when: &str, expected: (u64, u64)| match versions(client, bucket, KEY).await
    {
        Ok(found) if found == expected => Ok(()),
        Ok((versions, markers)) => Err(format!(
            "{when}, {versions} versions and {markers} delete markers, expected {} and {}",
            expected.0, expected.1
        )),
        Err(error) => Err(chain(&error)),
    };
    set(BucketVersioningStatus::Enabled).await?;
    put("one").await?;
    put("two").await?;
    counts("after two puts", (2, 0)).await?;
    let marked = client.delete_object().bucket(bucket).key(KEY).send().await;
    let marked = marked.map_err(|error| words(&error))?;
    counts("after a delete", (2, 1)).await?;
    let unmarked = client
        .delete_object()
        .bucket(bucket)
        .key(KEY)
        .set_version_id(marked.version_id)
        .send()
        .await;
    unmarked.map_err(|error| words(&error))?;
    counts("after the marker's removal", (2, 0)).await?;
    set(BucketVersioningStatus::Suspended).await?;
    put("three").await?;
    put("four").await?;
    counts("after two puts while suspended", (3, 0)).await?;
    let deleted = client.delete_object().bucket(bucket).key(KEY).send().await;
    deleted.map_err(|error| words(&error))?;
    counts("after a delete while suspended", (2, 1)).await?;
    let unmarked = client.delete_object().bucket(bucket).key(KEY);
    let unmarked = unmarked.version_id("null").send().await;
    unmarked.map_err(|error| words(&error))?;
    counts("after that marker's removal", (2, 0)).await
}

/// A key in quotes, cut to what a person takes in.
fn shortened(key: &str) -> String {
    const ENOUGH: usize = 24;
    match key.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("{:?}… ({} bytes)", &key[..end], key.len()),
        None => format!("{key:?}"),
    }
}

/// The error's code, or all that is known of it.
fn words<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error.code() {
        Some(code) => code.to_owned(),
        None => DisplayErrorContext(error).to_string(),
    }
}
