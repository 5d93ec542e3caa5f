//! Times as S3 shows them: in whole seconds everywhere but in notifications.

use std::time::{Duration, SystemTime};

use http::HeaderValue;
use s3s::dto::{Timestamp, TimestampFormat};

/// A time as bodies of answers and conditions have it.
pub(super) fn shown_time(time: SystemTime) -> Timestamp {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs()))
}

/// A time as a header's value.
pub(super) fn http_date(time: SystemTime) -> HeaderValue {
    let text = format(&shown_time(time), TimestampFormat::HttpDate);
    HeaderValue::from_str(&text).expect("a date is visible ASCII")
}

/// A time as notifications have it, with milliseconds.
pub(super) fn json_date(time: SystemTime) -> String {
    format(&Timestamp::from(time), TimestampFormat::DateTime)
}

/// A time that `s3s` has read, as text again.
pub(super) fn format(time: &Timestamp, format: TimestampFormat) -> String {
    let mut text = Vec::new();
    time.format(format, &mut text)
        .expect("writing to memory cannot fail");
    String::from_utf8(text).expect("a date is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_notifications_have_milliseconds() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1999);
        assert_eq!(http_date(time), "Thu, 01 Jan 1970 00:00:01 GMT");
        assert_eq!(json_date(time), "1970-01-01T00:00:01.999Z");
        assert_eq!(
            shown_time(time),
            shown_time(SystemTime::UNIX_EPOCH + Duration::from_secs(1))
        );
    }
}
