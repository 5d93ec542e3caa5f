//! What happens, one step a line.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde_json::value::RawValue;

use super::body::Body;
use super::expect::Expect;
use crate::local::faults::Fault;

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The line it stands on, from 1.
    pub line: usize,
    /// The name by which later steps refer to it.
    pub id: Option<String>,
    /// What it does.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// An operation on a bucket.
    Operation(Operation),
    /// The events of these operations are delivered, in this order.
    Deliver(Vec<String>),
    /// A fault is armed, or an outage ended.
    Fault(Fault),
    /// The function is invoked with exactly this payload.
    Invoke(Payload),
    /// Waits until no event is queued or running.
    Settle(Settle),
    /// Lets this much time pass, whatever is under way.
    Pause(Duration),
    /// Something must be so.
    Expect(Expect),
}

/// An operation on a bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The target it is done to; the master where there is none.
    pub target: Option<String>,
    /// Whether its event is kept for a later [`Action::Deliver`].
    pub held: bool,
    /// Which operation.
    pub kind: OperationKind,
}

/// Which operation.
#[derive(Debug, Clone, PartialEq)]
pub enum OperationKind {
    /// An object is written.
    Put(Put),
    /// An object is copied within its bucket.
    Copy(Copy),
    /// An object, or one version, is deleted.
    Delete(Delete),
    /// An object's tags are replaced.
    Tag(Tag),
    /// An object's tags are removed.
    Untag(Untag),
    /// Versioning is enabled (`true`) or suspended (`false`).
    Versioning(bool),
    /// The bucket's tags are replaced.
    BucketTags(BTreeMap<String, String>),
}

/// An object is written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Put {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub body: Body,
    /// User metadata, names in lowercase.
    pub metadata: BTreeMap<String, String>,
    /// System headers, spelled as in [`HEADERS`](super::HEADERS).
    pub headers: BTreeMap<String, String>,
    /// Object tags.
    pub tags: BTreeMap<String, String>,
    /// The sizes of a multipart upload's parts; empty: one `PutObject`.
    pub parts: Vec<u64>,
    /// The checksum that is sent along.
    pub checksum: Option<Checksum>,
}

/// An object is copied within its bucket.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Copy {
    /// The key that is written.
    pub key: String,
    /// The key that is read.
    pub from: String,
    /// The id of the step that made the version that is read; the current one where there is none.
    pub from_version: Option<String>,
    /// The new metadata. With this or `headers`, both are replaced; without either, both copied.
    pub metadata: Option<BTreeMap<String, String>>,
    /// The new system headers.
    pub headers: Option<BTreeMap<String, String>>,
    /// The new tags; copied where there are none.
    pub tags: Option<BTreeMap<String, String>>,
}

/// An object, or one version, is deleted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Delete {
    /// Its key.
    pub key: String,
    /// The id of the step that made the version or delete marker that is deleted.
    pub version: Option<String>,
}

/// An object's tags are replaced.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// All its tags from now on.
    pub tags: BTreeMap<String, String>,
}

/// An object's tags are removed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Untag {
    /// Its key.
    pub key: String,
}

/// Waits until no event is queued or running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settle {
    /// It fails after this time.
    pub within: Duration,
}

/// A payload as it was captured: JSON text on one line, otherwise untouched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(String);

/// A checksum algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// CRC-32.
    Crc32,
    /// CRC-32C.
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// No checksum algorithm has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no checksum algorithm is called {0:?}")]
pub struct UnknownChecksum(pub String);

impl Checksum {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// Its name in S3's API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }
}

impl FromStr for Checksum {
    type Err = UnknownChecksum;

    fn from_str(name: &str) -> Result<Self, UnknownChecksum> {
        let known = Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name);
        known.ok_or_else(|| UnknownChecksum(name.to_owned()))
    }
}

impl Payload {
    /// Takes JSON of any kind. Line ends between its tokens become spaces.
    pub fn new(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<&RawValue>(json)?;
        // Inside a JSON string a line end is always escaped.
        Ok(Self(json.trim().replace(['\n', '\r'], " ")))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether its invoker waits for the answer and acts on it, as SQS and S3 Batch Operations do.
    /// Any other payload is an asynchronous event.
    pub fn is_answered(&self) -> bool {
        let payload: serde_json::Value = serde_json::from_str(&self.0).unwrap_or_default();
        let from_queue = payload["Records"][0]["eventSource"] == "aws:sqs";
        from_queue || payload["invocationSchemaVersion"].is_string()
    }
}

/// In a few words, for a person who follows a replay.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(operation) => {
                f.write_str(operation.kind.name())?;
                if let Some(target) = &operation.target {
                    write!(f, " at {target}")?;
                }
                if let Some(key) = operation.kind.key() {
                    write!(f, " {}", key.escape_debug())?;
                }
                if operation.held {
                    f.write_str(" (held)")
                } else {
                    Ok(())
                }
            }
            Self::Deliver(ids) => write!(f, "deliver {}", ids.join(" ")),
            Self::Fault(fault) => write!(f, "fault {}", as_json(fault)),
            Self::Invoke(_) => f.write_str("invoke"),
            Self::Settle(_) => f.write_str("settle"),
            Self::Pause(time) => write!(f, "pause {time:?}"),
            Self::Expect(expect) => write!(f, "expect {}", as_json(expect)),
        }
    }
}

fn as_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl OperationKind {
    /// Its name in a recording.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Put(_) => "put",
            Self::Copy(_) => "copy",
            Self::Delete(_) => "delete",
            Self::Tag(_) => "tag",
            Self::Untag(_) => "untag",
            Self::Versioning(_) => "versioning",
            Self::BucketTags(_) => "bucket_tags",
        }
    }

    /// The key it is about; an operation with a key emits an event, one without does not.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Put(Put { key, .. })
            | Self::Copy(Copy { key, .. })
            | Self::Delete(Delete { key, .. })
            | Self::Tag(Tag { key, .. })
            | Self::Untag(Untag { key }) => Some(key),
            Self::Versioning(_) | Self::BucketTags(_) => None,
        }
    }
}
