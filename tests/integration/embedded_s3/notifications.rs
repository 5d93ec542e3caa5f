//! Which notifications leave the store, in which order.

use aws_sdk_s3::types::{
    BucketVersioningStatus, Event, EventBridgeConfiguration, FilterRule, FilterRuleName,
    LambdaFunctionConfiguration, NotificationConfiguration, NotificationConfigurationFilter,
    QueueConfiguration, S3KeyFilter, Tag, Tagging, VersioningConfiguration,
};
use s3_replicator::local::s3::{Destination, Notification};
use serde_json::Value;

use crate::support::store::{MASTER, Store, failure};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:replicate";
const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:events";

fn events(names: &[&str]) -> Vec<Event> {
    names.iter().map(|name| Event::from(*name)).collect()
}

fn to_function(names: &[&str]) -> LambdaFunctionConfiguration {
    let configuration = LambdaFunctionConfiguration::builder().id("replicate");
    let configuration = configuration.lambda_function_arn(FUNCTION);
    configuration
        .set_events(Some(events(names)))
        .build()
        .unwrap()
}

async fn configure(store: &Store, configuration: NotificationConfiguration) {
    let put = store
        .client
        .put_bucket_notification_configuration()
        .bucket(MASTER);
    put.notification_configuration(configuration)
        .send()
        .await
        .unwrap();
}

fn record(notification: &Notification) -> Value {
    let body: Value = serde_json::from_str(&notification.body).unwrap();
    body["Records"][0].clone()
}

fn names(notifications: &[Notification]) -> Vec<String> {
    let name = |one| {
        record(one)["eventName"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    notifications.iter().map(name).collect()
}

#[tokio::test]
async fn each_operation_notifies_once_and_in_order() {
    let mut store = Store::with_master().await;
    let all = [
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
        "s3:ObjectTagging:*",
    ];
    let configuration = NotificationConfiguration::builder()
        .lambda_function_configurations(to_function(&all))
        .build();
    configure(&store, configuration).await;

    store.put("a b+.txt", "hello").await;
    let client = store.client.clone();
    let source = format!("{MASTER}/a%20b%2B.txt");
    client
        .copy_object()
        .bucket(MASTER)
        .key("copy")
        .copy_source(source)
        .send()
        .await
        .unwrap();
    let tag = Tag::builder().key("k").value("v").build().unwrap();
    let tagging = Tagging::builder().tag_set(tag).build().unwrap();
    let put = client
        .put_object_tagging()
        .bucket(MASTER)
        .key("copy")
        .tagging(tagging);
    put.send().await.unwrap();
    client
        .delete_object_tagging()
        .bucket(MASTER)
        .key("copy")
        .send()
        .await
        .unwrap();
    client
        .delete_object()
        .bucket(MASTER)
        .key("copy")
        .send()
        .await
        .unwrap();
    client
        .delete_object()
        .bucket(MASTER)
        .key("absent")
        .send()
        .await
        .unwrap();
    let failed = client
        .put_object()
        .bucket(MASTER)
        .key("a b+.txt")
        .if_none_match("*");
    assert_eq!(failure(failed.send().await).0, "PreconditionFailed");

    let notifications = store.notifications();
    assert_eq!(
        names(&notifications),
        [
            "ObjectCreated:Put",
            "ObjectCreated:Copy",
            "ObjectTagging:Put",
            "ObjectTagging:Delete",
            "ObjectRemoved:Delete"
        ]
    );
    let destination = Destination::Function {
        arn: FUNCTION.to_owned(),
    };
    assert!(
        notifications
            .iter()
            .all(|one| one.destination == destination && one.bucket == MASTER)
    );
    let put = record(&notifications[0]);
    assert_eq!(put["s3"]["object"]["key"], "a+b%2B.txt");
    assert_eq!(put["s3"]["object"]["size"], 5);
    assert_eq!(
        put["s3"]["object"]["eTag"],
        "5d41402abc4b2a76b9719d911017c592"
    );
    assert_eq!(put["s3"]["configurationId"], "replicate");
    assert_eq!(put["awsRegion"], "us-east-1");
    let sequencers: Vec<_> = notifications
        .iter()
        .map(|one| {
            record(one)["s3"]["object"]["sequencer"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert!(sequencers.is_sorted(), "{sequencers:?}");
}

#[tokio::test]
async fn versioned_deletes_name_their_versions() {
    let mut store = Store::with_master().await;
    let configuration = NotificationConfiguration::builder()
        .lambda_function_configurations(to_function(&["s3:ObjectRemoved:*"]))
        .build();
    configure(&store, configuration).await;
    let versioning = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    let put = store.client.put_bucket_versioning().bucket(MASTER);
    put.versioning_configuration(versioning)
        .send()
        .await
        .unwrap();

    let deleted = store
        .client
        .delete_object()
        .bucket(MASTER)
        .key("k")
        .send()
        .await
        .unwrap();
    let marker = deleted.version_id().unwrap();
    let removal = store
        .client
        .delete_object()
        .bucket(MASTER)
        .key("k")
        .version_id(marker);
    removal.send().await.unwrap();

    let notifications = store.notifications();
    assert_eq!(
        names(&notifications),
        ["ObjectRemoved:DeleteMarkerCreated", "ObjectRemoved:Delete"]
    );
    for notification in &notifications {
        assert_eq!(record(notification)["s3"]["object"]["versionId"], marker);
    }
}

#[tokio::test]
async fn filters_choose_and_event_bridge_gets_all() {
    let mut store = Store::with_master().await;
    let rule =
        |name: FilterRuleName, value: &str| FilterRule::builder().name(name).value(value).build();
    let filter = S3KeyFilter::builder()
        .filter_rules(rule(FilterRuleName::Prefix, "in/"))
        .filter_rules(rule(FilterRuleName::Suffix, ".txt"))
        .build();
    let queue = QueueConfiguration::builder()
        .queue_arn(QUEUE)
        .set_events(Some(events(&["s3:ObjectCreated:Put"])))
        .filter(
            NotificationConfigurationFilter::builder()
                .key(filter)
                .build(),
        )
        .build()
        .unwrap();
    let configuration = NotificationConfiguration::builder()
        .queue_configurations(queue)
        .event_bridge_configuration(EventBridgeConfiguration::builder().build())
        .build();
    configure(&store, configuration).await;
    let test = store.notifications();
    assert_eq!(test.len(), 1);
    assert_eq!(
        test[0].destination,
        Destination::Queue {
            arn: QUEUE.to_owned()
        }
    );
    assert!(
        test[0]
            .body
            .starts_with(r#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"#)
    );

    store.put("in/a.txt", "x").await;
    store.put("in/a.png", "x").await;
    let notifications = store.notifications();
    let is_bridge = |one: &&Notification| one.destination == Destination::EventBridge;
    let bridged: Vec<_> = notifications.iter().filter(is_bridge).collect();
    assert_eq!((notifications.len(), bridged.len()), (3, 2));
    let body: Value = serde_json::from_str(&bridged[1].body).unwrap();
    assert_eq!(body["detail-type"], "Object Created");
    assert_eq!(body["detail"]["object"]["key"], "in/a.png");

    let get = store
        .client
        .get_bucket_notification_configuration()
        .bucket(MASTER);
    let kept = get.send().await.unwrap();
    assert!(kept.queue_configurations()[0].id().is_some());
    assert!(kept.event_bridge_configuration().is_some());
}
