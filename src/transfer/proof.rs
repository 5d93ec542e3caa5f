//! Whether the parts that a target has amount to the master's object. Pure.
//!
//! Before an upload that another invocation began is completed, the ETag or the checksum that its
//! parts give must be the master's: nothing else says that all of them are of one state.

use aws_smithy_checksums::ChecksumAlgorithm;
use crc_fast::{CrcAlgorithm, checksum_combine};
use md5::{Digest, Md5};

use crate::object::Object;

/// A part that a target has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// As the target gives it, without quotes.
    pub(super) etag: String,
    /// In Base64, by the upload's algorithm; of the part itself.
    pub(super) checksum: Option<String>,
    /// In bytes.
    pub(super) size: u64,
}

/// Whether any proof can come out: without one, nothing is taken up again.
pub(super) fn is_provable(object: &Object) -> bool {
    let by_etag = object.etag_proves_content && object.multipart_count().is_some();
    let by_checksum = |algorithm: &&str| object.checksums.composite || crc(algorithm).is_some();
    by_etag || object.checksums.values.keys().any(by_checksum)
}

/// What all parts of an upload say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// They are the object.
    Same,
    /// As far as their ETags are MD5s, they are not.
    Different,
    /// Nothing.
    None,
}

/// Whether all of an object's `parts`, in order, are proven to be the object.
pub(super) fn proof(object: &Object, parts: &[&Done]) -> Proof {
    let count = object.multipart_count().map(|count| count as usize);
    let etag =
        multipart_etag(parts).filter(|_| object.etag_proves_content && count == Some(parts.len()));
    match etag {
        Some(etag) if etag == object.etag => Proof::Same,
        _ if by_checksum(object, parts) => Proof::Same,
        Some(_) => Proof::Different,
        None => Proof::None,
    }
}

/// The ETag that S3 gives to an object of these parts, if theirs are MD5s: the MD5 of all MD5s,
/// and the number of parts.
fn multipart_etag(parts: &[&Done]) -> Option<String> {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(from_hex(&part.etag)?);
    }
    let hex = |byte: &u8| format!("{byte:02x}");
    let digest: String = md5.finalize().iter().map(hex).collect();
    Some(format!("{digest}-{}", parts.len()))
}

fn by_checksum(object: &Object, parts: &[&Done]) -> bool {
    let sums = || {
        parts
            .iter()
            .map(|part| Some((from_base64(part.checksum.as_ref()?)?, part.size)))
    };
    object.checksums.values.iter().any(|(algorithm, expected)| {
        let given: Option<Vec<u8>> = if object.checksums.composite {
            composite(algorithm, sums())
        } else {
            full_object(algorithm, sums())
        };
        // A composite value ends with its number of parts: `…==-3`.
        let (expected, _) = expected.split_once('-').unwrap_or((expected, ""));
        given.is_some_and(|given| from_base64(expected).is_some_and(|sum| sum == given))
    })
}

/// The checksum over the parts' checksums.
fn composite(
    algorithm: &str,
    parts: impl Iterator<Item = Option<(Vec<u8>, u64)>>,
) -> Option<Vec<u8>> {
    let mut sum = algorithm.parse::<ChecksumAlgorithm>().ok()?.into_impl();
    for part in parts {
        sum.update(&part?.0);
    }
    Some(sum.finalize().to_vec())
}

/// The checksum of the whole object, out of its parts'.
fn full_object(
    algorithm: &str,
    mut parts: impl Iterator<Item = Option<(Vec<u8>, u64)>>,
) -> Option<Vec<u8>> {
    let (algorithm, width) = crc(algorithm)?;
    let number = |bytes: &[u8]| {
        (bytes.len() == width).then(|| {
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        })
    };
    let (first, _) = parts.next()??;
    let mut sum = number(&first)?;
    for part in parts {
        let (next, size) = part?;
        sum = checksum_combine(algorithm, sum, number(&next)?, size);
    }
    Some(sum.to_be_bytes()[8 - width..].to_vec())
}

/// The checksums that can be put together from those of parts, and their width in bytes.
fn crc(algorithm: &str) -> Option<(CrcAlgorithm, usize)> {
    match algorithm {
        "crc32" => Some((CrcAlgorithm::Crc32IsoHdlc, 4)),
        "crc32c" => Some((CrcAlgorithm::Crc32Iscsi, 4)),
        "crc64nvme" => Some((CrcAlgorithm::Crc64Nvme, 8)),
        _ => None,
    }
}

/// The MD5 that an ETag gives in hexadecimal.
pub(super) fn from_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
        .collect();
    let digits = digits.filter(|digits| digits.len() == 32)?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    aws_smithy_types::base64::decode(text).ok()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::object::Checksums;

    const PIECES: [&[u8]; 3] = [b"hello ", b"wor", b"ld"];
    const MULTIPART_ETAG: &str = "c7b83b6e9499400fa2d28421b2940822-3";

    fn sum(algorithm: &str, bytes: &[u8]) -> Vec<u8> {
        let mut sum = algorithm.parse::<ChecksumAlgorithm>().unwrap().into_impl();
        sum.update(bytes);
        sum.finalize().to_vec()
    }

    fn encode(bytes: impl AsRef<[u8]>) -> String {
        aws_smithy_types::base64::encode(bytes)
    }

    fn parts(algorithm: &str) -> Vec<Done> {
        let part = |piece: &&[u8]| Done {
            etag: Md5::digest(piece)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            checksum: Some(encode(sum(algorithm, piece))),
            size: piece.len() as u64,
        };
        PIECES.iter().map(part).collect()
    }

    fn object(checksums: Checksums) -> Object {
        Object {
            etag: "opaque-3".to_owned(),
            checksums,
            ..Object::default()
        }
    }

    #[test]
    fn etag_of_parts_proves_them_in_their_order() {
        let parts = parts("crc32");
        let in_order: Vec<&Done> = parts.iter().collect();
        // printf 'hello ' | md5sum, and so on; then xxd -r -p | md5sum of all three.
        let object = Object {
            etag: MULTIPART_ETAG.to_owned(),
            etag_proves_content: true,
            ..Object::default()
        };
        assert!(is_provable(&object));
        assert!(Proof::Same == proof(&object, &in_order));
        assert!(Proof::Same != proof(&object, &[in_order[1], in_order[0], in_order[2]]));
        assert!(Proof::Same != proof(&object, &in_order[..2]));
    }

    #[rstest]
    #[case::crc32("crc32", true)]
    #[case::crc32c("crc32c", true)]
    #[case::crc64nvme("crc64nvme", true)]
    #[case::sha256("sha256", false)]
    fn full_object_checksum_proves_where_it_can_be_put_together(
        #[case] algorithm: &'static str,
        #[case] expected: bool,
    ) {
        let whole = encode(sum(algorithm, &PIECES.concat()));
        let object = object(Checksums {
            values: [(algorithm, whole)].into(),
            composite: false,
        });
        let parts = parts(algorithm);
        let in_order: Vec<&Done> = parts.iter().collect();
        assert_eq!(is_provable(&object), expected);
        assert_eq!(proof(&object, &in_order) == Proof::Same, expected);
        assert!(Proof::Same != proof(&object, &in_order[..2]));
    }

    #[rstest]
    fn composite_checksum_proves(
        #[values("crc32", "crc32c", "sha1", "sha256")] algorithm: &'static str,
        #[values("", "-3")] count: &str,
    ) {
        let sums = PIECES.map(|piece| sum(algorithm, piece)).concat();
        let value = encode(sum(algorithm, &sums)) + count;
        let object = object(Checksums {
            values: [(algorithm, value)].into(),
            composite: true,
        });
        let parts = parts(algorithm);
        let in_order: Vec<&Done> = parts.iter().collect();
        assert!(is_provable(&object));
        assert!(Proof::Same == proof(&object, &in_order));
        assert!(Proof::Same != proof(&object, &[in_order[1], in_order[0], in_order[2]]));
    }

    #[test]
    fn nothing_is_proven_by_nothing() {
        let object = object(Checksums::default());
        assert!(!is_provable(&object));
        assert!(Proof::Same != proof(&object, &[&Done::default()]));
    }
}
