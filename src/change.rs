//! One decoded notification: which key of which bucket is to be looked at again.
//!
//! A change never says what the object is now; whoever acts on it asks the store. That is why
//! [`Hints`] are for logs only and a removal of an old version is a change like any other.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

/// S3's limit for a key, in bytes of UTF-8.
pub const MAX_KEY_BYTES: usize = 1024;

/// What S3 percent-encodes in the key of a notification, spaces aside, which become `+`.
///
/// The set is that of `java.net.URLEncoder`, with `/` left alone.
const ENCODED_IN_NOTIFICATIONS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b' ')
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'/')
    .remove(b'_');

/// The key of an object, decoded: the very bytes that S3 stores, from 1 to [`MAX_KEY_BYTES`].
///
/// Nothing in it is normalised: `a//b`, `./a` and `/a` are keys of their own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Box<str>);

impl ObjectKey {
    /// Takes a key that is not encoded, as EventBridge sends it.
    pub fn new(key: impl Into<String>) -> Result<Self, InvalidKey> {
        let key = key.into();
        match key.len() {
            0 => Err(InvalidKey::Empty),
            1..=MAX_KEY_BYTES => Ok(Self(key.into_boxed_str())),
            length => Err(InvalidKey::TooLong { length }),
        }
    }

    /// Decodes a key as S3 notifications and Batch Operations send it: `+` is a space, `%` opens
    /// an escape of two hexadecimal digits, and the result is UTF-8.
    ///
    /// Escapes are read strictly: to keep a broken one as it stands would name another object.
    pub fn from_form_urlencoded(encoded: &str) -> Result<Self, InvalidKey> {
        if let Some(position) = broken_escape(encoded.as_bytes()) {
            return Err(InvalidKey::Escape { position });
        }
        let spaced = encoded.replace('+', " ");
        let decoded =
            percent_decode_str(&spaced)
                .decode_utf8()
                .map_err(|error| InvalidKey::Utf8 {
                    position: encoded_position(encoded.as_bytes(), error.valid_up_to()),
                })?;
        Self::new(decoded)
    }

    /// Encodes the key exactly as AWS does in its notifications.
    pub fn to_form_urlencoded(&self) -> String {
        encode_filter(&self.0)
    }

    /// The decoded key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for ObjectKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a prefix or suffix in a notification configuration stands for: S3 has it encoded there, as
/// the keys of its notifications. What is not encoded properly stands for itself.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html>
pub fn decode_filter(value: &str) -> String {
    let decoded = ObjectKey::from_form_urlencoded(value);
    decoded.map_or_else(|_| value.to_owned(), |key| key.as_str().to_owned())
}

/// A prefix or suffix as a notification configuration has it: the inverse of [`decode_filter`].
pub fn encode_filter(text: &str) -> String {
    let encoded: Cow<'_, str> = utf8_percent_encode(text, ENCODED_IN_NOTIFICATIONS).into();
    encoded.replace(' ', "+")
}

/// Where the first `%` without two hexadecimal digits stands.
fn broken_escape(encoded: &[u8]) -> Option<usize> {
    let is_escape = |tail: &[u8]| matches!(tail, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    (0..encoded.len()).find(|&at| encoded[at] == b'%' && !is_escape(&encoded[at..]))
}

/// Where the decoded byte `decoded` stands in the encoded text, whose escapes are whole.
fn encoded_position(encoded: &[u8], decoded: usize) -> usize {
    (0..decoded).fold(0, |at, _| if encoded[at] == b'%' { at + 3 } else { at + 1 })
}

/// Why a text is not an object key. Positions count bytes of the encoded text, from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidKey {
    /// S3 has no object without a name.
    #[error("key is empty")]
    Empty,
    /// Longer than S3 allows.
    #[error("key is longer than {MAX_KEY_BYTES} bytes: {length}")]
    TooLong {
        /// Bytes of the decoded key.
        length: usize,
    },
    /// A `%` that opens no escape.
    #[error("`%` is not followed by two hexadecimal digits at byte {position}")]
    Escape {
        /// Where the `%` stands.
        position: usize,
    },
    /// The decoded bytes are no text.
    #[error("key is not UTF-8 at byte {position}")]
    Utf8 {
        /// Where the first byte that does not fit stands.
        position: usize,
    },
}

/// What a notification says has happened. It decides nothing but how the change is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// An object was written.
    Created,
    /// An object or one of its versions was removed, or a delete marker was put on it.
    Removed,
    /// Its tags were set or removed.
    Tagged,
    /// It was brought back from an archive.
    Restored,
    /// Somebody asked for it: a task of S3 Batch Operations.
    Requested,
}

/// One decoded notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The bucket that notified us.
    pub bucket: String,
    /// The key to look at.
    pub key: ObjectKey,
    /// The bucket's region; `None` is the process's own.
    pub region: Option<String>,
    /// What has happened.
    pub kind: ChangeKind,
    /// The sender's own word for it, for logs; without `s3:`.
    pub event_name: String,
    /// When it happened, as the sender wrote it.
    pub event_time: Option<String>,
    /// What else the notification says of the object.
    pub hints: Hints,
}

/// What a notification says of an object. For logs only: it may be late, constant or missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    /// Bytes.
    pub size: Option<u64>,
    /// The entity tag, without quotes.
    pub etag: Option<String>,
    /// The version.
    pub version_id: Option<String>,
    /// AWS's order of events of one key; other stores send anything.
    pub sequencer: Option<String>,
}

/// The name of an S3 event, `ObjectCreated:Put`, with or without a leading `s3:`.
///
/// Open on purpose: stores add names, and one that we have never seen is no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventName<'a> {
    /// The family, `ObjectCreated`.
    pub kind: &'a str,
    /// What exactly happened, `Put`; may be empty.
    pub name: &'a str,
}

impl<'a> EventName<'a> {
    /// Splits a name; any text is one.
    pub fn parse(text: &'a str) -> Self {
        let text = text.strip_prefix("s3:").unwrap_or(text);
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        Self { kind, name }
    }

    /// The change it stands for, or `None` where there is nothing to replicate.
    pub fn change(&self) -> Option<ChangeKind> {
        match (self.kind, self.name) {
            // MinIO reports changes of tags as creations.
            ("ObjectCreated", "PutTagging" | "DeleteTagging") => Some(ChangeKind::Tagged),
            ("ObjectCreated", _) => Some(ChangeKind::Created),
            ("ObjectRemoved" | "LifecycleExpiration", _) => Some(ChangeKind::Removed),
            ("ObjectTagging", _) => Some(ChangeKind::Tagged),
            ("ObjectRestore", "Completed") => Some(ChangeKind::Restored),
            _ => None,
        }
    }
}

impl fmt::Display for EventName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        if !self.name.is_empty() {
            write!(f, ":{}", self.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("a/b.txt", "a/b.txt")]
    #[case::space("a b.txt", "a+b.txt")]
    #[case::plus("a+b", "a%2Bb")]
    #[case::percent("100%", "100%25")]
    #[case::looks_encoded("a%2Bb", "a%252Bb")]
    #[case::double_slash("a//b", "a//b")]
    #[case::dot_segment("./a/../b", "./a/../b")]
    #[case::leading_slash("/a", "/a")]
    #[case::newline("a\nb", "a%0Ab")]
    #[case::emoji("🦀", "%F0%9F%A6%80")]
    #[case::partition("year=2026/month=01", "year%3D2026/month%3D01")]
    #[case::punctuation("~(a)!*'@:,;$&_-.", "%7E%28a%29%21*%27%40%3A%2C%3B%24%26_-.")]
    #[case::longest(&"é".repeat(512), &"%C3%A9".repeat(512))]
    fn key_is_encoded_as_aws_does_and_decodes_to_itself(#[case] key: &str, #[case] encoded: &str) {
        let key = ObjectKey::new(key).unwrap();
        assert_eq!(key.to_form_urlencoded(), encoded);
        assert_eq!(ObjectKey::from_form_urlencoded(encoded), Ok(key));
    }

    #[rstest]
    #[case::slash_encoded_by_minio("a+b%2Bc%2F%C3%A9.txt", "a b+c/é.txt")]
    #[case::space_as_localstack_sends_it("a%20b", "a b")]
    #[case::lower_case_digits("%c3%a9", "é")]
    #[case::not_encoded_at_all("é(1).txt", "é(1).txt")]
    fn encodings_of_other_stores_are_understood(#[case] encoded: &str, #[case] key: &str) {
        assert_eq!(
            ObjectKey::from_form_urlencoded(encoded).unwrap().as_str(),
            key
        );
    }

    #[rstest]
    #[case::empty("", InvalidKey::Empty)]
    #[case::percent_at_the_end("abc%", InvalidKey::Escape { position: 3 })]
    #[case::one_digit("ab%2", InvalidKey::Escape { position: 2 })]
    #[case::no_digits("é%zz", InvalidKey::Escape { position: 2 })]
    #[case::sign_is_no_digit("%+1", InvalidKey::Escape { position: 0 })]
    #[case::second_escape("%41%4", InvalidKey::Escape { position: 3 })]
    #[case::latin1("a%C3%A9+%E9", InvalidKey::Utf8 { position: 8 })]
    #[case::cut_off("a%F0%9F", InvalidKey::Utf8 { position: 1 })]
    #[case::too_long(&"a".repeat(1025), InvalidKey::TooLong { length: 1025 })]
    fn bad_encoding_names_its_position(#[case] encoded: &str, #[case] expected: InvalidKey) {
        assert_eq!(ObjectKey::from_form_urlencoded(encoded), Err(expected));
    }

    #[rstest]
    #[case::put("ObjectCreated:Put", Some(ChangeKind::Created))]
    #[case::copy("ObjectCreated:Copy", Some(ChangeKind::Created))]
    #[case::multipart("ObjectCreated:CompleteMultipartUpload", Some(ChangeKind::Created))]
    #[case::created_in_a_new_way("ObjectCreated:Rename", Some(ChangeKind::Created))]
    #[case::minio_put("s3:ObjectCreated:Put", Some(ChangeKind::Created))]
    #[case::minio_tagging("s3:ObjectCreated:PutTagging", Some(ChangeKind::Tagged))]
    #[case::minio_untagging("s3:ObjectCreated:DeleteTagging", Some(ChangeKind::Tagged))]
    #[case::minio_retention("s3:ObjectCreated:PutRetention", Some(ChangeKind::Created))]
    #[case::minio_legal_hold("s3:ObjectCreated:PutLegalHold", Some(ChangeKind::Created))]
    #[case::delete("ObjectRemoved:Delete", Some(ChangeKind::Removed))]
    #[case::delete_marker("ObjectRemoved:DeleteMarkerCreated", Some(ChangeKind::Removed))]
    #[case::expired("LifecycleExpiration:Delete", Some(ChangeKind::Removed))]
    #[case::expired_marker("LifecycleExpiration:DeleteMarkerCreated", Some(ChangeKind::Removed))]
    #[case::tagged("ObjectTagging:Put", Some(ChangeKind::Tagged))]
    #[case::untagged("ObjectTagging:Delete", Some(ChangeKind::Tagged))]
    #[case::restored("ObjectRestore:Completed", Some(ChangeKind::Restored))]
    #[case::restore_asked_for("ObjectRestore:Post", None)]
    #[case::restore_over("ObjectRestore:Delete", None)]
    #[case::acl("ObjectAcl:Put", None)]
    #[case::replication("Replication:OperationFailedReplication", None)]
    #[case::transition("LifecycleTransition", None)]
    #[case::tiering("IntelligentTiering", None)]
    #[case::lost("ReducedRedundancyLostObject", None)]
    #[case::minio_read("s3:ObjectAccessed:Get", None)]
    #[case::test("s3:TestEvent", None)]
    #[case::unknown("ObjectDreamtOf:Once", None)]
    #[case::near_miss("objectcreated:Put", None)]
    #[case::empty("", None)]
    fn event_name_decides_whether_there_is_a_change(
        #[case] name: &str,
        #[case] expected: Option<ChangeKind>,
    ) {
        assert_eq!(EventName::parse(name).change(), expected);
    }

    #[rstest]
    #[case::aws("ObjectCreated:Put", "ObjectCreated:Put")]
    #[case::minio("s3:ObjectCreated:Put", "ObjectCreated:Put")]
    #[case::without_a_second_part("LifecycleTransition", "LifecycleTransition")]
    #[case::more_parts("s3:A:b:c", "A:b:c")]
    fn event_name_is_shown_without_prefix(#[case] name: &str, #[case] shown: &str) {
        assert_eq!(EventName::parse(name).to_string(), shown);
    }

    proptest! {
        #[test]
        fn any_key_round_trips(text in any::<String>()) {
            if let Ok(key) = ObjectKey::new(text) {
                let encoded = key.to_form_urlencoded();
                prop_assert!(encoded.is_ascii());
                prop_assert_eq!(ObjectKey::from_form_urlencoded(&encoded), Ok(key));
            }
        }

        #[test]
        fn any_text_decodes_or_names_a_position_in_it(text in "[%+a-fA-F0-9zé/]{0,40}") {
            match ObjectKey::from_form_urlencoded(&text) {
                Err(InvalidKey::Escape { position }) => prop_assert_eq!(text.as_bytes()[position], b'%'),
                Err(InvalidKey::Utf8 { position }) => prop_assert!(position < text.len()),
                _ => {}
            }
        }
    }
}
