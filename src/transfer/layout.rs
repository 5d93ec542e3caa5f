//! How an object is cut into parts. Pure.
//!
//! A multipart ETag, and a composite checksum, depend on where the parts begin. So a replica is cut
//! as its master was, where anything can be proven by that; elsewhere the parts are of our size.

use crate::object::Object;

/// What S3 moves in one request, and the largest part, 5 GiB; and how many parts there may be:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
pub(super) const LARGEST_REQUEST: u64 = 5 * 1024 * 1024 * 1024;
const MOST_PARTS: u64 = 10_000;

/// Parts of our own size begin at a multiple of this.
const MIB: u64 = 1024 * 1024;

/// How an object goes to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// In one request.
    Whole,
    /// In the master's own parts, so many of them.
    MastersParts(u32),
    /// In parts of our size.
    OwnParts,
}

/// How an object goes from bucket to bucket of one service.
pub(super) fn server_side_form(object: &Object) -> Form {
    match masters_parts(object) {
        Some(count) => Form::MastersParts(count),
        None if object.size <= LARGEST_REQUEST => Form::Whole,
        None => Form::OwnParts,
    }
}

/// How an object goes to another service: above `threshold` by parts, but in one piece where only
/// an ETag of one piece can prove the replica equal.
pub(super) fn streamed_form(object: &Object, threshold: u64) -> Form {
    match masters_parts(object) {
        Some(count) => Form::MastersParts(count),
        None if object.size <= threshold => Form::Whole,
        None if object.size <= LARGEST_REQUEST && !parts_can_prove(object) => Form::Whole,
        None => Form::OwnParts,
    }
}

/// How many parts the master has, where a replica with other parts could not be proven equal.
fn masters_parts(object: &Object) -> Option<u32> {
    // No part copy can be empty; nothing needs to be proven about nothing.
    let count = object.multipart_count().filter(|_| object.size > 0)?;
    (object.etag_proves_content || object.checksums.composite).then_some(count)
}

/// Whether a replica in parts of our size has a checksum to compare: a full-object one, which only
/// the CRCs can be put together from parts.
fn parts_can_prove(object: &Object) -> bool {
    let is_crc = |name: &&str| name.starts_with("crc");
    !object.checksums.composite && object.checksums.values.keys().any(is_crc)
}

/// The object is larger than S3's largest.
#[derive(Debug, thiserror::Error)]
#[error("{size} bytes are more than S3 can hold in {MOST_PARTS} parts of {LARGEST_REQUEST} bytes")]
pub(super) struct TooLarge {
    size: u64,
}

/// One part: a range of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Counted from 1.
    pub(super) number: i32,
    /// Its first byte.
    pub(super) start: u64,
    /// In bytes, at least 1.
    pub(super) size: u64,
}

impl Part {
    /// As `Range` and `x-amz-copy-source-range` want it.
    pub(super) fn range(&self) -> String {
        format!("bytes={}-{}", self.start, self.start + self.size - 1)
    }
}

/// All parts of an object, in order: they cover it without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout(Vec<Part>);

impl Layout {
    /// Parts of these sizes.
    pub(super) fn of(sizes: impl IntoIterator<Item = u64>) -> Self {
        let parts = (1..)
            .zip(sizes)
            .scan(0, |start, (number, size)| {
                let part = Part {
                    number,
                    start: *start,
                    size,
                };
                *start += size;
                Some(part)
            })
            .collect();
        Self(parts)
    }

    /// Parts of `part` bytes, the last of what is left.
    pub(super) fn equal(size: u64, part: u64) -> Self {
        let whole = (0..size / part).map(|_| part);
        Self::of(whole.chain(Some(size % part).filter(|&rest| rest > 0)))
    }

    /// Parts of `part` bytes, or of as many more as it takes to stay below S3's number of parts.
    pub(super) fn own(size: u64, part: u64) -> Result<Self, TooLarge> {
        let least = size.div_ceil(MOST_PARTS).div_ceil(MIB) * MIB;
        let part = part.max(least.min(LARGEST_REQUEST));
        if size.div_ceil(part) > MOST_PARTS {
            return Err(TooLarge { size });
        }
        Ok(Self::equal(size, part))
    }

    /// The parts.
    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The part of that number.
    pub(super) fn part(&self, number: i32) -> Option<&Part> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.0.get(index)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GIB: u64 = 1024 * MIB;
    const TIB: u64 = 1024 * GIB;
    const ONE: &str = "5d41402abc4b2a76b9719d911017c592";

    fn object(size: u64, etag: &str) -> Object {
        Object {
            size,
            etag: etag.to_owned(),
            etag_proves_content: true,
            ..Object::default()
        }
    }

    fn with_checksum(object: Object, algorithm: &'static str, composite: bool) -> Object {
        let mut object = object;
        object
            .checksums
            .values
            .insert(algorithm, "AAAAAA==".to_owned());
        object.checksums.composite = composite;
        object
    }

    fn opaque(object: Object) -> Object {
        Object {
            etag_proves_content: false,
            ..object
        }
    }

    #[rstest]
    #[case::empty(object(0, ONE), Form::Whole)]
    #[case::empty_but_multipart(object(0, &format!("{ONE}-1")), Form::Whole)]
    #[case::one_piece(object(LARGEST_REQUEST, ONE), Form::Whole)]
    #[case::one_piece_that_no_request_moves(object(LARGEST_REQUEST + 1, ONE), Form::OwnParts)]
    #[case::one_part(object(1, &format!("{ONE}-1")), Form::MastersParts(1))]
    #[case::many_parts(object(GIB, &format!("{ONE}-10000")), Form::MastersParts(10_000))]
    #[case::encrypted(opaque(object(GIB, &format!("{ONE}-7"))), Form::Whole)]
    #[case::encrypted_with_composite_checksum(
        with_checksum(opaque(object(GIB, &format!("{ONE}-7"))), "sha256", true), Form::MastersParts(7)
    )]
    fn form_within_one_service(#[case] object: Object, #[case] expected: Form) {
        assert_eq!(server_side_form(&object), expected);
    }

    #[rstest]
    #[case::empty(object(0, ONE), Form::Whole)]
    #[case::at_the_threshold(with_checksum(object(64 * MIB, ONE), "crc64nvme", false), Form::Whole)]
    #[case::above_it_with_a_crc(
        with_checksum(object(64 * MIB + 1, ONE), "crc64nvme", false), Form::OwnParts
    )]
    #[case::above_it_with_nothing(object(64 * MIB + 1, ONE), Form::Whole)]
    #[case::above_it_with_a_sha(
        with_checksum(object(64 * MIB + 1, ONE), "sha256", false), Form::Whole
    )]
    #[case::above_one_request(object(LARGEST_REQUEST + 1, ONE), Form::OwnParts)]
    #[case::parts(object(1, &format!("{ONE}-1")), Form::MastersParts(1))]
    fn form_between_services(#[case] object: Object, #[case] expected: Form) {
        assert_eq!(streamed_form(&object, 64 * MIB), expected);
    }

    #[rstest]
    #[case::one_byte(1, 8 * MIB, 1, 1)]
    #[case::exactly_two(16 * MIB, 8 * MIB, 2, 8 * MIB)]
    #[case::one_byte_more(16 * MIB + 1, 8 * MIB, 3, 1)]
    #[case::ten_thousand(80_000 * MIB, 8 * MIB, 10_000, 8 * MIB)]
    #[case::too_many_for_that_size(80_000 * MIB + 1, 8 * MIB, 8_889, 8 * MIB + 1)]
    #[case::five_tib(5 * TIB, 8 * MIB, 9_987, 230 * MIB)]
    #[case::largest(50_000 * GIB, 8 * MIB, 10_000, 5 * GIB)]
    fn own_parts_stay_within_the_limits(
        #[case] size: u64,
        #[case] part: u64,
        #[case] count: usize,
        #[case] last: u64,
    ) {
        let layout = Layout::own(size, part).unwrap();
        assert_eq!(layout.parts().len(), count);
        assert_eq!(layout.parts().last().unwrap().size, last);
        assert_eq!(
            layout.parts().iter().map(|part| part.size).sum::<u64>(),
            size
        );
    }

    #[test]
    fn larger_than_the_largest_object_is_an_error() {
        assert!(Layout::own(50_000 * GIB + 1, 8 * MIB).is_err());
    }

    #[test]
    fn parts_know_their_bytes() {
        let layout = Layout::of([5, 1, 7]);
        let ranges: Vec<String> = layout.parts().iter().map(Part::range).collect();
        assert_eq!(ranges, ["bytes=0-4", "bytes=5-5", "bytes=6-12"]);
        assert_eq!(layout.part(2).unwrap().start, 5);
        assert_eq!(layout.part(0), None);
        assert_eq!(layout.part(4), None);
    }
}
