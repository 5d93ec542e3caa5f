//! Reads two objects side by side, up to the first difference, holding one chunk of each range.

use bytes::{Buf, Bytes};
use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::time::{Instant, timeout_at};

use super::layout::{Layout, Part};
use super::source::{next, open};
use crate::change::ObjectKey;
use crate::error::{Failure, Kind};
use crate::object::Object;
use crate::reconcile::Comparison;
use crate::site::Bucket;

/// How much is read by one request, and how many are under way for each object.
const RANGE: u64 = 16 * 1024 * 1024;
const AT_ONCE: usize = 4;

/// Why reading side by side ended early.
enum Ended {
    Different,
    Failed(Failure),
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Compares the bytes of `key` in two buckets, each bound to its observed ETag.
pub async fn compare(
    key: &ObjectKey,
    (master, object): (&Bucket, &Object),
    (target, replica): (&Bucket, &Object),
    deadline: Instant,
) -> Result<Comparison, Failure> {
    // Equal sizes go without saying: nobody reads bytes to tell two sizes apart.
    let ranges = Layout::equal(object.size, RANGE);
    let same = stream::iter(ranges.parts())
        .map(|range| {
            let sides = [(master, object), (target, replica)];
            compare_range(key, sides, *range, deadline)
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>();
    let newer =
        master.site.service == target.site.service && replica.last_modified > object.last_modified;
    match timeout_at(deadline, same).await {
        Ok(Ok(())) => Ok(Comparison::Same),
        Ok(Err(Ended::Different)) => Ok(Comparison::Different),
        Err(_) => Ok(Comparison::OutOfTime { newer }),
        Ok(Err(Ended::Failed(failure))) if failure.kind == Kind::NoAnswer => {
            Ok(Comparison::OutOfTime { newer })
        }
        Ok(Err(Ended::Failed(failure))) => Err(failure),
    }
}

async fn compare_range(
    key: &ObjectKey,
    [(master, object), (target, replica)]: [(&Bucket, &Object); 2],
    range: Part,
    deadline: Instant,
) -> Result<(), Ended> {
    let ours = open(master, key, &object.etag, Some(range), deadline);
    let theirs = open(target, key, &replica.etag, Some(range), deadline);
    let (mut ours, mut theirs) = try_join(ours, theirs).await?;
    let (mut left, mut right) = (Some(Bytes::new()), Some(Bytes::new()));
    loop {
        // A chunk that is used up is followed by the next one, until there is none.
        while left.as_ref().is_some_and(Bytes::is_empty) {
            left = next(master, key, &mut ours).await?;
        }
        while right.as_ref().is_some_and(Bytes::is_empty) {
            right = next(target, key, &mut theirs).await?;
        }
        let (Some(left), Some(right)) = (&mut left, &mut right) else {
            return match left.is_none() && right.is_none() {
                true => Ok(()),
                false => Err(Ended::Different),
            };
        };
        let length = left.len().min(right.len());
        if left[..length] != right[..length] {
            return Err(Ended::Different);
        }
        left.advance(length);
        right.advance(length);
    }
}
