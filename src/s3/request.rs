//! One request to S3: bounded, ended by the deadline, its failure classified once.
//!
//! Retries are the SDK's. What the SDK does not tell is whether an attempt that failed was sent
//! and never answered, even when a later attempt succeeds; [`Unanswered`] notices it.

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use tokio::time::{Instant, timeout_at};

use crate::change::ObjectKey;
use crate::error::{Failure, Kind};
use crate::reconcile::Written;
use crate::site::Bucket;

/// The deadline came before the answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer in its share of the time before the deadline")]
pub(crate) struct DeadlineReached;

/// The deadline came before the request was sent.
#[derive(Debug, thiserror::Error)]
#[error("not started, the deadline is too near")]
pub(crate) struct NotStarted;

/// There is nothing to sign with.
#[derive(Debug, thiserror::Error)]
#[error("could not load credentials for the site: {0}")]
struct NoCredentials(&'static str);

/// S3 refuses what is signed more than 15 minutes off, and cannot say so to HEAD:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "403, and the clock here is {minutes} minutes {direction} the store's; set it, and what failed \
     comes again"
)]
struct ClockIsOff {
    minutes: u64,
    direction: &'static str,
}

/// How far off a clock may be.
pub(crate) const MOST_SKEW: Duration = Duration::from_secs(15 * 60);

/// What S3 answered.
#[derive(Debug, thiserror::Error)]
#[error("{status} {code}{colon}{message}{hint}{request}", colon = if message.is_empty() { "" } else { ": " })]
struct Answer {
    status: u16,
    code: String,
    message: String,
    hint: String,
    request: String,
}

/// Sends one request about `bucket`, or about `key` in it.
pub(crate) async fn send<T, E>(
    bucket: &Bucket,
    key: Option<&ObjectKey>,
    operation: &'static str,
    deadline: Instant,
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, Failure>
where
    E: ProvideErrorMetadata + RequestId + Error + Debug + Send + Sync + 'static,
{
    let fail = |kind, cause: Box<dyn Error + Send + Sync>| {
        Failure::new(kind, operation, bucket.place(key), cause)
    };
    if Instant::now() >= deadline {
        return Err(fail(Kind::Retryable, NotStarted.into()));
    }
    let bounded = async {
        let _permit = bucket.site.requests.acquire().await.expect("never closed");
        request.await
    };
    match timeout_at(deadline, bounded).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => match clock_is_off(&error, SystemTime::now()) {
            Some(off) => Err(fail(Kind::Retryable, off.into())),
            None => Err(fail(classify(&error), cause(operation, error))),
        },
        Err(_) => Err(fail(Kind::NoAnswer, DeadlineReached.into())),
    }
}

/// Sends one write of `key`; `request` must carry the given interceptor on its attempts.
pub(crate) async fn write<T, E, F>(
    bucket: &Bucket,
    key: &ObjectKey,
    operation: &'static str,
    deadline: Instant,
    request: impl FnOnce(Unanswered) -> F,
) -> Written
where
    E: ProvideErrorMetadata + RequestId + Error + Debug + Send + Sync + 'static,
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    let unanswered = Unanswered::default();
    let request = request(unanswered.clone());
    let result = send(bucket, Some(key), operation, deadline, request).await;
    Written {
        result: result.map(drop),
        ambiguous: unanswered.0.load(Ordering::Relaxed),
        resumed: false,
    }
}

/// Whether a request was refused because of the time at which it was signed.
fn clock_is_off<E>(error: &SdkError<E, HttpResponse>, now: SystemTime) -> Option<ClockIsOff> {
    let answer = error.raw_response()?;
    if answer.status().as_u16() != 403 {
        return None;
    }
    skew(answer.headers().get("date")?, now)
}

fn skew(date: &str, now: SystemTime) -> Option<ClockIsOff> {
    let theirs = DateTime::from_str(date, Format::HttpDate).ok()?;
    let theirs = SystemTime::try_from(theirs).ok()?;
    let (off, direction) = match now.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    (off >= MOST_SKEW).then_some(ClockIsOff {
        minutes: off.as_secs() / 60,
        direction,
    })
}

fn status_of<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}

/// Decides once what a failed request means.
fn classify<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Kind {
    if let SdkError::ConstructionFailure(_) = error {
        return Kind::Permanent;
    }
    match error.code() {
        Some("NoSuchBucket") => return Kind::NoSuchBucket,
        Some("InvalidStorageClass") => return Kind::NoSuchStorageClass,
        Some("InvalidArgument") => return Kind::InvalidArgument,
        Some(
            "PreconditionFailed"
            | "ConditionalRequestConflict"
            | "OperationAborted"
            | "NoSuchKey"
            | "NoSuchUpload"
            // A part was sent anew by another invocation that completes the same upload.
            | "InvalidPart",
        ) => return Kind::Raced,
        Some(
            "SlowDown"
            | "RequestTimeout"
            | "RequestTimeTooSkewed"
            | "ExpiredToken"
            | "TokenRefreshRequired"
            | "BadDigest"
            | "IncompleteBody"
            | "XAmzContentChecksumMismatch",
        ) => return Kind::Retryable,
        _ => {}
    }
    match status_of(error) {
        // HEAD has no body to say more.
        Some(400) if error.code().is_none() => Kind::Unexplained,
        // A delete marker that came between HEAD and the tags.
        Some(405) => Kind::Raced,
        Some(501) => Kind::Permanent,
        Some(307) => Kind::Retryable,
        Some(409 | 412) => Kind::Raced,
        Some(408 | 425 | 429) => Kind::Retryable,
        Some(status) if (300..500).contains(&status) => Kind::Permanent,
        _ => Kind::Retryable,
    }
}

/// What stands behind "failed": S3's own words, or the chain of what kept us from hearing them.
fn cause<E>(
    operation: &'static str,
    error: SdkError<E, HttpResponse>,
) -> Box<dyn Error + Send + Sync>
where
    E: ProvideErrorMetadata + RequestId + Error + Debug + Send + Sync + 'static,
{
    let SdkError::ServiceError(context) = &error else {
        return without_credentials(error);
    };
    let status = context.raw().status().as_u16();
    let (service, headers) = (context.err(), context.raw().headers());
    let code = service.code().unwrap_or(match status {
        301 => "PermanentRedirect",
        403 => "Forbidden",
        404 => "Not Found",
        _ => "without an error code",
    });
    let request = service.request_id().map(|id| format!(" (request id {id})"));
    Box::new(Answer {
        status,
        code: code.to_owned(),
        message: service
            .message()
            .unwrap_or_default()
            .trim_end_matches('.')
            .to_owned(),
        hint: hint(
            operation,
            status,
            code,
            service.message(),
            headers.get("x-amz-bucket-region"),
        ),
        request: request.unwrap_or_default(),
    })
}

/// What kept us from hearing an answer. What a provider of credentials says may hold secrets
/// (`credential_process` writes what it likes), so of that only its kind is told.
fn without_credentials<E>(error: SdkError<E, HttpResponse>) -> Box<dyn Error + Send + Sync>
where
    E: Error + Debug + Send + Sync + 'static,
{
    let mut source: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(credentials) = cause.downcast_ref::<CredentialsError>() {
            return Box::new(NoCredentials(match credentials {
                CredentialsError::CredentialsNotLoaded(_) => "there are none",
                CredentialsError::ProviderTimedOut(_) => "their provider timed out",
                CredentialsError::InvalidConfiguration(_) => "their configuration is invalid",
                _ => "their provider failed",
            }));
        }
        source = cause.source();
    }
    Box::new(error)
}

/// What to do about it, where S3's answer does not say.
fn hint(
    operation: &str,
    status: u16,
    code: &str,
    message: Option<&str>,
    region: Option<&str>,
) -> String {
    let says = |words: &str| message.is_some_and(|message| message.contains(words));
    match (status, code) {
        (301, _) => match region {
            Some(region) => format!("; the bucket is in {region}, correct the region in the tag"),
            None => "; the bucket is in another region, correct the region in the tag".to_owned(),
        },
        (403, "InvalidObjectState") => "; the object is archived, restore it first".to_owned(),
        (400, "InvalidRequest") if says("Server Side Encryption") => {
            "; the object is encrypted with a key of its owner's (SSE-C), which nobody else can \
             read: replicate it by whoever holds the key, or encrypt it with a KMS key"
                .to_owned()
        }
        (403, "AccessDenied") if says("kms:") => {
            "; allow it in the key's policy and in the role's".to_owned()
        }
        (403, "AccessDenied" | "Forbidden") => format!("; it needs {}", permissions(operation)),
        _ => String::new(),
    }
}

/// The permissions an operation needs:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>
fn permissions(operation: &str) -> &'static str {
    match operation {
        "HeadObject" | "GetObject" => {
            "s3:GetObject on the objects and s3:ListBucket on the bucket \
             (without it S3 answers 403 for a key that is absent)"
        }
        "CopyObject" => {
            "s3:GetObject and s3:GetObjectTagging on the master, \
             s3:PutObject and s3:PutObjectTagging on the target"
        }
        "UploadPartCopy" => "s3:GetObject on the master, s3:PutObject on the target",
        "PutObject" | "CreateMultipartUpload" => "s3:PutObject and s3:PutObjectTagging",
        "UploadPart" | "CompleteMultipartUpload" => "s3:PutObject",
        "ListMultipartUploads" => "s3:ListBucketMultipartUploads on the bucket",
        "ListParts" => "s3:ListMultipartUploadParts",
        "AbortMultipartUpload" => "s3:AbortMultipartUpload",
        "DeleteObject" => "s3:DeleteObject",
        "GetObjectTagging" => "s3:GetObjectTagging",
        "PutObjectTagging" => "s3:PutObjectTagging",
        "DeleteObjectTagging" => "s3:DeleteObjectTagging",
        "GetBucketTagging" => "s3:GetBucketTagging on the bucket",
        "PutBucketTagging" | "DeleteBucketTagging" => "s3:PutBucketTagging on the bucket",
        "GetBucketNotificationConfiguration" => "s3:GetBucketNotification on the bucket",
        "PutBucketNotificationConfiguration" => "s3:PutBucketNotification on the bucket",
        "GetBucketVersioning" => "s3:GetBucketVersioning on the bucket",
        "GetBucketEncryption" => "s3:GetEncryptionConfiguration on the bucket",
        "GetBucketOwnershipControls" => "s3:GetBucketOwnershipControls on the bucket",
        "GetBucketLifecycleConfiguration" => "s3:GetLifecycleConfiguration on the bucket",
        "ListBuckets" => "s3:ListAllMyBuckets",
        _ => "s3:ListBucket on the bucket",
    }
}

/// Notices attempts that were sent and never answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unanswered(Arc<AtomicBool>);

impl Intercept for Unanswered {
    fn name(&self) -> &'static str {
        "Unanswered"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), aws_sdk_s3::error::BoxError> {
        let Some(Err(error)) = context.output_or_error() else {
            return Ok(());
        };
        let unanswered = match context.response() {
            Some(response) => {
                !error.is_operation_error()
                    || not_from_s3(response.status().as_u16(), response.body().bytes())
            }
            None if error.is_timeout_error() => true,
            None => error.as_connector_error().is_some_and(was_sent),
        };
        if unanswered {
            self.0.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Whether the answer comes from something in between, which cannot know what S3 did.
fn not_from_s3(status: u16, body: Option<&[u8]>) -> bool {
    let has_error_body = || {
        body.is_some_and(|body| {
            body.windows(b"<Error".len())
                .any(|window| window == b"<Error")
        })
    };
    match status {
        502 | 504 => true,
        500.. => !has_error_body(),
        _ => false,
    }
}

/// A connection that was never made carried nothing.
fn was_sent(error: &ConnectorError) -> bool {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(client) = cause.downcast_ref::<hyper_util::client::legacy::Error>() {
            return !client.is_connect();
        }
        source = cause.source();
    }
    true
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use aws_sdk_s3::operation::put_object::PutObjectError;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::right("Sat, 28 Nov 2026 12:00:00 GMT", None)]
    #[case::as_much_as_s3_takes("Sat, 28 Nov 2026 12:14:59 GMT", None)]
    #[case::behind("Sat, 28 Nov 2026 13:00:00 GMT", Some((60, "behind")))]
    #[case::ahead("Sat, 28 Nov 2026 11:40:00 GMT", Some((20, "ahead of")))]
    #[case::no_date("yesterday", None)]
    fn clock_is_held_against_the_stores(
        #[case] date: &str,
        #[case] expected: Option<(u64, &'static str)>,
    ) {
        // date --date='2026-11-28 12:00 UTC' +%s
        let now = UNIX_EPOCH + Duration::from_secs(1_795_867_200);
        let expected = expected.map(|(minutes, direction)| ClockIsOff { minutes, direction });
        assert_eq!(skew(date, now), expected);
    }

    #[rstest]
    #[case::larger_than_an_object_may_be(400, "EntityTooLarge", Kind::Permanent)]
    #[case::upload_that_stood_still(400, "RequestTimeout", Kind::Retryable)]
    #[case::clock(403, "RequestTimeTooSkewed", Kind::Retryable)]
    #[case::throttled(503, "SlowDown", Kind::Retryable)]
    #[case::archived(403, "InvalidObjectState", Kind::Permanent)]
    #[case::key_we_may_not_use(403, "AccessDenied", Kind::Permanent)]
    #[case::overwritten(412, "PreconditionFailed", Kind::Raced)]
    #[case::bucket_is_gone(404, "NoSuchBucket", Kind::NoSuchBucket)]
    fn what_s3_says_decides_whether_it_comes_again(
        #[case] status: u16,
        #[case] code: &str,
        #[case] expected: Kind,
    ) {
        let said = ErrorMetadata::builder().code(code).build();
        let status = StatusCode::try_from(status).unwrap();
        let answer = HttpResponse::new(status, SdkBody::empty());
        let error = SdkError::service_error(PutObjectError::generic(said), answer);
        assert_eq!(classify(&error), expected);
    }

    #[rstest]
    #[case::s3_internal_error(500, Some("<?xml?><Error><Code>InternalError</Code></Error>"), false)]
    #[case::slow_down(503, Some("<Error><Code>SlowDown</Code></Error>"), false)]
    #[case::proxy_unavailable(503, Some("<html>Service Unavailable</html>"), true)]
    #[case::empty(500, Some(""), true)]
    #[case::bad_gateway_whatever_it_says(502, Some("<Error/>"), true)]
    #[case::gateway_timeout(504, None, true)]
    #[case::refusal(403, Some(""), false)]
    fn an_answer_that_is_not_s3s_own_is_no_answer(
        #[case] status: u16,
        #[case] body: Option<&str>,
        #[case] expected: bool,
    ) {
        assert_eq!(not_from_s3(status, body.map(str::as_bytes)), expected);
    }
}
