//! A store as its user sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{Tag, Tagging};
use aws_sdk_s3::{Client, Config};
use tokio::time::{Instant, sleep};

/// How long a replica may take to come.
const PATIENCE: Duration = Duration::from_secs(40);

/// A client with this pair of keys.
pub(crate) fn client(endpoint: &str, (access_key, secret_key): (&str, &str)) -> Client {
    Client::from_conf(
        Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(Region::from_static("us-east-1"))
            .endpoint_url(endpoint)
            .force_path_style(true)
            .credentials_provider(Credentials::new(access_key, secret_key, None, None, "test"))
            .build(),
    )
}

/// Makes a bucket with this tag, or with none.
pub(crate) async fn create(client: &Client, bucket: &str, targets: Option<&str>) {
    client.create_bucket().bucket(bucket).send().await.unwrap();
    if let Some(targets) = targets {
        let tag = Tag::builder()
            .key("ReplicatedTargetBuckets")
            .value(targets)
            .build();
        let tagging = Tagging::builder().tag_set(tag.unwrap()).build().unwrap();
        let put = client.put_bucket_tagging().bucket(bucket).tagging(tagging);
        put.send().await.unwrap();
    }
}

/// Writes an object of one line.
pub(crate) async fn put(client: &Client, bucket: &str, key: &str, text: &str) {
    let body = text.as_bytes().to_vec().into();
    let put = client.put_object().bucket(bucket).key(key).body(body);
    put.send().await.unwrap();
}

/// Every key of a bucket, with what stands in it.
pub(crate) async fn contents(client: &Client, bucket: &str) -> BTreeMap<String, Vec<u8>> {
    let mut pages = client
        .list_objects_v2()
        .bucket(bucket)
        .into_paginator()
        .send();
    let mut found = BTreeMap::new();
    while let Some(page) = pages.next().await {
        for object in page.unwrap().contents.unwrap_or_default() {
            let key = object.key.unwrap();
            let get = client.get_object().bucket(bucket).key(&key).send().await;
            // It may be gone by now.
            if let Ok(get) = get {
                let body = get.body.collect().await.unwrap();
                found.insert(key, body.to_vec());
            }
        }
    }
    found
}

/// Waits until two buckets are equal; answers how long it took.
pub(crate) async fn wait_until_equal(client: &Client, master: &str, replica: &str) -> Duration {
    let start = Instant::now();
    let expected = contents(client, master).await;
    loop {
        let found = contents(client, replica).await;
        if found == expected {
            return start.elapsed();
        }
        if start.elapsed() > PATIENCE {
            let missing = expected.keys().filter(|key| !found.contains_key(*key));
            panic!(
                "{replica} lacks {:?} of {} objects",
                missing.collect::<Vec<_>>(),
                expected.len()
            );
        }
        sleep(Duration::from_millis(20)).await;
    }
}
