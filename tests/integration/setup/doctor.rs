//! `doctor`: what is wrong is found, with the command that mends it.

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketVersioningStatus,
    ExpirationStatus, LifecycleRule, LifecycleRuleFilter, ObjectOwnership, OwnershipControls,
    OwnershipControlsRule, ServerSideEncryption, ServerSideEncryptionByDefault,
    ServerSideEncryptionConfiguration, ServerSideEncryptionRule, VersioningConfiguration,
};
use rstest::rstest;
use serde_json::{Value, json};

use super::aws::{QUEUE, Things};
use super::setup;
use super::stage::{Stage, Trouble, shown, their_rule};

const DOCTOR: [&str; 3] = ["doctor", "--master", "master"];

/// A bucket that is set up, with targets that have a rule for unfinished uploads.
async fn healthy() -> Stage {
    let stage = Stage::set().await;
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    for bucket in ["replica-1", "replica-2"] {
        lifecycle(&stage, bucket, "").await;
    }
    stage
}

/// Has unfinished uploads of keys with a prefix removed.
async fn lifecycle(stage: &Stage, bucket: &str, prefix: &str) {
    let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(1);
    let rule = LifecycleRule::builder()
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
        .abort_incomplete_multipart_upload(abort.build())
        .build()
        .unwrap();
    let rules = BucketLifecycleConfiguration::builder().rules(rule).build();
    let put = stage.client.put_bucket_lifecycle_configuration();
    let put = put.bucket(bucket).lifecycle_configuration(rules.unwrap());
    put.send().await.unwrap();
}

async fn findings(stage: &Stage) -> (Option<i32>, Vec<Value>) {
    let output = stage.run(&[&DOCTOR[..], &["--json"]].concat()).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (output.status.code(), lines.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn bucket_that_is_set_up_has_nothing_wrong_with_it() {
    let stage = healthy().await;
    let before = stage.snapshot().await;
    let output = stage.run(&DOCTOR).await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let text = shown(&output);
    assert!(
        text.contains(" 0 warnings, 0 errors, 1 could not be looked at"),
        "{text}"
    );
    for check in [
        "credentials",
        "master",
        "owner",
        "tags",
        "target",
        "versioning",
        "encryption",
        "ownership",
        "uploads",
        "notification",
        "queue",
        "permission",
        "mapping",
        "function",
        "visibility",
        "role",
        "clock",
    ] {
        assert!(
            text.contains(&format!("ok       {check:<12} ")),
            "{check}: {text}"
        );
    }
    assert!(text.contains("unknown  keys"), "{text}");
    assert_eq!(stage.snapshot().await, before);
}

/// What is wrong.
#[derive(Debug)]
enum Fault {
    /// Beside S3.
    Beside(fn(&mut Things)),
    /// The master has these tags and no others.
    Tags(&'static [(&'static str, &'static str)]),
    /// The master has one rule, of somebody else's, for these events.
    Rule(&'static [&'static str]),
    KmsKeyOfMaster,
    VersionsOfMaster,
    WritersOwnReplicas,
    NoLifecycle,
    /// A rule removes unfinished uploads, of some keys.
    NarrowLifecycle,
    NoTarget,
    Cycle,
}

impl Fault {
    async fn happens(&self, stage: &Stage) {
        match self {
            Self::Beside(change) => stage.aws.with(change),
            Self::Tags(tags) => stage.tag("master", tags).await,
            Self::Rule(events) => stage.notify(their_rule(events)).await,
            Self::KmsKeyOfMaster => key(stage, "master").await,
            Self::VersionsOfMaster => versions(stage).await,
            Self::WritersOwnReplicas => writers_own(stage).await,
            Self::NoLifecycle => no_lifecycle(stage).await,
            Self::NarrowLifecycle => lifecycle(stage, "replica-1", "in/").await,
            Self::NoTarget => gone(stage).await,
            Self::Cycle => back(stage).await,
        }
    }
}

async fn key(stage: &Stage, bucket: &str) {
    let default = ServerSideEncryptionByDefault::builder()
        .sse_algorithm(ServerSideEncryption::AwsKms)
        .kms_master_key_id("arn:aws:kms:us-east-1:000000000000:key/k")
        .build()
        .unwrap();
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(default)
        .build();
    let configuration = ServerSideEncryptionConfiguration::builder().rules(rule);
    let put = stage.client.put_bucket_encryption().bucket(bucket);
    let put = put.server_side_encryption_configuration(configuration.build().unwrap());
    put.send().await.unwrap();
}

async fn versions(stage: &Stage) {
    let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
    let put = stage.client.put_bucket_versioning().bucket("master");
    let put = put.versioning_configuration(enabled.build());
    put.send().await.unwrap();
}

async fn writers_own(stage: &Stage) {
    let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::ObjectWriter);
    let controls = OwnershipControls::builder().rules(rule.build().unwrap());
    let put = stage.client.put_bucket_ownership_controls();
    let put = put
        .bucket("replica-1")
        .ownership_controls(controls.build().unwrap());
    put.send().await.unwrap();
}

async fn no_lifecycle(stage: &Stage) {
    let delete = stage.client.delete_bucket_lifecycle().bucket("replica-1");
    delete.send().await.unwrap();
}

async fn gone(stage: &Stage) {
    let delete = stage.client.delete_bucket().bucket("replica-1");
    delete.send().await.unwrap();
}

async fn back(stage: &Stage) {
    let tags = [("ReplicatedTargetBuckets", "master@us-east-1")];
    stage.tag("replica-1", &tags).await;
}

fn queue_of(things: &mut Things) -> &mut serde_json::Map<String, Value> {
    things.queues.get_mut("events").unwrap()
}

fn deny(things: &mut Things) {
    let denial = json!({"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*"});
    let policy = json!({ "Statement": [denial] }).to_string();
    queue_of(things).insert("Policy".to_owned(), json!(policy));
}

fn function_of(things: &mut Things) -> &mut Value {
    &mut things
        .functions
        .get_mut("replicator")
        .unwrap()
        .configuration
}

#[rstest]
#[case::no_tag(Fault::Tags(&[("team", "x")]), "tags", "error", "setup --master master --target")]
#[case::tag_grammar(
    Fault::Tags(&[("ReplicatedTargetBuckets", "replica-1@eu-west-1 x")]),
    "tags", "error", "get-bucket-tagging"
)]
#[case::cycle(Fault::Cycle, "tags", "error", "correct the entry")]
#[case::target_is_gone(Fault::NoTarget, "target", "error", "aws s3 mb s3://replica-1")]
#[case::versioning_mix(
    Fault::VersionsOfMaster,
    "versioning",
    "warning",
    "put-bucket-versioning"
)]
#[case::unencrypted_target(Fault::KmsKeyOfMaster, "encryption", "error", "put-bucket-encryption")]
#[case::object_ownership(
    Fault::WritersOwnReplicas,
    "ownership",
    "warning",
    "BucketOwnerEnforced"
)]
#[case::unfinished_uploads(Fault::NoLifecycle, "uploads", "warning", "DaysAfterInitiation")]
#[case::unfinished_uploads_of_some_keys(
    Fault::NarrowLifecycle,
    "uploads",
    "warning",
    "add to its lifecycle rules"
)]
#[case::no_rule(
    Fault::Rule(&["s3:ObjectRestore:*"]),
    "notification", "error", "setup --master master --queue"
)]
#[case::events_are_missing(
    Fault::Rule(&["s3:ObjectCreated:*"]),
    "notification", "error", "setup --master master"
)]
#[case::no_permission(
    Fault::Beside(|it| drop(queue_of(it).remove("Policy"))),
    "permission", "error", "setup --master master --queue"
)]
#[case::denied_by_a_statement(
    Fault::Beside(deny),
    "permission",
    "error",
    "except s3.amazonaws.com in it"
)]
#[case::no_dead_letters(
    Fault::Beside(|it| drop(queue_of(it).remove("RedrivePolicy"))),
    "queue", "warning", "set-queue-attributes"
)]
#[case::visibility(
    Fault::Beside(|it| drop(queue_of(it).insert("VisibilityTimeout".to_owned(), json!("60")))),
    "visibility", "error", "VisibilityTimeout=360"
)]
#[case::visibility_with_gathering(
    Fault::Beside(|it| it.mappings[0]["MaximumBatchingWindowInSeconds"] = json!(60)),
    "visibility", "error", "VisibilityTimeout=420"
)]
#[case::nobody_reads(
    Fault::Beside(|it| it.mappings.clear()),
    "mapping", "error", "create-event-source-mapping"
)]
#[case::whole_batches(
    Fault::Beside(|it| it.mappings[0]["FunctionResponseTypes"] = json!([])),
    "mapping", "error", "ReportBatchItemFailures"
)]
#[case::any_master(
    Fault::Beside(|it| function_of(it)["Environment"] = json!({})),
    "function", "warning", "update-function-configuration"
)]
#[case::role_lacks(
    Fault::Beside(|it| it.lacking.push("s3:PutObjectTagging".to_owned())),
    "role", "error", "put-role-policy --role-name replicator"
)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_comes_with_what_mends_it(
    #[case] fault: Fault,
    #[case] check: &str,
    #[case] status: &str,
    #[case] mend: &str,
) {
    let stage = healthy().await;
    fault.happens(&stage).await;
    let (code, findings) = findings(&stage).await;
    assert_eq!(code, Some(i32::from(status == "error")), "{findings:?}");
    let is_it = |it: &Value| {
        it["check"] == check
            && it["status"] == status
            && it["mend"].as_str().is_some_and(|it| it.contains(mend))
    };
    assert!(findings.iter().any(is_it), "{findings:#?}");
}

#[rstest]
#[case("iam:SimulatePrincipalPolicy", "role")]
#[case("sts:GetCallerIdentity", "permission")]
#[case("lambda:ListEventSourceMappings", "mapping")]
#[case("lambda:ListEventSourceMappings", "function")]
#[case("sqs:GetQueueAttributes", "queue")]
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_asked_does_not_pass(#[case] denied: &str, #[case] check: &str) {
    let stage = healthy().await;
    stage
        .aws
        .with(|things| things.denied.push(denied.to_owned()));
    let (_, findings) = findings(&stage).await;
    let of_check = findings.iter().filter(|it| it["check"] == check);
    let statuses: Vec<&Value> = of_check.map(|it| &it["status"]).collect();
    assert!(!statuses.is_empty(), "{findings:#?}");
    assert!(statuses.iter().all(|it| **it == "unknown"), "{findings:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cycle_that_cannot_be_seen_does_not_pass() {
    let stage = healthy().await;
    stage.trouble.is(Trouble::TargetTagsHidden);
    let (_, found) = findings(&stage).await;
    let unknown: Vec<&Value> = found.iter().filter(|it| it["check"] == "cycle").collect();
    assert_eq!(unknown.len(), 2, "{found:#?}");
    assert!(unknown.iter().all(|it| it["status"] == "unknown"));
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert!(
        shown(&output).contains("unknown  cycle"),
        "{}",
        shown(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_clock_is_told_before_what_it_has_refused() {
    let stage = Stage::set().await;
    stage.trouble.is(Trouble::Skewed);
    let (code, found) = findings(&stage).await;
    assert_eq!(code, Some(1));
    let errors = found.iter().filter(|it| it["status"] == "error");
    let errors: Vec<&Value> = errors.map(|it| &it["check"]).collect();
    assert_eq!(errors, ["clock", "master"], "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn role_is_simulated_in_the_account_of_its_resources() {
    let stage = healthy().await;
    let condition = |key: &str| {
        let key = key.to_owned();
        stage.aws.with(|things| things.conditions = vec![key]);
    };
    let statuses = |found: &[Value]| {
        let of_role = found.iter().filter(|it| it["check"] == "role");
        let statuses = of_role.map(|it| it["status"].as_str().unwrap().to_owned());
        statuses.collect::<Vec<_>>()
    };
    condition("aws:ResourceAccount");
    let (_, found) = findings(&stage).await;
    assert!(statuses(&found).iter().all(|it| it == "ok"), "{found:#?}");
    condition("aws:PrincipalOrgID");
    let (_, found) = findings(&stage).await;
    assert!(
        statuses(&found).iter().all(|it| it == "unknown"),
        "{found:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn package_is_searched_for_keys() {
    let stage = healthy().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("package.zip");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("config", options).unwrap();
    let text = "[profile minio]\naws_secret_access_key = hidden\n";
    std::io::Write::write_all(&mut archive, text.as_bytes()).unwrap();
    archive.finish().unwrap();
    let output = stage
        .run(&[&DOCTOR[..], &["--package", path.to_str().unwrap()]].concat())
        .await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(
        shown(&output).contains("error    keys"),
        "{}",
        shown(&output)
    );
    assert!(!shown(&output).contains("hidden"), "{}", shown(&output));
}
