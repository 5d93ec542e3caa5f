//! What was measured, as one table and as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::process::Cost;

/// The columns of the table: the name in JSON, the heading, the digits after the point.
const COLUMNS: [(&str, &str, usize); 7] = [
    ("cpu_ms", "CPU ms", 3),
    ("wall_ms", "wall ms", 3),
    ("per_s", "per s", 0),
    ("mib_per_s", "MiB/s", 0),
    ("peak_mib", "peak MiB", 1),
    ("source_reads", "source reads", 3),
    ("requests", "requests", 2),
];

/// All figures of a run.
#[derive(Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    /// What could not be measured, and why.
    pub(crate) missing: Vec<String>,
}

struct Figure {
    what: String,
    who: String,
    values: BTreeMap<&'static str, f64>,
}

/// One budget, and whether it is met; unknown if it was not measured.
pub(crate) struct Budget {
    pub(crate) what: String,
    pub(crate) limit: String,
    pub(crate) figure: String,
    pub(crate) met: Option<bool>,
}

impl Report {
    pub(crate) fn add(&mut self, what: &str, who: &str, values: &[(&'static str, f64)]) {
        for (name, _) in values {
            assert!(COLUMNS.iter().any(|column| column.0 == *name), "{name}");
        }
        eprintln!("  {what}, {who}: {}", words(values));
        self.figures.push(Figure {
            what: what.to_owned(),
            who: who.to_owned(),
            values: values.iter().copied().collect(),
        });
    }

    pub(crate) fn get(&self, what: &str, who: &str, value: &str) -> Option<f64> {
        let mut figures = self.figures.iter();
        let figure = figures.find(|figure| figure.what == what && figure.who == who)?;
        figure.values.get(value).copied()
    }

    /// What one is of another, both CPU time.
    pub(crate) fn ratio(&self, what: &str, (ours, theirs): (&str, &str)) -> Option<f64> {
        let cpu = |who| self.get(what, who, "cpu_ms");
        Some(cpu(ours)? / cpu(theirs)?)
    }

    /// Two tables in Markdown: the figures, and the budgets.
    pub(crate) fn print(&self, machine: &str, budgets: &[Budget]) {
        println!("\n{machine}\n");
        let mut rows = vec![vec!["what".to_owned(), "who".to_owned()]];
        rows[0].extend(COLUMNS.map(|(_, heading, _)| heading.to_owned()));
        for figure in &self.figures {
            let mut row = vec![figure.what.clone(), figure.who.clone()];
            row.extend(COLUMNS.map(|(name, _, digits)| {
                let value = figure.values.get(name);
                value.map_or_else(String::new, |value| format!("{value:.digits$}"))
            }));
            rows.push(row);
        }
        print_table(&rows, 2);
        println!();
        let heading = ["budget", "limit", "figure", "met"];
        let mut rows = vec![heading.map(ToOwned::to_owned).to_vec()];
        for budget in budgets {
            let met = match budget.met {
                Some(true) => "yes",
                Some(false) => "**no**",
                None => "not measured",
            };
            rows.push(vec![
                budget.what.clone(),
                budget.limit.clone(),
                budget.figure.clone(),
                met.to_owned(),
            ]);
        }
        print_table(&rows, 4);
        for missing in &self.missing {
            println!("\nNot measured: {missing}");
        }
    }

    pub(crate) fn json(&self, machine: &str, budgets: &[Budget]) -> Value {
        let figures = self.figures.iter().map(|figure| {
            let mut line = json!({"what": figure.what, "who": figure.who});
            for (name, value) in &figure.values {
                line[*name] = json!(value);
            }
            line
        });
        let budgets = budgets.iter().map(|budget| {
            json!({
                "budget": budget.what,
                "limit": budget.limit,
                "figure": budget.figure,
                "met": budget.met,
            })
        });
        json!({
            "machine": machine,
            "figures": figures.collect::<Vec<_>>(),
            "budgets": budgets.collect::<Vec<_>>(),
            "missing": self.missing,
        })
    }
}

/// CPU and wall time of one of `count` things that were done together.
pub(crate) fn each(cost: Cost, count: usize) -> [(&'static str, f64); 3] {
    let count = count as f64;
    let (cpu, wall) = (cost.cpu.as_secs_f64(), cost.wall.as_secs_f64());
    [
        ("cpu_ms", cpu * 1000.0 / count),
        ("wall_ms", wall * 1000.0 / count),
        ("per_s", count / wall),
    ]
}

/// The median of each figure by itself.
pub(crate) fn median(costs: &[Cost]) -> Cost {
    fn middle<T: Ord + Copy>(costs: &[Cost], of: impl Fn(&Cost) -> T) -> T {
        let mut values: Vec<T> = costs.iter().map(of).collect();
        values.sort_unstable();
        values[values.len() / 2]
    }
    Cost {
        cpu: middle(costs, |cost| cost.cpu),
        wall: middle(costs, |cost| cost.wall),
        peak: middle(costs, |cost| cost.peak),
    }
}

fn words(values: &[(&'static str, f64)]) -> String {
    let words = values
        .iter()
        .map(|(name, value)| format!("{name} {value:.3}"));
    words.collect::<Vec<_>>().join(", ")
}

/// The first `texts` columns are flush left, the others are figures.
fn print_table(rows: &[Vec<String>], texts: usize) {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(3)
    };
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    for (number, row) in rows.iter().enumerate() {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, &width))| {
                if column < texts {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        println!("| {} |", cells.collect::<Vec<_>>().join(" | "));
        if number == 0 {
            let rules = widths.iter().enumerate().map(|(column, &width)| {
                let end = if column < texts { "-" } else { ":" };
                format!("{}{end}", "-".repeat(width - 1))
            });
            println!("| {} |", rules.collect::<Vec<_>>().join(" | "));
        }
    }
}
