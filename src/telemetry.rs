//! Logs as Lambda's own controls ask for them, and counters in the embedded metric format.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
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

/// Counts one occurrence of `metric` for a master bucket:
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
pub fn count(metric: &str, master: &str) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let line = json!({
        "_aws": {
            "Timestamp": u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            "CloudWatchMetrics": [{
                "Namespace": "S3Replicator",
                "Dimensions": [["Master"]],
                "Metrics": [{"Name": metric, "Unit": "Count"}],
            }],
        },
        "Master": master,
        metric: 1,
    });
    // A full or closed pipe must not fail a replication.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
