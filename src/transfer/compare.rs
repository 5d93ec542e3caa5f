//! Reads two objects side by side, up to the first difference, holding one chunk of each.

use aws_sdk_s3::primitives::ByteStream;
use bytes::{Buf, Bytes};
use futures_util::future::try_join;
use tokio::time::{Instant, timeout_at};

use super::stream::{broken, open};
use crate::change::ObjectKey;
use crate::error::{Failure, Kind};
use crate::object::Object;
use crate::reconcile::Comparison;
use crate::site::Bucket;

/// Compares the bytes of `key` in two buckets, each bound to its observed ETag.
pub async fn compare(
    key: &ObjectKey,
    (master, object): (&Bucket, &Object),
    (target, replica): (&Bucket, &Object),
    deadline: Instant,
) -> Result<Comparison, Failure> {
    let same = async {
        let ours = open(master, key, object, deadline);
        let theirs = open(target, key, replica, deadline);
        let (mut ours, mut theirs) = try_join(ours, theirs).await?;
        let (mut left, mut right) = (Bytes::new(), Bytes::new());
        loop {
            fill(&mut left, &mut ours)
                .await
                .map_err(|error| broken(master, key, error))?;
            fill(&mut right, &mut theirs)
                .await
                .map_err(|error| broken(target, key, error))?;
            let length = left.len().min(right.len());
            if length == 0 {
                return Ok::<_, Failure>(left.is_empty() && right.is_empty());
            }
            if left[..length] != right[..length] {
                return Ok(false);
            }
            left.advance(length);
            right.advance(length);
        }
    };
    let newer =
        master.site.service == target.site.service && replica.last_modified > object.last_modified;
    match timeout_at(deadline, same).await {
        Ok(Ok(true)) => Ok(Comparison::Same),
        Ok(Ok(false)) => Ok(Comparison::Different),
        Err(_) => Ok(Comparison::OutOfTime { newer }),
        Ok(Err(failure)) if failure.kind == Kind::NoAnswer => Ok(Comparison::OutOfTime { newer }),
        Ok(Err(failure)) => Err(failure),
    }
}

/// Makes sure that `chunk` has bytes, unless the body is at its end.
async fn fill(
    chunk: &mut Bytes,
    body: &mut ByteStream,
) -> Result<(), aws_sdk_s3::primitives::ByteStreamError> {
    while chunk.is_empty() {
        match body.try_next().await? {
            Some(next) => *chunk = next,
            None => break,
        }
    }
    Ok(())
}
