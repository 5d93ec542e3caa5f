//! How a foreign value is shown in a message: on one line and cut, since it may be anything.

use std::fmt;

/// Characters of a foreign value that a message shows, escapes included.
const MAX_CHARS: usize = 64;

/// Shows `value` with control characters escaped and at most 64 characters of it.
pub(crate) fn excerpt(value: &str) -> impl fmt::Display {
    fmt::from_fn(move |f| {
        let mut room = MAX_CHARS;
        for c in value.chars() {
            // Between backticks quotes need no escape.
            let is_plain = matches!(c, '"' | '\'');
            let escaped = c.escape_debug();
            let length = if is_plain { 1 } else { escaped.len() };
            let Some(left) = room.checked_sub(length) else {
                return f.write_str("…");
            };
            room = left;
            if is_plain {
                write!(f, "{c}")?
            } else {
                write!(f, "{escaped}")?
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("it's \"so\"", "it's \"so\"")]
    #[case::control("a\nb\u{1b}[31m", r"a\nb\u{1b}[31m")]
    #[case::longest_shown_whole(&"é".repeat(64), &"é".repeat(64))]
    #[case::cut(&"é".repeat(65), &("é".repeat(64) + "…"))]
    #[case::escapes_count(&"\n".repeat(33), &(r"\n".repeat(32) + "…"))]
    fn foreign_value_is_one_short_line(#[case] value: &str, #[case] shown: &str) {
        assert_eq!(excerpt(value).to_string(), shown);
    }
}
