//! The notifications that S3 would send about writes at a store that sends none itself.
//!
//! Invariant: what leaves here is of the same shape as what [`EmbeddedS3`](super::EmbeddedS3)
//! sends, since the same code makes it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::events::{self, Event, Origin};
use super::ids;
use super::notify::{Destination, Notification, Rule};
use super::store::Bucket;

pub use super::events::Kind as EventKind;

/// One write, as far as its notification tells of it.
#[derive(Debug, Clone)]
pub struct Written<'a> {
    /// What it was.
    pub kind: EventKind,
    /// The decoded key.
    pub key: &'a str,
    /// The object's size in bytes; of no meaning on removals.
    pub size: Option<u64>,
    /// The object's ETag without quotes; of no meaning on removals.
    pub etag: Option<&'a str>,
    /// The version that was written or removed, where the bucket has versions.
    pub version_id: Option<&'a str>,
    /// Who asked for it.
    pub access_key: &'a str,
}

/// Makes notifications for a set of buckets, all of them to one destination.
pub struct Emitter {
    buckets: BTreeMap<String, Bucket>,
    serial: AtomicU64,
}

impl Emitter {
    /// Every event of these buckets, given with their regions, goes to `destination`.
    pub fn new(
        buckets: impl IntoIterator<Item = (String, String)>,
        destination: &Destination,
    ) -> Self {
        let now = SystemTime::now();
        let buckets = buckets.into_iter().map(|(name, region)| {
            let mut bucket = Bucket::new(name.clone(), region, now);
            bucket.rules = vec![Rule::of_everything(destination.clone())];
            (name, bucket)
        });
        Self {
            buckets: buckets.collect(),
            serial: AtomicU64::new(1),
        }
    }

    /// Whether this bucket notifies anybody.
    pub fn knows(&self, bucket: &str) -> bool {
        self.buckets.contains_key(bucket)
    }

    /// What the bucket sends about a write; nothing if it notifies nobody.
    pub fn emit(&self, bucket: &str, written: &Written<'_>) -> Vec<Notification> {
        let Some(bucket) = self.buckets.get(bucket) else {
            return Vec::new();
        };
        let is_removal = matches!(
            written.kind,
            EventKind::Delete | EventKind::DeleteMarkerCreated
        );
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let event = Event {
            kind: written.kind,
            key: written.key,
            size: written.size.filter(|_| !is_removal),
            etag: written.etag.filter(|_| !is_removal),
            version_id: written.version_id,
            time: SystemTime::now(),
            serial,
        };
        events::notifications(bucket, &event, &origin(serial, written.access_key))
    }

    /// What queues and topics receive when the configuration is put.
    pub fn test_events(&self) -> Vec<Notification> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let origin = origin(serial, "");
        let now = SystemTime::now();
        let buckets = self.buckets.values();
        buckets
            .flat_map(|bucket| events::test_events(bucket, &origin, now))
            .collect()
    }
}

impl std::fmt::Debug for Emitter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let buckets: Vec<&String> = self.buckets.keys().collect();
        f.debug_struct("Emitter")
            .field("buckets", &buckets)
            .finish_non_exhaustive()
    }
}

fn origin(serial: u64, access_key: &str) -> Origin {
    Origin {
        request_id: ids::request_id(serial),
        host_id: ids::host_id(serial),
        access_key: access_key.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn emitter(destination: &Destination) -> Emitter {
        Emitter::new([("master".to_owned(), "us-east-1".to_owned())], destination)
    }

    fn function() -> Destination {
        Destination::Function {
            arn: "arn:aws:lambda:us-east-1:123456789012:function:f".to_owned(),
        }
    }

    fn written(kind: EventKind) -> Written<'static> {
        Written {
            kind,
            key: "a b",
            size: Some(3),
            etag: Some("e"),
            version_id: None,
            access_key: "K",
        }
    }

    #[test]
    fn write_is_told_as_the_embedded_store_tells_it() {
        let emitted = emitter(&function()).emit("master", &written(EventKind::Put));
        let record: Value = serde_json::from_str(&emitted[0].body).unwrap();
        let record = &record["Records"][0];
        assert_eq!(record["eventName"], "ObjectCreated:Put");
        assert_eq!(record["s3"]["object"]["key"], "a+b");
        assert_eq!(record["s3"]["object"]["size"], 3);
        assert_eq!(record["userIdentity"]["principalId"], "AWS:K");
    }

    #[test]
    fn removal_has_no_size_and_another_bucket_no_event() {
        let emitter = emitter(&function());
        let emitted = emitter.emit("master", &written(EventKind::Delete));
        assert!(!emitted[0].body.contains("\"size\""));
        assert!(emitter.emit("other", &written(EventKind::Put)).is_empty());
    }

    #[test]
    fn test_event_goes_to_queues_only() {
        assert!(emitter(&function()).test_events().is_empty());
        let queue = Destination::Queue {
            arn: "arn:aws:sqs:us-east-1:123456789012:q".to_owned(),
        };
        assert_eq!(emitter(&queue).test_events().len(), 1);
    }
}
