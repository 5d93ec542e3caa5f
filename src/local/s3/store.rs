//! The store itself: buckets and the versions of their objects, in memory, with no clock, no
//! locks and no protocol.
//!
//! Invariants: a key that is in a bucket has at least one version; its last version is the
//! current one; at most one of them has the null version id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue};
use s3s::dto::{
    LifecycleRules, NotificationConfiguration, ObjectOwnership, OwnershipControls,
    OwnershipControlsRule,
};
use s3s::{S3Error, S3Result, s3_error};

use super::ids::{self, NULL_VERSION};
use super::notify::Rule;
use super::object::{Encryption, Object};
use super::tags::TagSet;
use super::time::http_date;
use super::uploads::Upload;

/// All buckets of a service.
#[derive(Default)]
pub(super) struct Store {
    pub(super) buckets: BTreeMap<String, Bucket>,
    serial: u64,
}

impl Store {
    pub(super) fn bucket(&self, name: &str) -> S3Result<&Bucket> {
        self.buckets
            .get(name)
            .ok_or_else(|| s3_error!(NoSuchBucket))
    }

    pub(super) fn bucket_mut(&mut self, name: &str) -> S3Result<&mut Bucket> {
        self.buckets
            .get_mut(name)
            .ok_or_else(|| s3_error!(NoSuchBucket))
    }

    /// A number that was not given out before, greater than all that were.
    pub(super) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

/// Whether a bucket keeps old versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Versioning {
    /// It never did; version ids are not shown.
    Never,
    Enabled,
    Suspended,
}

/// A bucket and everything in it.
pub(super) struct Bucket {
    pub(super) name: String,
    pub(super) region: String,
    pub(super) created: SystemTime,
    pub(super) tags: TagSet,
    pub(super) versioning: Versioning,
    pub(super) encryption: Option<Encryption>,
    /// Kept and without effect.
    pub(super) lifecycle: Option<LifecycleRules>,
    /// Kept and without effect.
    pub(super) ownership: Option<OwnershipControls>,
    pub(super) notifications: NotificationConfiguration,
    pub(super) rules: Vec<Rule>,
    /// Oldest version first.
    pub(super) objects: BTreeMap<String, Vec<Version>>,
    /// By key and upload id.
    pub(super) uploads: BTreeMap<(String, String), Upload>,
}

/// One version of a key.
pub(super) struct Version {
    pub(super) id: String,
    pub(super) modified: SystemTime,
    pub(super) entry: Entry,
}

/// What a version holds.
pub(super) enum Entry {
    Object { object: Arc<Object>, tags: TagSet },
    DeleteMarker,
}

/// What a delete did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    /// There was nothing to delete.
    Nothing,
    /// A version is gone for good.
    Removed { id: String, was_marker: bool },
    /// The key has a delete marker on top now.
    Marked { id: String },
}

/// A version that holds an object.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) object: Arc<Object>,
    pub(super) tags: TagSet,
    pub(super) modified: SystemTime,
    /// `None` where the bucket shows no version ids.
    pub(super) version_id: Option<String>,
}

/// What a new bucket has: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html>
fn enforced() -> OwnershipControls {
    let object_ownership = ObjectOwnership::from_static(ObjectOwnership::BUCKET_OWNER_ENFORCED);
    OwnershipControls {
        rules: vec![OwnershipControlsRule { object_ownership }],
    }
}

impl Bucket {
    pub(super) fn new(name: String, region: String, created: SystemTime) -> Bucket {
        Bucket {
            name,
            region,
            created,
            tags: TagSet::new(),
            versioning: Versioning::Never,
            encryption: None,
            lifecycle: None,
            ownership: Some(enforced()),
            notifications: NotificationConfiguration::default(),
            rules: Vec::new(),
            objects: BTreeMap::new(),
            uploads: BTreeMap::new(),
        }
    }

    /// The version id as answers show it.
    pub(super) fn shown(&self, id: &str) -> Option<String> {
        (self.versioning != Versioning::Never).then(|| id.to_owned())
    }

    /// The ETag of the current object, if there is one.
    pub(super) fn current_etag(&self, key: &str) -> Option<&str> {
        match &self.objects.get(key)?.last()?.entry {
            Entry::Object { object, .. } => Some(&object.etag),
            Entry::DeleteMarker => None,
        }
    }

    /// The object that a read of `key` finds.
    ///
    /// # Errors
    /// `NoSuchKey`, `NoSuchVersion`, and for a delete marker what S3 says about it.
    pub(super) fn find(&self, key: &str, version_id: Option<&str>) -> S3Result<Found> {
        let version = self.version(key, version_id)?;
        match &version.entry {
            Entry::Object { object, tags } => Ok(Found {
                object: Arc::clone(object),
                tags: tags.clone(),
                modified: version.modified,
                version_id: self.shown(&version.id),
            }),
            Entry::DeleteMarker => Err(delete_marker_error(version, version_id.is_some())),
        }
    }

    /// The tags of the object that `key` names, to be changed, and its version.
    pub(super) fn tags_mut(
        &mut self,
        key: &str,
        version_id: Option<&str>,
    ) -> S3Result<(&mut TagSet, Found)> {
        let found = self.find(key, version_id)?;
        let versions = self.objects.get_mut(key).expect("it was found");
        let version = match version_id {
            None => versions.last_mut(),
            Some(id) => versions.iter_mut().find(|version| version.id == id),
        };
        match version.map(|version| &mut version.entry) {
            Some(Entry::Object { tags, .. }) => Ok((tags, found)),
            _ => unreachable!("it was found, and is no delete marker"),
        }
    }

    fn version(&self, key: &str, version_id: Option<&str>) -> S3Result<&Version> {
        if let Some(id) = version_id {
            check_version_id(id)?;
        }
        let versions = self.objects.get(key).map(Vec::as_slice).unwrap_or_default();
        match version_id {
            None => versions.last().ok_or_else(|| s3_error!(NoSuchKey)),
            Some(id) => versions
                .iter()
                .find(|version| version.id == id)
                .ok_or_else(|| s3_error!(NoSuchVersion)),
        }
    }

    /// Makes `object` the current version of `key`; the answer is that version's id.
    pub(super) fn put(
        &mut self,
        key: &str,
        object: Arc<Object>,
        tags: TagSet,
        modified: SystemTime,
        serial: u64,
    ) -> String {
        self.push(key, Entry::Object { object, tags }, modified, serial)
    }

    /// Deletes the current version, or the one that is named.
    pub(super) fn delete(
        &mut self,
        key: &str,
        version_id: Option<&str>,
        now: SystemTime,
        serial: u64,
    ) -> S3Result<Deletion> {
        if let Some(id) = version_id {
            check_version_id(id)?;
            return Ok(self.remove(key, id));
        }
        if self.versioning == Versioning::Never {
            return Ok(self.remove(key, NULL_VERSION));
        }
        let id = self.push(key, Entry::DeleteMarker, now, serial);
        Ok(Deletion::Marked { id })
    }

    fn push(&mut self, key: &str, entry: Entry, modified: SystemTime, serial: u64) -> String {
        let id = match self.versioning {
            Versioning::Enabled => ids::opaque(serial),
            Versioning::Never | Versioning::Suspended => NULL_VERSION.to_owned(),
        };
        let versions = self.objects.entry(key.to_owned()).or_default();
        // Only the null version can be there already: it is replaced wherever it stands.
        versions.retain(|version| version.id != id);
        versions.push(Version {
            id: id.clone(),
            modified,
            entry,
        });
        id
    }

    fn remove(&mut self, key: &str, id: &str) -> Deletion {
        let Some(versions) = self.objects.get_mut(key) else {
            return Deletion::Nothing;
        };
        let Some(index) = versions.iter().position(|version| version.id == id) else {
            return Deletion::Nothing;
        };
        let removed = versions.remove(index);
        if versions.is_empty() {
            self.objects.remove(key);
        }
        let was_marker = matches!(removed.entry, Entry::DeleteMarker);
        Deletion::Removed {
            id: removed.id,
            was_marker,
        }
    }
}

fn check_version_id(id: &str) -> S3Result<()> {
    if ids::is_version_id(id) {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "Invalid version id specified"))
}

fn delete_marker_error(marker: &Version, named: bool) -> S3Error {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/xml"));
    headers.insert("x-amz-delete-marker", HeaderValue::from_static("true"));
    if let Ok(id) = HeaderValue::from_str(&marker.id) {
        headers.insert("x-amz-version-id", id);
    }
    let mut error = if named {
        headers.insert("allow", HeaderValue::from_static("DELETE"));
        headers.insert("last-modified", http_date(marker.modified));
        s3_error!(MethodNotAllowed)
    } else {
        s3_error!(NoSuchKey)
    };
    error.set_headers(headers);
    error
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::object::Attributes;
    use super::*;

    fn bucket(versioning: Versioning) -> Bucket {
        let mut bucket = Bucket::new("master".into(), "us-east-1".into(), SystemTime::UNIX_EPOCH);
        bucket.versioning = versioning;
        bucket
    }

    fn put(bucket: &mut Bucket, etag: &str, serial: u64) -> String {
        let attributes = Attributes {
            headers: Vec::new(),
            metadata: Default::default(),
            website_redirect: None,
            storage_class: "STANDARD".into(),
            encryption: Encryption::default(),
        };
        let object = Object {
            content: Default::default(),
            etag: etag.into(),
            parts: Vec::new(),
            checksum: None,
            attributes,
        };
        bucket.put(
            "k",
            Arc::new(object),
            TagSet::new(),
            SystemTime::UNIX_EPOCH,
            serial,
        )
    }

    fn delete(bucket: &mut Bucket, id: Option<&str>, serial: u64) -> Deletion {
        bucket
            .delete("k", id, SystemTime::UNIX_EPOCH, serial)
            .unwrap()
    }

    fn code<T>(result: S3Result<T>) -> String {
        result
            .err()
            .map(|error| error.code().as_str().to_owned())
            .unwrap_or_default()
    }

    #[test]
    fn unversioned_bucket_keeps_one_version_and_shows_no_id() {
        let mut bucket = bucket(Versioning::Never);
        put(&mut bucket, "a", 1);
        put(&mut bucket, "b", 2);
        assert_eq!(bucket.objects["k"].len(), 1);
        assert_eq!(bucket.find("k", None).unwrap().version_id, None);
        assert!(matches!(
            delete(&mut bucket, None, 3),
            Deletion::Removed { .. }
        ));
        assert!(bucket.objects.is_empty());
        assert_eq!(delete(&mut bucket, None, 4), Deletion::Nothing);
    }

    #[test]
    fn versioned_bucket_marks_deletes_and_uncovers_on_removal_of_the_marker() {
        let mut bucket = bucket(Versioning::Enabled);
        let first = put(&mut bucket, "a", 1);
        let Deletion::Marked { id: marker } = delete(&mut bucket, None, 2) else {
            panic!()
        };
        assert_eq!(code(bucket.find("k", None)), "NoSuchKey");
        assert_eq!(code(bucket.find("k", Some(&marker))), "MethodNotAllowed");
        assert_eq!(bucket.find("k", Some(&first)).unwrap().object.etag, "a");

        let removed = delete(&mut bucket, Some(&marker), 3);
        assert_eq!(
            removed,
            Deletion::Removed {
                id: marker,
                was_marker: true
            }
        );
        assert_eq!(bucket.find("k", None).unwrap().object.etag, "a");
    }

    #[test]
    fn suspended_bucket_replaces_its_null_version_only() {
        let mut bucket = bucket(Versioning::Never);
        put(&mut bucket, "null", 1);
        bucket.versioning = Versioning::Enabled;
        let kept = put(&mut bucket, "kept", 2);
        bucket.versioning = Versioning::Suspended;
        assert_eq!(put(&mut bucket, "new null", 3), NULL_VERSION);
        let etags = |bucket: &Bucket| -> Vec<String> {
            bucket.objects["k"]
                .iter()
                .map(|version| version.id.clone())
                .collect()
        };
        assert_eq!(etags(&bucket), [kept.clone(), NULL_VERSION.into()]);

        assert_eq!(
            delete(&mut bucket, None, 4),
            Deletion::Marked {
                id: NULL_VERSION.into()
            }
        );
        assert_eq!(etags(&bucket), [kept, NULL_VERSION.into()]);
        assert_eq!(code(bucket.find("k", None)), "NoSuchKey");
    }

    #[rstest]
    #[case::absent_key(None, "NoSuchKey")]
    #[case::unknown_version(Some("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "NoSuchVersion")]
    #[case::no_version_id(Some("v1"), "InvalidArgument")]
    fn reads_of_what_is_not_there(#[case] version: Option<&str>, #[case] expected: &str) {
        assert_eq!(
            code(bucket(Versioning::Enabled).find("k", version)),
            expected
        );
    }

    #[test]
    fn delete_of_an_absent_key_in_a_versioned_bucket_leaves_a_marker() {
        let mut bucket = bucket(Versioning::Enabled);
        assert!(matches!(
            delete(&mut bucket, None, 1),
            Deletion::Marked { .. }
        ));
        assert_eq!(bucket.objects["k"].len(), 1);
    }
}
