//! How numbers, sizes and keys are written.

/// Digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many things, in words.
pub(crate) fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", grouped(number))
}

/// A price, where one of less than a cent is no price of nothing.
pub(crate) fn dollars(price: f64) -> String {
    match price < 0.005 {
        true => "less than $0.01".to_owned(),
        false => format!("${price:.2}"),
    }
}

/// Bytes, in the largest unit that leaves something before the point.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // What would be shown as 1024.0 is one of the next unit.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// One word of a shell command.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0")]
    #[case(999, "999")]
    #[case(1000, "1,000")]
    #[case(1_234_567, "1,234,567")]
    fn digits_are_grouped(#[case] number: u64, #[case] expected: &str) {
        assert_eq!(grouped(number), expected);
    }

    #[rstest]
    #[case(0.0049, "less than $0.01")]
    #[case(0.005, "$0.01")]
    #[case(1200.0, "$1200.00")]
    fn prices_are_in_cents(#[case] price: f64, #[case] expected: &str) {
        assert_eq!(dollars(price), expected);
    }

    #[rstest]
    #[case(1, "1 key")]
    #[case(0, "0 keys")]
    #[case(2000, "2,000 keys")]
    fn things_are_counted(#[case] number: u64, #[case] expected: &str) {
        assert_eq!(counted(number, "key"), expected);
    }

    #[rstest]
    #[case(1023, "1023 B")]
    #[case(1024, "1.0 KiB")]
    #[case(1024 * 1024 - 1, "1.0 MiB")]
    #[case(5 * 1024 * 1024 * 1024, "5.0 GiB")]
    fn sizes_have_a_unit(#[case] bytes: u64, #[case] expected: &str) {
        assert_eq!(size(bytes), expected);
    }

    #[rstest]
    #[case::plain("a/b-1.txt", "a/b-1.txt")]
    #[case::space("a b", "'a b'")]
    #[case::quote("it's", r"'it'\''s'")]
    #[case::dollar("$HOME", "'$HOME'")]
    fn word_survives_a_shell(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(quoted(text), expected);
    }
}
