//! Sizes as people write them: `8MiB`, `10MB`, `1048576`.

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;

/// Reads a whole number of bytes with an optional unit right behind it, binary or decimal.
pub(super) fn parse(value: &str) -> Option<u64> {
    let unit_at = value
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(value.len());
    let (number, unit) = value.split_at(unit_at);
    let factor = match unit {
        "" => 1,
        "KiB" => KIB,
        "MiB" => MIB,
        "GiB" => GIB,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::bytes("1048576", Some(1_048_576))]
    #[case::zero("0", Some(0))]
    #[case::kib("64KiB", Some(65_536))]
    #[case::mib("8MiB", Some(8_388_608))]
    #[case::gib("5GiB", Some(5_368_709_120))]
    #[case::kb("3KB", Some(3_000))]
    #[case::mb("10MB", Some(10_000_000))]
    #[case::gb("1GB", Some(1_000_000_000))]
    #[case::nothing("", None)]
    #[case::unit_only("MiB", None)]
    #[case::unknown_unit("8TiB", None)]
    #[case::wrong_case("8mib", None)]
    #[case::short_unit("8M", None)]
    #[case::space("8 MiB", None)]
    #[case::fraction("1.5MiB", None)]
    #[case::sign("+8MiB", None)]
    #[case::too_many_digits("18446744073709551616", None)]
    #[case::too_much("18446744073709551615KiB", None)]
    fn sizes_are_read(#[case] value: &str, #[case] expected: Option<u64>) {
        assert_eq!(parse(value), expected);
    }
}
