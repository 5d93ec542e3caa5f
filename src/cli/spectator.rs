//! Shows a replay to a person, line by line, or to a machine as JSON Lines.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::local::world::{Happening, OutcomeLine, Replayed};

/// How a replay is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A table of lines.
    Lines,
    /// Lines, and the function's whole log.
    Verbose,
    /// JSON Lines.
    Json,
}

const DIM: Style = Style::new().dimmed();

/// Prints a line to standard output; a reader that has left is no reason to fail.
pub(super) fn line(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(anstream::stdout().lock(), "{text}");
}

/// One value as a JSON line.
pub(super) fn json(value: &impl Serialize) {
    let text = serde_json::to_string(value).expect("what happens is plain data");
    line(format_args!("{text}"));
}

/// Shows what happens until the replay ends.
pub(super) async fn watch(mut happenings: UnboundedReceiver<Happening>, form: Form) {
    if form != Form::Json {
        line(format_args!(
            "{DIM}{:<10} {:<44} {:<34} {:<10} {:>9}{DIM:#}",
            "STEP", "EVENT", "TARGET", "OUTCOME", "TIME"
        ));
    }
    while let Some(happening) = happenings.recv().await {
        match form {
            Form::Json => json(&happening),
            Form::Lines | Form::Verbose => show(&happening, form == Form::Verbose),
        }
        if let Happening::End(_) = happening {
            break;
        }
    }
}

/// Says that a recording is not replayed, and why.
pub(super) fn show_skipped(name: &str, reasons: Vec<String>, form: Form) {
    let skipped = Happening::Skipped {
        name: name.to_owned(),
        reasons,
    };
    match form {
        Form::Json => json(&skipped),
        Form::Lines | Form::Verbose => show(&skipped, false),
    }
}

fn show(happening: &Happening, verbose: bool) {
    match happening {
        Happening::Step {
            line: number,
            id,
            what,
            elapsed_ms,
            differences,
        } => {
            let step = id.clone().unwrap_or_else(|| format!("line {number}"));
            let (result, style) = match differences.as_deref() {
                None => ("", Style::new()),
                Some([]) => ("ok", color(AnsiColor::Green)),
                Some(_) => ("FAILED", color(AnsiColor::Red)),
            };
            line(format_args!(
                "{step:<10} {:<44} {:<34} {style}{result:<10}{style:#} {elapsed_ms:>6} ms",
                cut(what, 44),
                ""
            ));
            for difference in differences.iter().flatten() {
                line(format_args!(
                    "{:<10} {}{difference}{:#}",
                    "",
                    color(AnsiColor::Red),
                    Style::new()
                ));
            }
        }
        Happening::Outcome { steps, outcome } => show_outcome(steps, outcome),
        Happening::Log { line: text } if verbose => line(format_args!("{DIM}{text}{DIM:#}")),
        Happening::Log { .. } => {}
        Happening::End(replayed) => show_end(replayed),
        Happening::Skipped { name, reasons } => line(format_args!(
            "{}skipped{:#} {name}: {}",
            color(AnsiColor::Yellow),
            Style::new(),
            reasons.join("; ")
        )),
    }
}

/// One outcome as a row.
pub(super) fn show_outcome(steps: &[String], outcome: &OutcomeLine) {
    let style = match outcome.outcome.as_str() {
        "copied" | "tagged" => color(AnsiColor::Green),
        "deleted" => color(AnsiColor::Yellow),
        "failed" => color(AnsiColor::Red),
        _ => Style::new(),
    };
    let target = match (&outcome.target, &outcome.site) {
        (Some(target), Some(site)) => format!("{target}@{site}"),
        _ => String::new(),
    };
    let elapsed = outcome
        .elapsed_ms
        .map(|elapsed| format!("{elapsed} ms"))
        .unwrap_or_default();
    line(format_args!(
        "{:<10} {:<44} {:<34} {style}{:<10}{style:#} {elapsed:>9}",
        cut(&steps.join(","), 10),
        cut(
            &format!("  {} {}", outcome.event, outcome.key.escape_debug()),
            44
        ),
        cut(&target, 34),
        outcome.outcome,
    ));
    if let Some(error) = &outcome.error {
        let kind = if outcome.retryable == Some(true) {
            "comes again"
        } else {
            "permanent"
        };
        line(format_args!("{:<10} {style}{kind}: {error}{style:#}", ""));
    }
}

/// How one recording ended.
fn show_end(replayed: &Replayed) {
    let Replayed {
        name,
        steps,
        failed,
        on_failure,
        dead_letters,
        elapsed_ms,
    } = replayed;
    let (verdict, style) = match failed {
        0 => ("ok", color(AnsiColor::Green)),
        _ => ("FAILED", color(AnsiColor::Red)),
    };
    let mut rest = String::new();
    if *on_failure > 0 {
        rest.push_str(&format!(", {on_failure} in the on-failure queue"));
    }
    if *dead_letters > 0 {
        rest.push_str(&format!(", {dead_letters} dead letters"));
    }
    line(format_args!(
        "{style}{verdict}{style:#} {name}: {steps} steps, {failed} failed, {elapsed_ms} ms{rest}"
    ));
}

fn color(color: AnsiColor) -> Style {
    color.on_default()
}

/// At most `width` characters, the last of them an ellipsis where something was cut off.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}
