//! The project's budgets, held against what was measured.

use std::fs;

use super::cold::{self, COLD_START, FIRST_EVENT, HELLO, PLAIN, TLS};
use super::large::{self, Way};
use super::report::{Budget, Report};
use super::requests::{CASES, measured};
use super::small::{self, ONE_EVENT, S5CMD_CP, S5CMD_RUN};
use super::{Bench, growth};

const MB: f64 = 1_000_000.0;

/// All budgets, in the order of the report.
pub(crate) fn judge(bench: &Bench, report: &Report) -> Vec<Budget> {
    let mut budgets = vec![
        cold_start(report, "cpu_ms", "CPU"),
        cold_start(report, "wall_ms", "wall"),
        first_request(report),
        binary(bench),
    ];
    let cp = (ONE_EVENT, S5CMD_CP);
    budgets.push(small_copy(report, 3, cp, 0.75));
    budgets.push(small_copy(report, 3, (ONE_EVENT, S5CMD_RUN), 0.35));
    budgets.push(small_copy(report, 1, cp, 1.0));
    for large in bench.size.large {
        let what = large::what(large, Way::Streamed);
        let ours = |value| report.get(&what, large::OURS, value);
        budgets.push(Budget::at_most(
            &format!("{what}: peak memory"),
            (128.0, "MiB"),
            ours("peak_mib"),
        ));
        budgets.push(Budget::at_most(
            &format!("{what}: reads of the source"),
            (1.001, "×"),
            ours("source_reads"),
        ));
        budgets.push(Budget::at_most(
            &format!("{what}: CPU of 3 targets"),
            (1.0, "× rclone copy to 1"),
            report.ratio(&what, (large::OURS, large::RCLONE)),
        ));
    }
    budgets.push(requests(report));
    budgets.extend(growth(bench, report));
    budgets
}

impl Budget {
    fn at_most(what: &str, (limit, unit): (f64, &str), figure: Option<f64>) -> Self {
        Self {
            what: what.to_owned(),
            limit: format!("{limit} {unit}"),
            figure: figure.map_or_else(String::new, |figure| format!("{figure:.2}")),
            met: figure.map(|figure| figure <= limit),
        }
    }
}

fn cold_start(report: &Report, value: &str, name: &str) -> Budget {
    let of = |who| report.get(COLD_START, who, value);
    let figure = of(cold::OURS)
        .zip(of(HELLO))
        .map(|(ours, hello)| ours / hello);
    Budget::at_most(
        &format!("cold start, {name}"),
        (1.3, "× hello world"),
        figure,
    )
}

/// What TLS adds to a process's first event.
fn first_request(report: &Report) -> Budget {
    let of = |who| report.get(FIRST_EVENT, who, "cpu_ms");
    let figure = of(TLS).zip(of(PLAIN)).map(|(tls, plain)| tls - plain);
    Budget::at_most(
        "first TLS request, CPU over plain HTTP",
        (2.0, "ms"),
        figure,
    )
}

fn binary(bench: &Bench) -> Budget {
    let size = fs::metadata(&bench.bootstrap)
        .ok()
        .map(|file| file.len() as f64 / MB);
    Budget::at_most("size of bootstrap", (9.0, "MB"), size)
}

fn small_copy(report: &Report, targets: usize, who: (&str, &str), limit: f64) -> Budget {
    let what = small::what(targets);
    let figure = report.ratio(&what, who);
    Budget::at_most(
        &format!("{what}: CPU"),
        (limit, &format!("× {}", who.1)),
        figure,
    )
}

/// The worst of all cases is what counts.
fn requests(report: &Report) -> Budget {
    let cases = [1, 3]
        .into_iter()
        .flat_map(|targets| CASES.map(|case| (case, targets)));
    let excess = cases.map(|(case, targets)| {
        Some(measured(report, case, targets)? - case.budget(targets) as f64)
    });
    let excess: Option<Vec<f64>> = excess.collect();
    let most = excess.map(|excess| excess.into_iter().fold(f64::MIN, f64::max));
    Budget::at_most(
        "requests of a change, more than allowed",
        (0.0, "in any case"),
        most,
    )
}

fn growth(bench: &Bench, report: &Report) -> [Budget; 2] {
    // An invocation's own cost is shared by its changes, so that one alone is no measure: CPU must
    // not rise above what it has once been at.
    let mut least = f64::INFINITY;
    let rises = bench.size.growth.iter().map(|&changes| {
        let cpu = growth::cpu(report, changes)?;
        least = least.min(cpu);
        Some(cpu / least)
    });
    let rises: Option<Vec<f64>> = rises.collect();
    let worst = rises.map(|rises| rises.into_iter().fold(0.0, f64::max));
    let most = bench.size.growth.last().copied().unwrap_or(1);
    let memory = growth::memory_mib(report, most).map(|mib| mib * 1024.0 / most as f64);
    [
        Budget::at_most(
            &format!("CPU a change, 1 to {most} in an invocation"),
            (1.1, "× that of fewer"),
            worst,
        ),
        Budget::at_most(
            &format!("memory a change besides the payload, {most} in an invocation"),
            (2.0, "KiB"),
            memory,
        ),
    ]
}
