//! `setup` and `doctor` on the embedded S3, as users and scripts meet them.

mod aws;
mod canary;
mod doctor;
mod refused;
mod stage;

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::time::{Instant, sleep};

use self::aws::{FUNCTION, QUEUE};
use self::stage::{Stage, Trouble, shown};

const TARGETS: [&str; 6] = [
    "--master",
    "master",
    "--target",
    "replica-1@eu-west-1",
    "--target",
    "replica-2@ap-southeast-1",
];

/// `setup` with both targets and more arguments.
fn setup<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["setup"], &TARGETS[..], more].concat()
}

#[rstest]
#[case::queue("--queue", QUEUE)]
#[case::function("--function", FUNCTION)]
#[tokio::test(flavor = "multi_thread")]
async fn bucket_is_set_up_once_and_left_as_it_was(#[case] option: &str, #[case] arn: &str) {
    let stage = Stage::set().await;
    stage.aws.with(|things| {
        let theirs = json!({"Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": "1"},
                            "Action": "sqs:*", "Resource": QUEUE});
        let policy = json!({"Version": "2012-10-17", "Statement": [theirs]}).to_string();
        let queue = things.queues.get_mut("events").unwrap();
        queue.insert("Policy".to_owned(), policy.into());
        let function = things.functions.get_mut("replicator").unwrap();
        function.statements.push(theirs);
    });
    let before = stage.snapshot().await;

    let dry = stage.run(&setup(&[option, arn, "--dry-run"])).await;
    assert_eq!(dry.status.code(), Some(0), "{}", shown(&dry));
    assert!(
        shown(&dry).contains("3 changes, nothing was written"),
        "{}",
        shown(&dry)
    );
    let line = "+  \"ReplicatedTargetBuckets\": \"replica-1@eu-west-1 replica-2@ap-southeast-1\",";
    assert!(shown(&dry).contains(line), "{}", shown(&dry));
    assert_eq!(stage.snapshot().await, before);

    let written = stage.run(&setup(&[option, arn])).await;
    assert_eq!(written.status.code(), Some(0), "{}", shown(&written));
    let places: Vec<String> = shown(&written)
        .lines()
        .filter_map(|line| line.strip_prefix("written  "))
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(places, ["permission", "notification", "tags"]);
    assert!(shown(&written).contains("s3-replicator sync s3://master"));
    let during = stage.snapshot().await;
    assert_eq!(
        during.tags,
        [
            ("team", "x"),
            (
                "ReplicatedTargetBuckets",
                "replica-1@eu-west-1 replica-2@ap-southeast-1"
            ),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    );
    let topics = &during.notifications.topic_configurations;
    assert_eq!(topics, &before.notifications.topic_configurations);
    let (ours, arn_of_rule) = match option {
        "--queue" => {
            let rule = &during.notifications.queue_configurations()[0];
            let all = &during.queue_policy.as_ref().unwrap()["Statement"];
            (all[1].clone(), rule.queue_arn.clone())
        }
        _ => {
            let rule = &during.notifications.lambda_function_configurations()[0];
            let all = &during.function_statements;
            (all[1].clone(), rule.lambda_function_arn.clone())
        }
    };
    assert_eq!(arn_of_rule, arn);
    let condition = ours["Condition"].to_string().to_lowercase();
    assert!(
        condition.contains("\"aws:sourcearn\":\"arn:aws:s3:::master\""),
        "{ours}"
    );
    assert!(
        condition.contains("\"aws:sourceaccount\":\"000000000000\""),
        "{ours}"
    );

    let again = stage.run(&setup(&[option, arn])).await;
    assert_eq!(again.status.code(), Some(0), "{}", shown(&again));
    assert!(shown(&again).contains("nothing to do"), "{}", shown(&again));
    assert_eq!(stage.snapshot().await, during);

    let undone = stage.run(&["setup", "--master", "master", "--undo"]).await;
    assert_eq!(undone.status.code(), Some(0), "{}", shown(&undone));
    assert_eq!(stage.snapshot().await, before);
    let again = stage.run(&["setup", "--master", "master", "--undo"]).await;
    assert!(shown(&again).contains("nothing to do"), "{}", shown(&again));
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_that_nobody_had_is_taken_away_whole() {
    let stage = Stage::set().await;
    let before = stage.snapshot().await;
    assert_eq!(before.queue_policy, None);
    stage.run(&setup(&["--queue", QUEUE])).await;
    assert!(stage.snapshot().await.queue_policy.is_some());
    stage.run(&["setup", "--master", "master", "--undo"]).await;
    assert_eq!(stage.snapshot().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn masters_of_one_queue_that_are_set_up_at_once_are_both_let_in() {
    let stage = Stage::set().await;
    stage.create("other", "us-east-1").await;
    let both = Arc::new(Barrier::new(2));
    stage.aws.with(|things| things.writers = Some(both));
    let target = ["--target", "replica-1@eu-west-1", "--queue", QUEUE];
    let (one, two) = (
        [&["setup", "--master", "master"], &target[..]].concat(),
        [&["setup", "--master", "other"], &target[..]].concat(),
    );
    let (one, two) = tokio::join!(stage.run(&one), stage.run(&two));
    for output in [one, two] {
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    }
    let policy = stage.snapshot().await.queue_policy.unwrap();
    let all = policy["Statement"].as_array().unwrap().iter();
    let mut let_in: Vec<&str> = all.map(|it| it["Sid"].as_str().unwrap()).collect();
    let_in.sort_unstable();
    assert_eq!(let_in, ["s3-replicator-master", "s3-replicator-other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_that_is_left_for_another_lets_the_bucket_in_no_longer() {
    let stage = Stage::set().await;
    let before = stage.snapshot().await;
    let other = "arn:aws:sqs:us-east-1:000000000000:other";
    stage.aws.with(|things| {
        let queue = things.queues["events"].clone();
        things.queues.insert("other".to_owned(), queue);
    });
    let policy_of_other = || {
        stage
            .aws
            .with(|it| it.queues["other"].get("Policy").cloned())
    };
    stage.run(&setup(&["--queue", QUEUE])).await;
    let moved = stage.run(&setup(&["--queue", other])).await;
    assert_eq!(moved.status.code(), Some(0), "{}", shown(&moved));
    assert!(
        shown(&moved).contains("3 changes written"),
        "{}",
        shown(&moved)
    );
    assert_eq!(stage.snapshot().await.queue_policy, None);
    assert!(policy_of_other().is_some());

    // Whichever is named, both are looked at.
    let undo = ["setup", "--master", "master", "--undo", "--queue", QUEUE];
    let undone = stage.run(&undo).await;
    assert_eq!(undone.status.code(), Some(0), "{}", shown(&undone));
    assert_eq!(stage.snapshot().await, before);
    assert_eq!(policy_of_other(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn mistake_beside_a_target_that_is_taken_away_stays() {
    let stage = Stage::set().await;
    let tags = [("ReplicatedTargetBuckets", "replica-1@eu-west-1 oops")];
    stage.tag("master", &tags).await;
    let less = ["--undo", "--target", "replica-1@eu-west-1"];
    let output = stage
        .run(&[&["setup", "--master", "master"], &less[..]].concat())
        .await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let left = stage.snapshot().await.tags;
    assert_eq!(left["ReplicatedTargetBuckets"], "oops");
}

#[tokio::test(flavor = "multi_thread")]
async fn later_target_is_added_and_the_rule_stays_as_it_is() {
    let stage = Stage::set().await;
    let first = ["--queue", QUEUE, "--prefix", "in/", "--suffix", ".txt"];
    let one = [
        "setup",
        "--master",
        "master",
        "--target",
        "replica-1@eu-west-1",
    ];
    let output = stage.run(&[&one[..], &first].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let rules = stage.snapshot().await.notifications;

    let more = ["--target", "replica-2@ap-southeast-1", "--deletes", "false"];
    let output = stage
        .run(&[&["setup", "--master", "master"], &more[..]].concat())
        .await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let found = stage.snapshot().await;
    assert_eq!(found.notifications, rules);
    assert_eq!(
        found.tags["ReplicatedTargetBuckets"],
        "replica-1@eu-west-1 replica-2@ap-southeast-1"
    );
    assert_eq!(found.tags["ReplicatedDeletes"], "false");

    let less = ["--undo", "--target", "replica-1@eu-west-1"];
    let output = stage
        .run(&[&["setup", "--master", "master"], &less[..]].concat())
        .await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let found = stage.snapshot().await;
    assert_eq!(found.notifications, rules);
    assert_eq!(
        found.tags["ReplicatedTargetBuckets"],
        "replica-2@ap-southeast-1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_that_was_cut_short_says_how_far_it_came_and_goes_on() {
    let stage = Stage::set().await;
    stage.trouble.is(Trouble::TagsRefused);
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let expected = "written: permission, notification; not written: tags; run the same again";
    assert!(shown(&output).contains(expected), "{}", shown(&output));
    assert!(shown(&output).contains("PutBucketTagging failed for s3://master"));
    assert!(shown(&output).contains("it needs s3:PutBucketTagging"));

    stage.trouble.is(Trouble::None);
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(
        shown(&output).contains("1 change written"),
        "{}",
        shown(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_that_was_interrupted_says_how_far_it_came() {
    let stage = Stage::set().await;
    stage.trouble.is(Trouble::TagsHeld);
    let mut command = stage.command(&setup(&["--queue", QUEUE]));
    let running = command.stdout(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !stage.trouble.was_met() {
        assert!(Instant::now() < deadline, "no tags were put");
        sleep(Duration::from_millis(20)).await;
    }
    let pid = Pid::from_raw(running.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let output = running.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", shown(&output));
    let expected = "written: permission, notification; not written, or without an answer: tags";
    assert!(shown(&output).contains(expected), "{}", shown(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changes_meanwhile_is_not_written_over() {
    let stage = Stage::set().await;
    stage.trouble.is(Trouble::TagsChangedMeanwhile);
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    assert!(
        shown(&output).contains("changed by somebody else"),
        "{}",
        shown(&output)
    );
    let tags = stage.snapshot().await.tags;
    assert_eq!(tags, [("team".to_owned(), "y".to_owned())].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn permission_that_s3_does_not_see_yet_is_waited_for() {
    let stage = Stage::set().await;
    stage.trouble.is(Trouble::PermissionUnseenOnce);
    let output = stage.run(&setup(&["--queue", QUEUE])).await;
    assert!(stage.trouble.was_met());
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert!(
        shown(&output).contains("S3 cannot send yet"),
        "{}",
        shown(&output)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn queue_of_somebody_elses_that_is_gone_does_not_keep_anybody_from_undoing() {
    let stage = Stage::set().await;
    let before = stage.snapshot().await;
    stage.run(&setup(&["--queue", QUEUE])).await;
    stage.trouble.is(Trouble::DestinationGone);
    let undone = stage.run(&["setup", "--master", "master", "--undo"]).await;
    assert_eq!(undone.status.code(), Some(0), "{}", shown(&undone));
    assert_eq!(stage.snapshot().await, before);
    let again = stage.run(&["setup", "--master", "master", "--undo"]).await;
    assert!(
        shown(&again).contains("unknown  permission"),
        "{}",
        shown(&again)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_reads_one_object_a_line() {
    let stage = Stage::set().await;
    let role = "arn:aws:iam::000000000000:role/batch";
    let output = stage
        .run(&setup(&["--queue", QUEUE, "--json", "--batch-role", role]))
        .await;
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |what: &str| {
        let it = lines.iter().filter(|line| line["happened"] == what);
        it.collect::<Vec<_>>()
    };
    assert_eq!(of("change").len(), 3, "{text}");
    assert_eq!(of("change")[2]["before"], json!({"team": "x"}));
    assert_eq!(of("written").len(), 3);
    assert_eq!(of("end")[0]["sync"], "s3-replicator sync s3://master");
    let job = &of("batch_job")[0]["definition"];
    assert_eq!(job["Operation"]["LambdaInvoke"]["FunctionArn"], FUNCTION);
    assert_eq!(job["RoleArn"], role);
    assert_eq!(job["AccountId"], "000000000000");
}
