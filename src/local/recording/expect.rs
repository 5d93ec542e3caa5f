//! What must be so once a step is reached.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::body::Body;
use crate::local::faults::S3Operation;

/// Something that must be so.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// The target (all of them where there is none) equals the master, for this key or for all.
    Equal {
        /// The target.
        target: Option<String>,
        /// The key.
        key: Option<String>,
    },
    /// The key is absent from the bucket, or from every target.
    Absent {
        /// A target or the master.
        target: Option<String>,
        /// The key.
        key: String,
    },
    /// The key's current object is like this in the bucket, or in every target.
    Object(ExpectedObject),
    /// The function has logged outcomes like this since the recording began.
    Outcome {
        /// The target; any where there is none.
        target: Option<String>,
        /// The key; any where there is none.
        key: Option<String>,
        /// How the change ended.
        is: OutcomeName,
        /// For a failure, whether it is one that passes.
        retryable: Option<bool>,
        /// How many there are; at least one where there is none.
        count: Option<u64>,
    },
    /// The function has sent requests like this since the recording began.
    Requests {
        /// The operation; any where there is none.
        on: Option<S3Operation>,
        /// The bucket; any where there is none.
        bucket: Option<String>,
        /// The key; any where there is none.
        key: Option<String>,
        /// How many.
        amount: Amount,
    },
    /// The last answer to an `invoke` step.
    Response {
        /// The id of that step.
        of: String,
        /// What the answer must be.
        is: ResponseCheck,
    },
    /// So many events are in the on-failure destination.
    OnFailure(u64),
    /// So many messages are in the dead-letter queue.
    DeadLetters(u64),
}

/// An object; what is `None` may be anything.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ExpectedObject {
    /// A target or the master; every target where there is none.
    pub target: Option<String>,
    /// The key.
    pub key: String,
    /// Its bytes.
    pub body: Option<Body>,
    /// All of its user metadata.
    pub metadata: Option<BTreeMap<String, String>>,
    /// System headers that it has, among others.
    pub headers: Option<BTreeMap<String, String>>,
    /// All of its tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// How many versions the key has, delete markers not counted.
    pub versions: Option<u64>,
    /// How many delete markers the key has.
    pub delete_markers: Option<u64>,
}

/// How many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Exactly so many.
    Exactly(u64),
    /// So many or fewer.
    AtMost(u64),
}

/// What the answer to an invocation must be.
#[derive(Debug, Clone, PartialEq)]
pub enum ResponseCheck {
    /// An answer that has at least this: objects may have more fields, all else is equal.
    Includes(Value),
    /// A function error (`true`), or an answer that is none.
    Error(bool),
}

/// How a change ended at a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeName {
    /// The object was written.
    Copied,
    /// Its tags were written.
    Tagged,
    /// It was deleted.
    Deleted,
    /// There was nothing to do.
    Equal,
    /// Equality could not be proven, nor refuted.
    Unproven,
    /// It would have been deleted, but deletes are off.
    Kept,
    /// It failed.
    Failed,
}

/// No outcome has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no outcome is called {0:?}")]
pub struct UnknownOutcome(pub String);

impl Amount {
    /// Whether a number is what was expected.
    pub fn admits(self, number: u64) -> bool {
        match self {
            Self::Exactly(expected) => number == expected,
            Self::AtMost(most) => number <= most,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(number) => write!(f, "exactly {number}"),
            Self::AtMost(number) => write!(f, "at most {number}"),
        }
    }
}

impl ResponseCheck {
    /// Whether an answer is what was expected; `None` is a function error.
    pub fn admits(&self, answer: Option<&Value>) -> bool {
        match self {
            Self::Includes(expected) => answer.is_some_and(|answer| includes(answer, expected)),
            Self::Error(error) => answer.is_none() == *error,
        }
    }
}

fn includes(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => expected
            .iter()
            .all(|(name, value)| found.get(name).is_some_and(|found| includes(found, value))),
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|(found, expected)| includes(found, expected))
        }
        _ => found == expected,
    }
}

impl OutcomeName {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Copied,
        Self::Tagged,
        Self::Deleted,
        Self::Equal,
        Self::Unproven,
        Self::Kept,
        Self::Failed,
    ];

    /// Its name in the function's log and in a recording.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copied => "copied",
            Self::Tagged => "tagged",
            Self::Deleted => "deleted",
            Self::Equal => "equal",
            Self::Unproven => "unproven",
            Self::Kept => "kept",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for OutcomeName {
    type Err = UnknownOutcome;

    fn from_str(name: &str) -> Result<Self, UnknownOutcome> {
        let known = Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == name);
        known.ok_or_else(|| UnknownOutcome(name.to_owned()))
    }
}

impl fmt::Display for OutcomeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::more_fields(json!({"a": 1, "b": 2}), json!({"a": 1}), true)]
    #[case::deep(json!({"r": [{"id": "x", "text": "…"}]}), json!({"r": [{"id": "x"}]}), true)]
    #[case::other_value(json!({"a": 1}), json!({"a": 2}), false)]
    #[case::missing_field(json!({}), json!({"a": null}), false)]
    #[case::longer_list(json!([1, 2]), json!([1]), false)]
    #[case::other_order(json!([1, 2]), json!([2, 1]), false)]
    fn an_answer_includes_what_is_expected(
        #[case] answer: Value,
        #[case] expected: Value,
        #[case] admitted: bool,
    ) {
        assert_eq!(
            ResponseCheck::Includes(expected).admits(Some(&answer)),
            admitted
        );
    }

    #[test]
    fn a_function_error_includes_nothing() {
        assert!(!ResponseCheck::Includes(json!({})).admits(None));
        assert!(ResponseCheck::Error(true).admits(None));
        assert!(ResponseCheck::Error(false).admits(Some(&Value::Null)));
    }
}
