//! Which buckets are trusted as masters: names, and patterns in which `*` is any characters.

/// The buckets whose events are served. Empty trusts every bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masters(Vec<String>);

impl Masters {
    /// Reads names and patterns, separated by spaces. `None` where one has a character that no
    /// bucket's name has; old buckets may have capitals and underscores.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._*".contains(&b);
        let patterns = value.split(' ').filter(|pattern| !pattern.is_empty());
        patterns
            .map(|pattern| pattern.bytes().all(is_allowed).then(|| pattern.to_owned()))
            .collect::<Option<_>>()
            .map(Self)
    }

    /// Whether events of this bucket are served.
    pub fn allows(&self, bucket: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| matches(pattern, bucket))
    }

    /// Whether every bucket is served, which deserves a warning: whoever may tag a bucket then
    /// says where its objects go.
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
            || self
                .0
                .iter()
                .any(|pattern| pattern.bytes().all(|b| b == b'*'))
    }
}

/// Whether a text fits a pattern in which `*` is any characters. What stands between stars is
/// taken at its first place: if it fits at all, it fits there.
pub(crate) fn matches(pattern: &str, bucket: &str) -> bool {
    let Some((head, pattern)) = pattern.split_once('*') else {
        return pattern == bucket;
    };
    let (middle, tail) = pattern.rsplit_once('*').unwrap_or(("", pattern));
    let Some(mut rest) = bucket
        .strip_prefix(head)
        .and_then(|rest| rest.strip_suffix(tail))
    else {
        return false;
    };
    for piece in middle.split('*') {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing_is_any("", "bucket", true)]
    #[case::blank_is_any("  ", "bucket", true)]
    #[case::name("bucket", "bucket", true)]
    #[case::other_name("bucket", "bucket2", false)]
    #[case::one_of_several("one  two three", "two", true)]
    #[case::none_of_several("one two", "on", false)]
    #[case::prefix("prod-*", "prod-a", true)]
    #[case::prefix_and_nothing("prod-*", "prod-", true)]
    #[case::not_that_prefix("prod-*", "my-prod-a", false)]
    #[case::suffix("*-logs", "a-logs", true)]
    #[case::not_that_suffix("*-logs", "a-logs-2", false)]
    #[case::middle("a*b*c", "a1b2c", true)]
    #[case::two_middles("a*b*c*d", "a1b2c3d", true)]
    #[case::middle_repeats("a*bc*d", "abbcbcd", true)]
    #[case::parts_do_not_overlap("ab*ba", "aba", false)]
    #[case::middle_is_not_in_tail("a*b*b", "ab", false)]
    #[case::wrong_order("a*c*b*d", "abcd", false)]
    #[case::several_stars("a**b", "ab", true)]
    #[case::star("*", "bucket", true)]
    #[case::dot_is_a_dot("a.b", "axb", false)]
    fn patterns_select_masters(#[case] value: &str, #[case] bucket: &str, #[case] allowed: bool) {
        assert_eq!(Masters::parse(value).unwrap().allows(bucket), allowed);
    }

    #[rstest]
    #[case::nothing("", true)]
    #[case::star("one *", true)]
    #[case::name("one", false)]
    #[case::pattern("one*", false)]
    fn a_list_that_restricts_nothing_is_known(#[case] value: &str, #[case] any: bool) {
        assert_eq!(Masters::parse(value).unwrap().is_any(), any);
    }

    #[rstest]
    #[case::comma("one,two")]
    #[case::tab("one\ttwo")]
    #[case::question_mark("on?")]
    #[case::arn("arn:aws:s3:::one")]
    fn characters_of_no_bucket_are_refused(#[case] value: &str) {
        assert_eq!(Masters::parse(value), None);
    }
}
