//! The header of a recording: a real store's master and targets as they are.

use aws_sdk_s3::error::ProvideErrorMetadata;

use super::RecordError;
use crate::local::lambda::Source;
use crate::local::live::{Channel, Channels, LiveError, Master, look_at};
use crate::local::recording::{Bucket, Header, TargetBucket};
use crate::local::world::RemoteStore;
use crate::targets::is_region;

/// The envelope of events that come through these channels.
pub fn source(channels: &Channels) -> Source {
    match channels.contains(&Channel::Webhook) {
        true => Source::Minio,
        false => Source::Sqs,
    }
}

/// Describes a master with its targets. One that the store does not have is at a site of its own
/// if a file of profiles is in use, and missing if not.
///
/// # Errors
/// A request failed, or a target is at no region.
pub async fn describe(
    store: &RemoteStore,
    master: &Master,
    name: &str,
    has_profiles: bool,
) -> Result<Header, DescribeError> {
    let mut header = Header::new(name, master.bucket.clone());
    for target in &master.targets {
        if !is_region(&target.site) {
            return Err(DescribeError::Record(RecordError::Site {
                bucket: target.bucket.clone(),
                site: target.site.clone(),
            }));
        }
        let (bucket, is_there) = match look_at(store, &target.bucket).await {
            // What a target is called by is its site, whatever region the store has it in.
            Ok(bucket) => (
                Bucket {
                    region: target.site.clone(),
                    ..bucket
                },
                true,
            ),
            Err(error) if is_missing(&error) => (Bucket::new(&target.bucket, &target.site), false),
            Err(error) => return Err(DescribeError::Live(error)),
        };
        header.targets.push(TargetBucket {
            bucket,
            separate: !is_there && has_profiles,
            create: is_there || has_profiles,
        });
    }
    Ok(header)
}

/// A master could not be described.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// A request failed.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// No recording can have it.
    #[error(transparent)]
    Record(#[from] RecordError),
}

fn is_missing(error: &LiveError) -> bool {
    use aws_sdk_s3::operation::get_bucket_location::GetBucketLocationError;
    let LiveError::Request { source, .. } = error else {
        return false;
    };
    let source = source.downcast_ref::<aws_sdk_s3::error::SdkError<GetBucketLocationError>>();
    source.is_some_and(|error| error.code() == Some("NoSuchBucket"))
}
