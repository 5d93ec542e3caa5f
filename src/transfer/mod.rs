//! Moving the bytes: within one service by the service itself, between services through us.

mod compare;
mod server_side;
mod stream;

pub use compare::compare;
pub use server_side::copy;
pub use stream::{Memory, fan_out};

use std::future::Future;

use aws_sdk_s3::types::{ChecksumAlgorithm, StorageClass};

use crate::error::Kind;
use crate::object::Object;
use crate::reconcile::Written;

/// What S3 moves in one request, 5 GiB:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const SINGLE_REQUEST_LIMIT: u64 = 5 * 1024 * 1024 * 1024;

/// The object is larger than one request can move.
#[derive(Debug, thiserror::Error)]
#[error("{size} bytes are more than one request can move ({SINGLE_REQUEST_LIMIT})")]
struct TooLarge {
    size: u64,
}

/// The algorithm that the master keeps a checksum by.
fn checksum_algorithm(object: &Object) -> Option<ChecksumAlgorithm> {
    let name = *object.checksums.values.keys().next()?;
    Some(ChecksumAlgorithm::from(name.to_ascii_uppercase().as_str()))
}

/// Writes with the master's storage class, and without where the target has no such class.
async fn with_storage_class<F>(
    object: &Object,
    write: impl Fn(Option<StorageClass>) -> F,
) -> Written
where
    F: Future<Output = Written>,
{
    let class = object.storage_class.0.as_deref().map(StorageClass::from);
    let first = write(class).await;
    match &first.result {
        Err(failure) if failure.kind == Kind::NoSuchStorageClass => {
            let Written { result, ambiguous } = write(None).await;
            Written {
                result,
                ambiguous: ambiguous || first.ambiguous,
            }
        }
        _ => first,
    }
}
