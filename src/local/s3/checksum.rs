//! Checksums: computed while bytes arrive, and put together for objects made of parts.
//!
//! A put without a checksum stores none. AWS would add a CRC64NVME of its own there; the store
//! does not, so that objects without a checksum (as every object before 2025 is) can be made.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use http::{HeaderMap, HeaderName, HeaderValue};
use md5::{Digest, Md5};
use s3s::{S3Result, dto, s3_error};
use sha1::Sha1;
use sha2::Sha256;

use super::content::Content;

/// The checksum algorithms of S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

use Algorithm::{Crc32, Crc32c, Crc64Nvme};

impl Algorithm {
    pub(super) const ALL: [Algorithm; 5] =
        [Crc32, Crc32c, Crc64Nvme, Algorithm::Sha1, Algorithm::Sha256];

    /// The name that `x-amz-checksum-algorithm` has for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Crc32 => "CRC32",
            Crc32c => "CRC32C",
            Crc64Nvme => "CRC64NVME",
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
        }
    }

    pub(super) fn parse(name: &str) -> S3Result<Algorithm> {
        let found = Algorithm::ALL
            .into_iter()
            .find(|one| one.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            s3_error!(
                InvalidRequest,
                "Checksum algorithm provided is unsupported. Please try again with any of the \
                 valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
            )
        })
    }

    /// The header that carries a value of it.
    pub(super) fn header(self) -> HeaderName {
        HeaderName::from_static(match self {
            Crc32 => "x-amz-checksum-crc32",
            Crc32c => "x-amz-checksum-crc32c",
            Crc64Nvme => "x-amz-checksum-crc64nvme",
            Algorithm::Sha1 => "x-amz-checksum-sha1",
            Algorithm::Sha256 => "x-amz-checksum-sha256",
        })
    }

    /// How many bytes a value of it has.
    pub(super) fn length(self) -> usize {
        match self {
            Crc32 | Crc32c => 4,
            Crc64Nvme => 8,
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
        }
    }

    fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Algorithm::Sha1 | Algorithm::Sha256 => None,
        }
    }

    fn hasher(self) -> Hasher {
        match (self, self.crc()) {
            (_, Some(crc)) => Hasher::Crc(Crc::new(crc), self.length()),
            (Algorithm::Sha1, None) => Hasher::Sha1(Sha1::new()),
            (_, None) => Hasher::Sha256(Sha256::new()),
        }
    }
}

/// What a checksum covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coverage {
    /// The object's bytes.
    FullObject,
    /// The checksums of its parts, whose number follows the value.
    Composite,
}

impl Coverage {
    pub(super) fn name(self) -> &'static str {
        match self {
            Coverage::FullObject => "FULL_OBJECT",
            Coverage::Composite => "COMPOSITE",
        }
    }
}

/// A checksum as S3 stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checksum {
    pub(super) algorithm: Algorithm,
    pub(super) coverage: Coverage,
    /// Base64, with `-N` behind it if composite.
    pub(super) value: String,
}

impl Checksum {
    fn full(algorithm: Algorithm, digest: &[u8]) -> Checksum {
        Checksum {
            algorithm,
            coverage: Coverage::FullObject,
            value: STANDARD.encode(digest),
        }
    }

    /// The checksum over the checksums of parts.
    pub(super) fn composite<'a>(
        algorithm: Algorithm,
        parts: impl IntoIterator<Item = &'a Checksum>,
    ) -> Checksum {
        let mut hasher = algorithm.hasher();
        let mut count = 0;
        for part in parts {
            hasher.update(&STANDARD.decode(&part.value).expect("we encoded it"));
            count += 1;
        }
        let value = format!("{}-{count}", STANDARD.encode(hasher.finish()));
        Checksum {
            algorithm,
            coverage: Coverage::Composite,
            value,
        }
    }

    /// The checksum over the bytes of parts, out of theirs: only CRCs can be had without the bytes.
    pub(super) fn combined<'a>(
        algorithm: Algorithm,
        parts: impl IntoIterator<Item = (&'a Checksum, u64)>,
    ) -> Option<Checksum> {
        let crc = algorithm.crc()?;
        let combined = parts.into_iter().fold(None, |whole, (part, size)| {
            let part = STANDARD.decode(&part.value).expect("we encoded it");
            let part = part
                .iter()
                .fold(0, |value, byte| value << 8 | u64::from(*byte));
            Some(match whole {
                None => part,
                Some(whole) => crc_fast::checksum_combine(crc, whole, part, size),
            })
        });
        let digest = combined?.to_be_bytes();
        Some(Checksum::full(
            algorithm,
            &digest[digest.len() - algorithm.length()..],
        ))
    }

    /// The checksum as the headers of an answer.
    pub(super) fn write_headers(&self, headers: &mut HeaderMap) {
        let value = HeaderValue::from_str(&self.value).expect("base64 is visible ASCII");
        headers.insert(self.algorithm.header(), value);
        headers.insert(
            "x-amz-checksum-type",
            HeaderValue::from_static(self.coverage.name()),
        );
    }

    /// The checksum as the elements of an answer.
    pub(super) fn to_dto(&self) -> dto::Checksum {
        let value = Some(self.value.clone());
        let coverage = dto::ChecksumType::from_static(self.coverage.name());
        let mut sums = dto::Checksum {
            checksum_type: Some(coverage),
            ..Default::default()
        };
        match self.algorithm {
            Crc32 => sums.checksum_crc32 = value,
            Crc32c => sums.checksum_crc32c = value,
            Crc64Nvme => sums.checksum_crc64nvme = value,
            Algorithm::Sha1 => sums.checksum_sha1 = value,
            Algorithm::Sha256 => sums.checksum_sha256 = value,
        }
        sums
    }
}

/// Digests bytes while they arrive.
pub(super) struct Digests {
    md5: Md5,
    sum: Option<(Algorithm, Hasher)>,
}

/// What the bytes came to.
pub(super) struct Digested {
    pub(super) md5: [u8; 16],
    pub(super) checksum: Option<Checksum>,
}

impl Digests {
    /// The MD5 always, as the ETag needs it, and `algorithm` where there is one.
    pub(super) fn new(algorithm: Option<Algorithm>) -> Digests {
        Digests {
            md5: Md5::new(),
            sum: algorithm.map(|one| (one, one.hasher())),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        if let Some((_, hasher)) = &mut self.sum {
            hasher.update(bytes);
        }
    }

    pub(super) fn finish(self) -> Digested {
        let checksum = self
            .sum
            .map(|(algorithm, hasher)| Checksum::full(algorithm, &hasher.finish()));
        Digested {
            md5: self.md5.finalize().into(),
            checksum,
        }
    }
}

/// Digests a content that is already here.
pub(super) fn digest(content: &Content, algorithm: Option<Algorithm>) -> Digested {
    let mut digests = Digests::new(algorithm);
    for chunk in content.chunks() {
        digests.update(chunk);
    }
    digests.finish()
}

enum Hasher {
    /// With the number of bytes that a value has.
    Crc(Crc, usize),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Hasher {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Hasher::Crc(crc, _) => crc.update(bytes),
            Hasher::Sha1(sha1) => sha1.update(bytes),
            Hasher::Sha256(sha256) => sha256.update(bytes),
        }
    }

    fn finish(self) -> Vec<u8> {
        match self {
            Hasher::Crc(crc, length) => crc.finalize().to_be_bytes()[8 - length..].to_vec(),
            Hasher::Sha1(sha1) => sha1.finalize().to_vec(),
            Hasher::Sha256(sha256) => sha256.finalize().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rstest::rstest;

    use super::*;

    fn of(text: &'static str, algorithm: Algorithm) -> Checksum {
        let content = Content::from_chunks([Bytes::from(text)]);
        digest(&content, Some(algorithm)).checksum.unwrap()
    }

    #[rstest]
    #[case::crc32(Crc32)]
    #[case::crc32c(Crc32c)]
    #[case::crc64nvme(Crc64Nvme)]
    fn crcs_of_parts_combine_to_that_of_the_whole(#[case] algorithm: Algorithm) {
        let parts = [
            of("1234", algorithm),
            of("5", algorithm),
            of("6789", algorithm),
        ];
        let combined = Checksum::combined(algorithm, parts.iter().zip([4, 1, 4]));
        assert_eq!(combined, Some(of("123456789", algorithm)));
    }

    // The check values of the CRC catalogue and of the SHA standards.
    #[rstest]
    #[case::crc32(Crc32, "y/Q5Jg==")]
    #[case::crc32c(Crc32c, "4waSgw==")]
    #[case::crc64nvme(Crc64Nvme, "rosUhgp5mIg=")]
    #[case::sha1(Algorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE=")]
    #[case::sha256(Algorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=")]
    fn checksums_are_the_standard_ones(#[case] algorithm: Algorithm, #[case] expected: &str) {
        assert_eq!(of("123456789", algorithm).value, expected);
    }

    #[test]
    fn composite_checksum_counts_its_parts() {
        let parts = [of("a", Crc32), of("b", Crc32)];
        let composite = Checksum::composite(Crc32, &parts);
        assert!(composite.value.ends_with("==-2"), "{composite:?}");
        assert_eq!(composite.coverage, Coverage::Composite);
    }
}
