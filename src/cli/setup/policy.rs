//! The policy of a queue or function with our statement in it, or without: others' statements stay
//! as they are.
//!
//! Pure. Invariant: what cannot be judged (a condition on anything but the source) allows nothing
//! and denies nothing.

use serde_json::{Value, json};

use super::super::arn::Destination;
use crate::config::matches;

/// Who sends a bucket's events.
const S3: &str = "s3.amazonaws.com";

/// What a bucket needs of its destination's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Grant<'a> {
    pub(in crate::cli) destination: &'a Destination,
    /// The bucket's name.
    pub(in crate::cli) master: &'a str,
    /// The account that owns the bucket: another's bucket of the same name must not do.
    pub(in crate::cli) account: &'a str,
}

impl Grant<'_> {
    /// The id of our statement: one for each master.
    pub(in crate::cli) fn id(&self) -> String {
        statement_id(self.master)
    }

    /// The bucket's ARN, in the destination's partition, as both are in one region.
    pub(in crate::cli) fn source_arn(&self) -> String {
        let partition = &self.destination.place().partition;
        format!("arn:{partition}:s3:::{}", self.master)
    }

    /// Our statement.
    pub(super) fn statement(&self) -> Value {
        json!({
            "Sid": self.id(),
            "Effect": "Allow",
            "Principal": { "Service": S3 },
            "Action": self.destination.action(),
            "Resource": self.destination.arn(),
            "Condition": {
                "ArnLike": { "aws:SourceArn": self.source_arn() },
                "StringEquals": { "aws:SourceAccount": self.account },
            },
        })
    }

    /// Whether a policy lets the bucket send.
    pub(in crate::cli) fn is_given_by(&self, policy: Option<&Value>) -> bool {
        let all = policy.map(statements).unwrap_or_default();
        let is_allowed = all
            .iter()
            .any(|it| it["Effect"] == "Allow" && self.matches(it));
        is_allowed && self.denial(policy).is_none()
    }

    /// The statement that keeps the bucket from sending whatever others allow: its id, in words.
    pub(in crate::cli) fn denial(&self, policy: Option<&Value>) -> Option<String> {
        let all = policy.map(statements).unwrap_or_default();
        let denial = all
            .iter()
            .find(|it| it["Effect"] == "Deny" && self.matches(it))?;
        Some(match denial["Sid"].as_str() {
            Some(id) => format!("statement `{id}`"),
            None => format!("a statement without a Sid, {denial},"),
        })
    }

    fn matches(&self, statement: &Value) -> bool {
        let arn = self.destination.arn();
        let action = self.destination.action();
        let fits = |field: &str, text: &str| {
            strings(&statement[field])
                .iter()
                .any(|pattern| matches(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase()))
        };
        let principal = &statement["Principal"];
        let is_s3 = strings(principal).contains(&"*")
            || strings(&principal["AWS"]).contains(&"*")
            || strings(&principal["Service"])
                .iter()
                .any(|it| *it == S3 || *it == "*");
        is_s3
            && fits("Action", action)
            && fits("Resource", arn)
            && statement["Condition"].as_object().is_none_or(|all| {
                all.iter()
                    .all(|(operator, keys)| self.meets(operator, keys))
            })
    }

    fn meets(&self, operator: &str, keys: &Value) -> bool {
        let operator = operator.strip_suffix("IfExists").unwrap_or(operator);
        let is_known = matches!(
            operator,
            "StringEquals" | "StringLike" | "ArnEquals" | "ArnLike"
        );
        let Some(keys) = keys.as_object().filter(|_| is_known) else {
            return false;
        };
        let source_arn = self.source_arn();
        keys.iter().all(|(key, values)| {
            let actual = match key.to_ascii_lowercase().as_str() {
                "aws:sourcearn" => source_arn.as_str(),
                "aws:sourceaccount" => self.account,
                _ => return false,
            };
            strings(values).iter().any(|expected| match operator {
                "StringEquals" => *expected == actual,
                _ => matches(expected, actual),
            })
        })
    }
}

/// The id of the statement for a master. A queue's and a function's may hold letters, digits, `-`
/// and `_`, which leaves out the dots of bucket names; and bucket names have no `_`.
pub(in crate::cli) fn statement_id(master: &str) -> String {
    format!("s3-replicator-{}", master.replace('.', "_"))
}

/// A policy's statement of this id.
pub(super) fn statement_of(policy: Option<&Value>, id: &str) -> Option<Value> {
    let all = policy.map(statements).unwrap_or_default();
    all.into_iter().find(|it| it["Sid"] == *id)
}

/// The policy with this statement instead of an earlier one of its id.
pub(super) fn with_statement(policy: Option<&Value>, statement: Value) -> Value {
    let id = statement["Sid"].as_str().unwrap_or_default().to_owned();
    let mut merged = policy
        .and_then(|policy| without_statement(policy, &id))
        .unwrap_or_else(|| json!({ "Version": "2012-10-17", "Statement": [] }));
    let mut all = statements(&merged);
    all.push(statement);
    merged["Statement"] = all.into();
    merged
}

/// The policy without the statement of this id; none where nothing is left.
pub(super) fn without_statement(policy: &Value, id: &str) -> Option<Value> {
    let mut all = statements(policy);
    all.retain(|it| it["Sid"] != *id);
    let mut rest = policy.clone();
    let is_empty = all.is_empty();
    rest["Statement"] = all.into();
    (!is_empty).then_some(rest)
}

/// A single statement may stand without a list.
fn statements(policy: &Value) -> Vec<Value> {
    match &policy["Statement"] {
        Value::Array(all) => all.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

/// A single text may stand without a list.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:events";

    fn given(policy: Option<&Value>) -> bool {
        let destination = QUEUE.parse().unwrap();
        let grant = Grant {
            destination: &destination,
            master: "my.master",
            account: "123456789012",
        };
        grant.is_given_by(policy)
    }

    fn ours() -> Value {
        let destination = QUEUE.parse().unwrap();
        let grant = Grant {
            destination: &destination,
            master: "my.master",
            account: "123456789012",
        };
        grant.statement()
    }

    fn theirs() -> Value {
        json!({"Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:root"},
               "Action": "sqs:*", "Resource": QUEUE})
    }

    #[rstest]
    #[case::no_policy(None)]
    #[case::one_statement(Some(json!({"Version": "2008-10-17", "Statement": theirs()})))]
    #[case::several(Some(json!({"Version": "2012-10-17", "Id": "x", "Statement": [theirs(), theirs()]})))]
    fn statement_is_added_once_and_taken_away_again(#[case] before: Option<Value>) {
        let merged = with_statement(before.as_ref(), ours());
        assert!(!given(before.as_ref()) && given(Some(&merged)));
        assert_eq!(with_statement(Some(&merged), ours()), merged);
        let id = statement_id("my.master");
        assert_eq!(statement_of(Some(&merged), &id), Some(ours()));
        let rest = without_statement(&merged, &id);
        let all = |policy: &Option<Value>| policy.as_ref().map(statements);
        assert_eq!(all(&rest), all(&before));
        let field =
            |policy: &Option<Value>, name| policy.as_ref().map(|it: &Value| it[name].clone());
        assert_eq!(field(&rest, "Version"), field(&before, "Version"));
    }

    #[rstest]
    #[case::ours(ours(), true)]
    #[case::anybody(json!({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}), true)]
    #[case::of_the_account(
        json!({"Effect": "Allow", "Principal": {"Service": ["s3.amazonaws.com"]},
               "Action": ["SQS:SendMessage"], "Resource": QUEUE,
               "Condition": {"StringEquals": {"AWS:SourceAccount": ["1", "123456789012"]}}}),
        true
    )]
    #[case::pattern_of_buckets(
        json!({"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
               "Action": "sqs:Send*", "Resource": QUEUE,
               "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::my.*"}}}),
        true
    )]
    #[case::other_bucket(
        json!({"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
               "Action": "sqs:SendMessage", "Resource": QUEUE,
               "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::mine"}}}),
        false
    )]
    #[case::other_service(
        json!({"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"},
               "Action": "sqs:SendMessage", "Resource": QUEUE}),
        false
    )]
    #[case::unknown_condition(
        json!({"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"},
               "Action": "sqs:SendMessage", "Resource": QUEUE,
               "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}),
        false
    )]
    #[case::others_only(theirs(), false)]
    fn statement_is_judged(#[case] statement: Value, #[case] expected: bool) {
        let policy = json!({ "Statement": [statement] });
        assert_eq!(given(Some(&policy)), expected);
    }

    #[rstest]
    #[case::all(json!({"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*"}), false)]
    #[case::without_tls(
        json!({"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*",
               "Condition": {"Bool": {"aws:SecureTransport": "false"}}}),
        true
    )]
    fn denial_wins(#[case] denial: Value, #[case] expected: bool) {
        let policy = json!({ "Statement": [ours(), denial] });
        assert_eq!(given(Some(&policy)), expected);
        let destination = QUEUE.parse().unwrap();
        let grant = Grant {
            destination: &destination,
            master: "my.master",
            account: "123456789012",
        };
        assert_eq!(grant.denial(Some(&policy)).is_none(), expected);
    }
}
