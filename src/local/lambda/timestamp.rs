//! Points in time as AWS writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// Milliseconds since 1970; a time before that counts as 1970.
pub(super) fn unix_millis(at: SystemTime) -> u128 {
    since_epoch(at).as_millis()
}

/// `2019-11-14T18:16:05.568Z`, always with three digits of the second's fraction.
pub(super) fn iso_millis(at: SystemTime) -> String {
    let since = since_epoch(at);
    let seconds = DateTime::from_secs(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
        .fmt(Format::DateTime)
        .unwrap_or_default();
    format!(
        "{}.{:03}Z",
        seconds.trim_end_matches('Z'),
        since.subsec_millis()
    )
}

fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::with_fraction(1_573_755_365_568, "2019-11-14T18:16:05.568Z")]
    #[case::full_second(1_573_755_365_000, "2019-11-14T18:16:05.000Z")]
    #[case::leading_zeros(7, "1970-01-01T00:00:00.007Z")]
    fn time_is_written_with_milliseconds(#[case] millis: u64, #[case] expected: &str) {
        assert_eq!(
            iso_millis(UNIX_EPOCH + Duration::from_millis(millis)),
            expected
        );
    }
}
