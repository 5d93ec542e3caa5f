//! What `setup` refuses: named, with the remedy, and nothing is changed.

use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
use axum::http::StatusCode;
use rstest::rstest;
use serde_json::json;
use tokio::net::TcpListener;

use super::aws::{Aws, FUNCTION, QUEUE};
use super::setup;
use super::stage::{Stage, Trouble, shown, their_rule};

type Spoil = fn(&Aws);

fn nothing(_: &Aws) {}

fn no_on_failure(aws: &Aws) {
    aws.with(|things| things.functions.get_mut("replicator").unwrap().on_failure = None);
}

fn retries_without_on_failure(aws: &Aws) {
    aws.with(|things| {
        let function = things.functions.get_mut("replicator").unwrap();
        function.on_failure = Some(String::new());
    });
}

fn other_account(aws: &Aws) {
    aws.with(|things| things.account = "999999999999".to_owned());
}

fn no_queue(aws: &Aws) {
    aws.with(|things| things.queues.get_mut("events").unwrap().clear());
    aws.with(|things| drop(things.queues.remove("events")));
    aws.with(|things| drop(things.queues.insert("other".to_owned(), Default::default())));
}

fn aws_key(aws: &Aws) {
    aws.with(|things| {
        let queue = things.queues.get_mut("events").unwrap();
        queue.insert("KmsMasterKeyId".to_owned(), json!("alias/aws/sqs"));
    });
}

fn nobody_reads(aws: &Aws) {
    aws.with(|things| things.mappings.clear());
}

fn denied_queue(aws: &Aws) {
    aws.with(|things| things.denied.push("sqs:GetQueueAttributes".to_owned()));
}

fn denied_identity(aws: &Aws) {
    aws.with(|things| things.denied.push("sts:GetCallerIdentity".to_owned()));
}

fn other_masters(aws: &Aws) {
    aws.with(|things| {
        let function = things.functions.get_mut("replicator").unwrap();
        function.configuration["Environment"]["Variables"]["S3_REPLICATOR_MASTERS"] = json!("x-*");
    });
}

#[rstest]
#[case::no_on_failure(no_on_failure, &["--function", FUNCTION], "put-function-event-invoke-config")]
#[case::retries_without_on_failure(
    retries_without_on_failure,
    &["--function", FUNCTION],
    "update-function-event-invoke-config"
)]
#[case::function_for_others(other_masters, &["--function", FUNCTION], "S3_REPLICATOR_MASTERS lacks it")]
#[case::no_function(
    nothing,
    &["--function", "arn:aws:lambda:us-east-1:000000000000:function:nobody"],
    "ResourceNotFoundException"
)]
#[case::other_account(other_account, &["--queue", QUEUE], "belongs to another account")]
#[case::no_identity(denied_identity, &["--queue", QUEUE], "sts:GetCallerIdentity")]
#[case::no_permission(denied_queue, &["--queue", QUEUE], "sqs:GetQueueAttributes failed")]
#[case::aws_key(aws_key, &["--queue", QUEUE], "KmsMasterKeyId=,SqsManagedSseEnabled=true")]
#[case::other_region(
    nothing,
    &["--queue", "arn:aws:sqs:eu-west-1:000000000000:events"],
    "S3 notifies only within a region"
)]
#[case::no_destination(nothing, &[], "nobody is told of s3:ObjectCreated:*")]
#[case::filter_of_no_rule(nothing, &["--prefix", "in/"], "no rule of ours is there that --prefix")]
#[case::no_function_of_the_job(
    nobody_reads,
    &["--queue", QUEUE, "--batch-role", "arn:aws:iam::000000000000:role/batch"],
    "not exactly one function reads"
)]
#[case::function_of_the_job_elsewhere(
    nothing,
    &["--queue", QUEUE, "--batch-role", "arn:aws:iam::000000000000:role/batch",
      "--batch-function", "arn:aws:lambda:eu-west-1:000000000000:function:replicator"],
    "a job invokes functions of its region"
)]
#[case::no_such_target(nothing, &["--queue", QUEUE, "--target", "nowhere@us-east-1"], "aws s3 mb s3://nowhere")]
#[case::target_elsewhere(
    nothing,
    &["--queue", QUEUE, "--target", "elsewhere@eu-central-1"],
    "s3://elsewhere is in us-east-1, not in eu-central-1; mend: name it as elsewhere@us-east-1"
)]
#[case::no_region(nothing, &["--queue", QUEUE, "--target", "elsewhere@mars"], "`mars` is neither")]
#[case::itself(nothing, &["--queue", QUEUE, "--target", "master@us-east-1"], "the master itself")]
#[case::cycle(nothing, &["--queue", QUEUE, "--target", "back@us-east-1"], "master -> back -> master")]
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_where_a_check_fails(
    #[case] spoil: Spoil,
    #[case] arguments: &[&str],
    #[case] expected: &str,
) {
    let stage = Stage::set().await;
    stage.create("elsewhere", "us-east-1").await;
    stage.create("back", "us-east-1").await;
    let tags = [("ReplicatedTargetBuckets", "master@us-east-1")];
    stage.tag("back", &tags).await;
    let before = stage.snapshot().await;
    spoil(&stage.aws);
    let output = stage.run(&setup(arguments)).await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let text = shown(&output);
    assert!(text.contains(expected) && text.contains("mend: "), "{text}");
    assert!(text.contains("nothing was changed"), "{text}");
    assert_eq!(stage.snapshot().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_that_is_gone_is_named_and_does_not_keep_anybody_from_undoing() {
    let stage = Stage::set().await;
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    no_queue(&stage.aws);
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(
        shown(&output).contains("QueueDoesNotExist"),
        "{}",
        shown(&output)
    );
    let output = stage.run(&["setup", "--master", "master", "--undo"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(
        shown(&output).contains("2 changes written"),
        "{}",
        shown(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn permission_that_is_missing_at_a_target_is_named() {
    let stage = Stage::set().await;
    let before = stage.snapshot().await;
    stage.trouble.is(Trouble::TargetsDenied);
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let expected = "HeadBucket failed for s3://replica-1 at eu-west-1: 403 Forbidden; it needs \
                    s3:ListBucket on the bucket; mend: ";
    assert!(shown(&output).contains(expected), "{}", shown(&output));
    assert_eq!(stage.snapshot().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_that_is_in_the_way_is_named() {
    let stage = Stage::set().await;
    stage.notify(their_rule(&["s3:ObjectCreated:Put"])).await;
    let before = stage.snapshot().await;
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let expected = "rule `theirs` sends s3:ObjectCreated:Put of keys that start with `theirs/` to";
    assert!(shown(&output).contains(expected), "{}", shown(&output));
    assert!(shown(&output).contains("nothing was changed"));
    assert_eq!(stage.snapshot().await, before);

    // Beside it there is room.
    let output = stage
        .run(&setup(&["--queue", QUEUE, "--prefix", "ours/"]))
        .await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_that_keeps_the_bucket_out_is_named() {
    let stage = Stage::set().await;
    stage.aws.with(|things| {
        let denial = json!({"Sid": "not-s3", "Effect": "Deny", "Action": "sqs:*", "Resource": "*",
                            "Principal": {"Service": "s3.amazonaws.com"}});
        let policy = json!({"Version": "2012-10-17", "Statement": [denial]}).to_string();
        let queue = things.queues.get_mut("events").unwrap();
        queue.insert("Policy".to_owned(), policy.into());
    });
    let before = stage.snapshot().await;
    let expected = format!("statement `not-s3` of the policy of {QUEUE} keeps s3://master out");
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(shown(&output).contains(&expected), "{}", shown(&output));
    assert_eq!(stage.snapshot().await, before);
}

#[rstest]
#[case::all_to_one_place(&["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*",
                           "s3:LifecycleExpiration:*"], "unknown  notification", Some(0))]
#[case::a_part(&["s3:ObjectCreated:*"], "nobody is told of s3:ObjectRemoved:*", Some(1))]
#[tokio::test(flavor = "multi_thread")]
async fn rules_of_others_do_not_pass_for_ours(
    #[case] events: &[&str],
    #[case] expected: &str,
    #[case] code: Option<i32>,
) {
    let stage = Stage::set().await;
    stage.notify(their_rule(events)).await;
    let output = stage.run(&setup(&["--dry-run"])).await;
    assert_eq!(output.status.code(), code, "{}", shown(&output));
    assert!(shown(&output).contains(expected), "{}", shown(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_by_hand_is_replaced_by_what_doctor_advises() {
    let stage = Stage::set().await;
    let by_hand = QueueConfiguration::builder()
        .queue_arn(QUEUE)
        .events(Event::from("s3:ObjectCreated:Put"))
        .events(Event::from("s3:ObjectRemoved:Delete"))
        .build()
        .unwrap();
    let rules = NotificationConfiguration::builder().queue_configurations(by_hand);
    stage.notify(rules.build()).await;
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(
        shown(&output).contains("mend: add --replace"),
        "{}",
        shown(&output)
    );
    let doctor = ["doctor", "--master", "master", "--destination", QUEUE];
    let output = stage.run(&doctor).await;
    let advice = format!("mend: s3-replicator setup --master master --queue {QUEUE} --replace");
    assert!(shown(&output).contains(&advice), "{}", shown(&output));
    let output = stage.run(&setup(&["--queue", QUEUE, "--replace"])).await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let rules = stage.snapshot().await.notifications;
    assert_eq!(rules.queue_configurations().len(), 1);
    assert_eq!(rules.queue_configurations()[0].events.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistake_in_a_tag_that_is_there_is_named() {
    let stage = Stage::set().await;
    stage
        .tag(
            "master",
            &[("ReplicatedTargetBuckets", "replica-1@eu-west-1 oops")],
        )
        .await;
    let before = stage.snapshot().await;
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(
        shown(&output).contains("entry 2 at offset 20: `oops`"),
        "{}",
        shown(&output)
    );
    assert_eq!(stage.snapshot().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn master_that_is_not_there_is_named() {
    let stage = Stage::set().await;
    for command in ["setup", "doctor"] {
        let output = stage.run(&[command, "--master", "nobody"]).await;
        assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
        assert!(
            shown(&output).contains("s3://nobody does not exist; mend: aws s3 mb s3://nobody"),
            "{}",
            shown(&output)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn region_of_the_master_is_found_out() {
    let stage = Stage::set().await;
    let arguments = [
        "setup",
        "--master",
        "replica-1",
        "--target",
        "replica-2@ap-southeast-1",
        "--queue",
        QUEUE,
    ];
    let output = stage.run(&arguments).await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let expected = "is in us-east-1 and the bucket in eu-west-1";
    assert!(shown(&output).contains(expected), "{}", shown(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn region_that_does_not_answer_is_named() {
    let stage = Stage::set().await;
    let mut command = stage.command(&setup(&["--queue", QUEUE]));
    let output = command
        .env("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
        .output()
        .await;
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let expected = "mend: check that us-east-1 is a region that exists";
    assert!(shown(&output).contains(expected), "{}", shown(&output));
}

#[rstest]
#[case::no_master(&["setup", "--target", "a-1@us-east-1"], "--master")]
#[case::no_site(&["setup", "--master", "m-1", "--target", "a-1"], "BUCKET@SITE")]
#[case::arn(&["setup", "--master", "m-1", "--queue", "events"], "a queue's ARN")]
#[case::both(&["setup", "--master", "m-1", "--queue", QUEUE, "--function", FUNCTION], "--function")]
#[case::no_role(&["setup", "--master", "m-1", "--batch-role", FUNCTION], "a role's ARN")]
#[case::report_of_itself(
    &["setup", "--master", "m-1", "--batch-role", "arn:aws:iam::1:role/b", "--batch-report", "m-1"],
    "--batch-report names the master"
)]
#[case::undo_and_wait(&["setup", "--master", "m-1", "--undo", "--wait"], "--wait")]
#[case::region(&["doctor", "--master", "m-1@us-east-1"], "without a region")]
fn wrong_usage_ends_with_2(#[case] arguments: &[&str], #[case] named: &str) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_s3-replicator"))
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(shown(&output).contains(named), "{}", shown(&output));
}

#[rstest]
#[case::named_otherwise(
    "replica-1@us-east-1",
    "error    target       the bucket of replica-1@us-east-1 is named as replica-1@eu-west-1",
    Some(1)
)]
#[case::unknown(
    "s3://replica-3@us-east-1",
    "warning  target       replica-3@us-east-1 is not named for s3://master",
    Some(0)
)]
#[tokio::test(flavor = "multi_thread")]
async fn target_that_is_not_there_to_be_taken_away_is_told(
    #[case] target: &str,
    #[case] expected: &str,
    #[case] code: Option<i32>,
) {
    let stage = Stage::set().await;
    stage.run(&setup(&["--queue", QUEUE])).await;
    let before = stage.snapshot().await;
    let undo = [
        "setup",
        "--master",
        "s3://master",
        "--undo",
        "--target",
        target,
    ];
    let output = stage.run(&undo).await;
    assert_eq!(output.status.code(), code, "{}", shown(&output));
    assert!(shown(&output).contains(expected), "{}", shown(&output));
    assert_eq!(stage.snapshot().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_without_the_service_is_told() {
    let stage = Stage::set().await;
    let pages =
        axum::Router::new().fallback(|| async { (StatusCode::NOT_FOUND, "<html>no</html>") });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, pages).await });
    let mut command = stage.command(&setup(&["--queue", QUEUE]));
    let output = command.env("AWS_ENDPOINT_URL", endpoint).output().await;
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    for service in ["STS", "SQS"] {
        let expected = format!("HTTP 404, no answer of {service}: is there one at");
        assert!(shown(&output).contains(&expected), "{}", shown(&output));
    }
}
