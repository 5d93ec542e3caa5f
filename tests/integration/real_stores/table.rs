//! The table of what runs where, in `docs/stores.md`: written by a test run, checked by the next.

use std::collections::BTreeMap;
use std::fmt::Write as _;

const FILE: &str = "docs/stores.md";

const HEAD: &str = "\
# Which recordings run on which store

Measured by the tests, `UPDATE_DOCS=1 just test-integration all` writes it again. A recording is
skipped only where a store lacks versioning, a region or a key; faults sit between the function
and the store and excuse none.

";

/// By recording and store: empty if it runs, else the reason why not.
pub(crate) type Cells = BTreeMap<(String, String), String>;

/// Checks the measured cells against the file, or writes them there; others stay as they are.
pub(crate) fn keep(stores: &[&str], recordings: &[String], measured: &Cells) {
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    let mut cells = parse(&text);
    cells.retain(|(recording, _), _| recordings.contains(recording));
    if std::env::var("UPDATE_DOCS").is_ok_and(|value| value == "1") {
        cells.extend(measured.clone());
        std::fs::create_dir_all("docs").unwrap();
        std::fs::write(FILE, write(stores, recordings, &cells)).unwrap();
        return;
    }
    for (place, reason) in measured {
        assert_eq!(
            cells.get(place),
            Some(reason),
            "{FILE} is out of date about {place:?}; UPDATE_DOCS=1 writes it again"
        );
    }
}

fn write(stores: &[&str], recordings: &[String], cells: &Cells) -> String {
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "| recording | {} |", stores.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(stores.len()));
    for recording in recordings {
        let of_store = stores.iter().map(|store| {
            let place = (recording.clone(), (*store).to_owned());
            match cells.get(&place).map(String::as_str) {
                Some("") => "runs".to_owned(),
                Some(reason) => format!("skipped: {reason}"),
                None => "not measured".to_owned(),
            }
        });
        let of_store: Vec<String> = of_store.collect();
        let _ = writeln!(text, "| {recording} | {} |", of_store.join(" | "));
    }
    text
}

fn parse(text: &str) -> Cells {
    let mut rows = text
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
        });
    let stores = rows.next().unwrap_or_default();
    let mut found = Cells::new();
    for row in rows {
        for (store, cell) in stores.iter().zip(&row).skip(1) {
            let reason = match cell.as_str() {
                "runs" => "",
                "not measured" => continue,
                other => other.trim_start_matches("skipped: "),
            };
            found.insert((row[0].clone(), store.clone()), reason.to_owned());
        }
    }
    found
}

#[test]
fn table_is_read_as_it_was_written() {
    let cells = Cells::from([
        (("a.jsonl".to_owned(), "One".to_owned()), String::new()),
        (
            ("a.jsonl".to_owned(), "Two".to_owned()),
            "key \"a//b\": No".to_owned(),
        ),
    ]);
    let text = write(&["One", "Two"], &["a.jsonl".to_owned()], &cells);
    assert_eq!(parse(&text), cells);
}
