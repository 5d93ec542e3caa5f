//! From one service to others: the master is read once, every target is written at once.
//!
//! An object that fits the memory budget is held while it is written, so that the SDK can send it
//! again; a larger one flows through, once for each target.

use aws_sdk_s3::Config;
use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::{SINGLE_REQUEST_LIMIT, TooLarge, checksum_algorithm, with_storage_class};
use crate::change::ObjectKey;
use crate::error::{Failure, Kind};
use crate::object::Object;
use crate::reconcile::Written;
use crate::s3::exact::ExactHeaders;
use crate::s3::request::DeadlineReached;
use crate::s3::{send, write};
use crate::site::Bucket;

/// Bytes of objects in flight, for the whole process.
#[derive(Debug)]
pub struct Memory {
    kibibytes: Semaphore,
    largest: u64,
}

impl Memory {
    /// A budget of so many bytes. Objects of up to `threshold` bytes are held, if they fit.
    pub fn new(budget: u64, threshold: u64) -> Self {
        let kibibytes = usize::try_from(budget / 1024).unwrap_or(Semaphore::MAX_PERMITS);
        let kibibytes = kibibytes.min(Semaphore::MAX_PERMITS).min(u32::MAX as usize);
        let largest = threshold.min(kibibytes as u64 * 1024);
        Self {
            kibibytes: Semaphore::new(kibibytes),
            largest,
        }
    }

    /// Waits for room for `size` bytes.
    async fn hold(&self, size: u64) -> SemaphorePermit<'_> {
        let kibibytes = u32::try_from(size.div_ceil(1024)).expect("no larger than the budget");
        self.kibibytes
            .acquire_many(kibibytes)
            .await
            .expect("never closed")
    }
}

/// Writes exactly `object`, the observed state of `key` in `master`, to all of `targets`; the
/// answers are in their order.
pub async fn fan_out(
    master: &Bucket,
    targets: &[&Bucket],
    key: &ObjectKey,
    object: &Object,
    memory: &Memory,
    deadline: Instant,
) -> Vec<Written> {
    if object.size > memory.largest {
        let writes = targets
            .iter()
            .map(|target| flow(master, target, key, object, deadline));
        return join_all(writes).await;
    }
    let late = || {
        let place = master.place(Some(key));
        Failure::new(Kind::Retryable, "GetObject", place, DeadlineReached)
    };
    let held = async {
        let permit = memory.hold(object.size).await;
        let body = open(master, key, object, deadline).await?;
        let body = body
            .collect()
            .await
            .map_err(|error| broken(master, key, error))?;
        Ok((permit, body.into_bytes()))
    };
    match timeout_at(deadline, held)
        .await
        .unwrap_or_else(|_| Err(late()))
    {
        Ok((_permit, bytes)) => {
            let put = |target| put(target, key, object, deadline, || Body::Held(bytes.clone()));
            join_all(targets.iter().copied().map(put)).await
        }
        Err(failure) => {
            let refuse = |_| Written::failed(failure.clone());
            targets.iter().map(refuse).collect()
        }
    }
}

/// Opens the master's body, bound to the observed ETag.
pub(super) async fn open(
    bucket: &Bucket,
    key: &ObjectKey,
    object: &Object,
    deadline: Instant,
) -> Result<ByteStream, Failure> {
    let request = bucket
        .site
        .client
        .get_object()
        .bucket(&bucket.name)
        .key(key.as_str())
        .if_match(format!("\"{}\"", object.etag))
        .checksum_mode(ChecksumMode::Enabled);
    Ok(
        send(bucket, Some(key), "GetObject", deadline, request.send())
            .await?
            .body,
    )
}

/// The body ended before its end.
pub(super) fn broken(
    bucket: &Bucket,
    key: &ObjectKey,
    error: aws_sdk_s3::primitives::ByteStreamError,
) -> Failure {
    Failure::new(Kind::Retryable, "GetObject", bucket.place(Some(key)), error)
}

/// One target of an object that is too large to hold.
async fn flow(
    master: &Bucket,
    target: &Bucket,
    key: &ObjectKey,
    object: &Object,
    deadline: Instant,
) -> Written {
    if object.size > SINGLE_REQUEST_LIMIT {
        let cause = TooLarge { size: object.size };
        let failure = Failure::new(Kind::Permanent, "PutObject", target.place(Some(key)), cause);
        return Written::failed(failure);
    }
    put(target, key, object, deadline, || Body::FromMaster(master)).await
}

enum Body<'a> {
    Held(Bytes),
    FromMaster(&'a Bucket),
}

/// One `PutObject`. The master's own MD5 or checksum goes along, so that the target proves the
/// bytes from end to end, and keeps the same checksum.
async fn put<'a>(
    target: &Bucket,
    key: &ObjectKey,
    object: &Object,
    deadline: Instant,
    body: impl Fn() -> Body<'a>,
) -> Written {
    let length = i64::try_from(object.size).expect("at most 5 GiB");
    with_storage_class(object, async |storage_class| {
        let (headers, compute) = proofs(object);
        let (body, compute) = match body() {
            Body::Held(bytes) => (ByteStream::from(bytes), compute),
            // A checksum that is computed on the way goes into a trailer, whose
            // `Content-Encoding` would take the place of the object's own.
            Body::FromMaster(master) => match open(master, key, object, deadline).await {
                Ok(body) => (body, None),
                Err(failure) => return Written::failed(failure),
            },
        };
        let calculation = match compute {
            Some(_) => RequestChecksumCalculation::WhenSupported,
            None => RequestChecksumCalculation::WhenRequired,
        };
        write(target, key, "PutObject", deadline, |unanswered| async {
            target
                .site
                .client
                .put_object()
                .bucket(&target.name)
                .key(key.as_str())
                .content_length(length)
                .set_checksum_algorithm(compute)
                .set_storage_class(storage_class)
                .body(body)
                .customize()
                // Otherwise the SDK names the algorithm and sends no value.
                .config_override(Config::builder().request_checksum_calculation(calculation))
                .interceptor(headers)
                .interceptor(unanswered)
                .send()
                .await
        })
        .await
    })
    .await
}

/// The object's headers with what proves its content, and the algorithm to compute a checksum by
/// where the master's own value, made of its parts' checksums, cannot serve.
fn proofs(object: &Object) -> (ExactHeaders, Option<aws_sdk_s3::types::ChecksumAlgorithm>) {
    let mut headers = ExactHeaders::of(object);
    if object.etag_proves_content && object.multipart_count().is_none() {
        headers = headers.with("content-md5", base64_of_hex(&object.etag));
    }
    if object.checksums.composite {
        return (headers, checksum_algorithm(object));
    }
    if let Some((algorithm, value)) = object.checksums.values.iter().next() {
        headers = headers.with(&format!("x-amz-checksum-{algorithm}"), value);
    }
    (headers, None)
}

/// The MD5 that an ETag gives in hexadecimal, as `Content-MD5` wants it.
fn base64_of_hex(hex: &str) -> String {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
    let bytes: Vec<u8> = hex
        .as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | digit(pair[1]))
        .collect();
    aws_smithy_types::base64::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_becomes_a_content_md5() {
        assert_eq!(
            base64_of_hex("5d41402abc4b2a76b9719d911017c592"),
            "XUFAKrxLKna5cZ2REBfFkg=="
        );
    }
}
