//! What the function's log says, as the local world reads it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing::Dispatch;
use tracing::level_filters::LevelFilter;

use crate::local::world::OutcomeLine;

/// The log of one function.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What writes to it.
    pub(super) fn dispatch(&self) -> Dispatch {
        let log = self.clone();
        let lines = tracing_subscriber::fmt().with_target(false);
        let lines = lines.json().flatten_event(true);
        let lines = lines.with_current_span(false).with_span_list(false);
        let lines = lines.with_max_level(LevelFilter::INFO).without_time();
        lines.with_writer(move || log.clone()).finish().into()
    }

    /// The outcomes that an invocation has told; others' lines stay.
    pub(super) fn take(&self, request_id: &str) -> Vec<OutcomeLine> {
        let mut bytes = self.0.lock().expect("no holder of the log panics");
        let mut outcomes = Vec::new();
        let mut others = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = str::from_utf8(line).ok();
            match text.and_then(OutcomeLine::parse) {
                Some(outcome) if outcome.request_id == request_id => outcomes.push(outcome),
                Some(_) => others.extend_from_slice(line),
                None => {}
            }
        }
        *bytes = others;
        outcomes
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut bytes = self.0.lock().expect("no holder of the log panics");
        bytes.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
