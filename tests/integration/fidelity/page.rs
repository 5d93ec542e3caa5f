//! The table in `docs/fidelity.md`: written by a test run, checked by the next.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use super::things::{THINGS, Way};

const FILE: &str = "docs/fidelity.md";

/// Has a run write what it measured instead of checking it.
const SWITCH: &str = "UPDATE_DOCS";

const STORES: [&str; 3] = ["embedded", "MinIO", "LocalStack"];

const HEAD: &str = "\
# What of an object arrives

Measured by `UPDATE_DOCS=1 S3_REPLICATOR_TEST_STORES=all cargo test fidelity`, which fails where this
page is out of date. Each thing is written to a master with the plain SDK, once for each way, and
read at the replica. *not kept*: the master does not show it either. *not carried*: the plain SDK is
refused the same.

Legal holds and retention are not replicated: a lock is the target bucket's own to give. Nor are ACLs.
Replicas are encrypted as the target bucket's default says, whatever key the master has; an object
under its owner's key (SSE-C) cannot be read, and says so.

";

/// Whether a thing arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Carried,
    /// Not even by the store itself.
    NotKept(String),
    NotCarried(String),
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Carried => f.write_str("carried"),
            Self::NotKept(why) => write!(f, "not kept: {why}"),
            Self::NotCarried(why) => write!(f, "not carried: {why}"),
        }
    }
}

/// What was measured on one store, by thing and way.
pub(super) struct Page {
    store: &'static str,
    cells: BTreeMap<(String, String), String>,
    missing: Vec<String>,
}

/// Stores are measured at the same time.
static LOCK: Mutex<()> = Mutex::new(());

impl Page {
    pub(super) fn of(store: &str) -> Self {
        let known = STORES.into_iter().find(|known| *known == store);
        Self {
            store: known.expect("a column of the page"),
            cells: BTreeMap::new(),
            missing: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, thing: &str, way: &str, cell: Cell) {
        if cell != Cell::Carried {
            self.missing.push(format!("{thing}, {way}: {cell}"));
        }
        let place = (thing.to_owned(), way.to_owned());
        self.cells.insert(place, cell.to_string());
    }

    /// What does not arrive, and why.
    pub(super) fn not_carried(&self) -> Vec<String> {
        self.missing.clone()
    }

    /// Checks the store's column of the file, or writes it.
    ///
    /// # Panics
    /// The file is out of date.
    pub(super) fn keep(&self) {
        let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
        let text = std::fs::read_to_string(FILE).unwrap_or_default();
        let mut columns = parse(&text);
        if std::env::var(SWITCH).is_ok_and(|value| value == "1") {
            columns.insert(self.store.to_owned(), self.cells.clone());
            std::fs::write(FILE, write(&columns)).unwrap();
        } else {
            let written = columns.remove(self.store).unwrap_or_default();
            let store = self.store;
            assert_eq!(
                written, self.cells,
                "{FILE} is out of date about {store}, {SWITCH}=1 writes it anew"
            );
        }
    }
}

type Columns = BTreeMap<String, BTreeMap<(String, String), String>>;

fn write(columns: &Columns) -> String {
    let mut text = HEAD.to_owned();
    let _ = writeln!(text, "| what | way | {} |", STORES.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(STORES.len()));
    for thing in THINGS {
        for way in Way::ALL.into_iter().filter(|way| thing.is_of(*way)) {
            let place = (thing.name.to_owned(), way.name().to_owned());
            let cell = |store: &str| {
                let cell = columns.get(store).and_then(|column| column.get(&place));
                cell.map_or("not measured", String::as_str).to_owned()
            };
            let cells = STORES.map(cell).join(" | ");
            let _ = writeln!(text, "| {} | {} | {cells} |", thing.name, way.name());
        }
    }
    text
}

fn parse(text: &str) -> Columns {
    let mut columns = Columns::new();
    let rows = text.lines().filter_map(|line| {
        let inside = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(inside.split(" | ").map(str::to_owned).collect::<Vec<_>>())
    });
    for row in rows.skip(1).filter(|row| row.len() == 2 + STORES.len()) {
        for (store, cell) in STORES.iter().zip(&row[2..]) {
            if cell != "not measured" {
                let column = columns.entry((*store).to_owned()).or_default();
                column.insert((row[0].clone(), row[1].clone()), cell.clone());
            }
        }
    }
    columns
}
