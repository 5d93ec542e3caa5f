//! Whether the function hears of every change, and of each once.
//!
//! Pure.

use aws_sdk_s3::types::NotificationConfiguration;

use crate::cli::arn::Destination;
use crate::cli::diagnosis::Finding;
use crate::cli::setup::rules::{EVENTS, RULE, Rule, rules};

/// Who hears of changes, and of which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) destinations: Vec<Destination>,
    /// What all keys start with.
    pub(super) prefix: String,
}

/// What the rules of a bucket miss, and where those lead that are ours: what was named, or our own
/// rule's, or else every rule that tells of changes.
pub(super) fn judge(
    configuration: &NotificationConfiguration,
    named: Option<&Destination>,
    master: &str,
) -> (Vec<Finding>, Heard) {
    let all = rules(configuration);
    let tells_of_changes = |rule: &&Rule| rule.events.iter().any(|it| is_change(it));
    let relevant: Vec<&Rule> = match named {
        Some(named) => all.iter().filter(|it| it.arn == named.arn()).collect(),
        None if all.iter().any(|it| it.id == RULE) => {
            all.iter().filter(|it| it.id == RULE).collect()
        }
        None => all.iter().filter(tells_of_changes).collect(),
    };
    let mut findings = Vec::new();
    let by_event_bridge = configuration.event_bridge_configuration.is_some();
    let setup = |destination: &str| {
        let option = match destination.parse::<Destination>() {
            Ok(destination) => destination.option(),
            Err(_) => "--queue ARN".to_owned(),
        };
        format!("s3-replicator setup --master {master} {option}")
    };
    if relevant.is_empty() {
        findings.push(match by_event_bridge {
            true => Finding::unknown(
                "notification",
                format!("s3://{master} tells EventBridge: whose rules are not looked at"),
            ),
            false => Finding::error(
                "notification",
                format!("s3://{master} tells nobody of its changes"),
                setup(named.map_or("", |it| it.arn())),
            ),
        });
    } else if by_event_bridge {
        findings.push(Finding::warning(
            "notification",
            format!(
                "s3://{master} tells EventBridge as well: if a rule there leads to the same \
                     function, each change is looked at twice, which costs and harms nothing"
            ),
            "keep one way, or leave it",
        ));
    }
    let mut arns: Vec<&str> = relevant.iter().map(|it| it.arn.as_str()).collect();
    arns.sort_unstable();
    arns.dedup();
    let mut destinations = Vec::new();
    for arn in arns {
        let of_it: Vec<&&Rule> = relevant.iter().filter(|it| it.arn == arn).collect();
        let covered = |event: &&str| of_it.iter().any(|rule| rule.covers(event));
        let missing: Vec<&str> = EVENTS.into_iter().filter(|it| !covered(it)).collect();
        if missing.is_empty() {
            for rule in &of_it {
                findings.push(Finding::ok("notification", rule.describe()));
            }
        } else {
            findings.push(Finding::error(
                "notification",
                format!("{arn} is not told of {}", missing.join(", ")),
                setup(arn),
            ));
        }
        match arn.parse() {
            Ok(destination) => destinations.push(destination),
            Err(_) => findings.push(Finding::unknown(
                "notification",
                format!(
                    "{arn} is neither a queue nor a function: who hears of it is not looked at"
                ),
            )),
        }
    }
    let prefix = match relevant.as_slice() {
        [rule] => rule.prefix.clone(),
        _ => String::new(),
    };
    let heard = Heard {
        destinations,
        prefix,
    };
    (findings, heard)
}

fn is_change(event: &str) -> bool {
    let kind = |it: &str| it.split(':').nth(1).map(str::to_owned);
    EVENTS.iter().any(|ours| kind(ours) == kind(event))
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{
        Event, EventBridgeConfiguration, QueueConfiguration, TopicConfiguration,
    };
    use rstest::rstest;

    use super::super::super::diagnosis::Status;
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:events";
    const OTHER: &str = "arn:aws:sqs:us-east-1:123456789012:other";

    fn queue(id: &str, arn: &str, events: &[&str]) -> QueueConfiguration {
        QueueConfiguration::builder()
            .id(id)
            .queue_arn(arn)
            .set_events(Some(events.iter().map(|it| Event::from(*it)).collect()))
            .build()
            .unwrap()
    }

    fn statuses(findings: &[Finding]) -> Vec<Status> {
        findings.iter().map(|it| it.status).collect()
    }

    #[rstest]
    #[case::all(vec![queue(RULE, QUEUE, &EVENTS)], &[Status::Ok], &[QUEUE])]
    #[case::nothing(vec![], &[Status::Error], &[])]
    #[case::puts_only(
        vec![queue("x", QUEUE, &["s3:ObjectCreated:Put"])],
        &[Status::Error],
        &[QUEUE]
    )]
    #[case::split_over_rules(
        vec![queue("a", QUEUE, &EVENTS[..2]), queue("b", QUEUE, &EVENTS[2..])],
        &[Status::Ok, Status::Ok],
        &[QUEUE]
    )]
    #[case::ours_beside_others(
        vec![queue("x", OTHER, &["s3:ObjectCreated:Put"]), queue(RULE, QUEUE, &EVENTS)],
        &[Status::Ok],
        &[QUEUE]
    )]
    #[case::others_of_no_interest(
        vec![queue("x", OTHER, &["s3:ObjectRestore:Post"])],
        &[Status::Error],
        &[]
    )]
    fn rules_are_judged(
        #[case] queues: Vec<QueueConfiguration>,
        #[case] expected: &[Status],
        #[case] destinations: &[&str],
    ) {
        let configuration = NotificationConfiguration::builder()
            .set_queue_configurations(Some(queues))
            .build();
        let (findings, found) = judge(&configuration, None, "master");
        assert_eq!(statuses(&findings), expected, "{findings:?}");
        let found: Vec<&str> = found.destinations.iter().map(|it| it.arn()).collect();
        assert_eq!(found, destinations);
    }

    #[test]
    fn what_cannot_be_looked_at_does_not_pass() {
        let configuration = NotificationConfiguration::builder()
            .event_bridge_configuration(EventBridgeConfiguration::builder().build());
        let (findings, _) = judge(&configuration.clone().build(), None, "master");
        assert_eq!(statuses(&findings), [Status::Unknown]);
        let topic = TopicConfiguration::builder()
            .topic_arn("arn:aws:sns:us-east-1:123456789012:t")
            .set_events(Some(EVENTS.map(Event::from).to_vec()))
            .build();
        let configuration = configuration.topic_configurations(topic.unwrap()).build();
        let (findings, _) = judge(&configuration, None, "master");
        assert_eq!(
            statuses(&findings),
            [Status::Warning, Status::Ok, Status::Unknown]
        );
    }

    #[test]
    fn named_destination_is_the_one_that_is_asked_about() {
        let configuration = NotificationConfiguration::builder()
            .queue_configurations(queue(RULE, QUEUE, &EVENTS))
            .build();
        let (findings, found) = judge(&configuration, Some(&OTHER.parse().unwrap()), "master");
        assert_eq!(statuses(&findings), [Status::Error]);
        assert!(findings[0].mend.as_ref().unwrap().contains(OTHER));
        assert!(found.destinations.is_empty());
    }
}
