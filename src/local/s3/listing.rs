//! Listings, a page at a time: keys that share a prefix up to the delimiter are rolled up.
//!
//! Invariant: rows come in byte order of their names, and a page together with the name of its
//! last row determines the next page.

/// What a listing asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) prefix: &'a str,
    /// Never empty.
    pub(super) delimiter: Option<&'a str>,
    /// The name of the last row of the page before: a rolled-up prefix is not listed again.
    pub(super) after: Option<&'a str>,
    pub(super) max: usize,
}

/// A row of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Row<T> {
    Item(T),
    Prefix(String),
}

/// A page of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<T> {
    pub(super) rows: Vec<Row<T>>,
    pub(super) is_truncated: bool,
}

/// The first page of `items`, which are sorted by key and begin behind whatever was listed before.
pub(super) fn page<'k, T>(items: impl Iterator<Item = (&'k str, T)>, query: Query<'_>) -> Page<T> {
    let mut rows: Vec<Row<T>> = Vec::new();
    let mut last_prefix = query.after.map(str::to_owned);
    for (key, item) in items {
        let Some(rest) = key.strip_prefix(query.prefix) else {
            if key < query.prefix {
                continue;
            }
            break;
        };
        let rolled_up = query.delimiter.and_then(|delimiter| {
            let end = rest.find(delimiter)? + delimiter.len();
            Some(&key[..query.prefix.len() + end])
        });
        if rolled_up.is_some() && rolled_up == last_prefix.as_deref() {
            continue;
        }
        if rows.len() == query.max {
            return Page {
                rows,
                is_truncated: query.max > 0,
            };
        }
        match rolled_up {
            Some(prefix) => {
                last_prefix = Some(prefix.to_owned());
                rows.push(Row::Prefix(prefix.to_owned()));
            }
            None => rows.push(Row::Item(item)),
        }
    }
    Page {
        rows,
        is_truncated: false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const KEYS: [&str; 7] = ["a", "a/1", "a/2", "b//c", "b//d", "z", "é"];

    fn list(prefix: &str, delimiter: Option<&str>, after: Option<&str>, max: usize) -> String {
        let query = Query {
            prefix,
            delimiter,
            after,
            max,
        };
        let items = KEYS
            .iter()
            .filter(|key| after.is_none_or(|after| **key > after));
        let page = page(items.map(|key| (*key, *key)), query);
        let rows = page.rows.into_iter().map(|row| match row {
            Row::Item(key) => key.to_owned(),
            Row::Prefix(prefix) => format!("[{prefix}]"),
        });
        let more = if page.is_truncated { " …" } else { "" };
        rows.collect::<Vec<_>>().join(" ") + more
    }

    #[rstest]
    #[case::all("", None, None, 10, "a a/1 a/2 b//c b//d z é")]
    #[case::by_prefix("a/", None, None, 10, "a/1 a/2")]
    #[case::rolled_up("", Some("/"), None, 10, "a [a/] [b/] z é")]
    #[case::long_delimiter("", Some("//"), None, 10, "a a/1 a/2 [b//] z é")]
    #[case::below_a_prefix("b/", Some("/"), None, 10, "[b//]")]
    #[case::full_page("", None, None, 7, "a a/1 a/2 b//c b//d z é")]
    #[case::cut("", Some("/"), None, 2, "a [a/] …")]
    #[case::behind_a_prefix("", Some("/"), Some("a/"), 10, "[b/] z é")]
    #[case::behind_a_key_below_a_prefix("", Some("/"), Some("a/1"), 10, "[a/] [b/] z é")]
    #[case::nothing_wanted("", None, None, 0, "")]
    fn pages(
        #[case] prefix: &str,
        #[case] delimiter: Option<&str>,
        #[case] after: Option<&str>,
        #[case] max: usize,
        #[case] expected: &str,
    ) {
        assert_eq!(list(prefix, delimiter, after, max), expected);
    }

    #[test]
    fn pages_join_to_the_whole() {
        let mut after: Option<String> = None;
        let mut all = Vec::new();
        loop {
            let text = list("", Some("/"), after.as_deref(), 1);
            let name = text
                .trim_end_matches(" …")
                .trim_matches(['[', ']'])
                .to_owned();
            all.push(name.clone());
            if !text.ends_with('…') {
                break;
            }
            after = Some(name);
        }
        assert_eq!(all, ["a", "a/", "b/", "z", "é"]);
    }
}
