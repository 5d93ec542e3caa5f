//! How far a walk has come: a line on a terminal that is written over, and nothing in a pipe.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::form::grouped;

/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(200);

/// The line.
pub(crate) struct Progress {
    is_shown: bool,
    started: Instant,
    written: Option<Instant>,
    done: u64,
    total: Option<u64>,
}

impl Progress {
    /// Shown where standard error is a terminal.
    pub(crate) fn new(total: Option<u64>) -> Self {
        Self {
            is_shown: std::io::stderr().is_terminal(),
            started: Instant::now(),
            written: None,
            done: 0,
            total,
        }
    }

    /// One key more.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        if !self.is_shown || self.written.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        self.written = Some(Instant::now());
        let text = shown(self.done, self.total, self.started.elapsed());
        // A terminal that is gone is no reason to fail.
        let _ = write!(std::io::stderr(), "\r\u{1b}[2K{text}");
    }

    /// Takes the line away, so that another can be written.
    pub(crate) fn clear(&mut self) {
        if self.written.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\u{1b}[2K");
        }
    }
}

fn shown(done: u64, total: Option<u64>, elapsed: Duration) -> String {
    let rate = done as f64 / elapsed.as_secs_f64().max(0.001);
    let keys = grouped(done);
    let per_second = grouped(rate as u64);
    match total {
        // Targets may have keys that the master has not.
        Some(total) if total > done => {
            let left = Duration::from_secs_f64((total - done) as f64 / rate.max(0.001));
            let (total, left) = (grouped(total), time(left));
            format!("{keys} of {total} keys, {per_second}/s, {left} left")
        }
        _ => format!("{keys} keys, {per_second}/s"),
    }
}

fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::time_left(1000, Some(3000), 10, "1,000 of 3,000 keys, 100/s, 20 s left")]
    #[case::long(
        1000,
        Some(1_000_000),
        1,
        "1,000 of 1,000,000 keys, 1,000/s, 16 min 39 s left"
    )]
    #[case::unknown_total(1000, None, 10, "1,000 keys, 100/s")]
    #[case::more_than_the_master_has(3001, Some(3000), 10, "3,001 keys, 300/s")]
    #[case::hours(1, Some(36_001), 1, "1 of 36,001 keys, 1/s, 10 h 0 min left")]
    fn rate_and_time_left_are_shown(
        #[case] done: u64,
        #[case] total: Option<u64>,
        #[case] seconds: u64,
        #[case] expected: &str,
    ) {
        assert_eq!(shown(done, total, Duration::from_secs(seconds)), expected);
    }
}
