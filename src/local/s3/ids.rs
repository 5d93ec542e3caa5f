//! Identifiers as S3 gives them out: opaque to look at, and the same in every run.
//!
//! Invariant: they come from a counter and nothing else, so equal requests to a new store give
//! equal identifiers.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// The id that objects of unversioned buckets have.
pub(super) const NULL_VERSION: &str = "null";

/// A version id or an upload id: 32 characters.
pub(super) fn opaque(serial: u64) -> String {
    URL_SAFE_NO_PAD.encode(bytes::<3>(serial, 0x5633))
}

/// Whether this looks like a version id that [`opaque`] could have made.
pub(super) fn is_version_id(id: &str) -> bool {
    id == NULL_VERSION
        || URL_SAFE_NO_PAD
            .decode(id)
            .is_ok_and(|bytes| bytes.len() == 24)
}

/// `x-amz-request-id`: 16 hexadecimal digits.
pub(super) fn request_id(serial: u64) -> String {
    format!("{:016X}", mix(serial ^ 0x5265_7149))
}

/// `x-amz-id-2`: 64 characters of base64.
pub(super) fn host_id(serial: u64) -> String {
    STANDARD.encode(bytes::<6>(serial, 0x486f_7374))
}

/// `sequencer`: hexadecimal, and greater for every later event of the store.
pub(super) fn sequencer(serial: u64) -> String {
    format!("{serial:018X}")
}

fn bytes<const WORDS: usize>(serial: u64, purpose: u64) -> Vec<u8> {
    (0..WORDS as u64)
        .flat_map(|word| mix(mix(serial ^ purpose).wrapping_add(word)).to_be_bytes())
        .collect()
}

/// The finalizer of SplitMix64, a bijection: different serials never collide in the first word.
fn mix(serial: u64) -> u64 {
    let mut z = serial.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_look_like_those_of_s3() {
        let ids: std::collections::HashSet<String> = (0..1000).map(opaque).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 32 && is_version_id(id)));
        assert_eq!(request_id(1).len(), 16);
        assert_eq!(host_id(1).len(), 64);
    }

    #[test]
    fn sequencers_sort_as_text() {
        assert!(sequencer(9) < sequencer(10));
        assert!(sequencer(255) < sequencer(256));
    }
}
