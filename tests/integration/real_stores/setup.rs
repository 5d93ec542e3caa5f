//! `setup` and `doctor` on LocalStack: S3, SQS and STS that judge what they are told.

use std::time::Duration;

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter,
    QueueConfiguration, S3KeyFilter,
};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::live::Queues;
use super::servers::{Kind, Server};
use crate::live::command::{Running, run};
use crate::live::store::{client, create};

/// What is skipped where LocalStack is not switched on.
const WHAT: &str = "setup and doctor";

const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:s3-replicator-events";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:replicator";
const THEIRS: &str = "arn:aws:sqs:us-east-1:000000000000:dead";

fn program(server: &Server, arguments: &[&str]) -> (Option<i32>, String) {
    let (endpoint, key) = server.access();
    let environment = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", key),
        ("AWS_CONFIG_FILE", "/nonexistent"),
    ];
    let output = run(arguments, &environment);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let shown = text(&output.stdout) + &text(&output.stderr);
    (output.status.code(), shown)
}

/// Tags, rules and the queue's policy.
async fn snapshot(client: &aws_sdk_s3::Client, queues: &Queues) -> (String, String, Option<Value>) {
    let tags = client.get_bucket_tagging().bucket("master").send().await;
    let mut tags = tags.map(|it| it.tag_set).unwrap_or_default();
    tags.sort_by(|one, other| one.key.cmp(&other.key));
    let rules = client.get_bucket_notification_configuration();
    let rules = rules.bucket("master").send().await.unwrap();
    let get = queues.client.get_queue_attributes().queue_url(&queues.url);
    let get = get.attribute_names(QueueAttributeName::Policy).send();
    let policy = get.await.unwrap().attributes.unwrap_or_default();
    let policy = policy.get(&QueueAttributeName::Policy);
    let policy = policy.map(|text| serde_json::from_str(text).unwrap());
    let rules = format!(
        "{:?} {:?}",
        rules.queue_configurations, rules.event_bridge_configuration
    );
    (format!("{tags:?}"), rules, policy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bucket_is_set_up_replicated_and_left_as_it_was() {
    if !Kind::LocalStack.is_on(WHAT) {
        return;
    }
    let services = [("SERVICES", "s3,sqs,sts,iam")];
    let server = Kind::LocalStack.own_server_with(&services).await;
    let queues = Queues::create(&server, Duration::from_secs(360)).await;
    let (endpoint, key) = server.access();
    let client = client(endpoint, (key, key));
    create(&client, "master", None).await;
    create(&client, "replica", None).await;
    theirs(&client, &queues).await;
    let before = snapshot(&client, &queues).await;

    let setup = [
        "setup",
        "--master",
        "master",
        "--target",
        "replica@us-east-1",
        "--queue",
        QUEUE,
        "--prefix",
        "in/",
    ];
    let (code, shown) = program(&server, &[&setup[..], &["--dry-run"]].concat());
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(snapshot(&client, &queues).await, before);
    let (code, shown) = program(&server, &setup);
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("3 changes written"), "{shown}");
    let during = snapshot(&client, &queues).await;
    assert!(
        during.0.contains("team") && during.0.contains("replica@us-east-1"),
        "{}",
        during.0
    );
    assert!(
        during.1.contains("theirs") && during.1.contains("s3-replicator"),
        "{}",
        during.1
    );
    let statements = during.2.as_ref().unwrap()["Statement"].as_array().unwrap();
    assert_eq!(statements.len(), 2, "{statements:?}");

    let (code, shown) = program(&server, &setup);
    assert!(
        code == Some(0) && shown.contains("nothing to do"),
        "{shown}"
    );
    assert_eq!(snapshot(&client, &queues).await, during);

    let (code, shown) = program(&server, &["doctor", "--master", "master"]);
    // Lambda is not there to be asked, and that is said.
    assert!(shown.contains("unknown  mapping"), "{shown}");
    assert!(
        shown.contains("ok       permission") && shown.contains(" 0 errors"),
        "{shown}"
    );
    assert_eq!(code, Some(0), "{shown}");

    // The rule that was written leads to the function, and an object arrives.
    let keys = [("AWS_ACCESS_KEY_ID", key), ("AWS_SECRET_ACCESS_KEY", key)];
    let dev = ["dev", "--store", endpoint, "--master", "master@us-east-1"];
    let running = Running::start(&dev, &keys);
    let (code, shown) = program(&server, &["setup", "--master", "master", "--wait=60"]);
    assert!(
        code == Some(0) && shown.contains("arrived everywhere"),
        "{shown}"
    );
    assert_eq!(running.interrupt(), Some(0));

    let (code, shown) = program(&server, &["setup", "--master", "master", "--undo"]);
    assert_eq!(code, Some(0), "{shown}");
    assert_eq!(snapshot(&client, &queues).await, before);
}

/// LocalStack keeps functions that it cannot run, with their policies, roles and mappings.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn function_is_looked_at_by_doctor_and_refused_by_setup() {
    if !Kind::LocalStack.is_on(WHAT) {
        return;
    }
    let services = [("SERVICES", "s3,sqs,sts,iam,lambda")];
    let server = Kind::LocalStack.own_server_with(&services).await;
    let queues = Queues::create(&server, Duration::from_secs(360)).await;
    let (endpoint, key) = server.access();
    let client = client(endpoint, (key, key));
    create(&client, "master", None).await;
    create(&client, "replica", None).await;
    deploy(endpoint, key).await;

    let targets = [
        "setup",
        "--master",
        "master",
        "--target",
        "replica@us-east-1",
    ];
    let (code, shown) = program(&server, &[&targets[..], &["--queue", QUEUE]].concat());
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("ok       mapping"), "{shown}");
    let (code, shown) = program(&server, &["doctor", "--master", "master"]);
    assert_eq!(code, Some(1), "{shown}");
    for expected in [
        "ok       mapping",
        "ok       permission",
        "ok       visibility",
        "function:replicator is Failed",
        "ok       role         arn:aws:iam::000000000000:role/replicator may use arn:aws:s3:::master\n",
        "role/replicator lacks s3:GetBucketTagging, s3:ListBucket, s3:ListBucketMultipartUploads on \
         arn:aws:s3:::replica;",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }

    let before = snapshot(&client, &queues).await;
    let (code, shown) = program(&server, &[&targets[..], &["--function", FUNCTION]].concat());
    assert_eq!(code, Some(1), "{shown}");
    assert!(
        shown.contains("error    on-failure") && shown.contains("nothing was changed"),
        "{shown}"
    );
    assert_eq!(snapshot(&client, &queues).await, before);
}

/// A function that reads the queue, and whose role may only look at the master.
async fn deploy(endpoint: &str, key: &str) {
    use aws_sdk_lambda::config::{BehaviorVersion, Credentials, Region};
    use aws_sdk_lambda::primitives::Blob;
    use aws_sdk_lambda::types::{FunctionCode, FunctionResponseType, Runtime};
    let http_client = aws_smithy_http_client::Builder::new().build_http();
    let credentials = Credentials::new(key, key, None, None, "test");
    let region = Region::from_static("us-east-1");
    let iam = aws_sdk_iam::Client::from_conf(
        aws_sdk_iam::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http_client.clone())
            .region(region.clone())
            .endpoint_url(endpoint)
            .credentials_provider(credentials.clone())
            .build(),
    );
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }]});
    let role = iam.create_role().role_name("replicator");
    let role = role
        .assume_role_policy_document(trust.to_string())
        .send()
        .await
        .unwrap();
    let role = role.role.unwrap().arn;
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": ["s3:GetBucketTagging", "s3:ListBucket"],
        "Resource": "arn:aws:s3:::master",
    }]});
    let put = iam
        .put_role_policy()
        .role_name("replicator")
        .policy_name("p");
    put.policy_document(policy.to_string())
        .send()
        .await
        .unwrap();

    let lambda = aws_sdk_lambda::Client::from_conf(
        aws_sdk_lambda::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http_client)
            .region(region)
            .endpoint_url(endpoint)
            .credentials_provider(credentials)
            .build(),
    );
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("bootstrap", options).unwrap();
    let package = archive.finish().unwrap().into_inner();
    lambda
        .create_function()
        .function_name("replicator")
        .runtime(Runtime::Providedal2023)
        .handler("bootstrap")
        .role(role)
        .code(FunctionCode::builder().zip_file(Blob::new(package)).build())
        .send()
        .await
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let get = lambda
            .get_function_configuration()
            .function_name("replicator");
        let state = get.send().await.unwrap().state;
        if state.is_some_and(|it| it.as_str() == "Failed") {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "LocalStack does not give up on the function"
        );
        sleep(Duration::from_millis(200)).await;
    }
    lambda
        .create_event_source_mapping()
        .event_source_arn(QUEUE)
        .function_name("replicator")
        .function_response_types(FunctionResponseType::ReportBatchItemFailures)
        .send()
        .await
        .unwrap();
}

/// A tag, a rule with a filter and a statement of somebody else's.
async fn theirs(client: &aws_sdk_s3::Client, queues: &Queues) {
    use aws_sdk_s3::types::{Tag, Tagging};
    let tag = Tag::builder().key("team").value("x").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag).build().unwrap();
    let put = client.put_bucket_tagging().bucket("master");
    put.tagging(tagging).send().await.unwrap();
    let prefix = FilterRule::builder()
        .name(FilterRuleName::Prefix)
        .value("theirs/");
    let key = S3KeyFilter::builder().filter_rules(prefix.build()).build();
    let rule = QueueConfiguration::builder()
        .id("theirs")
        .queue_arn(THEIRS)
        .events(Event::from("s3:ObjectCreated:*"))
        .filter(NotificationConfigurationFilter::builder().key(key).build())
        .build()
        .unwrap();
    let configuration = NotificationConfiguration::builder().queue_configurations(rule);
    let put = client.put_bucket_notification_configuration();
    let put = put
        .bucket("master")
        .notification_configuration(configuration.build());
    put.send().await.unwrap();
    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"},
        "Action": "sqs:*", "Resource": QUEUE,
    }]});
    let set = queues.client.set_queue_attributes().queue_url(&queues.url);
    let set = set.attributes(QueueAttributeName::Policy, policy.to_string());
    set.send().await.unwrap();
}
