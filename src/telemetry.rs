//! Logs as Lambda's own controls ask for them.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

use crate::config::{LogFormat, Logging};

/// Starts logging to standard output. Called once a process.
pub fn init(logging: &Logging) {
    let filter: Targets = logging.filter.parse().expect("checked when it was read");
    let lines = tracing_subscriber::fmt::layer().with_target(false);
    match logging.format {
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            let lines = lines.with_current_span(false).with_span_list(false);
            tracing_subscriber::registry()
                .with(lines.with_filter(filter))
                .init();
        }
        LogFormat::Text => {
            let lines = lines.with_ansi(false);
            tracing_subscriber::registry()
                .with(lines.with_filter(filter))
                .init();
        }
    }
}
