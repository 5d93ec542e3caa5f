//! Which keys of a master are replicated: the prefix that was named, or what its notification rules
//! cover.

use std::fmt;

use aws_sdk_s3::types::{Event, FilterRuleName, NotificationConfigurationFilter};
use tokio::time::Instant;

use crate::change::decode_filter;
use crate::error::Failure;
use crate::s3::send;
use crate::site::Bucket;

/// Keys that begin and end in a certain way.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// How they begin.
    pub prefix: String,
    /// How they end.
    pub suffix: String,
}

impl Rule {
    fn covers(&self, key: &str) -> bool {
        // A prefix and a suffix do not overlap.
        let rest = key.strip_prefix(self.prefix.as_str());
        rest.is_some_and(|rest| rest.ends_with(self.suffix.as_str()))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*{}", self.prefix, self.suffix)
    }
}

/// The keys that a walk covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    rules: Vec<Rule>,
}

impl Scope {
    /// All keys with this prefix, by no rule but the user's word.
    pub fn of_prefix(prefix: &str) -> Self {
        Self::of_rules(vec![Rule {
            prefix: prefix.to_owned(),
            suffix: String::new(),
        }])
    }

    /// All keys that some rule covers.
    pub fn of_rules(mut rules: Vec<Rule>) -> Self {
        rules.sort();
        rules.dedup();
        Self { rules }
    }

    /// What the bucket's own notification rules cover: those of every destination that hears of new
    /// objects. A bucket that notifies nobody is covered whole.
    pub async fn of_notifications(master: &Bucket, deadline: Instant) -> Result<Self, Failure> {
        let request = master.site.client.get_bucket_notification_configuration();
        let request = request.bucket(&master.name).send();
        let attempted = "GetBucketNotificationConfiguration";
        let output = send(master, None, attempted, deadline, request).await?;
        let lambdas = output.lambda_function_configurations.unwrap_or_default();
        let queues = output.queue_configurations.unwrap_or_default();
        let topics = output.topic_configurations.unwrap_or_default();
        let lambdas = lambdas.into_iter().map(|it| (it.events, it.filter));
        let queues = queues.into_iter().map(|it| (it.events, it.filter));
        let topics = topics.into_iter().map(|it| (it.events, it.filter));
        let rules = lambdas.chain(queues).chain(topics);
        let mut rules: Vec<Rule> = rules
            .filter(|(events, _)| events.iter().any(is_creation))
            .flat_map(|(_, filter)| covered(rule(filter)))
            .collect();
        // EventBridge is sent everything.
        if rules.is_empty() || output.event_bridge_configuration.is_some() {
            rules.push(Rule::default());
        }
        Ok(Self::of_rules(rules))
    }

    /// Prefixes of which none begins with another, in key order: what has to be listed.
    pub fn prefixes(&self) -> Vec<String> {
        let mut prefixes: Vec<String> = Vec::new();
        for Rule { prefix, .. } in &self.rules {
            // In order, a prefix comes right before what it is a prefix of.
            if prefixes.last().is_none_or(|last| !prefix.starts_with(last)) {
                prefixes.push(prefix.clone());
            }
        }
        prefixes
    }

    /// Whether the key is meant.
    pub fn covers(&self, key: &str) -> bool {
        self.rules.iter().any(|rule| rule.covers(key))
    }

    /// Whether every key is meant.
    pub fn is_everything(&self) -> bool {
        self.rules.contains(&Rule::default())
    }

    /// The rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

fn is_creation(event: &Event) -> bool {
    event.as_str().starts_with("s3:ObjectCreated:")
}

fn rule(filter: Option<NotificationConfigurationFilter>) -> Rule {
    let rules = filter
        .and_then(|filter| filter.key)
        .and_then(|key| key.filter_rules);
    let mut rule = Rule::default();
    for part in rules.unwrap_or_default() {
        let value = part.value.unwrap_or_default();
        // AWS says `Prefix`, other stores `prefix`.
        match part.name.as_ref().map(FilterRuleName::as_str) {
            Some(name) if name.eq_ignore_ascii_case("prefix") => rule.prefix = value,
            Some(name) if name.eq_ignore_ascii_case("suffix") => rule.suffix = value,
            _ => {}
        }
    }
    rule
}

/// What a rule of a store covers. AWS takes the parts of a key form-urlencoded, others as they are,
/// and no answer tells which, so both readings count:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html>
fn covered(raw: Rule) -> Vec<Rule> {
    // What is no encoding is a part as it is; so is an empty one.
    let readings = |part: &str| {
        let decoded = Some(decode_filter(part)).filter(|decoded| decoded != part);
        std::iter::once(part.to_owned()).chain(decoded)
    };
    let prefixes = readings(&raw.prefix);
    let rules = prefixes.flat_map(|prefix| {
        let suffixes = readings(&raw.suffix);
        suffixes.map(move |suffix| Rule {
            prefix: prefix.clone(),
            suffix,
        })
    });
    rules.collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn scope(rules: &[(&str, &str)]) -> Scope {
        let rule = |(prefix, suffix): &(&str, &str)| Rule {
            prefix: (*prefix).to_owned(),
            suffix: (*suffix).to_owned(),
        };
        Scope::of_rules(rules.iter().map(rule).collect())
    }

    #[rstest]
    #[case::everything(&[("", "")], &[""])]
    #[case::apart_in_order(&[("b/", ""), ("a/", "")], &["a/", "b/"])]
    #[case::one_within_the_other(&[("a/b/", ""), ("a/", ""), ("a/c", "")], &["a/"])]
    #[case::everything_has_all_within(&[("a/", ""), ("", ".txt")], &[""])]
    #[case::twice(&[("a/", ".txt"), ("a/", ".csv")], &["a/"])]
    #[case::near_but_not_within(&[("a", ""), ("a-b", ""), ("b", "")], &["a", "b"])]
    fn no_key_is_listed_twice(#[case] rules: &[(&str, &str)], #[case] expected: &[&str]) {
        assert_eq!(scope(rules).prefixes(), expected);
    }

    #[rstest]
    #[case::plain(("a/", ".txt"), &[("a/", ".txt")])]
    #[case::space(("a+b/", ""), &[("a b/", ""), ("a+b/", "")])]
    #[case::percent(("", "%C3%A9"), &[("", "%C3%A9"), ("", "é")])]
    #[case::no_encoding(("100%", ""), &[("100%", "")])]
    #[case::both(("+", "%2B"), &[(" ", "%2B"), (" ", "+"), ("+", "%2B"), ("+", "+")])]
    fn rule_is_covered_as_it_is_and_decoded(
        #[case] (prefix, suffix): (&str, &str),
        #[case] expected: &[(&str, &str)],
    ) {
        let raw = Rule {
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
        };
        assert_eq!(Scope::of_rules(covered(raw)), scope(expected));
    }

    #[rstest]
    #[case::prefix(&[("a/", "")], "a/x", true)]
    #[case::other_prefix(&[("a/", "")], "b/x", false)]
    #[case::suffix(&[("", ".txt")], "a.txt", true)]
    #[case::both(&[("a/", ".txt")], "a/b.csv", false)]
    #[case::any_rule(&[("a/", ".txt"), ("b/", "")], "b/x", true)]
    #[case::no_overlap(&[("a.t", ".txt")], "a.txt", false)]
    fn key_is_covered_by_any_rule(
        #[case] rules: &[(&str, &str)],
        #[case] key: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(scope(rules).covers(key), expected);
    }
}
