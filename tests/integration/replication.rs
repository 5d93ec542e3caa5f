//! What must hold at real stores, whatever they answer and whatever happens in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rstest::rstest;
use s3_replicator::local::faults::{Effect, Ending, Entry, Fault, S3Operation, Scope, When};
use s3_replicator::local::http::{Hangup, Request, Response, Service, SharedService};

use crate::support::{MASTER, Setting};

fn on(operation: &str, bucket: &str, effect: Effect) -> Fault {
    Fault {
        on: Some(operation.parse::<S3Operation>().unwrap()),
        scope: Scope::Bucket(bucket.to_owned()),
        times: None,
        ..Fault::new(effect)
    }
}

fn writes(entry: &Entry) -> bool {
    matches!(
        entry.operation.as_str(),
        "CopyObject" | "PutObject" | "DeleteObject" | "PutObjectTagging" | "DeleteObjectTagging"
    )
}

#[tokio::test]
async fn a_403_for_the_master_is_not_an_absence() {
    let stage = Setting::with_targets(1).start().await;
    stage.put(MASTER, "k", "x").await;
    stage.put("replica-1", "k", "x").await;
    stage
        .faults
        .arm(on("HeadObject", MASTER, Effect::Answer(403)));
    let error = stage.notify(&["k"]).await.unwrap_err();
    assert!(error.message.contains("s3:ListBucket"), "{}", error.message);
    assert_eq!(stage.requests(writes), 0);
    assert_eq!(stage.text("replica-1", "k").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn vanished_master_never_empties_its_targets() {
    let stage = Setting::with_targets(1).start().await;
    stage.put("replica-1", "k", "precious").await;
    stage
        .faults
        .arm(on("HeadBucket", MASTER, Effect::Answer(404)));
    stage.notify(&["k"]).await.unwrap_err();
    assert_eq!(
        stage.text("replica-1", "k").await.as_deref(),
        Some("precious")
    );
}

#[tokio::test]
async fn refused_tags_name_the_permission() {
    let stage = Setting::with_targets(1).start().await;
    stage.put(MASTER, "k", "x").await;
    stage
        .faults
        .arm(on("GetObjectTagging", MASTER, Effect::Answer(403)));
    let error = stage.notify(&["k"]).await.unwrap_err();
    assert!(
        error.message.contains("s3:GetObjectTagging"),
        "{}",
        error.message
    );
    assert_eq!(stage.requests(writes), 0);
}

#[rstest]
#[case::reset_after_the_effect(Effect::Reset(When::After))]
#[case::reset_before_the_effect(Effect::Reset(When::Before))]
#[case::bad_gateway(Effect::Answer(502))]
#[case::gateway_timeout(Effect::Answer(504))]
#[case::answer_cut_off(Effect::CutAfter(10))]
#[tokio::test]
async fn write_without_an_answer_is_made_good_and_looked_at_again(#[case] effect: Effect) {
    let stage = Setting::with_targets(1).start().await;
    stage.put(MASTER, "k", "x").await;
    let once = std::num::NonZeroU32::MIN;
    stage.faults.arm(Fault {
        times: Some(once),
        ..on("CopyObject", "replica-1", effect)
    });
    let error = stage.notify(&["k"]).await.unwrap_err();
    assert!(error.message.contains("no answer"), "{}", error.message);
    assert_eq!(stage.text("replica-1", "k").await.as_deref(), Some("x"));
    stage.notify(&["k"]).await.unwrap();
}

#[rstest]
#[case::slow_down(Effect::Answer(503))]
#[case::internal_error(Effect::Answer(500))]
#[tokio::test]
async fn error_that_s3_answers_is_no_ambiguity(#[case] effect: Effect) {
    let stage = Setting::with_targets(1).start().await;
    stage.put(MASTER, "k", "x").await;
    let once = std::num::NonZeroU32::MIN;
    stage.faults.arm(Fault {
        times: Some(once),
        ..on("CopyObject", "replica-1", effect)
    });
    stage.notify(&["k"]).await.unwrap();
}

#[tokio::test]
async fn target_that_is_down_stops_no_other() {
    let stage = Setting::with_targets(3).start().await;
    stage.put(MASTER, "k", "x").await;
    stage.faults.arm(Fault {
        scope: Scope::Bucket("replica-2".to_owned()),
        ..Fault::new(Effect::SiteDown(true))
    });
    let error = stage.notify(&["k"]).await.unwrap_err();
    assert!(
        error.message.contains("s3://replica-2/k"),
        "{}",
        error.message
    );
    for replica in ["replica-1", "replica-3"] {
        assert_eq!(
            stage.text(replica, "k").await.as_deref(),
            Some("x"),
            "{replica}"
        );
    }
}

#[rstest]
#[case::at_the_look("HeadObject")]
#[case::at_the_write("CopyObject")]
#[tokio::test]
async fn target_that_hangs_stops_no_other(#[case] operation: &str) {
    let setting = Setting::with_targets(2).timeout(std::time::Duration::from_secs(6));
    let stage = setting.env("S3_REPLICATOR_CONCURRENCY", "2").start().await;
    let keys = ["a", "b", "c", "d", "e", "f"];
    for key in keys {
        stage.put(MASTER, key, "x").await;
    }
    stage.faults.arm(on(
        operation,
        "replica-2",
        Effect::Delay(60_000, When::Before),
    ));
    let error = stage.notify(&keys).await.unwrap_err();
    assert!(
        error.message.contains("s3://replica-2"),
        "{}",
        error.message
    );
    assert!(
        !error.message.contains("s3://replica-1"),
        "{}",
        error.message
    );
    for key in keys {
        assert_eq!(
            stage.text("replica-1", key).await.as_deref(),
            Some("x"),
            "{key}"
        );
    }
}

#[tokio::test]
async fn conflict_at_one_target_fails_no_other_and_is_told() {
    let stage = Setting::with_targets(2).start().await;
    stage.put(MASTER, "k", "x").await;
    stage
        .faults
        .arm(on("CopyObject", "replica-2", Effect::Answer(409)));
    let error = stage.notify(&["k"]).await.unwrap_err();
    assert!(
        error
            .message
            .contains("CopyObject failed for s3://replica-2/k"),
        "{}",
        error.message
    );
    assert!(error.message.contains("409"), "{}", error.message);
    assert!(!error.message.contains("replica-1"), "{}", error.message);
    assert_eq!(stage.text("replica-1", "k").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn store_without_object_tags_is_served() {
    let stage = Setting::with_targets(1).start().await;
    stage.put(MASTER, "k", "x").await;
    stage.put("replica-1", "k", "stale").await;
    stage
        .faults
        .arm(on("GetObjectTagging", "replica-1", Effect::Answer(501)));
    stage.notify(&["k"]).await.unwrap();
    assert_eq!(stage.text("replica-1", "k").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn cycle_under_another_name_of_its_site_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config");
    let keys = "aws_access_key_id = test\naws_secret_access_key = test-secret\n";
    std::fs::write(&config, format!("[profile alias]\n{keys}")).unwrap();
    let setting = Setting::with_targets(1).env("AWS_CONFIG_FILE", config.to_str().unwrap());
    let stage = setting.start().await;
    stage
        .tag_master(&[("ReplicatedTargetBuckets", "master@alias replica-1@alias")])
        .await;
    stage.put(MASTER, "k", "x").await;
    let error = stage.notify(&["k"]).await.unwrap_err();
    assert!(
        error.message.contains("the master itself"),
        "{}",
        error.message
    );
    assert_eq!(stage.text("replica-1", "k").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn what_a_credential_process_prints_is_never_told() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let (config, process) = (folder.path().join("config"), folder.path().join("process"));
    std::fs::write(&process, "#!/bin/sh\necho CANARY >&2\nexit 3\n").unwrap();
    std::fs::set_permissions(&process, std::fs::Permissions::from_mode(0o755)).unwrap();
    let text = format!(
        "[profile elsewhere]\ncredential_process = {}\n",
        process.display()
    );
    std::fs::write(&config, text).unwrap();
    let setting = Setting::with_targets(1).env("AWS_CONFIG_FILE", config.to_str().unwrap());
    let stage = setting.start().await;
    stage
        .tag_master(&[("ReplicatedTargetBuckets", "replica-1@elsewhere")])
        .await;
    stage.put(MASTER, "k", "x").await;
    let error = stage.notify(&["k"]).await.unwrap_err();
    assert!(
        error.message.contains("could not load credentials"),
        "{}",
        error.message
    );
    assert!(!error.message.contains("CANARY"), "{}", error.message);
    let log = stage.end().await.join("\n");
    assert!(!log.contains("CANARY"), "{log}");
}

#[tokio::test]
async fn master_that_is_not_served_is_refused_before_its_tags_are_read() {
    let setting = Setting::with_targets(1).env("S3_REPLICATOR_MASTERS", "other artifacts-*");
    let stage = setting.start().await;
    stage.put(MASTER, "k", "x").await;
    let error = stage.notify(&["k"]).await.unwrap_err();
    assert!(
        error.message.contains("S3_REPLICATOR_MASTERS"),
        "{}",
        error.message
    );
    assert_eq!(stage.requests(|_| true), 0);
}

#[tokio::test]
async fn master_that_is_its_own_target_is_an_error_and_the_others_are_served() {
    let stage = Setting::with_targets(1).start().await;
    stage
        .tag_master(&[(
            "ReplicatedTargetBuckets",
            "master@eu-west-1 replica-1@eu-west-1",
        )])
        .await;
    stage.put(MASTER, "k", "x").await;
    let error = stage.notify(&["k"]).await.unwrap_err();
    assert!(error.message.contains("entry 1"), "{}", error.message);
    assert!(
        error.message.contains("the master itself"),
        "{}",
        error.message
    );
    assert_eq!(stage.text("replica-1", "k").await.as_deref(), Some("x"));
}

#[rstest]
#[case::environment_says_no(None, Some("kept"))]
#[case::tag_wins_over_the_environment(Some("true"), None)]
#[tokio::test]
async fn deletes_are_replicated_as_configured(
    #[case] tag: Option<&str>,
    #[case] expected: Option<&str>,
) {
    let stage = Setting::with_targets(1)
        .env("S3_REPLICATOR_DELETES", "false")
        .start()
        .await;
    if let Some(value) = tag {
        stage
            .tag_master(&[
                ("ReplicatedTargetBuckets", "replica-1@eu-west-1"),
                ("ReplicatedDeletes", value),
            ])
            .await;
    }
    stage.put("replica-1", "k", "kept").await;
    stage.notify(&["k"]).await.unwrap();
    assert_eq!(stage.text("replica-1", "k").await.as_deref(), expected);
}

#[tokio::test]
async fn objects_whose_etag_proves_nothing_are_compared_by_their_bytes() {
    let stage = Setting::with_targets(1).start().await;
    for bucket in [MASTER, "replica-1"] {
        stage
            .client
            .put_object()
            .bucket(bucket)
            .key("k")
            .body(b"the same bytes".to_vec().into())
            .customize()
            .mutate_request(|request| {
                // Encrypted, and as old as if it had been written before there were checksums.
                for name in ["x-amz-sdk-checksum-algorithm", "x-amz-checksum-crc32"] {
                    request.headers_mut().remove(name);
                }
                request
                    .headers_mut()
                    .insert("x-amz-server-side-encryption", "aws:kms");
            })
            .send()
            .await
            .unwrap();
    }
    stage.notify(&["k"]).await.unwrap();
    let copies = |entry: &Entry| entry.operation.as_str() == "CopyObject";
    assert_eq!(
        stage.requests(copies),
        0,
        "equal bytes are not written again"
    );
    let reads = |entry: &Entry| entry.operation.as_str() == "GetObject";
    assert_eq!(stage.requests(reads), 2);
}

/// Hides the tag count, as HEAD does from those who may not read tags and as some stores do.
struct HidesTagCounts(SharedService);

impl Service for HidesTagCounts {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let answer = self.0.call(request);
        async move {
            let mut answer = answer.await?;
            answer.headers_mut().remove("x-amz-tagging-count");
            Ok(answer)
        }
        .boxed()
    }
}

#[tokio::test]
async fn store_that_hides_tag_counts_loses_no_tags() {
    let hidden = |store| Arc::new(HidesTagCounts(store)) as SharedService;
    let stage = Setting::with_targets(1).layer(hidden).start().await;
    for (key, tags) in [("first", "a=1"), ("second", "b=2")] {
        let put = stage
            .client
            .put_object()
            .bucket(MASTER)
            .key(key)
            .tagging(tags);
        put.send().await.unwrap();
        stage.notify(&[key]).await.unwrap();
        let request = stage
            .client
            .get_object_tagging()
            .bucket("replica-1")
            .key(key);
        let tags = request.send().await.unwrap().tag_set;
        assert_eq!(tags.len(), 1, "{key}");
    }
}

/// Overwrites the master between the function's look at it and its copy, once.
struct OverwritesInBetween {
    store: SharedService,
    done: AtomicBool,
}

impl Service for OverwritesInBetween {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let is_copy = request.headers().contains_key("x-amz-copy-source")
            && request.uri().path() == "/replica-1/k";
        if !is_copy || self.done.swap(true, Ordering::SeqCst) {
            return self.store.call(request);
        }
        // The newer object waits under another key; a copy puts it in the master's place, signed
        // by nobody but carried by the very request that it overtakes.
        let store = Arc::clone(&self.store);
        async move {
            let overtaking = newer(&request);
            store.call(overtaking).await?;
            store.call(request).await
        }
        .boxed()
    }
}

fn newer(request: &Request) -> Request {
    use http_body_util::BodyExt;

    let body = http_body_util::Full::new(bytes::Bytes::from_static(b"newer"));
    let body = body.map_err(|never| match never {}).boxed_unsync();
    http::Request::put(PRESIGNED.get().expect("set by the test").as_str())
        .header("host", request.headers()["host"].clone())
        .body(body)
        .unwrap()
}

/// An address under which the test may overwrite the master.
static PRESIGNED: std::sync::OnceLock<String> = std::sync::OnceLock::new();

#[tokio::test]
async fn copy_is_bound_to_what_was_observed() {
    let overtaken = |store| {
        Arc::new(OverwritesInBetween {
            store,
            done: AtomicBool::new(false),
        }) as SharedService
    };
    let stage = Setting::with_targets(1).layer(overtaken).start().await;
    stage.put(MASTER, "k", "older").await;
    let until =
        aws_sdk_s3::presigning::PresigningConfig::expires_in(std::time::Duration::from_secs(60));
    let put = stage.client.put_object().bucket(MASTER).key("k");
    let presigned = put.presigned(until.unwrap()).await.unwrap();
    PRESIGNED.set(presigned.uri().to_owned()).unwrap();

    stage.notify(&["k"]).await.unwrap();
    assert_eq!(stage.text("replica-1", "k").await.as_deref(), Some("newer"));
    let refused = |entry: &Entry| entry.ending == Some(Ending::Answered(412));
    assert_eq!(stage.requests(refused), 1, "the copy that was overtaken");
}
