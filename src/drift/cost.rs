//! What a walk will ask for, and what that costs at AWS. Pure.
//!
//! Prices are those of S3 Standard in us-east-1, in US dollars, as of 2026-11:
//! <https://aws.amazon.com/s3/pricing/>. Transfer between regions comes on top.

use super::verify::Level;

/// A LIST, PUT or COPY request.
const LIST: f64 = 0.005 / 1000.0;
/// A HEAD, GET or any other request.
const GET: f64 = 0.0004 / 1000.0;

/// Keys of a full page.
const PAGE: u64 = 1000;

/// How much by one request, where objects are read.
const RANGE: u64 = 16 * 1024 * 1024;

/// The master's keys, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub keys: u64,
    /// Their sizes.
    pub bytes: u64,
    /// Of them all, the number of ranges of 16 MiB.
    pub ranges: u64,
}

impl Counted {
    /// One key more.
    pub fn add(&mut self, size: u64) {
        self.keys += 1;
        self.bytes += size;
        self.ranges += size.div_ceil(RANGE);
    }
}

/// Requests, where the targets have the master's keys and no object has tags.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// LIST.
    pub lists: u64,
    /// HEAD.
    pub heads: u64,
    /// GET.
    pub gets: u64,
}

impl Estimate {
    /// For a walk over the master and so many targets.
    pub fn of(counted: Counted, targets: u64, level: Level, page_size: Option<u64>) -> Self {
        let pages = counted.keys.div_ceil(page_size.unwrap_or(PAGE)).max(1);
        let looked_at = match level {
            Level::Listing => 0,
            Level::Head | Level::Bytes => counted.keys,
        };
        let ranges = match level {
            Level::Bytes => counted.ranges,
            Level::Listing | Level::Head => 0,
        };
        Self {
            // Once to count them.
            lists: pages * (2 + targets),
            heads: looked_at * (1 + targets),
            // Both sides, for every target.
            gets: ranges * 2 * targets,
        }
    }

    /// All of them.
    pub fn requests(&self) -> u64 {
        self.lists + self.heads + self.gets
    }

    /// In US dollars.
    pub fn dollars(&self) -> f64 {
        self.lists as f64 * LIST + (self.heads + self.gets) as f64 * GET
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    // 1,000 pages counted, 3 × 1,000 compared, and a HEAD for each key of three buckets.
    #[case::million_with_two_targets(Level::Head, 4000, 3_000_000, 0, 1.22)]
    #[case::listings_only(Level::Listing, 4000, 0, 0, 0.02)]
    // One range each, read on both sides of two pairs.
    #[case::bytes(Level::Bytes, 4000, 3_000_000, 4_000_000, 2.82)]
    fn requests_are_counted_and_priced(
        #[case] level: Level,
        #[case] lists: u64,
        #[case] heads: u64,
        #[case] gets: u64,
        #[case] dollars: f64,
    ) {
        let mut counted = Counted::default();
        (0..1_000_000).for_each(|_| counted.add(1));
        let estimate = Estimate::of(counted, 2, level, None);
        let expected = Estimate { lists, heads, gets };
        assert_eq!(estimate, expected);
        assert!((estimate.dollars() - dollars).abs() < 1e-9);
    }

    #[test]
    fn empty_object_is_not_read_and_a_large_one_in_ranges() {
        let mut counted = Counted::default();
        counted.add(0);
        counted.add(RANGE + 1);
        assert_eq!((counted.keys, counted.ranges), (2, 2));
    }
}
