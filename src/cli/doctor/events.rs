//! Whether the function hears of every change, and of each once.
//!
//! Pure.

use aws_sdk_s3::types::NotificationConfiguration;

use crate::cli::arn::Destination;
use crate::cli::diagnosis::Finding;
use crate::cli::setup::rules::{Channel, EVENTS, Rule, channels, rules};

/// Who hears of changes, and of which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) destinations: Vec<Destination>,
    /// What all keys start with.
    pub(super) prefix: String,
}

/// What the rules of a bucket miss, and where those lead that are ours: what was named, or our own
/// rule's, or else every place that is told of all changes.
pub(super) fn judge(
    configuration: &NotificationConfiguration,
    named: Option<&Destination>,
    master: &str,
) -> (Vec<Finding>, Heard) {
    let all = rules(configuration);
    let relevant: Option<Vec<&Rule>> = match named {
        Some(named) => Some(all.iter().filter(|it| it.arn == named.arn()).collect()),
        None => all.iter().find(|it| it.is_ours()).map(|ours| vec![ours]),
    };
    let (mut findings, followed) = match relevant {
        Some(relevant) => of_ours(&relevant, named, master),
        None => of_others(
            &all,
            configuration.event_bridge_configuration.is_some(),
            master,
        ),
    };
    if !followed.is_empty() && configuration.event_bridge_configuration.is_some() {
        findings.push(Finding::warning(
            "notification",
            format!(
                "s3://{master} tells EventBridge as well: if a rule there leads to the same \
                     function, each change is looked at twice, which costs and harms nothing"
            ),
            "keep one way, or leave it",
        ));
    }
    let mut arns: Vec<&str> = followed.iter().map(|it| it.arn.as_str()).collect();
    arns.dedup();
    let mut destinations = Vec::new();
    for arn in arns {
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
    let prefix = match followed.as_slice() {
        [channel] => channel.prefix.clone(),
        _ => String::new(),
    };
    let heard = Heard {
        destinations,
        prefix,
    };
    (findings, heard)
}

/// What our rule misses, or those that send to the named destination.
fn of_ours(
    relevant: &[&Rule],
    named: Option<&Destination>,
    master: &str,
) -> (Vec<Finding>, Vec<Channel>) {
    let channels = channels(relevant);
    if channels.is_empty() {
        let arn = named.map_or("", |it| it.arn());
        let found = format!("s3://{master} tells {arn} nothing");
        let error = Finding::error("notification", found, setup(master, arn, "", ""));
        return (vec![error], channels);
    }
    let findings = channels.iter().map(|it| {
        let what = it.describe();
        match it.missing.as_slice() {
            [] => Finding::ok("notification", format!("all changes {what} are sent")),
            missing => {
                // Where others made the rule, setup puts its own into its place only if asked.
                let replace = match relevant.iter().all(|it| it.is_ours()) {
                    true => "",
                    false => " --replace",
                };
                let setup = setup(master, &it.arn, &it.prefix, &it.suffix);
                let found = format!("{} {what} is not sent", missing.join(", "));
                Finding::error("notification", found, setup + replace)
            }
        }
    });
    (findings.collect(), channels)
}

/// What can be said of rules that nobody says are the function's: they may be anybody's.
fn of_others(all: &[Rule], by_event_bridge: bool, master: &str) -> (Vec<Finding>, Vec<Channel>) {
    let tells_of_changes = |rule: &&Rule| rule.events.iter().any(|it| is_change(it));
    let relevant: Vec<&Rule> = all.iter().filter(tells_of_changes).collect();
    let (whole, parts): (Vec<Channel>, Vec<Channel>) = channels(&relevant)
        .into_iter()
        .partition(|it| it.missing.is_empty());
    let unknown = |it: &Channel| {
        let changes = match it.missing.as_slice() {
            [] => "all changes".to_owned(),
            missing => format!("changes, without {},", missing.join(", ")),
        };
        let why = format!(
            "others' rules send {changes} {}: whether that is for the function, say with \
             --destination ARN",
            it.describe()
        );
        Finding::unknown("notification", why)
    };
    let mut findings: Vec<Finding> = whole.iter().chain(&parts).map(unknown).collect();
    if whole.is_empty() && by_event_bridge {
        let why = format!("s3://{master} tells EventBridge, whose rules are not looked at");
        findings.push(Finding::unknown("notification", why));
    } else if whole.is_empty() {
        let found = match parts.as_slice() {
            [] => format!("s3://{master} tells nobody of its changes"),
            _ => format!("s3://{master} tells nobody of all its changes"),
        };
        findings.push(Finding::error(
            "notification",
            found,
            setup(master, "", "", ""),
        ));
    }
    (findings, whole)
}

/// The command that has everything sent there, for the same keys.
fn setup(master: &str, arn: &str, prefix: &str, suffix: &str) -> String {
    let option = match arn.parse::<Destination>() {
        Ok(destination) => destination.option(),
        Err(_) => "--queue ARN".to_owned(),
    };
    let mut command = format!("s3-replicator setup --master {master} {option}");
    for (option, text) in [("--prefix", prefix), ("--suffix", suffix)] {
        if !text.is_empty() {
            command.push_str(&format!(" {option} '{text}'"));
        }
    }
    command
}

fn is_change(event: &str) -> bool {
    let kind = |it: &str| it.split(':').nth(1).map(str::to_owned);
    EVENTS.iter().any(|ours| kind(ours) == kind(event))
}

#[cfg(test)]
mod tests {
    use aws_sdk_s3::types::{
        Event, EventBridgeConfiguration, FilterRule, FilterRuleName,
        NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter, TopicConfiguration,
    };
    use rstest::rstest;

    use super::super::super::diagnosis::Status;
    use super::*;
    use crate::cli::setup::rules::RULE;

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
        &[Status::Unknown, Status::Error],
        &[]
    )]
    #[case::part_of_ours(
        vec![queue(RULE, QUEUE, &["s3:ObjectCreated:Put"])],
        &[Status::Error],
        &[QUEUE]
    )]
    #[case::split_over_rules(
        vec![queue("a", QUEUE, &EVENTS[..2]), queue("b", QUEUE, &EVENTS[2..])],
        &[Status::Unknown],
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
            [Status::Unknown, Status::Warning, Status::Unknown]
        );
    }

    #[test]
    fn rules_for_different_keys_do_not_make_up_for_each_other() {
        let of = |id: &str, events: &[&str], prefix: &str| {
            let rule = FilterRule::builder().name(FilterRuleName::Prefix);
            let key = S3KeyFilter::builder().filter_rules(rule.value(prefix).build());
            let filter = NotificationConfigurationFilter::builder().key(key.build());
            let mut queue = queue(id, QUEUE, events);
            queue.filter = Some(filter.build());
            queue
        };
        let configuration = NotificationConfiguration::builder()
            .queue_configurations(of("a", &EVENTS[..2], "a/"))
            .queue_configurations(of("b", &EVENTS[2..], "b/"))
            .build();
        let named = QUEUE.parse().unwrap();
        let (findings, _) = judge(&configuration, Some(&named), "master");
        assert_eq!(statuses(&findings), [Status::Error, Status::Error]);
        let mend = findings[0].mend.as_ref().unwrap();
        let expected = format!("--queue {QUEUE} --prefix 'a/' --replace");
        assert!(mend.ends_with(&expected), "{mend}");
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
