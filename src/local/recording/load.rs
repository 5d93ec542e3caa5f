//! Strict loading: every problem of a file at once, each with its line and field.
//!
//! Reading goes on after a problem, so that the rest of the file is checked too; whatever was
//! built by then is thrown away.

mod expect;
mod fault;
mod fields;
mod header;
mod node;
mod operation;
mod problem;
mod references;
mod step;
mod values;

use std::path::Path;

pub use problem::{LoadError, Problem, Problems};
pub use values::HEADERS;

use self::fields::{Fields, Place, Value};
use super::Recording;
use super::header::Header;
use super::step::Step;

impl Recording {
    /// Reads a file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| LoadError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let (bytes, good) = (error.as_bytes(), error.utf8_error().valid_up_to());
            let line = 1 + bytes[..good].iter().filter(|byte| **byte == b'\n').count();
            let mut problems = Problems::new(path);
            let found = format!("the byte 0x{:02x}", bytes[good]);
            problems.report(&Place::line(line), "text in UTF-8", found);
            problems
        })?;
        Ok(Self::parse(&text, path)?)
    }

    /// Reads text that stands, or is to stand, in the file at `path`: body files are relative to
    /// it, and the recording is called after it unless the header says otherwise.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::new(path);
        let Some((header, steps)) = read_lines(text, path, &mut problems) else {
            return Err(problems);
        };
        if let Some(header) = &header {
            references::check(header, &steps, &mut problems);
        }
        let steps = steps.into_iter().filter_map(|line| line.step).collect();
        match header {
            Some(header) if problems.is_empty() => Ok(Self {
                path: path.to_owned(),
                header,
                steps,
            }),
            _ => Err(problems),
        }
    }
}

/// A line that is not the header.
struct StepLine {
    /// Its place in the file, from 1.
    line: usize,
    /// Its id, known even where the rest of it could not be read.
    id: Option<String>,
    step: Option<Step>,
}

/// Nothing, where nothing that follows could be judged.
fn read_lines(
    text: &str,
    path: &Path,
    problems: &mut Problems,
) -> Option<(Option<Header>, Vec<StepLine>)> {
    let mut header = None;
    let mut steps = Vec::new();
    let mut is_first = true;
    for (index, text) in text
        .lines()
        .enumerate()
        .filter(|(_, text)| !text.trim().is_empty())
    {
        let line = index + 1;
        let is_first = std::mem::take(&mut is_first);
        let Some(mut fields) = open_line(text, line, problems) else {
            continue;
        };
        if fields.has("recording") {
            if !is_first {
                fields.report(
                    "recording",
                    "the header on the first line only",
                    "another".to_owned(),
                );
            } else if header::is_supported(&mut fields) {
                header = header::read(fields, path);
            } else {
                return None;
            }
            continue;
        }
        if is_first {
            let expected = r#"the header, {"recording": 1, "master": {…}}"#;
            fields.report_whole(expected, text.trim().to_owned());
        }
        let id = fields.optional("id", values::id);
        let step = step::read(fields, text, path);
        steps.push(StepLine {
            line,
            step: step.map(|action| Step {
                line,
                id: id.clone(),
                action,
            }),
            id,
        });
    }
    if is_first {
        problems.report(&Place::file(), "a header and steps", "nothing".to_owned());
    } else if steps.is_empty() && problems.is_empty() {
        problems.report(
            &Place::file(),
            "at least one step",
            "only a header".to_owned(),
        );
    }
    Some((header, steps))
}

fn open_line<'p>(text: &str, line: usize, problems: &'p mut Problems) -> Option<Fields<'p>> {
    let place = Place::line(line);
    let trimmed = text.trim();
    if trimmed.starts_with('#') || trimmed.starts_with("//") {
        problems.report(
            &place,
            "a JSON object (JSON has no comments)",
            trimmed.to_owned(),
        );
        return None;
    }
    match serde_json::from_str(text) {
        Ok(node) => Value::new(node, place, problems).fields(),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default();
            let expected = format!("a JSON object ({reason} at column {})", error.column());
            problems.report(&place, &expected, trimmed.to_owned());
            None
        }
    }
}

#[cfg(test)]
mod tests;
