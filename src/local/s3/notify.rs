//! Event notifications: which configured rule an operation matches, and the bodies that S3 sends.
//!
//! Invariant: what leaves here is byte for byte of the shape that AWS sends (keys encoded, no
//! size and ETag on removals, `s3:TestEvent` to queues and topics only), since it is what the
//! function's parser is tested with.

use s3s::dto::{EventList, NotificationConfiguration, NotificationConfigurationFilter};
use s3s::{S3Result, s3_error};

use crate::change::decode_filter;

/// Where a notification goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A Lambda function.
    Function {
        /// The function's name as the configuration gives it.
        arn: String,
    },
    /// An SQS queue.
    Queue {
        /// The queue's name as the configuration gives it.
        arn: String,
    },
    /// An SNS topic.
    Topic {
        /// The topic's name as the configuration gives it.
        arn: String,
    },
    /// The account's default event bus.
    EventBridge,
}

/// One notification as it leaves the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Whom the bucket's configuration names.
    pub destination: Destination,
    /// The bucket that it is about.
    pub bucket: String,
    /// JSON exactly as AWS sends it to that destination, not wrapped into anything:
    /// `{"Records":[…]}`, an `s3:TestEvent`, or an EventBridge event.
    pub body: String,
}

/// One destination of a bucket's notification configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) id: String,
    pub(super) destination: Destination,
    events: Vec<String>,
    /// Of keys, not encoded as in the configuration; so is the suffix.
    prefix: String,
    suffix: String,
}

impl Rule {
    /// Everything that can change an object.
    pub(super) fn of_everything(destination: Destination) -> Self {
        let events = ["ObjectCreated:*", "ObjectRemoved:*", "ObjectTagging:*"];
        Self {
            id: "s3-replicator".to_owned(),
            destination,
            events: events.map(str::to_owned).to_vec(),
            prefix: String::new(),
            suffix: String::new(),
        }
    }

    /// Whether it is for an event such as `ObjectCreated:Put` of `key`.
    pub(super) fn matches(&self, event: &str, key: &str) -> bool {
        self.destination != Destination::EventBridge
            && self.events.iter().any(|pattern| covers(pattern, event))
            && key.starts_with(&self.prefix)
            && key.ends_with(&self.suffix)
    }
}

/// What can be subscribed to; `*` stands for every event of a kind.
const EVENTS: [&str; 27] = [
    "ObjectCreated:*",
    "ObjectCreated:Put",
    "ObjectCreated:Post",
    "ObjectCreated:Copy",
    "ObjectCreated:CompleteMultipartUpload",
    "ObjectRemoved:*",
    "ObjectRemoved:Delete",
    "ObjectRemoved:DeleteMarkerCreated",
    "ObjectTagging:*",
    "ObjectTagging:Put",
    "ObjectTagging:Delete",
    "ObjectAcl:Put",
    "ObjectRestore:*",
    "ObjectRestore:Post",
    "ObjectRestore:Completed",
    "ObjectRestore:Delete",
    "LifecycleExpiration:*",
    "LifecycleExpiration:Delete",
    "LifecycleExpiration:DeleteMarkerCreated",
    "LifecycleTransition",
    "IntelligentTiering",
    "ReducedRedundancyLostObject",
    "Replication:*",
    "Replication:OperationFailedReplication",
    "Replication:OperationMissedThreshold",
    "Replication:OperationReplicatedAfterThreshold",
    "Replication:OperationNotTracked",
];

fn covers(pattern: &str, event: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(kind) => event.starts_with(kind),
        None => event == pattern,
    }
}

/// The rules that a configuration amounts to. Missing ids are filled in, as S3 does.
///
/// # Errors
/// `InvalidArgument` for unknown events, malformed ARNs and filters, and for two rules that would
/// both have to be told of one event.
pub(super) fn rules(
    configuration: &mut NotificationConfiguration,
    mut new_id: impl FnMut() -> String,
) -> S3Result<Vec<Rule>> {
    let mut rules = Vec::new();
    for one in configuration
        .lambda_function_configurations
        .iter_mut()
        .flatten()
    {
        let id = one.id.get_or_insert_with(&mut new_id).clone();
        let arn = checked_arn(&one.lambda_function_arn, "lambda")?;
        rules.push(rule(
            id,
            Destination::Function { arn },
            &one.events,
            one.filter.as_ref(),
        )?);
    }
    for one in configuration.queue_configurations.iter_mut().flatten() {
        let id = one.id.get_or_insert_with(&mut new_id).clone();
        let arn = checked_arn(&one.queue_arn, "sqs")?;
        rules.push(rule(
            id,
            Destination::Queue { arn },
            &one.events,
            one.filter.as_ref(),
        )?);
    }
    for one in configuration.topic_configurations.iter_mut().flatten() {
        let id = one.id.get_or_insert_with(&mut new_id).clone();
        let arn = checked_arn(&one.topic_arn, "sns")?;
        rules.push(rule(
            id,
            Destination::Topic { arn },
            &one.events,
            one.filter.as_ref(),
        )?);
    }
    let overlaps = rules
        .iter()
        .enumerate()
        .any(|(i, rule)| rules[..i].iter().any(|other| overlap(rule, other)));
    if overlaps {
        return Err(s3_error!(
            InvalidArgument,
            "Configurations overlap. Configurations on the same bucket cannot share a common event \
             type."
        ));
    }
    if configuration.event_bridge_configuration.is_some() {
        rules.push(Rule {
            id: String::new(),
            destination: Destination::EventBridge,
            events: Vec::new(),
            prefix: String::new(),
            suffix: String::new(),
        });
    }
    Ok(rules)
}

fn rule(
    id: String,
    destination: Destination,
    events: &EventList,
    filter: Option<&NotificationConfigurationFilter>,
) -> S3Result<Rule> {
    if events.is_empty() {
        return Err(s3_error!(MalformedXML));
    }
    let events = events.iter().map(|event| {
        let name = event
            .as_ref()
            .strip_prefix("s3:")
            .filter(|name| EVENTS.contains(name));
        name.map(str::to_owned).ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "The event '{}' is not supported for notifications",
                event.as_ref()
            )
        })
    });
    let mut rule = Rule {
        id,
        destination,
        events: events.collect::<S3Result<_>>()?,
        prefix: String::new(),
        suffix: String::new(),
    };
    let filter = filter.and_then(|filter| filter.key.as_ref());
    for one in filter
        .and_then(|key| key.filter_rules.as_ref())
        .into_iter()
        .flatten()
    {
        let name = one
            .name
            .as_ref()
            .map(|name| name.as_str().to_ascii_lowercase());
        let value = decode_filter(one.value.as_deref().unwrap_or_default());
        match name.as_deref() {
            Some("prefix") => rule.prefix = value,
            Some("suffix") => rule.suffix = value,
            _ => {
                return Err(s3_error!(
                    InvalidArgument,
                    "filter rule name must be either prefix or suffix"
                ));
            }
        }
    }
    Ok(rule)
}

fn checked_arn(arn: &str, service: &str) -> S3Result<String> {
    let fields: Vec<&str> = arn.splitn(6, ':').collect();
    match fields[..] {
        ["arn", partition, found, _, _, resource]
            if partition.starts_with("aws") && found == service && !resource.is_empty() =>
        {
            Ok(arn.to_owned())
        }
        _ => Err(s3_error!(InvalidArgument, "The ARN is not well formed")),
    }
}

fn overlap(a: &Rule, b: &Rule) -> bool {
    let share_an_event = a.events.iter().any(|one| {
        b.events
            .iter()
            .any(|other| covers(one, other) || covers(other, one))
    });
    let nested = |a: &str, b: &str| a.starts_with(b) || b.starts_with(a);
    let ends_alike = a.suffix.ends_with(&b.suffix) || b.suffix.ends_with(&a.suffix);
    share_an_event && nested(&a.prefix, &b.prefix) && ends_alike
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use s3s::dto::{FilterRule, FilterRuleName, QueueConfiguration, S3KeyFilter};

    use super::*;

    fn queue(events: &[&str], prefix: &str, suffix: &str) -> QueueConfiguration {
        let filter = |name: &'static str, value: &str| FilterRule {
            name: Some(FilterRuleName::from_static(name)),
            value: Some(value.to_owned()),
        };
        QueueConfiguration {
            events: events
                .iter()
                .map(|event| event.to_string().into())
                .collect(),
            filter: Some(NotificationConfigurationFilter {
                key: Some(S3KeyFilter {
                    filter_rules: Some(vec![filter("prefix", prefix), filter("Suffix", suffix)]),
                }),
            }),
            id: None,
            queue_arn: "arn:aws:sqs:us-east-1:123456789012:events".to_owned(),
        }
    }

    fn configuration(queues: Vec<QueueConfiguration>) -> NotificationConfiguration {
        NotificationConfiguration {
            queue_configurations: Some(queues),
            ..Default::default()
        }
    }

    fn parse(queues: Vec<QueueConfiguration>) -> S3Result<Vec<Rule>> {
        rules(&mut configuration(queues), || "generated".to_owned())
    }

    #[rstest]
    #[case::wildcard("s3:ObjectCreated:*", "ObjectCreated:Copy", "a/b.txt", true)]
    #[case::exact("s3:ObjectCreated:Put", "ObjectCreated:Put", "a/b.txt", true)]
    #[case::other_event("s3:ObjectCreated:Put", "ObjectCreated:Copy", "a/b.txt", false)]
    #[case::other_kind("s3:ObjectCreated:*", "ObjectRemoved:Delete", "a/b.txt", false)]
    #[case::other_prefix("s3:ObjectCreated:*", "ObjectCreated:Put", "b/b.txt", false)]
    #[case::other_suffix("s3:ObjectCreated:*", "ObjectCreated:Put", "a/b.png", false)]
    fn rules_match(
        #[case] pattern: &str,
        #[case] event: &str,
        #[case] key: &str,
        #[case] expected: bool,
    ) {
        let rules = parse(vec![queue(&[pattern], "a/", ".txt")]).unwrap();
        assert_eq!(rules[0].matches(event, key), expected);
    }

    #[rstest]
    #[case::as_it_is("a b+c/é.txt", true)]
    #[case::as_it_is_written("a+b%2Bc/%C3%A9.txt", false)]
    fn filter_is_decoded(#[case] key: &str, #[case] expected: bool) {
        let encoded = queue(&["s3:ObjectCreated:*"], "a+b%2Bc/%C3%A9", ".txt");
        let rules = parse(vec![encoded]).unwrap();
        assert_eq!(rules[0].matches("ObjectCreated:Put", key), expected);
    }

    #[rstest]
    #[case::same(queue(&["s3:ObjectCreated:Put"], "", ""), false)]
    #[case::other_event(queue(&["s3:ObjectRemoved:*"], "", ""), true)]
    #[case::other_suffix(queue(&["s3:ObjectCreated:Put"], "", ".png"), true)]
    fn rules_must_not_overlap(#[case] second: QueueConfiguration, #[case] valid: bool) {
        let first = queue(&["s3:ObjectCreated:*"], "a/", ".txt");
        assert_eq!(parse(vec![first, second]).is_ok(), valid);
    }

    #[rstest]
    #[case::unknown_event(queue(&["s3:ObjectCreated:Upload"], "", ""))]
    #[case::test_event(queue(&["s3:TestEvent"], "", ""))]
    #[case::no_prefix_s3(queue(&["ObjectCreated:Put"], "", ""))]
    #[case::arn_of_another_service(QueueConfiguration {
        queue_arn: "arn:aws:sns:us-east-1:123456789012:events".to_owned(),
        ..queue(&["s3:ObjectCreated:Put"], "", "")
    })]
    fn invalid_configurations_are_refused(#[case] queue: QueueConfiguration) {
        assert_eq!(
            parse(vec![queue]).unwrap_err().code().as_str(),
            "InvalidArgument"
        );
    }

    #[test]
    fn missing_ids_are_filled_in() {
        let mut configuration = configuration(vec![queue(&["s3:ObjectCreated:*"], "", "")]);
        rules(&mut configuration, || "generated".to_owned()).unwrap();
        let queues = configuration.queue_configurations.unwrap();
        assert_eq!(queues[0].id.as_deref(), Some("generated"));
    }
}
