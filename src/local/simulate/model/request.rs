//! Requests and invocations, as the model sees them.

use super::bucket::{PARTS, Upload, Version};
use crate::local::simulate::plan::{Micros, State};

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local::simulate) enum Call {
    Head,
    HeadBucket,
    GetTags,
    /// Reads the bytes, if the ETag is this one.
    Get(Tag),
    /// Writes exactly this, read elsewhere.
    Put(State),
    /// Reads from the bucket, if the ETag is this one, and writes exactly this.
    Copy {
        from: u8,
        if_match: Tag,
        exact: State,
    },
    Tag(u8),
    Delete,
    ListUploads,
    /// Begins an upload of exactly this; the content comes with its parts.
    Begin(State),
    /// Reads a part from the bucket, if the ETag is this one, and writes it to the upload.
    CopyPart {
        from: u8,
        if_match: Tag,
        id: u32,
        part: u8,
    },
    /// Writes a part, read elsewhere, to the upload.
    PutPart {
        id: u32,
        part: u8,
        content: u8,
    },
    /// Makes the upload an object, if its parts are these.
    Complete {
        id: u32,
        parts: [u8; PARTS],
    },
    Abort(u32),
}

/// What stands for an ETag: the content, or the serial number of an encrypted version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local::simulate) struct Tag(pub(super) u32);

impl Call {
    /// As S3 calls it.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::Head => "HeadObject",
            Self::HeadBucket => "HeadBucket",
            Self::GetTags => "GetObjectTagging",
            Self::Get(_) => "GetObject",
            Self::Put(_) => "PutObject",
            Self::Copy { .. } => "CopyObject",
            Self::Tag(_) => "PutObjectTagging",
            Self::Delete => "DeleteObject",
            Self::ListUploads => "ListMultipartUploads",
            Self::Begin(_) => "CreateMultipartUpload",
            Self::CopyPart { .. } => "UploadPartCopy",
            Self::PutPart { .. } => "UploadPart",
            Self::Complete { .. } => "CompleteMultipartUpload",
            Self::Abort(_) => "AbortMultipartUpload",
        }
    }

    pub(super) fn is_write(self) -> bool {
        matches!(
            self,
            Self::Put(_) | Self::Copy { .. } | Self::Tag(_) | Self::Delete | Self::Complete { .. }
        )
    }
}

/// What the sender hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::local::simulate) enum Answer {
    Absent,
    Found(Version, State),
    /// The upload with the most parts, if there is one.
    Listed(Option<Upload>),
    /// The id of a new upload.
    Begun(u32),
    Done,
    /// 404 or 412: what the request was about is no more.
    Raced,
    /// A status that the SDK tries again at.
    Status(u16),
    /// The connection ended.
    Reset,
    /// The function's own deadline.
    Deadline,
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub(super) invocation: u32,
    pub(super) bucket: u8,
    pub(super) key: u8,
    pub(super) call: Call,
    pub(super) work: Micros,
    pub(super) way_back: Micros,
    /// Whether anyone hears of it when it is done.
    pub(super) is_heard: bool,
    /// What the replica must be for a write to take effect; `None`: anything.
    pub(super) expected: Option<Option<Tag>>,
    pub(super) read: Option<State>,
    pub(super) reply: Answer,
    /// What the sender has been told, or will be once it moves again.
    pub(super) heard: Option<Answer>,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Operate(usize),
    Deliver(usize),
    /// The events of bucket and key, which a chain's replica causes.
    Echo(u8, u8),
    Attempt(usize),
    Arrive(usize),
    Write(usize),
    Answer(usize),
    Notice(usize, u16),
    Thaw(u32),
    Deadline(u32),
    Timeout(u32),
}

/// One invocation, as the world sees it.
#[derive(Debug, Clone)]
pub(super) struct Invocation {
    pub(super) delivery: u16,
    pub(super) attempt: u8,
    pub(super) started: Micros,
    pub(super) requests: u16,
    pub(super) is_late: bool,
    pub(super) frozen_until: Micros,
    /// Whether a plan's line kills it as soon as it has been polled.
    pub(super) dies: bool,
}
