//! Conditional requests: whether a request's conditions hold for the object it names.
//!
//! Invariant: dates are compared in whole seconds, as they are in headers, and a date is not
//! looked at where the ETag of the same direction was (RFC 9110, section 13.2.2).

use http::HeaderMap;
use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Result, s3_error};

/// The conditions of one request on one object.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
    pub(super) if_modified_since: Option<Timestamp>,
    pub(super) if_unmodified_since: Option<Timestamp>,
}

/// How a condition failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmet {
    /// The object is not the one that was asked for.
    Precondition,
    /// The object is still the one that the client has.
    NotModified,
}

impl Conditions {
    /// Whether they hold for an object that exists.
    pub(super) fn check(&self, etag: &str, modified: &Timestamp) -> Result<(), Unmet> {
        if let Some(condition) = &self.if_match {
            if !matches(condition, etag) {
                return Err(Unmet::Precondition);
            }
        } else if self
            .if_unmodified_since
            .as_ref()
            .is_some_and(|since| modified > since)
        {
            return Err(Unmet::Precondition);
        }
        if let Some(condition) = &self.if_none_match {
            if matches(condition, etag) {
                return Err(Unmet::NotModified);
            }
        } else if self
            .if_modified_since
            .as_ref()
            .is_some_and(|since| modified <= since)
        {
            return Err(Unmet::NotModified);
        }
        Ok(())
    }

    /// Whether a write may replace what is there now, `None` being nothing.
    ///
    /// # Errors
    /// `PreconditionFailed`; `NoSuchKey` for `If-Match` on nothing; `NotImplemented` for an
    /// `If-None-Match` that is not `*`, which S3 does not know on writes.
    pub(super) fn check_write(&self, current: Option<&str>) -> S3Result<()> {
        if let Some(condition) = &self.if_none_match {
            if !matches!(condition, ETagCondition::Any) {
                return Err(s3_error!(NotImplemented));
            }
            if current.is_some() {
                return Err(s3_error!(PreconditionFailed));
            }
        }
        match (&self.if_match, current) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(s3_error!(NoSuchKey)),
            (Some(condition), Some(etag)) if matches(condition, etag) => Ok(()),
            (Some(_), Some(_)) => Err(s3_error!(PreconditionFailed)),
        }
    }

    /// The conditions on the target of a copy, which `s3s` does not read.
    pub(super) fn of_write(headers: &HeaderMap) -> S3Result<Conditions> {
        let read = |name| -> S3Result<Option<ETagCondition>> {
            let Some(value) = headers.get(name) else {
                return Ok(None);
            };
            let condition = ETagCondition::parse_http_header(value.as_bytes());
            condition
                .map(Some)
                .map_err(|error| s3_error!(error, InvalidArgument))
        };
        Ok(Conditions {
            if_match: read(http::header::IF_MATCH)?,
            if_none_match: read(http::header::IF_NONE_MATCH)?,
            ..Default::default()
        })
    }
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(ETag::Strong(wanted) | ETag::Weak(wanted)) => wanted == etag,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use rstest::rstest;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn tag(etag: &str) -> Option<ETagCondition> {
        Some(ETagCondition::ETag(ETag::Strong(etag.to_owned())))
    }

    // The object has the ETag "a" and was modified at 10.
    #[rstest]
    #[case::none(Conditions::default(), Ok(()))]
    #[case::match_holds(Conditions { if_match: tag("a"), ..Default::default() }, Ok(()))]
    #[case::match_fails(
        Conditions { if_match: tag("b"), ..Default::default() },
        Err(Unmet::Precondition)
    )]
    #[case::none_match_fails(
        Conditions { if_none_match: tag("a"), ..Default::default() },
        Err(Unmet::NotModified)
    )]
    #[case::not_modified_since(
        Conditions { if_modified_since: Some(at(10)), ..Default::default() },
        Err(Unmet::NotModified)
    )]
    #[case::modified_since(
        Conditions { if_modified_since: Some(at(9)), ..Default::default() },
        Ok(())
    )]
    #[case::modified_after_all(
        Conditions { if_unmodified_since: Some(at(9)), ..Default::default() },
        Err(Unmet::Precondition)
    )]
    #[case::matching_etag_outweighs_date(
        Conditions { if_match: tag("a"), if_unmodified_since: Some(at(9)), ..Default::default() },
        Ok(())
    )]
    #[case::other_etag_outweighs_date(
        Conditions {
            if_none_match: tag("b"), if_modified_since: Some(at(10)), ..Default::default()
        },
        Ok(())
    )]
    fn reads(#[case] conditions: Conditions, #[case] expected: Result<(), Unmet>) {
        assert_eq!(conditions.check("a", &at(10)), expected);
    }

    #[rstest]
    #[case::create_only_new(None, Some(ETagCondition::Any), None, None)]
    #[case::create_existing(None, Some(ETagCondition::Any), Some("a"), Some("PreconditionFailed"))]
    #[case::none_match_etag(None, tag("a"), None, Some("NotImplemented"))]
    #[case::match_same(tag("a"), None, Some("a"), None)]
    #[case::match_other(tag("b"), None, Some("a"), Some("PreconditionFailed"))]
    #[case::match_nothing(tag("a"), None, None, Some("NoSuchKey"))]
    fn writes(
        #[case] if_match: Option<ETagCondition>,
        #[case] if_none_match: Option<ETagCondition>,
        #[case] current: Option<&str>,
        #[case] code: Option<&str>,
    ) {
        let conditions = Conditions {
            if_match,
            if_none_match,
            ..Default::default()
        };
        let result = conditions.check_write(current);
        assert_eq!(
            result
                .err()
                .map(|error| error.code().as_str().to_owned())
                .as_deref(),
            code
        );
    }
}
