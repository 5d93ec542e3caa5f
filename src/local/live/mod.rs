//! A store's own events, as they happen: nothing here knows what was written but by them.
//!
//! ```text
//! MinIO ── webhook ─────────────── Webhook ─── asynchronous ─┐
//! LocalStack ── bucket → queue ─── SqsQueue ── mapping ──────┴── function ── store
//! ```
//!
//! - `channel`: how a bucket's events leave its store, as its notification configuration says
//! - `masters`: which buckets of a store are tagged, and how one becomes so
//! - `webhook`, `docker`: a listener for MinIO, and where containers can reach it
//! - `sqs`: a real queue
//! - `dead_letters`: a real queue of what was given up
//! - `world`: these, and the function
//!
//! Invariant: an event is taken off the store's hands only when it is safe here. A webhook's call
//! is answered with success once the event is in the asynchronous queue, and a message is deleted
//! once the function has handled it.

mod channel;
mod dead_letters;
mod docker;
mod masters;
mod sqs;
mod webhook;
mod world;

pub use channel::{Channel, Channels, Wiring, channels};
pub use dead_letters::{DeadLetters, Letter, url_of};
pub use docker::beside;
pub use masters::{Master, bucket_tags, look_at, make_master, master, tagged_masters};
pub use sqs::{OnTrouble, SqsQueue};
pub use webhook::{Accept, Refusal, Webhook};
pub use world::{Ended, LiveOptions, LiveWorld, Tap};

use crate::local::recording::Bucket;

/// Why live events cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// A request to the store or its queue failed.
    #[error("{operation} failed for {place}")]
    Request {
        /// The operation.
        operation: &'static str,
        /// `s3://bucket`, or a queue's ARN.
        place: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no bucket to replicate.
    #[error(
        "no bucket at {endpoint} has the tag ReplicatedTargetBuckets; give one with --master and \
         --target, or tag one (`just up` makes such buckets)"
    )]
    NoMaster {
        /// The store.
        endpoint: String,
    },
    /// There are several, and one is needed.
    #[error("{} buckets at {endpoint} are tagged ({}); choose one with --master", .names.len(), .names.join(", "))]
    SeveralMasters {
        /// The store.
        endpoint: String,
        /// The buckets.
        names: Vec<String>,
    },
    /// A bucket sends its events to nobody that we can listen to.
    #[error(
        "bucket {bucket} at {endpoint} sends no events that can be listened to ({found}); have it \
         notify a MinIO webhook or an SQS queue of the same endpoint, or use `replay --store`, \
         which needs no events of the store's own"
    )]
    NoEvents {
        /// The bucket.
        bucket: String,
        /// The store.
        endpoint: String,
        /// What its notification configuration says.
        found: String,
    },
    /// A bucket cannot be told to notify anybody; commonly there is no such webhook or queue.
    #[error(
        "bucket {bucket} could not be told to send its events to {arn} (`just up` makes what is \
         missing)"
    )]
    Wiring {
        /// The bucket.
        bucket: String,
        /// Whom it was to notify.
        arn: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A queue's messages would come again while the function still has them.
    #[error(
        "queue {queue} hides messages for {} s, less than the {} s that the function may take; \
         Lambda refuses such a queue", .visibility.as_secs(), .timeout.as_secs()
    )]
    Visibility {
        /// Its ARN.
        queue: String,
        /// Its visibility timeout.
        visibility: std::time::Duration,
        /// The function's timeout.
        timeout: std::time::Duration,
    },
    /// A queue of failed messages has none.
    #[error("queue {queue} is empty, or others have its messages for now; nothing is recorded")]
    NoLetters {
        /// Its ARN.
        queue: String,
    },
    /// The webhook's address is taken, or not ours to take.
    #[error("could not listen for webhooks on {address}; choose another address with --listen")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The function's configuration could not be written.
    #[error("could not write the function's AWS configuration to a temporary folder")]
    Configuration(#[source] std::io::Error),
}

impl LiveError {
    fn request(
        operation: &'static str,
        place: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Request {
            operation,
            place: place.into(),
            source: source.into(),
        }
    }

    fn bucket(
        operation: &'static str,
        bucket: &Bucket,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::request(operation, format!("s3://{}", bucket.name), source)
    }
}
