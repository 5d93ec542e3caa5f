//! What HEAD says of an object, and when two objects are equal.
//!
//! Equal must be proven. An ETag proves content only where it is derived from content, a checksum
//! only where both sides have the same kind; everything else is [`Content::Unproven`].

use std::collections::BTreeMap;

/// An object's state: all that HEAD says, and its tags.
///
/// `==` is the question that *confirm* asks: is this still the very state that was observed?
/// Whether a replica is as good as its master is a different one, see [`difference`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    /// As the store gives it, without quotes.
    pub etag: String,
    /// Whether the ETag is derived from the content (not so under KMS or customer keys).
    pub etag_proves_content: bool,
    /// In bytes.
    pub size: u64,
    /// In seconds of the Unix epoch, by the store's clock.
    pub last_modified: i64,
    /// Where the bucket is versioned.
    pub version_id: Option<String>,
    /// User metadata, names without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// System headers that are part of the object, as text.
    pub headers: SystemHeaders,
    /// Object tags.
    pub tags: BTreeMap<String, String>,
    /// The checksums that the store keeps.
    pub checksums: Checksums,
    /// Set when writing, never compared: lifecycle moves it.
    pub storage_class: NotCompared<String>,
}

impl Object {
    /// How many parts the object was uploaded in, where its ETag tells: `…-N`.
    pub fn multipart_count(&self) -> Option<u32> {
        let (_, count) = self.etag.rsplit_once('-')?;
        count.parse().ok()
    }
}

/// A value that is carried along but takes no part in comparisons.
#[derive(Debug, Clone, Default)]
pub struct NotCompared<T>(pub Option<T>);

impl<T> PartialEq for NotCompared<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for NotCompared<T> {}

/// The system headers that S3 keeps with an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemHeaders {
    /// `Cache-Control`
    pub cache_control: Option<String>,
    /// `Content-Disposition`
    pub content_disposition: Option<String>,
    /// `Content-Encoding`
    pub content_encoding: Option<String>,
    /// `Content-Language`
    pub content_language: Option<String>,
    /// `Content-Type`
    pub content_type: Option<String>,
    /// `Expires`, whatever it says
    pub expires: Option<String>,
    /// `x-amz-website-redirect-location`
    pub website_redirect: Option<String>,
}

impl SystemHeaders {
    /// What S3 stores where a writer names no type; some stores then show none.
    const DEFAULT_TYPE: &str = "binary/octet-stream";

    /// Header names, as they are sent, with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("cache-control", &self.cache_control),
            ("content-disposition", &self.content_disposition),
            ("content-encoding", &self.content_encoding),
            ("content-language", &self.content_language),
            ("content-type", &self.content_type),
            ("expires", &self.expires),
            ("x-amz-website-redirect-location", &self.website_redirect),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// The first header in which two objects differ.
    fn difference(&self, other: &Self) -> Option<&'static str> {
        let type_of = |headers: &Self| {
            headers
                .content_type
                .clone()
                .unwrap_or_else(|| Self::DEFAULT_TYPE.to_owned())
        };
        if type_of(self) != type_of(other) {
            return Some("content-type");
        }
        let mut ours: BTreeMap<_, _> = self.iter().collect();
        let mut theirs: BTreeMap<_, _> = other.iter().collect();
        ours.remove("content-type");
        theirs.remove("content-type");
        let names = ours.keys().chain(theirs.keys());
        names
            .copied()
            .find(|name| ours.get(name) != theirs.get(name))
    }
}

/// The checksums that a store keeps with an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checksums {
    /// Base64 values by algorithm, as in `x-amz-checksum-ALGORITHM`: `crc32`, `sha256`, …
    pub values: BTreeMap<&'static str, String>,
    /// Whether the values are checksums of the parts' checksums.
    pub composite: bool,
}

/// Whether the bytes of two objects are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Proven the same.
    Same,
    /// Proven different.
    Different,
    /// Neither ETags nor checksums say: the bytes decide.
    Unproven,
}

/// In what a replica differs from its master, or what has to be looked at to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Nothing: the replica is proven equal.
    None,
    /// Only the tags.
    Tags,
    /// The named part of the object; it has to be written anew.
    Object(&'static str),
    /// All else is equal, but no proof says that the bytes are. `tags` also differ, or don't.
    Unproven {
        /// Whether the tags differ as well.
        tags: bool,
    },
}

/// In what `replica` differs from `master`. Storage class, encryption, versions and times are not
/// part of what is compared.
pub fn difference(master: &Object, replica: &Object) -> Difference {
    if master.size != replica.size {
        return Difference::Object("size");
    }
    if master.metadata != replica.metadata {
        return Difference::Object("metadata");
    }
    if let Some(name) = master.headers.difference(&replica.headers) {
        return Difference::Object(name);
    }
    let tags = master.tags != replica.tags;
    match content(master, replica) {
        Content::Different => Difference::Object("content"),
        Content::Unproven => Difference::Unproven { tags },
        Content::Same if tags => Difference::Tags,
        Content::Same => Difference::None,
    }
}

/// Whether the bytes are the same, as far as ETags, sizes and checksums prove it.
pub fn content(master: &Object, replica: &Object) -> Content {
    if master.size != replica.size {
        return Content::Different;
    }
    if master.size == 0 {
        return Content::Same;
    }
    let etags_comparable = master.etag_proves_content && replica.etag_proves_content;
    if etags_comparable && master.etag == replica.etag {
        return Content::Same;
    }
    let whole = |object: &Object| object.multipart_count().is_none();
    if etags_comparable && whole(master) && whole(replica) {
        return Content::Different;
    }
    by_checksum(master, replica)
}

/// Full-object checksums prove both ways; composite ones over as many parts prove sameness only,
/// since the parts may have been cut differently.
fn by_checksum(master: &Object, replica: &Object) -> Content {
    if master.checksums.composite != replica.checksums.composite {
        return Content::Unproven;
    }
    let composite = master.checksums.composite;
    if composite && master.multipart_count() != replica.multipart_count() {
        return Content::Unproven;
    }
    let common = master
        .checksums
        .values
        .iter()
        .find_map(|(algorithm, ours)| {
            replica
                .checksums
                .values
                .get(algorithm)
                .map(|theirs| ours == theirs)
        });
    match common {
        Some(true) => Content::Same,
        Some(false) if !composite => Content::Different,
        _ => Content::Unproven,
    }
}

#[cfg(test)]
mod tests;
