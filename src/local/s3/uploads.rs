//! Multipart uploads: parts as they were uploaded, and what makes them an object.
//!
//! Invariant: an upload is not part of any object until it is completed; a part that is uploaded
//! again replaces the one of its number.

use std::collections::BTreeMap;
use std::time::SystemTime;

use s3s::{S3Result, s3_error};

use super::checksum::{Algorithm, Checksum, Coverage};
use super::content::Content;
use super::etag::multipart_etag;
use super::object::{Attributes, ObjectPart};
use super::tags::TagSet;

/// An upload that is under way.
pub(super) struct Upload {
    pub(super) initiated: SystemTime,
    pub(super) attributes: Attributes,
    pub(super) tags: TagSet,
    pub(super) checksum: Option<(Algorithm, Coverage)>,
    pub(super) parts: BTreeMap<i32, Part>,
}

/// A part as it was uploaded.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) content: Content,
    pub(super) md5: [u8; 16],
    pub(super) etag: String,
    pub(super) checksum: Option<Checksum>,
    pub(super) modified: SystemTime,
}

/// A part as the request that completes an upload names it.
#[derive(Debug, Clone, Default)]
pub(super) struct NamedPart {
    pub(super) number: i32,
    pub(super) etag: String,
    pub(super) checksum: Option<(Algorithm, String)>,
}

/// What the parts of an upload amount to.
pub(super) struct Assembled {
    pub(super) content: Content,
    pub(super) etag: String,
    pub(super) parts: Vec<ObjectPart>,
    pub(super) checksum: Option<Checksum>,
}

/// The checksum that an upload is to have.
///
/// # Errors
/// `InvalidRequest` for a coverage that the algorithm does not have.
pub(super) fn upload_checksum(
    algorithm: Option<&str>,
    coverage: Option<&str>,
) -> S3Result<Option<(Algorithm, Coverage)>> {
    let Some(algorithm) = algorithm.map(Algorithm::parse).transpose()? else {
        return match coverage {
            None => Ok(None),
            Some(_) => Err(s3_error!(
                InvalidRequest,
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm \
                 header."
            )),
        };
    };
    let coverage = match coverage {
        None if algorithm == Algorithm::Crc64Nvme => Coverage::FullObject,
        None | Some("COMPOSITE") => Coverage::Composite,
        Some("FULL_OBJECT") => Coverage::FullObject,
        Some(_) => {
            return Err(s3_error!(
                InvalidRequest,
                "Value for x-amz-checksum-type header is invalid."
            ));
        }
    };
    let is_known = match algorithm {
        Algorithm::Crc64Nvme => coverage == Coverage::FullObject,
        Algorithm::Sha1 | Algorithm::Sha256 => coverage == Coverage::Composite,
        Algorithm::Crc32 | Algorithm::Crc32c => true,
    };
    if is_known {
        return Ok(Some((algorithm, coverage)));
    }
    Err(s3_error!(
        InvalidRequest,
        "The {} checksum type cannot be used with the {} checksum algorithm.",
        coverage.name(),
        algorithm.name()
    ))
}

impl Upload {
    /// The algorithm to compute for a part that claims `claimed`.
    ///
    /// # Errors
    /// `InvalidRequest` where the upload has another algorithm, or needs a checksum for each part
    /// and there is none.
    pub(super) fn part_algorithm(&self, claimed: Option<Algorithm>) -> S3Result<Option<Algorithm>> {
        let mismatch = |expected: Algorithm| {
            s3_error!(
                InvalidRequest,
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum \
                 Type: {}",
                expected.name().to_lowercase(),
                claimed.map_or("null".to_owned(), |algorithm| algorithm
                    .name()
                    .to_lowercase())
            )
        };
        match (self.checksum, claimed) {
            (None, claimed) => Ok(claimed),
            (Some((expected, _)), Some(claimed)) if claimed == expected => Ok(Some(expected)),
            (Some((expected, _)), _) => Err(mismatch(expected)),
        }
    }

    /// Puts the named parts together.
    ///
    /// # Errors
    /// `InvalidPartOrder`, `InvalidPart`, `EntityTooSmall`, and `InvalidRequest` where a composite
    /// checksum needs that of each part and one is not given.
    pub(super) fn assemble(&self, named: &[NamedPart], smallest_part: u64) -> S3Result<Assembled> {
        if named.is_empty() {
            return Err(s3_error!(MalformedXML));
        }
        if named
            .windows(2)
            .any(|pair| pair[0].number >= pair[1].number)
        {
            return Err(s3_error!(InvalidPartOrder));
        }
        let parts = named
            .iter()
            .map(|named| self.named_part(named))
            .collect::<S3Result<Vec<&Part>>>()?;
        let (_, all_but_last) = parts.split_last().expect("there is at least one");
        if all_but_last
            .iter()
            .any(|part| part.content.length() < smallest_part)
        {
            return Err(s3_error!(EntityTooSmall));
        }
        let content = Content::concat(parts.iter().map(|part| &part.content));
        let md5s: Vec<[u8; 16]> = parts.iter().map(|part| part.md5).collect();
        let sums = parts
            .iter()
            .filter_map(|part| Some((part.checksum.as_ref()?, part.content.length())));
        let checksum = self
            .checksum
            .and_then(|(algorithm, coverage)| match coverage {
                Coverage::FullObject => Checksum::combined(algorithm, sums),
                Coverage::Composite => {
                    Some(Checksum::composite(algorithm, sums.map(|(sum, _)| sum)))
                }
            });
        let keeps_part_sums = self.checksum.is_some();
        let parts = parts.iter().map(|part| ObjectPart {
            size: part.content.length(),
            checksum: part.checksum.clone().filter(|_| keeps_part_sums),
        });
        Ok(Assembled {
            parts: parts.collect(),
            etag: multipart_etag(&md5s),
            content,
            checksum,
        })
    }

    fn named_part(&self, named: &NamedPart) -> S3Result<&Part> {
        let part = self
            .parts
            .get(&named.number)
            .filter(|part| part.etag == named.etag);
        let part = part.ok_or_else(|| s3_error!(InvalidPart))?;
        let needs_checksum = matches!(self.checksum, Some((_, Coverage::Composite)));
        match (&named.checksum, &part.checksum) {
            (None, _) if needs_checksum => Err(s3_error!(
                InvalidRequest,
                "The upload was created using a {} checksum. The complete request must include \
                 the checksum for each part. It was missing for part {} in the request.",
                self.checksum
                    .map_or("", |(algorithm, _)| algorithm.name())
                    .to_lowercase(),
                named.number
            )),
            (Some((algorithm, value)), Some(sum))
                if *algorithm == sum.algorithm && *value != sum.value =>
            {
                Err(s3_error!(InvalidPart))
            }
            _ => Ok(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rstest::rstest;

    use super::super::object::Encryption;
    use super::super::{checksum, etag};
    use super::*;

    const SMALLEST: u64 = 5 * 1024;

    fn upload(sizes: &[u64], checksum: Option<(Algorithm, Coverage)>) -> Upload {
        let attributes = Attributes {
            headers: Vec::new(),
            metadata: Default::default(),
            website_redirect: None,
            storage_class: "STANDARD".into(),
            encryption: Encryption::default(),
        };
        let part = |(index, &size): (usize, &u64)| {
            let content = Content::from_chunks([Bytes::from(vec![index as u8; size as usize])]);
            let digested = checksum::digest(&content, checksum.map(|(algorithm, _)| algorithm));
            let part = Part {
                content,
                md5: digested.md5,
                etag: etag::etag(digested.md5),
                checksum: digested.checksum,
                modified: SystemTime::UNIX_EPOCH,
            };
            (index as i32 + 1, part)
        };
        Upload {
            initiated: SystemTime::UNIX_EPOCH,
            attributes,
            tags: TagSet::new(),
            checksum,
            parts: sizes.iter().enumerate().map(part).collect(),
        }
    }

    fn named(upload: &Upload, number: i32) -> NamedPart {
        let part = upload.parts.get(&number);
        NamedPart {
            number,
            etag: part.map(|part| part.etag.clone()).unwrap_or_default(),
            checksum: part
                .and_then(|part| part.checksum.as_ref())
                .map(|sum| (sum.algorithm, sum.value.clone())),
        }
    }

    #[rstest]
    #[case::in_order(&[SMALLEST, 1], &[1, 2], "")]
    #[case::last_alone_may_be_small(&[1], &[1], "")]
    #[case::small_part_that_is_not_last(&[SMALLEST - 1, 1], &[1, 2], "EntityTooSmall")]
    #[case::descending(&[SMALLEST, 1], &[2, 1], "InvalidPartOrder")]
    #[case::repeated(&[SMALLEST, 1], &[1, 1], "InvalidPartOrder")]
    #[case::unknown_part(&[SMALLEST, 1], &[1, 3], "InvalidPart")]
    #[case::no_part(&[1], &[], "MalformedXML")]
    fn parts_are_checked(#[case] sizes: &[u64], #[case] numbers: &[i32], #[case] code: &str) {
        let upload = upload(sizes, None);
        let parts: Vec<NamedPart> = numbers.iter().map(|&n| named(&upload, n)).collect();
        let error = upload.assemble(&parts, SMALLEST).err();
        assert_eq!(
            error
                .map(|e| e.code().as_str().to_owned())
                .unwrap_or_default(),
            code
        );
    }

    #[test]
    fn part_with_another_etag_is_invalid() {
        let upload = upload(&[1], None);
        let part = NamedPart {
            etag: "x".into(),
            ..named(&upload, 1)
        };
        assert_eq!(
            upload
                .assemble(&[part], SMALLEST)
                .err()
                .unwrap()
                .code()
                .as_str(),
            "InvalidPart"
        );
    }

    #[rstest]
    #[case::composite(Coverage::Composite, true)]
    #[case::full_object(Coverage::FullObject, false)]
    fn checksum_has_the_coverage_of_the_upload(
        #[case] coverage: Coverage,
        #[case] has_count: bool,
    ) {
        let upload = upload(&[SMALLEST, 1], Some((Algorithm::Crc32, coverage)));
        let assembled = upload
            .assemble(&[named(&upload, 1), named(&upload, 2)], SMALLEST)
            .unwrap();
        let checksum = assembled.checksum.unwrap();
        assert_eq!(checksum.coverage, coverage);
        assert_eq!(checksum.value.ends_with("-2"), has_count);
        assert!(assembled.etag.ends_with("-2"));
    }

    #[test]
    fn composite_upload_wants_the_checksum_of_each_part() {
        let upload = upload(&[1], Some((Algorithm::Sha256, Coverage::Composite)));
        let part = NamedPart {
            checksum: None,
            ..named(&upload, 1)
        };
        assert_eq!(
            upload
                .assemble(&[part], SMALLEST)
                .err()
                .unwrap()
                .code()
                .as_str(),
            "InvalidRequest"
        );
    }

    #[rstest]
    #[case::none(None, None, Ok(None))]
    #[case::crc32_default(Some("CRC32"), None, Ok(Some((Algorithm::Crc32, Coverage::Composite))))]
    #[case::crc64_default(
        Some("CRC64NVME"), None, Ok(Some((Algorithm::Crc64Nvme, Coverage::FullObject)))
    )]
    #[case::full_sha(Some("SHA256"), Some("FULL_OBJECT"), Err("InvalidRequest"))]
    #[case::composite_crc64(Some("CRC64NVME"), Some("COMPOSITE"), Err("InvalidRequest"))]
    #[case::only_type(None, Some("COMPOSITE"), Err("InvalidRequest"))]
    fn upload_checksums(
        #[case] algorithm: Option<&str>,
        #[case] coverage: Option<&str>,
        #[case] expected: Result<Option<(Algorithm, Coverage)>, &str>,
    ) {
        let result = upload_checksum(algorithm, coverage);
        let result = result.map_err(|error| error.code().as_str().to_owned());
        assert_eq!(result, expected.map_err(str::to_owned));
    }
}
