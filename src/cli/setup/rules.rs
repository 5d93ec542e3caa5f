//! A bucket's notification configuration with our rule in it, or without: others' rules stay as
//! they are.
//!
//! Pure. Invariant: what is not ours comes out as it went in, filters included.

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, LambdaFunctionConfiguration, NotificationConfiguration,
    NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter,
};
use serde_json::{Value, json};

use super::super::arn::Destination;
use crate::change::{decode_filter, encode_filter};

/// The id of our rule.
pub(in crate::cli) const RULE: &str = "s3-replicator";

/// Every kind of event that can change an object. With fewer, copies, multipart uploads, retags
/// or expired objects go unseen.
pub(in crate::cli) const EVENTS: [&str; 4] = [
    "s3:ObjectCreated:*",
    "s3:ObjectRemoved:*",
    "s3:ObjectTagging:*",
    "s3:LifecycleExpiration:*",
];

/// One rule, whatever it sends to. Prefix and suffix are those of keys, not encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Rule {
    pub(in crate::cli) id: String,
    pub(in crate::cli) arn: String,
    /// Sorted.
    pub(in crate::cli) events: Vec<String>,
    pub(in crate::cli) prefix: String,
    pub(in crate::cli) suffix: String,
}

impl Rule {
    /// Ours, for keys with this prefix and suffix.
    pub(in crate::cli) fn ours(destination: &Destination, prefix: &str, suffix: &str) -> Self {
        Self::new(
            Some(RULE),
            destination.arn(),
            &EVENTS.map(Event::from),
            [("prefix", prefix), ("suffix", suffix)],
        )
    }

    fn new<'a>(
        id: Option<&str>,
        arn: &str,
        events: &[Event],
        filters: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut events: Vec<String> = events.iter().map(|it| it.as_str().to_owned()).collect();
        events.sort_unstable();
        let (mut prefix, mut suffix) = (String::new(), String::new());
        for (name, value) in filters {
            if name.eq_ignore_ascii_case("prefix") {
                value.clone_into(&mut prefix);
            } else {
                value.clone_into(&mut suffix);
            }
        }
        Self {
            id: id.unwrap_or_default().to_owned(),
            arn: arn.to_owned(),
            events,
            prefix,
            suffix,
        }
    }

    /// Whether every kind of event that can change an object is sent.
    pub(in crate::cli) fn covers(&self, event: &str) -> bool {
        self.events.iter().any(|pattern| covers(pattern, event))
    }

    /// Whether S3 refuses to have both in one bucket: they share an event and could both be for
    /// one key.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html>
    fn overlaps(&self, other: &Self) -> bool {
        let shared = self.events.iter().any(|event| {
            other
                .events
                .iter()
                .any(|its| covers(event, its) || covers(its, event))
        });
        let begin_alike =
            self.prefix.starts_with(&other.prefix) || other.prefix.starts_with(&self.prefix);
        let end_alike =
            self.suffix.ends_with(&other.suffix) || other.suffix.ends_with(&self.suffix);
        shared && begin_alike && end_alike
    }

    /// Whether `setup` wrote it: it writes none that sends to a topic.
    pub(in crate::cli) fn is_ours(&self) -> bool {
        self.id == RULE && self.arn.parse::<Destination>().is_ok()
    }

    /// Whether ours in its place says all that it says.
    fn is_within(&self, ours: &Self) -> bool {
        self.arn == ours.arn
            && self.events.iter().all(|it| ours.covers(it))
            && self.prefix.starts_with(&ours.prefix)
            && self.suffix.ends_with(&ours.suffix)
    }

    fn place(&self) -> (&str, &str, &str) {
        (&self.arn, &self.prefix, &self.suffix)
    }

    /// For people: what is sent, and for which keys.
    pub(in crate::cli) fn describe(&self) -> String {
        let mut text = format!("rule `{}` sends {}", self.id, self.events.join(", "));
        if !self.prefix.is_empty() {
            text.push_str(&format!(" of keys that start with `{}`", self.prefix));
        }
        if !self.suffix.is_empty() {
            text.push_str(&format!(" of keys that end with `{}`", self.suffix));
        }
        text.push_str(&format!(" to {}", self.arn));
        text
    }
}

/// All rules of a bucket.
pub(in crate::cli) fn rules(configuration: &NotificationConfiguration) -> Vec<Rule> {
    let queues = configuration.queue_configurations().iter();
    let queues = queues.map(|it| rule(it.id(), &it.queue_arn, &it.events, it.filter()));
    let topics = configuration.topic_configurations().iter();
    let topics = topics.map(|it| rule(it.id(), &it.topic_arn, &it.events, it.filter()));
    let functions = configuration.lambda_function_configurations().iter();
    let functions =
        functions.map(|it| rule(it.id(), &it.lambda_function_arn, &it.events, it.filter()));
    queues.chain(topics).chain(functions).collect()
}

/// Rules that send to one place for the same keys, and what they miss together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Channel {
    pub(in crate::cli) arn: String,
    pub(in crate::cli) prefix: String,
    pub(in crate::cli) suffix: String,
    /// Those of [`EVENTS`] that no rule of it sends.
    pub(in crate::cli) missing: Vec<&'static str>,
}

/// Rules by where they send to and for which keys: an event that one sends of other keys, or to
/// somebody else, is missed all the same.
pub(in crate::cli) fn channels(rules: &[&Rule]) -> Vec<Channel> {
    let mut places: Vec<(&str, &str, &str)> = rules.iter().map(|it| it.place()).collect();
    places.sort_unstable();
    places.dedup();
    let channel = |place: (&str, &str, &str)| {
        let of_it: Vec<&&Rule> = rules.iter().filter(|it| it.place() == place).collect();
        let covered = |event: &&str| of_it.iter().any(|rule| rule.covers(event));
        Channel {
            arn: place.0.to_owned(),
            prefix: place.1.to_owned(),
            suffix: place.2.to_owned(),
            missing: EVENTS.into_iter().filter(|it| !covered(it)).collect(),
        }
    };
    places.into_iter().map(channel).collect()
}

impl Channel {
    /// For people: for which keys, and where to.
    pub(in crate::cli) fn describe(&self) -> String {
        format!("{} to {}", of_keys(&self.prefix, &self.suffix), self.arn)
    }
}

/// Which keys are meant, for people.
fn of_keys(prefix: &str, suffix: &str) -> String {
    match (prefix, suffix) {
        ("", "") => "of all keys".to_owned(),
        (prefix, "") => format!("of keys that start with `{prefix}`"),
        ("", suffix) => format!("of keys that end with `{suffix}`"),
        (prefix, suffix) => {
            format!("of keys that start with `{prefix}` and end with `{suffix}`")
        }
    }
}

/// Our rule, if there is one.
pub(in crate::cli) fn ours(configuration: &NotificationConfiguration) -> Option<Rule> {
    rules(configuration).into_iter().find(Rule::is_ours)
}

/// The configuration with this rule of ours instead of an earlier one. Where somebody else's rule
/// does exactly that already, nothing is added. With `replaces`, ours takes the place of others'
/// rules that send nothing that it does not send to the same place.
///
/// # Errors
/// The rules beside which S3 would refuse it.
pub(super) fn with_rule(
    configuration: &NotificationConfiguration,
    wanted: &Rule,
    replaces: bool,
) -> Result<NotificationConfiguration, Vec<Rule>> {
    let all = rules(configuration);
    let is_done = |it: &Rule| {
        Rule {
            id: wanted.id.clone(),
            ..it.clone()
        } == *wanted
    };
    if all.iter().any(is_done) {
        return Ok(configuration.clone());
    }
    let is_replaced = |it: &Rule| it.is_ours() || (replaces && it.is_within(wanted));
    let others = all.into_iter().filter(|it| !is_replaced(it));
    let conflicts: Vec<Rule> = others.filter(|it| it.overlaps(wanted)).collect();
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    let mut merged = without(configuration, is_replaced);
    let events = wanted.events.iter().map(|it| Event::from(it.as_str()));
    let filter = filter(wanted);
    if Destination::is_queue(&wanted.arn) {
        let ours = QueueConfiguration::builder()
            .id(&wanted.id)
            .queue_arn(&wanted.arn)
            .set_events(Some(events.collect()))
            .set_filter(filter)
            .build()
            .expect("arn and events are set");
        merged
            .queue_configurations
            .get_or_insert_default()
            .push(ours);
    } else {
        let ours = LambdaFunctionConfiguration::builder()
            .id(&wanted.id)
            .lambda_function_arn(&wanted.arn)
            .set_events(Some(events.collect()))
            .set_filter(filter)
            .build()
            .expect("arn and events are set");
        let functions = &mut merged.lambda_function_configurations;
        functions.get_or_insert_default().push(ours);
    }
    Ok(merged)
}

/// The configuration without our rule.
pub(super) fn without_rule(configuration: &NotificationConfiguration) -> NotificationConfiguration {
    without(configuration, Rule::is_ours)
}

/// The configuration without some of the rules that could be ours, which are no topics'.
fn without(
    configuration: &NotificationConfiguration,
    is_unwanted: impl Fn(&Rule) -> bool,
) -> NotificationConfiguration {
    let mut rest = configuration.clone();
    if let Some(queues) = &mut rest.queue_configurations {
        queues.retain(|it| !is_unwanted(&rule(it.id(), &it.queue_arn, &it.events, it.filter())));
    }
    if let Some(functions) = &mut rest.lambda_function_configurations {
        functions.retain(|it| {
            let arn = &it.lambda_function_arn;
            !is_unwanted(&rule(it.id(), arn, &it.events, it.filter()))
        });
    }
    rest
}

/// Whether two configurations say the same.
pub(super) fn are_equal(
    one: &NotificationConfiguration,
    other: &NotificationConfiguration,
) -> bool {
    to_json(one) == to_json(other)
}

/// As the AWS CLI writes it.
pub(super) fn to_json(configuration: &NotificationConfiguration) -> Value {
    let mut shown = serde_json::Map::new();
    let mut add = |name: &str, list: Vec<Value>| {
        if !list.is_empty() {
            shown.insert(name.to_owned(), list.into());
        }
    };
    let queues = configuration.queue_configurations().iter();
    let queues =
        queues.map(|it| shown_rule("QueueArn", it.id(), &it.queue_arn, &it.events, it.filter()));
    add("QueueConfigurations", queues.collect());
    let topics = configuration.topic_configurations().iter();
    let topics =
        topics.map(|it| shown_rule("TopicArn", it.id(), &it.topic_arn, &it.events, it.filter()));
    add("TopicConfigurations", topics.collect());
    let functions = configuration.lambda_function_configurations().iter();
    let functions = functions.map(|it| {
        let arn = &it.lambda_function_arn;
        shown_rule("LambdaFunctionArn", it.id(), arn, &it.events, it.filter())
    });
    add("LambdaFunctionConfigurations", functions.collect());
    if configuration.event_bridge_configuration.is_some() {
        shown.insert("EventBridgeConfiguration".to_owned(), json!({}));
    }
    Value::Object(shown)
}

fn shown_rule(
    name: &str,
    id: Option<&str>,
    arn: &str,
    events: &[Event],
    filter: Option<&NotificationConfigurationFilter>,
) -> Value {
    let events: Vec<&str> = events.iter().map(Event::as_str).collect();
    let mut shown = json!({ "Id": id.unwrap_or_default(), name: arn, "Events": events });
    let filters: Vec<Value> = filters(filter)
        .map(|(name, value)| json!({ "Name": name, "Value": value }))
        .collect();
    if !filters.is_empty() {
        shown["Filter"] = json!({ "Key": { "FilterRules": filters } });
    }
    shown
}

fn rule(
    id: Option<&str>,
    arn: &str,
    events: &[Event],
    filter: Option<&NotificationConfigurationFilter>,
) -> Rule {
    let filters: Vec<(&str, String)> = filters(filter)
        .map(|(name, value)| (name, decode_filter(value)))
        .collect();
    let filters = filters.iter().map(|(name, text)| (*name, text.as_str()));
    Rule::new(id, arn, events, filters)
}

fn filters(filter: Option<&NotificationConfigurationFilter>) -> impl Iterator<Item = (&str, &str)> {
    let key = filter.and_then(NotificationConfigurationFilter::key);
    let rules = key.map(S3KeyFilter::filter_rules).unwrap_or_default();
    rules.iter().map(|it| {
        let name = it.name().map(FilterRuleName::as_str).unwrap_or_default();
        (name, it.value().unwrap_or_default())
    })
}

fn filter(wanted: &Rule) -> Option<NotificationConfigurationFilter> {
    let named = [
        (FilterRuleName::Prefix, &wanted.prefix),
        (FilterRuleName::Suffix, &wanted.suffix),
    ];
    let filters: Vec<FilterRule> = named
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, text)| {
            let value = encode_filter(text);
            FilterRule::builder().name(name).value(value).build()
        })
        .collect();
    (!filters.is_empty()).then(|| {
        let key = S3KeyFilter::builder().set_filter_rules(Some(filters));
        NotificationConfigurationFilter::builder()
            .key(key.build())
            .build()
    })
}

fn covers(pattern: &str, event: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(kind) => event.starts_with(kind),
        None => pattern == event,
    }
}

#[cfg(test)]
mod tests;
