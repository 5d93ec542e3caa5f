//! Parts, checksums and everything else that belongs to an object arrive.

use std::time::Duration;

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, StorageClass};
use rstest::rstest;
use s3_replicator::local::faults::{Effect, Fault, When};

use crate::support::MASTER;
use crate::support::services::Services;

#[rstest]
#[case::one_part(&[5])]
#[case::equal_parts(&[8, 8, 8])]
#[case::last_is_shorter(&[8, 8, 3])]
#[case::odd(&[7, 5, 9, 1])]
#[case::looks_equal_by_its_ends_and_is_not(&[5, 4, 6, 5])]
#[tokio::test(start_paused = true)]
async fn replica_is_cut_as_its_master(#[case] sizes: &[usize]) {
    let services = Services::with_targets(1, 1).await;
    services.upload("a b/k", 1, sizes, |create| create).await;
    services.invoke(&["a b/k"], 60).await.unwrap();
    services.assert_equal("near-1", "a b/k").await;
    services.assert_equal("far-1", "a b/k").await;
    services.forget();
    services.invoke(&["a b/k"], 60).await.unwrap();
    assert!(
        services.seen("CreateMultipartUpload").is_empty(),
        "a duplicate writes nothing"
    );
    assert!(
        services.seen("GetObject").is_empty(),
        "a duplicate reads no bytes"
    );
}

#[rstest]
#[case::composite_crc32(ChecksumAlgorithm::Crc32, ChecksumType::Composite)]
#[case::composite_sha256(ChecksumAlgorithm::Sha256, ChecksumType::Composite)]
#[case::full_crc32(ChecksumAlgorithm::Crc32, ChecksumType::FullObject)]
#[case::full_crc64nvme(ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject)]
#[tokio::test(start_paused = true)]
async fn replica_has_its_masters_checksum(
    #[case] algorithm: ChecksumAlgorithm,
    #[case] coverage: ChecksumType,
    #[values("near-1", "far-1")] replica: &str,
    #[values(false, true)] is_hidden: bool,
) {
    let services = Services::with_targets(1, 1).await;
    if is_hidden {
        // Parts' own checksums cannot be asked for, so they are computed on the way.
        services.faults.arm(Fault {
            on: Some("GetObjectAttributes".parse().unwrap()),
            times: None,
            ..Fault::new(Effect::Answer(403))
        });
    }
    let with = |create: aws_sdk_s3::operation::create_multipart_upload::builders::CreateMultipartUploadFluentBuilder| {
        create.checksum_algorithm(algorithm).checksum_type(coverage)
    };
    services.upload("k", 1, &[7, 5, 9], with).await;
    services.invoke(&["k"], 60).await.unwrap();
    let (ours, theirs) = (
        services.head(MASTER, "k").await.unwrap(),
        services.head(replica, "k").await.unwrap(),
    );
    services.assert_equal(replica, "k").await;
    assert!(ours.checksum_type.is_some());
    assert_eq!(theirs.checksum_type, ours.checksum_type);
    assert_eq!(theirs.checksum_crc32, ours.checksum_crc32);
    assert_eq!(theirs.checksum_sha256, ours.checksum_sha256);
    assert_eq!(theirs.checksum_crc64_nvme, ours.checksum_crc64_nvme);
}

#[rstest]
#[tokio::test(start_paused = true)]
async fn what_no_copy_by_parts_carries_by_itself_arrives(
    #[values("near-1", "far-1")] replica: &str,
) {
    let services = Services::with_targets(1, 1).await;
    services
        .upload("k", 1, &[7, 5, 9], |create| {
            create
                .metadata("owner", "x")
                .cache_control("no-store")
                .content_disposition("attachment")
                .content_encoding("br")
                .content_language("de")
                .content_type("text/plain")
                .website_redirect_location("/elsewhere")
                .storage_class(StorageClass::StandardIa)
                .tagging("a%20b=c%2Bd&e=")
        })
        .await;
    services.invoke(&["k"], 60).await.unwrap();
    services.assert_equal(replica, "k").await;
    let theirs = services.head(replica, "k").await.unwrap();
    assert_eq!(theirs.cache_control(), Some("no-store"));
    assert_eq!(theirs.content_disposition(), Some("attachment"));
    assert_eq!(theirs.content_encoding(), Some("br"));
    assert_eq!(theirs.content_language(), Some("de"));
    assert_eq!(theirs.content_type(), Some("text/plain"));
    assert_eq!(theirs.website_redirect_location(), Some("/elsewhere"));
    assert_eq!(theirs.storage_class(), Some(&StorageClass::StandardIa));
    assert_eq!(services.tags(replica, "k").await.len(), 2);
}

#[rstest]
#[case::zero_bytes(0)]
#[case::one_byte(1)]
#[case::just_below(9_999)]
#[case::at_the_threshold(10_000)]
#[case::just_above(10_001)]
#[tokio::test(start_paused = true)]
async fn streamed_sizes_around_the_threshold_arrive(
    #[case] size: usize,
    #[values(false, true)] has_crc: bool,
) {
    let environment = [("S3_REPLICATOR_MULTIPART_THRESHOLD", "10000")];
    let services = Services::configured(0, 2, &environment).await;
    if has_crc {
        let put = services.user(MASTER).put_object().bucket(MASTER).key("k");
        let put = put.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme);
        let body = crate::support::services::bytes(1, size);
        put.body(body.into()).send().await.unwrap();
    } else {
        services.put("k", 1, size).await;
    }
    services.invoke(&["k"], 60).await.unwrap();
    let parts = services.seen("CreateMultipartUpload").len();
    assert_eq!(parts, if has_crc && size > 10_000 { 2 } else { 0 });
    for replica in ["far-1", "far-2"] {
        assert_eq!(
            services.get(replica, "k").await,
            services.get(MASTER, "k").await
        );
        let (ours, theirs) = (
            services.head(MASTER, "k").await.unwrap(),
            services.head(replica, "k").await.unwrap(),
        );
        assert_eq!(theirs.checksum_crc64_nvme, ours.checksum_crc64_nvme);
    }
    services.forget();
    services.invoke(&["k"], 60).await.unwrap();
    assert!(
        services.seen("GetObject").is_empty(),
        "equal without reading a byte"
    );
    assert!(services.seen("PutObject").is_empty());
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_parts_arrive() {
    let services = Services::with_targets(1, 1).await;
    services.upload("k", 1, &[3; 10_000], |create| create).await;
    services.invoke(&["k"], 900).await.unwrap();
    services.assert_equal("near-1", "k").await;
    services.assert_equal("far-1", "k").await;
}

#[tokio::test(start_paused = true)]
async fn encrypted_target_hides_what_parts_prove_and_still_gets_them() {
    let services = Services::with_targets(1, 1).await;
    for bucket in ["near-1", "far-1"] {
        encrypt_by_default(&services, bucket).await;
    }
    services.upload("k", 1, &[7, 5, 9], |create| create).await;
    services.invoke(&["k"], 60).await.unwrap();
    for replica in ["near-1", "far-1"] {
        assert_eq!(
            services.get(replica, "k").await,
            services.get(MASTER, "k").await
        );
        assert!(services.uploads(replica).await.is_empty());
    }
    assert_eq!(
        services.seen("CompleteMultipartUpload").len(),
        2,
        "nothing is sent twice"
    );
}

async fn encrypt_by_default(services: &Services, bucket: &str) {
    use aws_sdk_s3::types::{
        ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
        ServerSideEncryptionRule,
    };
    let kms = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms);
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(kms.build().unwrap());
    let rules = ServerSideEncryptionConfiguration::builder().rules(rule.build());
    let request = services.user(bucket).put_bucket_encryption().bucket(bucket);
    let rules = rules.build().unwrap();
    request
        .server_side_encryption_configuration(rules)
        .send()
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn master_that_is_gone_while_its_parts_are_asked_for_is_looked_at_again() {
    let services = Services::with_targets(1, 0).await;
    services
        .upload("k", 1, &[5, 4, 6, 5], |create| create)
        .await;
    services.faults.arm(Fault {
        on: Some("HeadObject".parse().unwrap()),
        after: 2,
        ..Fault::new(Effect::Answer(404))
    });
    services.invoke(&["k"], 60).await.unwrap();
    services.assert_equal("near-1", "k").await;
}

#[rstest]
#[case::with_the_same_parts(&[300_000, 300_000, 300_000], &[300_000, 300_000, 300_000])]
#[case::with_other_parts(&[300_000, 300_000, 300_000], &[400_000, 1])]
#[case::in_one_piece(&[300_000, 300_000, 300_000], &[])]
#[case::what_was_in_one_piece(&[], &[300_000, 1])]
#[tokio::test(start_paused = true)]
async fn master_that_is_overwritten_half_way_is_sent_anew(
    #[case] before: &[usize],
    #[case] after: &[usize],
) {
    let services = Services::with_targets(1, 2).await;
    let write = async |seed: u64, parts: &[usize]| match parts {
        [] => services.put("k", seed, 900_000).await,
        parts => drop(services.upload("k", seed, parts, |create| create).await),
    };
    write(1, before).await;
    for (operation, after) in [("UploadPartCopy", 1), ("GetObject", 1)] {
        // The first part is through when the others still wait.
        services.faults.arm(Fault {
            on: Some(operation.parse().unwrap()),
            after,
            times: None,
            ..Fault::new(Effect::Delay(1_000, When::Before))
        });
    }
    let keys = ["k"];
    let overwrite = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        write(2, after).await;
    };
    let (replicated, ()) = tokio::join!(services.invoke(&keys, 300), overwrite);
    // The overwrite's own event.
    services.invoke(&["k"], 300).await.unwrap();
    replicated.unwrap();
    for replica in ["near-1", "far-1", "far-2"] {
        services.assert_equal(replica, "k").await;
        let written = ["CompleteMultipartUpload", "PutObject", "CopyObject"];
        let written = written.map(|operation| services.seen(operation));
        let written = written
            .iter()
            .flatten()
            .filter(|seen| seen.bucket == replica);
        let expected = if before.is_empty() { 2 } else { 1 };
        assert_eq!(
            written.count(),
            expected,
            "{replica}: mixed bytes are never to be seen"
        );
    }
}

/// 5 GiB, the most that one request moves, costs no memory here: the store shares what it copies.
#[ignore = "half a minute of MD5s; `just ci` runs it"]
#[tokio::test(start_paused = true)]
async fn part_of_5_gib_and_more_than_one_request_moves() {
    const PIECE: usize = 64 << 20;
    let services = Services::with_targets(1, 0).await;
    services.put("piece", 1, PIECE).await;
    let large = services
        .assemble("large", &[("piece", PIECE as u64); 80])
        .await;
    assert_eq!(large, 5 << 30);
    let master = services
        .assemble("k", &[("large", 5 << 30), ("piece", 1)])
        .await;
    assert_eq!(master, (5 << 30) + 1);
    services.invoke(&["k"], 900).await.unwrap();
    let (ours, theirs) = (
        services.head(MASTER, "k").await.unwrap(),
        services.head("near-1", "k").await.unwrap(),
    );
    assert_eq!(theirs.e_tag, ours.e_tag);
    assert_eq!(theirs.content_length, ours.content_length);
    assert_eq!(services.seen("UploadPartCopy").len(), 2);
}
