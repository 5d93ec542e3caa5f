//! The table of what runs where, in `docs/stores.md`: written by a test run, checked by the next.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use super::servers::Kind;

const FILE: &str = "docs/stores.md";

/// Has a run write what it measured instead of checking it.
const SWITCH: &str = "UPDATE_DOCS";

const HEAD: &str = "\
# Which recordings run on which store

Measured, not assumed: the tests on real stores write this file with
`UPDATE_DOCS=1 just test-integration all`, and fail where it is out of date. The embedded store
runs all recordings.

A recording is skipped only where a store lacks versioning, a region, a key, or the header that
redirects the readers of a web site. That was tried on the store, and the reason is what came of
it. Faults are injected between the function and the store, so they excuse none. At least 90 %
must run on MinIO and on LocalStack.

";

/// What was measured of one store: by recording, why it is skipped, if it is.
pub(crate) type Column = BTreeMap<String, Option<String>>;

/// By store.
type Table = BTreeMap<String, Column>;

/// Stores are tested at the same time.
static LOCK: Mutex<()> = Mutex::new(());

/// Checks a measured column against the file, or writes it there; others stay as they are.
///
/// # Panics
/// The file is out of date.
pub(crate) fn keep(store: &str, measured: &Column) {
    let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    let text = std::fs::read_to_string(FILE).unwrap_or_default();
    let mut table = parse(&text);
    if std::env::var(SWITCH).is_ok_and(|value| value == "1") {
        table.insert(store.to_owned(), measured.clone());
        for column in table.values_mut() {
            column.retain(|recording, _| measured.contains_key(recording));
        }
        std::fs::write(FILE, write(&table)).unwrap();
    } else {
        let written = table.remove(store).unwrap_or_default();
        assert_eq!(
            written, *measured,
            "{FILE} is out of date about {store}, {SWITCH}=1 writes it anew"
        );
    }
}

fn write(table: &Table) -> String {
    let stores = Kind::ALL.map(Kind::name);
    let recordings: BTreeSet<&String> = table.values().flat_map(Column::keys).collect();
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "| recording | {} |", stores.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(stores.len()));
    for recording in &recordings {
        let cell = |store: &str| match table.get(store).and_then(|it| it.get(*recording)) {
            Some(None) => "runs".to_owned(),
            // A bar would end the cell.
            Some(Some(why)) => format!("skipped: {}", why.replace('|', "\\|")),
            None => "not measured".to_owned(),
        };
        let _ = writeln!(text, "| {recording} | {} |", stores.map(cell).join(" | "));
    }
    let sum = |store: &str| {
        let column = table.get(store).map(Column::values);
        let ran = column.map_or(0, |column| column.filter(|why| why.is_none()).count());
        format!("**{ran} of {}**", recordings.len())
    };
    let _ = writeln!(text, "| **run** | {} |", stores.map(sum).join(" | "));
    text
}

fn parse(text: &str) -> Table {
    let cells = |line: &str| -> Vec<String> {
        let inside = line.strip_prefix("| ").and_then(|it| it.strip_suffix(" |"));
        let cells = inside.unwrap_or_default().split(" | ");
        cells.map(|cell| cell.replace("\\|", "|")).collect()
    };
    let mut rows = text.lines().filter(|line| line.starts_with("| "));
    let stores = cells(rows.next().unwrap_or_default());
    let mut table = Table::new();
    for row in rows.map(cells) {
        for (store, cell) in stores.iter().zip(&row).skip(1) {
            let column = table.entry(store.clone()).or_default();
            match (cell.as_str(), cell.strip_prefix("skipped: ")) {
                ("runs", _) => drop(column.insert(row[0].clone(), None)),
                (_, Some(why)) => drop(column.insert(row[0].clone(), Some(why.to_owned()))),
                // The sums, and what was not measured.
                _ => {}
            }
        }
    }
    table
}

#[test]
fn table_is_read_as_it_was_written() {
    let reason = Some("key \"a|b\": No".to_owned());
    let recording = |name: &str| name.to_owned();
    let table = Table::from([
        (
            "MinIO".to_owned(),
            Column::from([(recording("a.jsonl"), None), (recording("b.jsonl"), reason)]),
        ),
        (
            "LocalStack".to_owned(),
            Column::from([(recording("a.jsonl"), None)]),
        ),
    ]);
    let text = write(&table);
    assert_eq!(
        parse(&text)
            .into_iter()
            .filter(|(_, column)| !column.is_empty())
            .collect::<Table>(),
        table
    );
    assert!(
        text.ends_with("| **run** | **1 of 2** | **1 of 2** | **0 of 2** |\n"),
        "{text}"
    );
}
