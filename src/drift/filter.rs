//! `--exclude` and `--include` as the AWS CLI understands them. Pure.
//!
//! Every key is included until a pattern says otherwise, and of the patterns that match the last
//! one decides: <https://docs.aws.amazon.com/cli/latest/reference/s3/#use-of-exclude-and-include-filters>

/// The patterns of a command line, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// What the patterns begin behind: the prefix that was named, up to its last `/`.
    root: String,
    patterns: Vec<Pattern>,
}

/// One `--include` or `--exclude`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Whether matching keys are included.
    pub include: bool,
    /// `*` is any text, `/` included, `?` any character, `[ab]` and `[!a-z]` one of a set.
    pub glob: String,
}

impl Filter {
    /// Patterns for the keys under `prefix`.
    pub fn new(prefix: &str, patterns: Vec<Pattern>) -> Self {
        let root = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
        Self {
            root: root.to_owned(),
            patterns,
        }
    }

    /// Whether there is any pattern.
    pub fn is_any(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether the key is included.
    pub fn includes(&self, key: &str) -> bool {
        let path = key.strip_prefix(self.root.as_str()).unwrap_or(key);
        let last = self
            .patterns
            .iter()
            .rfind(|pattern| matches(&pattern.glob, path));
        last.is_none_or(|pattern| pattern.include)
    }
}

/// Whether `text` matches the whole of `glob`, as Python's `fnmatch` has it.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where to go on when the text behind the last `*` turns out to begin later.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match glob.get(at) {
            Some('*') => {
                star = Some((at + 1, seen));
                at += 1;
                continue;
            }
            Some(_) => {
                if let Some(length) = one(&glob[at..], text[seen]) {
                    (at, seen) = (at + length, seen + 1);
                    continue;
                }
            }
            None => {}
        }
        let Some((behind, from)) = star else {
            return false;
        };
        star = Some((behind, from + 1));
        (at, seen) = (behind, from + 1);
    }
    glob[at..].iter().all(|c| *c == '*')
}

/// How much of the glob one character takes, if it matches.
fn one(glob: &[char], c: char) -> Option<usize> {
    match glob[0] {
        '?' => Some(1),
        '[' => match set(glob) {
            Some((negated, members, length)) => (contains(members, c) != negated).then_some(length),
            None => (c == '[').then_some(1),
        },
        literal => (literal == c).then_some(1),
    }
}

/// A set's members and its length; a bracket that is never closed is no set. A `]` that comes first
/// is a member.
fn set(glob: &[char]) -> Option<(bool, &[char], usize)> {
    let negated = glob.get(1) == Some(&'!');
    let from = if negated { 2 } else { 1 };
    let close = (from + 1..glob.len()).find(|&at| glob[at] == ']')?;
    Some((negated, &glob[from..close], close + 1))
}

fn contains(members: &[char], c: char) -> bool {
    let mut rest = members;
    while let [first, tail @ ..] = rest {
        match tail {
            ['-', last, behind @ ..] => {
                if (*first..=*last).contains(&c) {
                    return true;
                }
                rest = behind;
            }
            _ => {
                if *first == c {
                    return true;
                }
                rest = tail;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        let pattern = |text: &&str| Pattern {
            include: text.starts_with('+'),
            glob: text[1..].to_owned(),
        };
        texts.iter().map(pattern).collect()
    }

    #[rstest]
    #[case::nothing_said(&[], "a", true)]
    #[case::excluded(&["-*.tmp"], "a/b.tmp", false)]
    #[case::others_stay(&["-*.tmp"], "a/b.txt", true)]
    #[case::included_again(&["-*", "+*.txt"], "a/b.txt", true)]
    #[case::order_matters(&["+*.txt", "-*"], "a/b.txt", false)]
    #[case::last_that_matches(&["-*", "+*.txt", "-secret*"], "secret.txt", false)]
    #[case::star_takes_slashes(&["-logs/*"], "logs/2026/01/x", false)]
    #[case::whole_key(&["-logs"], "logs/x", true)]
    #[case::character(&["-file?.txt"], "file1.txt", false)]
    #[case::character_may_be_wide(&["-file?.txt"], "fileé.txt", false)]
    #[case::exactly_one(&["-file?.txt"], "file12.txt", true)]
    #[case::set(&["-[ab]*"], "beta", false)]
    #[case::range(&["-[a-f]*"], "gamma", true)]
    #[case::negated_set(&["-[!a-f]*"], "gamma", false)]
    #[case::bracket_as_a_member(&["-[]]x"], "]x", false)]
    #[case::unclosed_is_a_bracket(&["-[ab"], "[ab", false)]
    #[case::several_stars(&["-*a*b*c"], "xxaybzzc", false)]
    #[case::backtracks(&["-*ab"], "aabab", false)]
    #[case::empty_pattern_is_no_key(&["-"], "a", true)]
    fn last_matching_pattern_decides(
        #[case] texts: &[&str],
        #[case] key: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(Filter::new("", patterns(texts)).includes(key), expected);
    }

    #[rstest]
    #[case::folder("logs/", "logs/tmp/x", false)]
    #[case::cut_in_a_name("logs/20", "logs/tmp/x", false)]
    #[case::no_folder("logs", "tmp/x", false)]
    #[case::deeper_only("logs/", "logs/a/tmp/x", true)]
    fn patterns_begin_behind_the_folder_that_was_named(
        #[case] prefix: &str,
        #[case] key: &str,
        #[case] expected: bool,
    ) {
        let filter = Filter::new(prefix, patterns(&["-tmp/*"]));
        assert_eq!(filter.includes(key), expected);
    }
}
