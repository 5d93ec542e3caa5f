//! Tables of merging and unmerging.

use aws_sdk_s3::types::{EventBridgeConfiguration, TopicConfiguration};
use rstest::rstest;

use super::*;

const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:events";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:replicator";

fn wanted(arn: &str, prefix: &str, suffix: &str) -> Rule {
    Rule::ours(&arn.parse().unwrap(), prefix, suffix)
}

/// Other people's rules: a topic with a filter, and EventBridge.
fn others(events: &[&str], prefix: &str, suffix: &str) -> NotificationConfiguration {
    let rule = |name: &str, value: &str| {
        let name = FilterRuleName::from(name);
        FilterRule::builder().name(name).value(value).build()
    };
    let key = S3KeyFilter::builder()
        .filter_rules(rule("Suffix", suffix))
        .filter_rules(rule("Prefix", prefix))
        .build();
    let topic = TopicConfiguration::builder()
        .id("theirs")
        .topic_arn("arn:aws:sns:us-east-1:123456789012:topic")
        .set_events(Some(events.iter().map(|it| Event::from(*it)).collect()))
        .filter(NotificationConfigurationFilter::builder().key(key).build())
        .build()
        .unwrap();
    NotificationConfiguration::builder()
        .topic_configurations(topic)
        .event_bridge_configuration(EventBridgeConfiguration::builder().build())
        .build()
}

#[rstest]
fn rule_is_added_once_and_taken_away_again(
    #[values(QUEUE, FUNCTION)] arn: &str,
    #[values(("", ""), ("in/", ""), ("in/", ".txt"), ("a b+c/é", "%"))] (prefix, suffix): (
        &str,
        &str,
    ),
) {
    let before = others(&["s3:ObjectRestore:Post"], "a/", "");
    let wanted = wanted(arn, prefix, suffix);
    let merged = with_rule(&before, &wanted, false).unwrap();
    assert_eq!(ours(&merged), Some(wanted.clone()));
    assert_eq!(rules(&merged).len(), 2);
    assert_eq!(merged.topic_configurations, before.topic_configurations);
    assert_eq!(with_rule(&merged, &wanted, false).unwrap(), merged);
    assert!(are_equal(&without_rule(&merged), &before));
}

#[rstest]
fn earlier_rule_of_ours_is_replaced(#[values(QUEUE, FUNCTION)] earlier: &str) {
    let before = NotificationConfiguration::builder().build();
    let before = with_rule(&before, &wanted(earlier, "old/", ""), false).unwrap();
    let wanted = wanted(QUEUE, "new/", "");
    let merged = with_rule(&before, &wanted, false).unwrap();
    assert_eq!(rules(&merged), [wanted]);
}

#[rstest]
#[case::same_event(&["s3:ObjectCreated:*"], "", "", "", "", true)]
#[case::part_of_a_kind(&["s3:ObjectCreated:Put"], "", "", "", "", true)]
#[case::expired(&["s3:LifecycleExpiration:Delete"], "", "", "", "", true)]
#[case::other_event(&["s3:ObjectRestore:*", "s3:Replication:*"], "", "", "", "", false)]
#[case::other_prefix(&["s3:ObjectCreated:*"], "a/", "", "b/", "", false)]
#[case::other_prefix_that_is_encoded(&["s3:ObjectCreated:*"], "a+b/", "", "a+b/", "", false)]
#[case::nested_prefix_that_is_encoded(&["s3:ObjectCreated:*"], "a+b/", "", "a b/c", "", true)]
#[case::nested_prefix(&["s3:ObjectCreated:*"], "a/", "", "a/b", "", true)]
#[case::other_suffix(&["s3:ObjectCreated:*"], "a/", ".png", "a/", ".txt", false)]
#[case::nested_suffix(&["s3:ObjectCreated:*"], "a/", "g", "a/", ".png", true)]
#[case::prefix_and_suffix_are_apart(&["s3:ObjectCreated:*"], "a/", ".png", "b/", ".png", false)]
fn rule_beside_which_s3_refuses_ours_is_named(
    #[case] events: &[&str],
    #[case] prefix: &str,
    #[case] suffix: &str,
    #[case] our_prefix: &str,
    #[case] our_suffix: &str,
    #[case] refused: bool,
) {
    let before = others(events, prefix, suffix);
    let merged = with_rule(&before, &wanted(QUEUE, our_prefix, our_suffix), false);
    let conflicts = merged.err().unwrap_or_default();
    let named: Vec<&str> = conflicts.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(named, if refused { vec!["theirs"] } else { vec![] });
}

#[test]
fn rule_that_somebody_else_made_alike_is_left_as_it_is() {
    let queue = QueueConfiguration::builder()
        .id("by-the-template")
        .queue_arn(QUEUE)
        .set_events(Some(
            EVENTS.iter().rev().map(|it| Event::from(*it)).collect(),
        ))
        .build()
        .unwrap();
    let before = NotificationConfiguration::builder()
        .queue_configurations(queue)
        .build();
    assert_eq!(
        with_rule(&before, &wanted(QUEUE, "", ""), false).unwrap(),
        before
    );
    assert_eq!(without_rule(&before), before);
}

#[rstest]
#[case::part_of_ours(QUEUE, &["s3:ObjectCreated:Put", "s3:ObjectRemoved:*"], "in/a", true)]
#[case::other_events(QUEUE, &["s3:ObjectCreated:Put", "s3:ObjectRestore:*"], "in/", false)]
#[case::more_keys(QUEUE, &["s3:ObjectCreated:Put"], "", false)]
#[case::other_queue("arn:aws:sqs:us-east-1:1:other", &["s3:ObjectCreated:Put"], "in/", false)]
fn rule_that_says_less_to_the_same_queue_is_replaced_when_asked(
    #[case] arn: &str,
    #[case] events: &[&str],
    #[case] prefix: &str,
    #[case] is_replaced: bool,
) {
    let theirs = QueueConfiguration::builder()
        .id("by-hand")
        .queue_arn(arn)
        .set_events(Some(events.iter().map(|it| Event::from(*it)).collect()))
        .set_filter(filter(&wanted(QUEUE, prefix, "")))
        .build()
        .unwrap();
    let before = NotificationConfiguration::builder()
        .queue_configurations(theirs)
        .build();
    let wanted = wanted(QUEUE, "in/", "");
    assert!(with_rule(&before, &wanted, false).is_err());
    match with_rule(&before, &wanted, true) {
        Ok(merged) => assert_eq!((rules(&merged), is_replaced), (vec![wanted], true)),
        Err(conflicts) => assert_eq!((conflicts.len(), is_replaced), (1, false)),
    }
}

#[test]
fn topic_of_our_id_is_somebody_elses() {
    let mut before = others(&["s3:ObjectCreated:*"], "", "");
    before.topic_configurations.as_mut().unwrap()[0].id = Some(RULE.to_owned());
    assert_eq!(ours(&before), None);
    assert_eq!(without_rule(&before), before);
    let conflicts = with_rule(&before, &wanted(QUEUE, "", ""), false).unwrap_err();
    assert_eq!(conflicts.len(), 1);
}

#[test]
fn filter_is_written_as_s3_reads_it() {
    let before = NotificationConfiguration::builder().build();
    let merged = with_rule(&before, &wanted(QUEUE, "a b+c/é", ".txt"), false).unwrap();
    let written = filters(merged.queue_configurations()[0].filter());
    assert_eq!(
        written.collect::<Vec<_>>(),
        [("prefix", "a+b%2Bc/%C3%A9"), ("suffix", ".txt")]
    );
}

#[test]
fn configuration_is_shown_as_the_aws_cli_writes_it() {
    let before = others(&["s3:ObjectRestore:Post"], "a/", "z");
    let shown = to_json(&with_rule(&before, &wanted(QUEUE, "in/", ""), false).unwrap());
    assert_eq!(
        shown,
        json!({
            "QueueConfigurations": [{
                "Id": "s3-replicator",
                "QueueArn": QUEUE,
                "Events": [
                    "s3:LifecycleExpiration:*",
                    "s3:ObjectCreated:*",
                    "s3:ObjectRemoved:*",
                    "s3:ObjectTagging:*",
                ],
                "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}},
            }],
            "TopicConfigurations": [{
                "Id": "theirs",
                "TopicArn": "arn:aws:sns:us-east-1:123456789012:topic",
                "Events": ["s3:ObjectRestore:Post"],
                "Filter": {"Key": {"FilterRules": [
                    {"Name": "Suffix", "Value": "z"},
                    {"Name": "Prefix", "Value": "a/"},
                ]}},
            }],
            "EventBridgeConfiguration": {},
        })
    );
}
