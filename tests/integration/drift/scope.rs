//! Which keys are covered: notification rules, prefixes, patterns.

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, LambdaFunctionConfiguration, NotificationConfiguration,
    NotificationConfigurationFilter, S3KeyFilter,
};
use rstest::rstest;
use s3_replicator::local::faults::Effect;

use super::place::Place;

const KEYS: [&str; 5] = ["a/1.txt", "a/2.csv", "a/tmp/3.txt", "b/4.txt", "c.txt"];

async fn with_keys() -> Place {
    let place = Place::embedded(1).await;
    for key in KEYS {
        place.put("master", key, "x").await;
    }
    place
}

/// Gives the master a notification rule for objects that are created.
async fn notify(place: &Place, prefix: &str, suffix: &str) {
    let rule =
        |name: FilterRuleName, value: &str| FilterRule::builder().name(name).value(value).build();
    let key = S3KeyFilter::builder()
        .filter_rules(rule(FilterRuleName::Prefix, prefix))
        .filter_rules(rule(FilterRuleName::Suffix, suffix));
    let filter = NotificationConfigurationFilter::builder().key(key.build());
    let function = LambdaFunctionConfiguration::builder()
        .lambda_function_arn("arn:aws:lambda:us-east-1:123456789012:function:s3-replicator")
        .events(Event::from("s3:ObjectCreated:*"))
        .filter(filter.build());
    let rules = NotificationConfiguration::builder()
        .lambda_function_configurations(function.build().unwrap());
    let put = place
        .client
        .put_bucket_notification_configuration()
        .bucket("master");
    put.notification_configuration(rules.build())
        .send()
        .await
        .unwrap();
}

/// The keys that are found to be missing.
async fn missing(place: &Place, uri: &str, arguments: &[&str]) -> Vec<String> {
    let base = ["verify", uri, "--json", "--settle", "0"];
    let verified = place.run(&[&base, arguments].concat()).await;
    assert_eq!(verified.code, Some(1), "{}", verified.errors);
    let key = |said: String| said.split(' ').nth(1).unwrap().to_owned();
    verified.said().into_iter().map(key).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn notification_rules_say_what_is_covered_unless_a_prefix_does() {
    let place = with_keys().await;
    assert_eq!(
        missing(&place, "s3://master", &[]).await,
        KEYS,
        "without rules, all"
    );
    notify(&place, "a/", ".txt").await;
    assert_eq!(
        missing(&place, "s3://master", &[]).await,
        ["a/1.txt", "a/tmp/3.txt"]
    );
    assert_eq!(missing(&place, "s3://master/", &[]).await, KEYS);
    assert_eq!(missing(&place, "s3://master/b", &[]).await, ["b/4.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn encoded_rule_covers_what_it_encodes_and_what_it_says() {
    let place = Place::embedded(1).await;
    for key in ["a b/é.txt", "a+b/%C3%A9.txt", "other"] {
        place.put("master", key, "x").await;
    }
    notify(&place, "a+b/", "%C3%A9.txt").await;
    let verified = place.verify(&[]).await;
    let expected = [
        "replica-1 a b/é.txt missing",
        "replica-1 a+b/%C3%A9.txt missing",
    ];
    assert_eq!(verified.said(), expected, "{}", verified.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_cover_no_key_are_not_right() {
    let place = with_keys().await;
    notify(&place, "nothing/", "").await;
    for command in ["verify", "sync"] {
        let ran = place.run(&[command, "s3://master"]).await;
        assert_eq!(ran.code, Some(2), "{}", ran.errors);
        assert!(ran.errors.contains("nothing/*"), "{}", ran.errors);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_cannot_be_read_are_not_guessed() {
    let place = with_keys().await;
    place.fault(
        "GetBucketNotificationConfiguration",
        "master",
        0,
        Effect::Answer(403),
    );
    let refused = place.sync(&["--delete"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.errors.contains("s3://master/"),
        "{}",
        refused.errors
    );
    assert!(place.keys("replica-1").await.is_empty());
}

#[rstest]
#[case::exclude(&["--exclude", "*.txt"], &["a/2.csv"])]
#[case::include_again(&["--exclude", "*", "--include", "a/*"], &["a/1.txt", "a/2.csv", "a/tmp/3.txt"])]
#[case::order_matters(
    &["--exclude", "*", "--include", "a/*", "--exclude", "a/tmp/*"], &["a/1.txt", "a/2.csv"])]
#[case::start_after(&["--start-after", "a/2.csv"], &["a/tmp/3.txt", "b/4.txt", "c.txt"])]
#[tokio::test(flavor = "multi_thread")]
async fn patterns_select_keys_in_their_order(
    #[case] arguments: &[&str],
    #[case] expected: &[&str],
) {
    let place = with_keys().await;
    assert_eq!(missing(&place, "s3://master", arguments).await, expected);
    let synced = place.sync(arguments).await;
    assert_eq!(synced.code, Some(0), "{}", synced.errors);
    assert_eq!(place.keys("replica-1").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn excluded_keys_are_not_deleted() {
    let place = Place::embedded(1).await;
    place.put("master", "k", "x").await;
    place.put("replica-1", "k", "x").await;
    place.put("replica-1", "a.tmp", "x").await;
    place.put("replica-1", "a.txt", "x").await;
    let synced = place.sync(&["--delete", "--exclude", "*.tmp"]).await;
    assert_eq!(synced.code, Some(0), "{}", synced.errors);
    assert_eq!(place.keys("replica-1").await, ["a.tmp", "k"]);
}
