//! HeadBucket: whether a bucket is there, where it is, and what time it is there.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};

use super::{Finding, Status};
use crate::cli::account::ask;
use crate::error::Failure;
use crate::s3::request::MOST_SKEW;
use crate::site::Bucket;

/// What HeadBucket tells, also where it is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::cli) struct Head {
    /// Where the bucket is.
    pub(in crate::cli) region: Option<String>,
    /// The service's clock.
    date: Option<SystemTime>,
    /// The HTTP status: HEAD has no body that would say more.
    pub(super) status: Option<u16>,
}

/// Reads them off the answer, whatever it is.
#[derive(Debug, Clone, Default)]
struct Headers(Arc<Mutex<Head>>);

impl Intercept for Headers {
    fn name(&self) -> &'static str {
        "Headers"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        let date = headers.get("date");
        let date = date.and_then(|it| DateTime::from_str(it, DateTimeFormat::HttpDate).ok());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Head {
            region: headers.get("x-amz-bucket-region").map(str::to_owned),
            date: date.and_then(|it| SystemTime::try_from(it).ok()),
            status: Some(context.response().status().as_u16()),
        };
        Ok(())
    }
}

/// HeadBucket, and what its answer tells beside.
pub(in crate::cli) async fn head(
    bucket: &Bucket,
    owner: Option<&str>,
) -> (Head, Result<(), Failure>) {
    let headers = Headers::default();
    let request = bucket.site.client.head_bucket().bucket(&bucket.name);
    let request = request.set_expected_bucket_owner(owner.map(str::to_owned));
    let request = request.customize().interceptor(headers.clone()).send();
    let result = ask(bucket, "HeadBucket", request).await.map(drop);
    let head = headers.0.lock().unwrap_or_else(PoisonError::into_inner);
    (head.clone(), result)
}

/// Whether the clocks are near enough for signatures: S3 refuses requests that are a quarter of an
/// hour off.
pub(in crate::cli) async fn clock(bucket: &Bucket) -> Finding {
    let (head, result) = head(bucket, None).await;
    let Some(theirs) = head.date else {
        let why = result.err().map(|failure| failure.chain());
        let why = why.unwrap_or_else(|| "the answer has no date".to_owned());
        return Finding::unknown("clock", why);
    };
    judge_clock(SystemTime::now(), theirs)
}

impl Head {
    /// That the clocks are apart, where the answer shows it: S3 refuses such requests, and the
    /// answer to a HEAD does not say why.
    pub(super) fn skew(&self) -> Option<Finding> {
        let found = judge_clock(SystemTime::now(), self.date?);
        (found.status != Status::Ok).then_some(found)
    }
}

fn judge_clock(ours: SystemTime, theirs: SystemTime) -> Finding {
    let skew = ours.duration_since(theirs);
    let skew = skew.unwrap_or_else(|error| error.duration());
    let found = format!("this machine and S3 are {} s apart", skew.as_secs());
    let mend = "set this machine's clock (NTP)";
    if skew >= MOST_SKEW {
        Finding::error("clock", found, mend)
    } else if skew >= Duration::from_secs(60) {
        Finding::warning("clock", found, mend)
    } else {
        Finding::ok("clock", found)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::together(0, Status::Ok)]
    #[case::ahead(59, Status::Ok)]
    #[case::far_ahead(60, Status::Warning)]
    #[case::behind(-61, Status::Warning)]
    #[case::refused(900, Status::Error)]
    #[case::refused_behind(-900, Status::Error)]
    fn clocks_are_compared(#[case] seconds: i64, #[case] expected: Status) {
        let theirs = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let distance = Duration::from_secs(seconds.unsigned_abs());
        let ours = match seconds {
            0.. => theirs + distance,
            _ => theirs - distance,
        };
        assert_eq!(judge_clock(ours, theirs).status, expected);
    }
}
