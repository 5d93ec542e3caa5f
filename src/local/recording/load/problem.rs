//! What is wrong with a recording, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::fields::Place;

/// A recording could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read recording {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not a recording.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// All that is wrong with one file; never empty as an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    file: PathBuf,
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The path of the field, `put.parts[1]`; `whole line` or `whole file` where it is no field.
    pub field: String,
    /// What was expected there.
    pub expected: String,
    /// What was found, cut to [`Problem::FOUND_LENGTH`] characters.
    pub found: String,
}

impl Problem {
    /// The most characters of a file that a message repeats.
    pub const FOUND_LENGTH: usize = 64;
}

impl Problems {
    /// The problems, in the order of their lines.
    pub fn all(&self) -> &[Problem] {
        &self.problems
    }

    pub(super) fn new(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            problems: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn report(&mut self, place: &Place, expected: &str, found: String) {
        let problem = Problem {
            line: place.line,
            field: place.to_string(),
            expected: expected.to_owned(),
            found: cut(found),
        };
        let after = self
            .problems
            .partition_point(|other| other.line <= problem.line);
        self.problems.insert(after, problem);
    }
}

fn cut(text: String) -> String {
    if text.chars().count() <= Problem::FOUND_LENGTH {
        return text;
    }
    text.chars()
        .take(Problem::FOUND_LENGTH - 1)
        .chain(['…'])
        .collect()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            line,
            field,
            expected,
            found,
        } = self;
        write!(f, "{line}: {field}: expected {expected}, found {found}")
    }
}

/// One problem a line.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let line_end = if index > 0 { "\n" } else { "" };
            write!(f, "{line_end}{}:{problem}", self.file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
