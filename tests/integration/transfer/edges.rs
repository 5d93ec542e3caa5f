//! What cannot be moved says why; what is slow is waited for; what only bytes can prove is read.

use std::num::NonZeroU32;

use aws_sdk_s3::types::{ServerSideEncryption, StorageClass};
use rstest::rstest;
use s3_replicator::local::faults::{Effect, Fault, Scope, When};
use tokio::time::{Duration, Instant};

use crate::support::MASTER;
use crate::support::services::{Services, bytes};

#[rstest]
#[case::glacier(StorageClass::Glacier)]
#[case::deep_archive(StorageClass::DeepArchive)]
#[tokio::test(start_paused = true)]
async fn archived_master_is_to_be_restored_first(
    #[case] class: StorageClass,
    #[values(true, false)] by_parts: bool,
) {
    let services = Services::with_targets(1, 1).await;
    if by_parts {
        services
            .upload("k", 1, &[7, 5, 9], |create| create.storage_class(class))
            .await;
    } else {
        let put = services.user(MASTER).put_object().bucket(MASTER).key("k");
        let put = put.storage_class(class).body(bytes(1, 10).into());
        put.send().await.unwrap();
    }
    let failed = services.invoke(&["k"], 60).await.unwrap_err();
    for bucket in ["near-1", MASTER] {
        assert!(
            failed.message.contains(&format!("s3://{bucket}/k")),
            "{}",
            failed.message
        );
    }
    assert!(
        failed.message.contains("restore it first"),
        "{}",
        failed.message
    );
    for replica in ["near-1", "far-1"] {
        assert!(services.uploads(replica).await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn object_under_its_owners_key_says_that_nobody_else_can_read_it() {
    let services = Services::with_targets(1, 0).await;
    let put = services.user(MASTER).put_object().bucket(MASTER).key("k");
    let put = put
        .sse_customer_algorithm("AES256")
        .sse_customer_key("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
        .sse_customer_key_md5("dGhlIG1kNSBvZiBpdA==")
        .body(bytes(1, 10).into());
    put.send().await.unwrap();
    let failed = services.invoke(&["k"], 60).await.unwrap_err();
    assert!(failed.message.contains("SSE-C"), "{}", failed.message);
    assert!(
        failed.message.contains("s3://master/k"),
        "{}",
        failed.message
    );
}

#[rstest]
#[case::copy("CopyObject", &[])]
#[case::part_copy("UploadPartCopy", &[7, 5, 9])]
#[case::complete("CompleteMultipartUpload", &[7, 5, 9])]
#[tokio::test(start_paused = true)]
async fn server_side_copy_that_is_silent_for_three_minutes_succeeds(
    #[case] operation: &str,
    #[case] parts: &[usize],
) {
    let services = Services::with_targets(1, 0).await;
    match parts {
        [] => services.put("k", 1, 100).await,
        parts => drop(services.upload("k", 1, parts, |create| create).await),
    }
    services.faults.arm(Fault {
        on: Some(operation.parse().unwrap()),
        ..Fault::new(Effect::Delay(180_000, When::After))
    });
    services.invoke(&["k"], 900).await.unwrap();
    services.assert_equal("near-1", "k").await;
    assert_eq!(
        services.seen(operation).len(),
        parts.len().max(1).min(match operation {
            "UploadPartCopy" => 3,
            _ => 1,
        })
    );
}

#[tokio::test(start_paused = true)]
async fn upload_that_stalls_is_sent_again_long_before_the_deadline() {
    let services = Services::with_targets(0, 1).await;
    services
        .upload("k", 1, &[3_000_000, 3_000_000], |create| create)
        .await;
    services.faults.arm(Fault {
        on: Some("UploadPart".parse().unwrap()),
        ..Fault::new(Effect::Delay(3_600_000, When::Before))
    });
    let begun = Instant::now();
    services.invoke(&["k"], 900).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
    services.assert_equal("far-1", "k").await;
}

#[rstest]
#[case::once(NonZeroU32::MIN)]
#[case::twice(NonZeroU32::new(2).unwrap())]
#[tokio::test(start_paused = true)]
async fn throttling_is_the_sdks_to_retry(#[case] times: NonZeroU32) {
    for operation in [
        "UploadPartCopy",
        "CreateMultipartUpload",
        "ListMultipartUploads",
    ] {
        let services = Services::with_targets(1, 1).await;
        services.upload("k", 1, &[7, 5, 9], |create| create).await;
        services.faults.arm(Fault {
            on: Some(operation.parse().unwrap()),
            times: Some(times),
            ..Fault::new(Effect::Answer(503))
        });
        services.invoke(&["k"], 900).await.unwrap();
        services.assert_equal("near-1", "k").await;
        services.assert_equal("far-1", "k").await;
    }
}

#[tokio::test(start_paused = true)]
async fn five_duplicates_of_what_only_bytes_can_prove_write_each_replica_once() {
    let services = Services::with_targets(1, 1).await;
    let size = 40 * 1024 * 1024;
    let put = services.user(MASTER).put_object().bucket(MASTER).key("k");
    let put = put
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .body(bytes(1, size).into())
        .customize()
        .config_override(aws_sdk_s3::Config::builder().request_checksum_calculation(
            aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired,
        ));
    put.send().await.unwrap();
    for _ in 0..5 {
        services.invoke(&["k"], 60).await.unwrap();
    }
    assert_eq!(services.seen("CopyObject").len(), 1);
    assert_eq!(services.seen("PutObject").len(), 1);
    let reads = services.seen("GetObject");
    let of_near = reads.iter().filter(|read| read.bucket == "near-1").count();
    assert_eq!(of_near, 4 * 3, "three ranges for each duplicate");
    // One byte differs, in the last range.
    let mut other = bytes(1, size);
    other[size - 1] ^= 1;
    let put = services
        .user("near-1")
        .put_object()
        .bucket("near-1")
        .key("k");
    put.server_side_encryption(ServerSideEncryption::AwsKms)
        .body(other.into())
        .customize()
        .config_override(aws_sdk_s3::Config::builder().request_checksum_calculation(
            aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired,
        ))
        .send()
        .await
        .unwrap();
    services.invoke(&["k"], 60).await.unwrap();
    assert_eq!(services.seen("CopyObject").len(), 2);
    assert_eq!(
        services.get("near-1", "k").await,
        services.get(MASTER, "k").await
    );
}

#[tokio::test(start_paused = true)]
async fn large_transfer_gives_way_to_keys_that_have_not_started() {
    let environment = [("S3_REPLICATOR_CONCURRENCY", "2")];
    let services = Services::configured(1, 0, &environment).await;
    let large = ["large-1", "large-2", "large-3"];
    for key in large {
        services.upload(key, 1, &[1_000; 20], |create| create).await;
    }
    let small: Vec<String> = (0..20).map(|number| format!("small-{number}")).collect();
    for key in &small {
        services.put(key, 1, 10).await;
    }
    services.faults.arm(Fault {
        on: Some("UploadPartCopy".parse().unwrap()),
        scope: Scope::Bucket("near-1".to_owned()),
        times: None,
        ..Fault::new(Effect::Delay(1_000, When::Before))
    });
    // The events tell no sizes, and name the large ones first.
    let keys: Vec<&str> = large
        .into_iter()
        .chain(small.iter().map(String::as_str))
        .collect();
    services.invoke(&keys, 900).await.unwrap();
    let all = services.since(0);
    let is = |operation: &str| {
        let operation = operation.to_owned();
        move |seen: &crate::support::services::Seen| seen.operation.as_str() == operation
    };
    let first_part = all.iter().position(is("UploadPartCopy")).unwrap();
    let started = all[..first_part]
        .iter()
        .filter(|seen| is("HeadObject")(seen));
    let started = started.filter(|seen| seen.bucket == "near-1").count();
    assert_eq!(
        started,
        keys.len(),
        "every key was looked at before the first part was copied"
    );
    for key in keys {
        services.assert_equal("near-1", key).await;
    }
}

#[tokio::test(start_paused = true)]
async fn places_bound_the_parts_under_way() {
    let environment = [("S3_REPLICATOR_CONCURRENCY", "4")];
    let services = Services::configured(3, 0, &environment).await;
    services.upload("k", 1, &[1_000; 40], |create| create).await;
    services.faults.arm(Fault {
        on: Some("UploadPartCopy".parse().unwrap()),
        times: None,
        ..Fault::new(Effect::Delay(1_000, When::Before))
    });
    let begun = Instant::now();
    services.invoke(&["k"], 900).await.unwrap();
    // 120 parts of a second each, four at once.
    assert!(
        begun.elapsed() >= Duration::from_secs(30),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        begun.elapsed() <= Duration::from_secs(40),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn memory_budget_bounds_what_is_in_flight() {
    let environment = [("S3_REPLICATOR_MEMORY", "64KiB")];
    let services = Services::configured(0, 3, &environment).await;
    services
        .upload("k", 1, &[900_000, 2_000_000, 7], |create| create)
        .await;
    services.put("whole", 2, 3_000_000).await;
    services.invoke(&["k", "whole"], 900).await.unwrap();
    for replica in ["far-1", "far-2", "far-3"] {
        services.assert_equal(replica, "k").await;
        services.assert_equal(replica, "whole").await;
    }
}
