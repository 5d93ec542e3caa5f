//! What an S3 object has, and the ways it can go.

use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType};

/// A way from master to replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    CopyObject,
    MultipartCopy,
    StreamedWhole,
    StreamedParts,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [
        Self::CopyObject,
        Self::MultipartCopy,
        Self::StreamedWhole,
        Self::StreamedParts,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CopyObject => "CopyObject",
            Self::MultipartCopy => "multipart copy",
            Self::StreamedWhole => "streamed in one piece",
            Self::StreamedParts => "streamed by parts",
        }
    }

    fn is_by_parts(self) -> bool {
        matches!(self, Self::MultipartCopy | Self::StreamedParts)
    }
}

/// One thing that an object has.
pub(super) struct Thing {
    pub(super) name: &'static str,
    /// What makes it, as the request's headers.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// The checksum that is kept.
    pub(super) checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
    /// As HEAD shows it; tags are asked for.
    pub(super) shown: Shown,
}

#[derive(Clone, Copy)]
pub(super) enum Shown {
    Tags,
    Head(fn(&HeadObjectOutput) -> Option<String>),
}

impl Thing {
    /// Only an upload in parts has parts, and checksums made of theirs.
    pub(super) fn is_of(&self, way: Way) -> bool {
        match &self.checksum {
            Some((_, ChecksumType::Composite)) => way.is_by_parts(),
            _ if self.name == "part layout" => way.is_by_parts(),
            _ => true,
        }
    }
}

const fn header(
    name: &'static str,
    headers: &'static [(&'static str, &'static str)],
    shown: fn(&HeadObjectOutput) -> Option<String>,
) -> Thing {
    Thing {
        name,
        headers,
        checksum: None,
        shown: Shown::Head(shown),
    }
}

const fn checksum(
    name: &'static str,
    algorithm: ChecksumAlgorithm,
    coverage: ChecksumType,
) -> Thing {
    Thing {
        name,
        headers: &[],
        checksum: Some((algorithm, coverage)),
        shown: Shown::Head(checksums),
    }
}

fn checksums(head: &HeadObjectOutput) -> Option<String> {
    let values = [
        head.checksum_crc32(),
        head.checksum_crc32_c(),
        head.checksum_crc64_nvme(),
        head.checksum_sha1(),
        head.checksum_sha256(),
    ];
    let value = values.into_iter().flatten().next()?;
    let coverage = head.checksum_type().map(ChecksumType::as_str);
    Some(format!("{value} {}", coverage.unwrap_or_default()))
}

fn text(value: Option<&str>) -> Option<String> {
    value.map(str::to_owned)
}

pub(super) static THINGS: &[Thing] = &[
    header("user metadata", &[("x-amz-meta-owner", "x y")], |head| {
        head.metadata()?.get("owner").cloned()
    }),
    header("Cache-Control", &[("cache-control", "no-store")], |head| {
        text(head.cache_control())
    }),
    header(
        "Content-Disposition",
        &[("content-disposition", "attachment")],
        |head| text(head.content_disposition()),
    ),
    header("Content-Encoding", &[("content-encoding", "br")], |head| {
        text(head.content_encoding())
    }),
    header("Content-Language", &[("content-language", "de")], |head| {
        text(head.content_language())
    }),
    header(
        "Content-Type",
        &[("content-type", "text/x-thing")],
        |head| text(head.content_type()),
    ),
    header(
        "Expires",
        &[("expires", "Wed, 21 Oct 2037 07:28:00 GMT")],
        |head| text(head.expires_string()),
    ),
    header(
        "website redirect",
        &[("x-amz-website-redirect-location", "/elsewhere")],
        |head| text(head.website_redirect_location()),
    ),
    Thing {
        name: "tags",
        headers: &[("x-amz-tagging", "a=1&b%20c=d%2Be")],
        checksum: None,
        shown: Shown::Tags,
    },
    header(
        "storage class",
        &[("x-amz-storage-class", "STANDARD_IA")],
        |head| head.storage_class().map(|class| class.as_str().to_owned()),
    ),
    checksum(
        "CRC32 of the object",
        ChecksumAlgorithm::Crc32,
        ChecksumType::FullObject,
    ),
    checksum(
        "CRC32 of the parts",
        ChecksumAlgorithm::Crc32,
        ChecksumType::Composite,
    ),
    checksum(
        "CRC32C of the object",
        ChecksumAlgorithm::Crc32C,
        ChecksumType::FullObject,
    ),
    checksum(
        "CRC64NVME of the object",
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumType::FullObject,
    ),
    checksum(
        "SHA-1 of the parts",
        ChecksumAlgorithm::Sha1,
        ChecksumType::Composite,
    ),
    checksum(
        "SHA-256 of the parts",
        ChecksumAlgorithm::Sha256,
        ChecksumType::Composite,
    ),
    header("part layout", &[], |head| text(head.e_tag())),
];
