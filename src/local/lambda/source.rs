//! Where a function's events come from, which decides what they look like and how they fail.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What stands between a bucket's notifications and the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Source {
    /// The bucket invokes the function.
    #[default]
    #[serde(rename = "s3")]
    S3,
    /// The bucket publishes to a topic, which invokes the function.
    #[serde(rename = "sns")]
    Sns,
    /// The bucket sends to a queue.
    #[serde(rename = "sqs")]
    Sqs,
    /// The bucket publishes to a topic, which sends to a queue (not raw).
    #[serde(rename = "sns-sqs")]
    SnsSqs,
    /// The bucket sends to EventBridge, whose rule invokes the function.
    #[serde(rename = "eventbridge")]
    EventBridge,
    /// A MinIO server's webhook leads to the function.
    #[serde(rename = "minio")]
    Minio,
}

/// How events reach the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// Each by itself, retried, and recorded when it failed for good.
    Asynchronous,
    /// In batches off a queue, with dead letters.
    Queue,
}

/// A name that is no source's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown source, expected s3, sns, sqs, sns-sqs, eventbridge or minio: {0:?}")]
pub struct UnknownSource(String);

impl Source {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::S3,
        Self::Sns,
        Self::Sqs,
        Self::SnsSqs,
        Self::EventBridge,
        Self::Minio,
    ];

    /// Its name, as in recordings and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Sns => "sns",
            Self::Sqs => "sqs",
            Self::SnsSqs => "sns-sqs",
            Self::EventBridge => "eventbridge",
            Self::Minio => "minio",
        }
    }

    /// How its events reach the function.
    pub const fn route(self) -> Route {
        match self {
            Self::Sqs | Self::SnsSqs => Route::Queue,
            Self::S3 | Self::Sns | Self::EventBridge | Self::Minio => Route::Asynchronous,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Source {
    type Err = UnknownSource;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|source| source.name() == name);
        found.ok_or_else(|| UnknownSource(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::s3("s3", Source::S3, Route::Asynchronous)]
    #[case::sns("sns", Source::Sns, Route::Asynchronous)]
    #[case::sqs("sqs", Source::Sqs, Route::Queue)]
    #[case::sns_sqs("sns-sqs", Source::SnsSqs, Route::Queue)]
    #[case::eventbridge("eventbridge", Source::EventBridge, Route::Asynchronous)]
    #[case::minio("minio", Source::Minio, Route::Asynchronous)]
    fn source_has_one_name_everywhere(
        #[case] name: &str,
        #[case] source: Source,
        #[case] route: Route,
    ) {
        assert_eq!(name.parse(), Ok(source));
        assert_eq!(source.to_string(), name);
        assert_eq!(serde_json::to_string(&source).unwrap(), format!("{name:?}"));
        assert_eq!(
            serde_json::from_str::<Source>(&format!("{name:?}")).unwrap(),
            source
        );
        assert_eq!(source.route(), route);
    }

    #[test]
    fn unknown_name_is_answered_with_the_known_ones() {
        let error = "kafka".parse::<Source>().unwrap_err().to_string();
        for source in Source::ALL {
            assert!(error.contains(source.name()), "{error}");
        }
    }
}
