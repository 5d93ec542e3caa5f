//! What IAM decides by the statements of one role, as far as the template uses its language:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use std::collections::BTreeMap;

use serde_json::Value;

/// One call of an action, as a service puts it to IAM.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    pub(super) action: &'static str,
    pub(super) resource: String,
    pub(super) context: BTreeMap<&'static str, String>,
}

/// One statement; none of the template's denies anything.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) sid: String,
    pub(super) actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<(Test, String, Vec<String>)>,
}

#[derive(Debug, Clone, Copy)]
enum Test {
    Equals,
    Like,
}

impl Statement {
    /// The statements of a policy document.
    pub(super) fn all(document: &Value) -> Vec<Self> {
        let statements = document["Statement"].as_array().unwrap();
        statements.iter().map(Self::read).collect()
    }

    fn read(statement: &Value) -> Self {
        assert_eq!(statement["Effect"], "Allow");
        let fields = statement.as_object().unwrap();
        let known = [
            "Sid",
            "Effect",
            "Action",
            "Resource",
            "Principal",
            "Condition",
        ];
        assert!(fields.keys().all(|field| known.contains(&field.as_str())));
        let tests = fields.get("Condition").and_then(Value::as_object);
        let conditions = tests.into_iter().flatten().flat_map(|(operator, keys)| {
            let test = match operator.as_str() {
                "StringEquals" => Test::Equals,
                "StringLike" | "ArnLike" => Test::Like,
                other => panic!("{other} is not known here"),
            };
            let keys = keys.as_object().unwrap().iter();
            keys.map(move |(key, values)| (test, key.clone(), list(values)))
        });
        Self {
            sid: statement["Sid"].as_str().unwrap_or_default().to_owned(),
            actions: list(&statement["Action"]),
            resources: list(&statement["Resource"]),
            conditions: conditions.collect(),
        }
    }

    /// The action by which this statement allows the call.
    pub(super) fn allows(&self, call: &Call) -> Option<&str> {
        let named = |action: &&String| matches(&action.to_lowercase(), &call.action.to_lowercase());
        let action = self.actions.iter().find(named)?;
        let is_there = self
            .resources
            .iter()
            .any(|arn| matches(arn, &call.resource));
        let conditions = self.conditions.iter().all(|(test, key, values)| {
            // A key that the call lacks is never equal.
            call.context
                .get(key.as_str())
                .is_some_and(|found| match test {
                    Test::Equals => values.contains(found),
                    Test::Like => values.iter().any(|value| matches(value, found)),
                })
        });
        (is_there && conditions).then_some(action)
    }
}

fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(list).collect(),
        Value::String(text) => vec![text.clone()],
        other => panic!("{other} is no text"),
    }
}

/// Whether `text` is what `pattern` says, where `*` is any text and `?` any character.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| matches(rest, &text[at..]))
        }
        Some(wanted) => text.chars().next().is_some_and(|found| {
            (wanted == '?' || wanted == found)
                && matches(&pattern[wanted.len_utf8()..], &text[found.len_utf8()..])
        }),
    }
}

#[test]
fn wildcards_match_as_in_iam() {
    for (pattern, text, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("arn:*:s3:::a/*", "arn:aws:s3:::a/b/é*", true),
        ("arn:*:s3:::a/*", "arn:aws:s3:::ab/c", false),
        ("arn:*:s3:::a", "arn:aws-cn:s3:::a", true),
        ("a?c", "aéc", true),
        ("a?c", "ac", false),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
    }
}
