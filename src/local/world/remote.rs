//! A store outside of this program: who we are there, and which buckets are ours to remove.
//!
//! Invariant: every bucket that a run makes is noted before it is asked for, so that whatever ends
//! the run, [`RemoteStore::remove_buckets`] finds it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_credential_types::Credentials as SdkCredentials;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use aws_sdk_s3::{Client, Config};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use uuid::Uuid;

use super::capabilities::Probed;
use crate::local::faults::{InvalidEndpoint, RemoteService};

/// How long a store may take to say that it is there.
const REACH: Duration = Duration::from_secs(5);

/// The pauses before attempts to remove what is left: of a run that was cut off, writes may still
/// be under way.
const ATTEMPTS: [Duration; 2] = [Duration::ZERO, Duration::from_secs(1)];

/// Where a store is, and who we are there.
#[derive(Debug, Clone)]
pub struct RemotePlace {
    /// What people call it.
    pub name: String,
    /// `http://host:port`.
    pub endpoint: String,
    /// The keys that every request is signed with.
    pub credentials: SdkCredentials,
    /// What to do if it does not answer.
    pub advice: String,
}

/// A store that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The endpoint is none.
    #[error("invalid endpoint of a store")]
    Endpoint(#[from] InvalidEndpoint),
    /// Nothing that speaks S3 is there, or it does not know us.
    #[error("no S3 answers at {endpoint}: {advice}")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// What to do about it.
        advice: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// A store that was reached.
#[derive(Debug)]
pub struct RemoteStore {
    place: RemotePlace,
    service: RemoteService,
    http_client: SharedHttpClient,
    /// What stands behind separate sites, by their names.
    sites: BTreeMap<String, Arc<RemoteStore>>,
    /// The region of every bucket that was made and not removed, by name.
    ours: Mutex<BTreeMap<String, String>>,
    pub(super) probed: tokio::sync::Mutex<Probed>,
}

impl RemoteStore {
    /// Reaches a store.
    ///
    /// # Errors
    /// The endpoint is malformed, nothing answers there, or the credentials are refused.
    pub async fn connect(place: RemotePlace) -> Result<Self, StoreError> {
        let store = Self {
            service: RemoteService::new(&place.endpoint)?,
            place,
            http_client: aws_smithy_http_client::Builder::new().build_http(),
            sites: BTreeMap::new(),
            ours: Mutex::default(),
            probed: tokio::sync::Mutex::default(),
        };
        let buckets = store.client("us-east-1").list_buckets().send();
        let unreachable = |source: Box<dyn std::error::Error + Send + Sync>| {
            let RemotePlace {
                endpoint, advice, ..
            } = store.place.clone();
            StoreError::Unreachable {
                endpoint,
                advice,
                source,
            }
        };
        match tokio::time::timeout(REACH, buckets).await {
            Ok(Ok(_)) => Ok(store),
            Ok(Err(error)) => Err(unreachable(error.into())),
            Err(late) => Err(unreachable(late.into())),
        }
    }

    /// Puts another store behind a site that a recording declares separate; where there is none,
    /// such a site is in this program.
    #[must_use]
    pub fn with_site(mut self, site: &str, store: Arc<RemoteStore>) -> Self {
        self.sites.insert(site.to_owned(), store);
        self
    }

    /// What stands behind a separate site.
    pub(super) fn site(&self, site: &str) -> Option<&Arc<RemoteStore>> {
        self.sites.get(site)
    }

    /// Where it is.
    pub fn place(&self) -> &RemotePlace {
        &self.place
    }

    /// What reaches the store, for clients of its other services.
    pub fn http_client(&self) -> SharedHttpClient {
        self.http_client.clone()
    }

    /// A client that asks the store itself, past every layer.
    pub fn client(&self, region: &str) -> Client {
        self.client_at(&self.place.endpoint, region)
    }

    /// A client with our keys for an endpoint before the store.
    pub(super) fn client_at(&self, endpoint: &str, region: &str) -> Client {
        let timeouts = TimeoutConfig::builder().connect_timeout(REACH).build();
        Client::from_conf(
            Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .http_client(self.http_client.clone())
                .region(Region::new(region.to_owned()))
                .endpoint_url(endpoint)
                .force_path_style(true)
                .credentials_provider(self.place.credentials.clone())
                .timeout_config(timeouts)
                // What a recording says is what is sent: no checksum that it does not name.
                .request_checksum_calculation(
                    aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired,
                )
                .build(),
        )
    }

    /// The store as a service.
    pub(super) fn service(&self) -> RemoteService {
        self.service.clone()
    }

    /// A name's end that no other run has.
    pub(super) fn unique() -> String {
        Uuid::new_v4().simple().to_string()[..8].to_owned()
    }

    /// Notes that a bucket is about to be made.
    pub(super) fn note(&self, bucket: &str, region: &str) {
        self.ours().insert(bucket.to_owned(), region.to_owned());
    }

    /// Removes these buckets, with all their versions and unfinished uploads.
    pub(super) async fn remove(&self, buckets: impl IntoIterator<Item = String>) {
        for bucket in buckets {
            let Some(region) = self.ours().get(&bucket).cloned() else {
                continue;
            };
            match empty_and_delete(&self.client(&region), &bucket).await {
                Ok(()) => {
                    self.ours().remove(&bucket);
                }
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    bucket,
                    "a bucket was left behind"
                ),
            }
        }
    }

    /// Removes every bucket that was made and is still there; answers those it could not.
    pub async fn remove_buckets(&self) -> Vec<String> {
        for pause in ATTEMPTS {
            tokio::time::sleep(pause).await;
            self.remove(self.buckets()).await;
            if self.buckets().is_empty() {
                break;
            }
        }
        self.buckets()
    }

    /// Every bucket that was made and is still there.
    pub fn buckets(&self) -> Vec<String> {
        self.ours().keys().cloned().collect()
    }

    fn ours(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn empty_and_delete(client: &Client, bucket: &str) -> Result<(), aws_sdk_s3::Error> {
    let uploads = client.list_multipart_uploads().bucket(bucket).send().await;
    for upload in uploads
        .map(|list| list.uploads.unwrap_or_default())
        .unwrap_or_default()
    {
        let abort = client
            .abort_multipart_upload()
            .bucket(bucket)
            .set_key(upload.key)
            .set_upload_id(upload.upload_id);
        abort.send().await?;
    }
    let mut before = Vec::new();
    loop {
        let found = versions(client, bucket).await?;
        if found.is_empty() {
            break;
        }
        // Not every store can delete several, and not every one tells which it could not.
        if found == before {
            one_by_one(client, bucket, &found).await?;
            if versions(client, bucket).await? == found {
                break;
            }
        } else {
            let delete = Delete::builder()
                .set_objects(Some(found.clone()))
                .quiet(true)
                .build()
                .expect("the objects are set");
            let delete = client.delete_objects().bucket(bucket).delete(delete);
            // What is still there after it says whether it worked.
            let _ = delete.send().await;
        }
        before = found;
    }
    match client.delete_bucket().bucket(bucket).send().await {
        Err(error) if error.code() == Some("NoSuchBucket") => Ok(()),
        other => other.map(drop).map_err(Into::into),
    }
}

async fn one_by_one(
    client: &Client,
    bucket: &str,
    found: &[ObjectIdentifier],
) -> Result<(), aws_sdk_s3::Error> {
    for object in found {
        // SeaweedFS answers the removal of a marker without an id with success and keeps it; a
        // version in its place can be removed.
        if object.version_id() == Some("null") {
            let put = client.put_object().bucket(bucket).key(object.key());
            put.send().await?;
        }
        let delete = client.delete_object().bucket(bucket).key(object.key());
        let delete = delete.set_version_id(object.version_id.clone());
        delete.send().await?;
    }
    Ok(())
}

/// Every version and delete marker, a page of them; plain objects where there are no versions.
async fn versions(
    client: &Client,
    bucket: &str,
) -> Result<Vec<ObjectIdentifier>, aws_sdk_s3::Error> {
    let identifier = |key: Option<String>, version: Option<String>| {
        ObjectIdentifier::builder()
            .key(key?)
            .set_version_id(version)
            .build()
            .ok()
    };
    if let Ok(list) = client.list_object_versions().bucket(bucket).send().await {
        let versions = list.versions.unwrap_or_default().into_iter();
        let markers = list.delete_markers.unwrap_or_default().into_iter();
        return Ok(versions
            .map(|version| (version.key, version.version_id))
            .chain(markers.map(|marker| (marker.key, marker.version_id)))
            .filter_map(|(key, version)| identifier(key, version))
            .collect());
    }
    match client.list_objects_v2().bucket(bucket).send().await {
        Ok(list) => Ok(list
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| identifier(object.key, None))
            .collect()),
        Err(error) if error.code() == Some("NoSuchBucket") => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
