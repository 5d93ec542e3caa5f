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
        self.probe_versions("versioning", Tried::versioning).await
    }

    pub(super) async fn probe_suspension(&self) -> Option<String> {
        self.probe_versions("suspended versioning", Tried::suspension)
            .await
    }

    async fn probe_versions(
        &self,
        what: &str,
        try_it: impl AsyncFnOnce(Tried) -> Result<(), String>,
    ) -> Option<String> {
        let tried = match self.probe_bucket("us-east-1").await {
            Ok(bucket) => {
                let client = self.client("us-east-1");
                let tried = try_it(Tried {
                    client,
                    bucket: bucket.clone(),
                });
                let tried = tried.await;
                self.remove([bucket]).await;
                tried
            }
            Err(error) => Err(error),
        };
        tried.err().map(|error| format!("{what}: {error}"))
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

/// One key in a bucket where versions are tried as recordings use them.
struct Tried {
    client: Client,
    bucket: String,
}

impl Tried {
    const KEY: &str = "k";

    /// Versions, and delete markers that can be removed again.
    async fn versioning(self) -> Result<(), String> {
        self.set(BucketVersioningStatus::Enabled).await?;
        self.put("one").await?;
        self.put("two").await?;
        self.counts("after two puts", (2, 0)).await?;
        let marker = self.delete(None).await?;
        self.counts("after a delete", (2, 1)).await?;
        self.delete(marker).await?;
        self.counts("after the marker's removal", (2, 0)).await
    }

    /// The one version without an id that a suspension knows.
    async fn suspension(self) -> Result<(), String> {
        self.set(BucketVersioningStatus::Enabled).await?;
        self.put("one").await?;
        self.set(BucketVersioningStatus::Suspended).await?;
        self.put("two").await?;
        self.put("three").await?;
        self.counts("after two puts", (2, 0)).await?;
        self.delete(None).await?;
        self.counts("after a delete", (1, 1)).await?;
        self.delete(Some("null".to_owned())).await?;
        self.counts("after the marker's removal", (1, 0)).await
    }

    async fn set(&self, status: BucketVersioningStatus) -> Result<(), String> {
        let configuration = VersioningConfiguration::builder().status(status).build();
        let put = self.client.put_bucket_versioning().bucket(&self.bucket);
        let put = put.versioning_configuration(configuration).send().await;
        put.map(drop).map_err(|error| words(&error))
    }

    async fn put(&self, body: &'static str) -> Result<(), String> {
        let put = self.client.put_object().bucket(&self.bucket).key(Self::KEY);
        let put = put.body(body.as_bytes().to_vec().into()).send().await;
        put.map(drop).map_err(|error| words(&error))
    }

    /// Answers the marker that it made, if it made one.
    async fn delete(&self, version: Option<String>) -> Result<Option<String>, String> {
        let delete = self.client.delete_object().bucket(&self.bucket);
        let delete = delete.key(Self::KEY).set_version_id(version);
        let deleted = delete.send().await.map_err(|error| words(&error))?;
        Ok(deleted.version_id)
    }

    /// Whether the key has so many versions and delete markers.
    async fn counts(&self, when: &str, expected: (u64, u64)) -> Result<(), String> {
        match versions(&self.client, &self.bucket, Self::KEY).await {
            Ok(found) if found == expected => Ok(()),
            Ok((versions, markers)) => Err(format!(
                "versions and delete markers {when}: {versions} and {markers}, expected {} and {}",
                expected.0, expected.1
            )),
            Err(error) => Err(chain(&error)),
        }
    }
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
