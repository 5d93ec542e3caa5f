//! Keys from S3 Inventory, and a manifest for S3 Batch Operations from which the function repairs.

use std::io::Write;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::BoxFuture;
use http::{HeaderValue, StatusCode};
use md5::{Digest, Md5};
use s3_replicator::change::ObjectKey;
use s3_replicator::local::faults::{Effect, Fault};
use s3_replicator::local::http::{Hangup, Request, Response, Service, SharedService};
use s3_replicator::local::lambda::{Activity, Function, FunctionOptions};
use serde_json::json;

use super::place::Place;
use crate::support::bootstrap;

const URI: &str = "s3://lists/inv/manifest.json";

fn hexadecimal(bytes: &[u8]) -> String {
    Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Writes an inventory of a bucket in two files, as S3 does; `spoil` may change what is written.
async fn write_inventory(
    place: &Place,
    of: &str,
    keys: &[&str],
    spoil: impl Fn(&str, Vec<u8>) -> Vec<u8>,
) {
    let put = async |key: &str, body: Vec<u8>| {
        let request = place.client.put_object().bucket("lists").key(key);
        let body = spoil(key, body);
        request.body(body.into()).send().await.unwrap();
    };
    let mut files = Vec::new();
    for (number, keys) in keys.chunks(keys.len().div_ceil(2).max(1)).enumerate() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        for key in keys {
            let key = ObjectKey::new(*key).unwrap().to_form_urlencoded();
            writeln!(encoder, "\"{of}\",\"{key}\",\"3\"").unwrap();
        }
        let file = encoder.finish().unwrap();
        let key = format!("inv/data/{number}.csv.gz");
        files.push(json!({"key": key, "size": file.len(), "MD5checksum": hexadecimal(&file)}));
        put(&key, file).await;
    }
    let manifest = json!({
        "sourceBucket": of, "destinationBucket": "arn:aws:s3:::lists", "version": "2016-11-30",
        "creationTimestamp": "1764288000000", "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size", "files": files,
    });
    let manifest = manifest.to_string().into_bytes();
    let checksum = hexadecimal(&manifest).into_bytes();
    put("inv/manifest.json", manifest).await;
    put("inv/manifest.checksum", checksum).await;
}

async fn with_drift() -> Place {
    let place = Place::embedded(1).await;
    place.create("lists").await;
    for key in ["z last", "é+1", "equal"] {
        place.put("master", key, "abc").await;
    }
    place.put("replica-1", "equal", "abc").await;
    place.put("replica-1", "é+1", "abd").await;
    place.put("replica-1", "extra", "x").await;
    place
}

fn as_it_is(_: &str, body: Vec<u8>) -> Vec<u8> {
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn inventory_names_the_keys_and_nothing_is_listed() {
    let place = with_drift().await;
    write_inventory(
        &place,
        "master",
        &["z last", "équal gone", "é+1", "equal"],
        as_it_is,
    )
    .await;
    let verified = place.verify(&["--from-inventory", URI]).await;
    let expected = [
        "replica-1 z last missing",
        "replica-1 é+1 differing content",
    ];
    assert_eq!(verified.said(), expected, "{}", verified.errors);
    assert_eq!(verified.count(0, "equal"), 1);
    assert!(place.requests("ListObjectsV2").is_empty());
    // What only a target has is in the target's own inventory.
    write_inventory(&place, "replica-1", &["equal", "é+1", "extra"], as_it_is).await;
    let verified = place.verify(&["--from-inventory", URI]).await;
    let expected = ["replica-1 extra extra", "replica-1 é+1 differing content"];
    assert_eq!(verified.said(), expected, "{}", verified.errors);
    let synced = place.sync(&["--from-inventory", URI]).await;
    assert_eq!(
        (synced.code, synced.count(0, "copied")),
        (Some(0), 1),
        "{}",
        synced.errors
    );
}

/// The inventory's second file, without its last byte.
fn cut(key: &str, mut body: Vec<u8>) -> Vec<u8> {
    if key.ends_with("1.csv.gz") {
        body.truncate(body.len() - 1);
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_file_ends_the_walk_and_is_not_taken_for_complete() {
    let place = with_drift().await;
    write_inventory(&place, "master", &["equal", "z last"], cut).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("differing.csv");
    let arguments = [
        "--from-inventory",
        URI,
        "--write-manifest",
        file.to_str().unwrap(),
    ];
    let verified = place.verify(&arguments).await;
    assert_eq!(verified.code, Some(1));
    assert!(
        verified.errors.contains("s3://lists/inv/data/1.csv.gz"),
        "{}",
        verified.errors
    );
    assert!(verified.errors.contains("corrupt"), "{}", verified.errors);
    assert_eq!(verified.summary()["complete"], false);
    assert!(!file.exists(), "a manifest that is not whole has no name");
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_that_is_none_of_ours_is_refused() {
    let place = with_drift().await;
    let parquet = |key: &str, body: Vec<u8>| match key {
        "inv/manifest.json" => String::from_utf8(body)
            .unwrap()
            .replace("CSV", "Parquet")
            .into(),
        _ => Vec::new(),
    };
    write_inventory(&place, "master", &["equal"], parquet).await;
    let refused = place.verify(&["--from-inventory", URI]).await;
    assert_eq!(
        refused.code,
        Some(2),
        "the checksum is as wrong as the format"
    );
    place.delete("lists", "inv/manifest.checksum").await;
    let refused = place.verify(&["--from-inventory", URI]).await;
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.errors.contains("output format"),
        "{}",
        refused.errors
    );
    write_inventory(&place, "lists", &["equal"], as_it_is).await;
    let refused = place.verify(&["--from-inventory", URI]).await;
    assert_eq!(refused.code, Some(2));
    assert!(
        refused.errors.contains("neither the master nor"),
        "{}",
        refused.errors
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inventory_without_a_key_is_refused() {
    let place = with_drift().await;
    write_inventory(&place, "master", &[], as_it_is).await;
    let refused = place.verify(&["--from-inventory", URI]).await;
    assert_eq!(refused.code, Some(2), "{}", refused.errors);
    assert!(
        refused.errors.contains("the inventory"),
        "{}",
        refused.errors
    );
}

/// A store whose bucket `lists` is in another region than all others, and refuses what is signed
/// for theirs.
struct Elsewhere(SharedService);

impl Service for Elsewhere {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let is_there = request.uri().path().starts_with("/lists");
        let signed = request.headers().get("authorization").cloned();
        let signed = signed.is_some_and(|it| it.to_str().unwrap().contains("/eu-west-1/"));
        let is_ours = request.headers().get("user-agent").cloned();
        let is_ours = is_ours.is_some_and(|it| it.to_str().unwrap().contains("instance-cli"));
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            if is_there && is_ours && !signed {
                *answer.status_mut() = StatusCode::BAD_REQUEST;
                let region = HeaderValue::from_static("eu-west-1");
                answer.headers_mut().insert("x-amz-bucket-region", region);
            }
            Ok(answer)
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inventory_of_a_target_is_read_in_the_region_of_its_bucket() {
    let place = Place::behind(1, |store| Arc::new(Elsewhere(store))).await;
    place.create("lists").await;
    place.put("replica-1", "extra", "x").await;
    write_inventory(&place, "replica-1", &["extra"], as_it_is).await;
    let verified = place.verify(&["--from-inventory", URI]).await;
    let expected = ["replica-1 extra extra"];
    assert_eq!(verified.said(), expected, "{}", verified.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn checksum_that_cannot_be_read_is_not_taken_for_none() {
    let place = with_drift().await;
    write_inventory(&place, "master", &["equal"], as_it_is).await;
    place.faults.arm(Fault {
        on: Some("GetObject".parse().unwrap()),
        key: Some("inv/manifest.checksum".to_owned()),
        ..Fault::new(Effect::Answer(403))
    });
    let refused = place.verify(&["--from-inventory", URI]).await;
    assert_eq!(refused.code, Some(1), "{}", refused.errors);
    let named = "s3://lists/inv/manifest.checksum";
    assert!(refused.errors.contains(named), "{}", refused.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn walk_by_an_inventory_names_no_key_to_go_on_from() {
    let place = with_drift().await;
    write_inventory(&place, "master", &["equal", "z last"], cut).await;
    let verified = place.verify(&["--from-inventory", URI]).await;
    assert_eq!(verified.count(0, "equal"), 1, "{}", verified.errors);
    assert!(verified.summary()["start_after"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_that_would_leave_something_out_is_not_written() {
    let place = Place::embedded(2).await;
    place.put("master", "k", "x").await;
    let bucket = place.client.delete_bucket().bucket("replica-2");
    bucket.send().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("differing.csv");
    let arguments = ["--write-manifest", file.to_str().unwrap()];
    let verified = place.verify(&arguments).await;
    assert_eq!(verified.summary()["complete"], false, "{}", verified.errors);
    let named = "no manifest written";
    assert!(verified.errors.contains(named), "{}", verified.errors);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0, "neither the manifest nor a part of it");
    let synced = place.sync(&[]).await;
    assert_eq!(synced.summary()["complete"], false, "{}", synced.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn function_repairs_what_the_manifest_for_batch_operations_names() {
    let place = with_drift().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("differing.csv");
    let verified = place
        .verify(&["--write-manifest", file.to_str().unwrap()])
        .await;
    assert_eq!(verified.summary()["manifest_keys"], 2);
    assert_eq!(verified.count(0, "extra"), 1, "told, and left to sync");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["master,%C3%A9%2B1", "master,z%20last"]);

    let tasks = lines.iter().enumerate().map(|(number, line)| {
        let (bucket, key) = line.split_once(',').unwrap();
        json!({"taskId": number.to_string(), "s3Key": key, "s3VersionId": null, "s3Bucket": bucket})
    });
    let payload = json!({
        "invocationSchemaVersion": "2.0", "invocationId": "1", "job": {"id": "1"},
        "tasks": tasks.collect::<Vec<_>>(),
    });
    let mut program = bootstrap();
    program.env.extend(place.environment().clone());
    let options = FunctionOptions::new("s3-replicator", program);
    let function = Function::new(options, Activity::default());
    let answer = function.invoke(payload.to_string()).await.result.unwrap();
    function.shutdown().await;
    assert_eq!(answer.matches("Succeeded").count(), 2, "{answer}");
    let left = place.verify(&[]).await;
    assert_eq!(left.said().len(), 1, "{:?}", left.said());
    assert_eq!(left.count(0, "extra"), 1);
}
