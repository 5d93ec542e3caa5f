//! Which buckets of a store are masters, and how a bucket becomes one.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
};

use super::channel::{Wiring, wire};
use super::{Channels, LiveError, channels};
use crate::local::recording::Bucket;
use crate::local::world::{RemoteStore, tagging};
use crate::targets::{TARGETS_TAG, Target, parse};

/// A bucket whose tags name targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// The bucket as it is.
    pub bucket: Bucket,
    /// The targets that could be read from its tags.
    pub targets: Vec<Target>,
}

impl Master {
    fn of(bucket: Bucket) -> Self {
        let pairs = bucket.tags.iter();
        let pairs = pairs.map(|(key, value)| (key.as_str(), value.as_str()));
        // Which sites there are is for the function to know.
        let targets = parse(pairs, |_| true).targets;
        Self { bucket, targets }
    }

    /// How its events leave the store.
    ///
    /// # Errors
    /// They do not, or not in a way that can be listened to.
    pub async fn channels(&self, store: &RemoteStore) -> Result<Channels, LiveError> {
        let client = |region: &str| store.client(region);
        channels(client, &store.place().endpoint, [self]).await
    }
}

/// Every tagged bucket of a store.
///
/// # Errors
/// A request failed, or there is no such bucket.
pub async fn tagged_masters(store: &RemoteStore) -> Result<Vec<Master>, LiveError> {
    let endpoint = &store.place().endpoint;
    let client = store.client("us-east-1");
    let list = client.list_buckets().send().await;
    let list = list.map_err(|error| LiveError::request("ListBuckets", endpoint, error))?;
    let mut masters = Vec::new();
    for name in list.buckets.unwrap_or_default() {
        let bucket = Bucket::new(name.name.unwrap_or_default(), "us-east-1");
        let tags = bucket_tags(&client, &bucket).await?;
        if tags.keys().any(|tag| tag.starts_with(TARGETS_TAG)) {
            masters.push(master(store, &bucket.name).await?);
        }
    }
    if masters.is_empty() {
        let endpoint = endpoint.clone();
        return Err(LiveError::NoMaster { endpoint });
    }
    Ok(masters)
}

/// A bucket as it is now.
///
/// # Errors
/// A request failed; there may be no such bucket.
pub async fn master(store: &RemoteStore, name: &str) -> Result<Master, LiveError> {
    look_at(store, name).await.map(Master::of)
}

/// A bucket with its region, versioning and tags.
///
/// # Errors
/// A request failed; there may be no such bucket.
pub async fn look_at(store: &RemoteStore, name: &str) -> Result<Bucket, LiveError> {
    let mut bucket = Bucket::new(name, "us-east-1");
    let client = store.client("us-east-1");
    let location = match client.get_bucket_location().bucket(name).send().await {
        Ok(location) => location.location_constraint,
        // SeaweedFS answers what nobody can read, which names no region either.
        Err(error) if error.code().is_none() && error.raw_response().is_some() => None,
        Err(error) => return Err(LiveError::bucket("GetBucketLocation", &bucket, error)),
    };
    match location.as_ref().map(|location| location.as_str()) {
        None | Some("") => {}
        Some("EU") => bucket.region = "eu-west-1".to_owned(),
        Some(region) => bucket.region = region.to_owned(),
    }
    let client = store.client(&bucket.region);
    let versioning = client.get_bucket_versioning().bucket(name).send().await;
    // A store without versions may not know the question.
    bucket.versioning = versioning
        .is_ok_and(|versioning| versioning.status == Some(BucketVersioningStatus::Enabled));
    bucket.tags = bucket_tags(&client, &bucket).await?;
    Ok(bucket)
}

/// Makes a bucket and its targets where they are missing, has it name the targets and, where it
/// sends no events yet, send them there. All else that its tags say stays.
///
/// # Errors
/// A request failed. What was done stays done.
pub async fn make_master(
    store: &RemoteStore,
    wanted: &Bucket,
    targets: &[Bucket],
    wiring: Option<&Wiring>,
) -> Result<Master, LiveError> {
    for bucket in std::iter::once(wanted).chain(targets) {
        create(&store.client(&bucket.region), bucket).await?;
    }
    let client = store.client(&wanted.region);
    if !wanted.tags.is_empty() {
        let mut all = bucket_tags(&client, wanted).await?;
        all.retain(|tag, _| !tag.starts_with(TARGETS_TAG));
        all.extend(wanted.tags.clone());
        let put = client.put_bucket_tagging().bucket(&wanted.name);
        let put = put.tagging(tagging(&all)).send().await;
        put.map_err(|error| LiveError::bucket("PutBucketTagging", wanted, error))?;
    }
    let master = master(store, &wanted.name).await?;
    if let Some(wiring) = wiring {
        wire(&client, &master, wiring).await?;
    }
    Ok(master)
}

async fn create(client: &Client, bucket: &Bucket) -> Result<(), LiveError> {
    let mut create = client.create_bucket().bucket(&bucket.name);
    if bucket.region != "us-east-1" {
        let location = BucketLocationConstraint::from(bucket.region.as_str());
        let configuration = CreateBucketConfiguration::builder().location_constraint(location);
        create = create.create_bucket_configuration(configuration.build());
    }
    match create.send().await {
        Err(error) if error.code() != Some("BucketAlreadyOwnedByYou") => {
            Err(LiveError::bucket("CreateBucket", bucket, error))
        }
        _ => Ok(()),
    }
}

/// A bucket's tags; none is no error.
///
/// # Errors
/// The request failed; there may be no such bucket.
pub async fn bucket_tags(
    client: &Client,
    bucket: &Bucket,
) -> Result<BTreeMap<String, String>, LiveError> {
    let get = client.get_bucket_tagging().bucket(&bucket.name);
    match get.send().await {
        Ok(answer) => Ok(answer
            .tag_set
            .into_iter()
            .map(|tag| (tag.key, tag.value))
            .collect()),
        Err(error) if error.code() == Some("NoSuchTagSet") => Ok(BTreeMap::new()),
        Err(error) => Err(LiveError::bucket("GetBucketTagging", bucket, error)),
    }
}
