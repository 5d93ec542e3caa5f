//! Requests to S3: bounded, classified, exact.
//!
//! - `request`: one request under the deadline, and what its failure means
//! - `head`: all that S3 says of an object
//! - `exact`: writes that carry exactly what was observed

pub(crate) mod exact;
mod head;
pub(crate) mod request;

use tokio::time::Instant;

use crate::error::Failure;
use crate::site::Bucket;

pub use head::TagCounts;
pub(crate) use head::head;
pub(crate) use request::{send, write};

/// Whether the bucket is there: an error if not.
pub(crate) async fn head_bucket(bucket: &Bucket, deadline: Instant) -> Result<(), Failure> {
    let request = bucket.site.client.head_bucket().bucket(&bucket.name);
    send(bucket, None, "HeadBucket", deadline, request.send())
        .await
        .map(drop)
}
