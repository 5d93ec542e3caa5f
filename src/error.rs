//! What can go wrong with one request, and who acts on it.
//!
//! A kind exists only where somebody acts differently on it: a race is another round, a bucket
//! that is gone satisfies a delete, and whoever invoked us is told whether trying again can help.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::change::ObjectKey;

/// What the caller does about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The state that was observed is no more: another round decides anew.
    Raced,
    /// The bucket does not exist.
    NoSuchBucket,
    /// The store has no such storage class: the object goes without.
    NoSuchStorageClass,
    /// No answer came in time: nobody waits for this bucket again in the same invocation.
    NoAnswer,
    /// The store does not take an argument of the request: it is sent without, where that is possible.
    InvalidArgument,
    /// A refusal without a reason: another request may hear it.
    Unexplained,
    /// The same request may succeed later: throttling, outages, lost answers.
    Retryable,
    /// Nothing changes until somebody changes it: permissions, configuration, limits.
    Permanent,
}

impl Kind {
    /// Whether the same change may succeed when it comes again with nothing else changed.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Raced | Self::NoAnswer | Self::Unexplained | Self::Retryable => true,
            Self::NoSuchBucket
            | Self::NoSuchStorageClass
            | Self::InvalidArgument
            | Self::Permanent => false,
        }
    }
}

/// Where a request went, as errors and logs say it: `s3://bucket/key at site`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key; `None` for a request about the bucket.
    pub key: Option<ObjectKey>,
    /// The region or profile.
    pub site: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        if let Some(key) = &self.key {
            write!(f, "/{}", key.as_str().escape_debug())?;
        }
        write!(f, " at {}", self.site)
    }
}

/// One thing that was attempted and did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{attempted} failed for {place}")]
pub struct Failure {
    /// What the caller does about it.
    pub kind: Kind,
    /// The S3 operation, or what else was attempted.
    pub attempted: &'static str,
    /// On what and where.
    pub place: Place,
    /// Why.
    #[source]
    pub cause: Cause,
}

impl Failure {
    /// A failure of `attempted` on `place`.
    pub fn new(
        kind: Kind,
        attempted: &'static str,
        place: Place,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            attempted,
            place,
            cause: Cause(Arc::from(cause.into())),
        }
    }

    /// The whole chain on one line, as logs and answers carry it.
    pub fn chain(&self) -> String {
        chain(self)
    }
}

/// A shared cause: one failed read of the master fails every target.
#[derive(Debug, Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// An error and its causes, outermost first, joined by colons; a layer that only repeats the one
/// above it is left out.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let layer = cause.to_string();
        if !text.ends_with(&layer) {
            text.push_str(": ");
            text.push_str(&layer);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("connection closed")]
    struct Closed;

    #[derive(Debug, thiserror::Error)]
    #[error("dispatch failure")]
    struct Dispatch(#[source] Closed);

    #[test]
    fn a_failure_says_what_was_attempted_where_and_why() {
        let place = Place {
            bucket: "replica-1".to_owned(),
            key: Some(ObjectKey::new("a\nb").expect("a key")),
            site: "eu-central-1".to_owned(),
        };
        let failure = Failure::new(Kind::Retryable, "CopyObject", place, Dispatch(Closed));
        assert_eq!(
            failure.chain(),
            "CopyObject failed for s3://replica-1/a\\nb at eu-central-1: \
             dispatch failure: connection closed"
        );
    }
}
