//! What an invocation adds to CloudWatch's metrics: lines in the embedded metric format.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! | metric | unit | dimensions besides `Function` |
//! |---|---|---|
//! | `Copied`, `Tagged`, `Deleted`, `Equal`, `Unproven`, `Kept` | count | `Master`, `Target` |
//! | `FailedRetryable`, `FailedPermanent` | count | `Master`, `Target`; of no target: `Master`; of no served bucket: none |
//! | `ReplicationLag`, from the event's time to the confirmed write | milliseconds | `Master`, `Target` |
//! | `Bytes`, sizes of the objects that were written | bytes | `Master`, `Target` |
//! | `Changes`, keys looked at; `Rounds`, how often | count | `Master` |
//! | `UnconfiguredEvents` | count | `Master` |
//! | `Throttles`, attempts that a store refused for now | count | `Site` |
//!
//! Each is there for the whole function as well, which is what alarms watch.
//!
//! Invariant: however many buckets there are, a process names at most [`MOST_SUBJECTS`] of them; what
//! comes later counts for the function only. Keys are in no metric.
//!
//! Written by hand: the libraries for this format give a metric one set of dimensions, so that an
//! alarm over all masters would need every metric twice, and drop what is beyond 100 values.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

const NAMESPACE: &str = "S3Replicator";

/// A metric has no more values in one line.
const MOST_VALUES: usize = 100;

/// How many masters, targets and sites a process names; each costs money.
pub const MOST_SUBJECTS: usize = 100;

/// What a metric is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The function as a whole.
    Function,
    /// A master bucket.
    Master(String),
    /// A target of a master: `bucket@site`.
    Target(String, String),
    /// A site.
    Site(String),
}

/// Writes the metrics of a process.
#[derive(Debug)]
pub struct Metrics {
    /// Without a name, nobody collects what is written.
    function: Option<String>,
    named: Mutex<BTreeSet<Subject>>,
}

/// What one invocation adds.
#[derive(Debug, Default)]
pub struct Tally(BTreeMap<Subject, BTreeMap<&'static str, Vec<u64>>>);

impl Tally {
    /// Adds to a sum.
    pub fn add(&mut self, subject: Subject, metric: &'static str, amount: u64) {
        let of_subject = self.0.entry(subject).or_default();
        let sum = of_subject.entry(metric).or_insert_with(|| vec![0]);
        sum[0] = sum[0].saturating_add(amount);
    }

    /// Notes a value of its own, so that CloudWatch knows of percentiles.
    pub fn note(&mut self, subject: Subject, metric: &'static str, value: u64) {
        let of_subject = self.0.entry(subject).or_default();
        of_subject.entry(metric).or_default().push(value);
    }

    /// What counts for the function only, if it may not be named.
    fn bounded(self, may_be_named: impl Fn(&Subject) -> bool) -> Self {
        let mut bounded = Self::default();
        for (subject, metrics) in self.0 {
            let subject = match may_be_named(&subject) {
                true => subject,
                false => Subject::Function,
            };
            let to = bounded.0.entry(subject).or_default();
            for (metric, values) in metrics {
                let is_sum = metric != LAG;
                match to.get_mut(metric) {
                    Some(there) if is_sum => there[0] = there[0].saturating_add(values[0]),
                    Some(there) => there.extend(values),
                    None => drop(to.insert(metric, values)),
                }
            }
        }
        bounded
    }

    /// The lines, one or more for each subject.
    fn lines(&self, function: &str, request_id: &str, timestamp: u64) -> Vec<String> {
        let of_subject = self.0.iter().flat_map(|(subject, metrics)| {
            let most = metrics.values().map(Vec::len).max().unwrap_or(0);
            let count = most.div_ceil(MOST_VALUES);
            (0..count).map(move |number| (subject, metrics, number))
        });
        of_subject
            .map(|(subject, metrics, number)| {
                let mut root = Map::new();
                let sets = dimensions(subject, function, &mut root);
                let mut definitions = Vec::new();
                for (metric, values) in metrics {
                    let Some(some) = values.chunks(MOST_VALUES).nth(number) else {
                        continue;
                    };
                    definitions.push(json!({"Name": metric, "Unit": unit(metric)}));
                    let value = match some {
                        [one] => json!(one),
                        several => json!(several),
                    };
                    root.insert((*metric).to_owned(), value);
                }
                root.insert("request_id".to_owned(), json!(request_id));
                let aws = json!({
                    "Timestamp": timestamp,
                    "CloudWatchMetrics": [{
                        "Namespace": NAMESPACE,
                        "Dimensions": sets,
                        "Metrics": definitions,
                    }],
                });
                root.insert("_aws".to_owned(), aws);
                Value::Object(root).to_string()
            })
            .collect()
    }
}

/// The one metric of which every value counts.
pub const LAG: &str = "ReplicationLag";

fn unit(metric: &str) -> &'static str {
    match metric {
        LAG => "Milliseconds",
        "Bytes" => "Bytes",
        _ => "Count",
    }
}

/// The sets of dimensions of a subject; their values go into `root`.
fn dimensions(
    subject: &Subject,
    function: &str,
    root: &mut Map<String, Value>,
) -> Vec<Vec<&'static str>> {
    let pairs = match subject {
        Subject::Function => vec![],
        Subject::Master(master) => vec![("Master", master)],
        Subject::Target(master, target) => vec![("Master", master), ("Target", target)],
        Subject::Site(site) => vec![("Site", site)],
    };
    let names = pairs.iter().map(|(name, _)| *name);
    let set: Vec<&str> = std::iter::once("Function").chain(names).collect();
    root.insert("Function".to_owned(), json!(function));
    let values = pairs.into_iter();
    root.extend(values.map(|(name, value)| (name.to_owned(), json!(value))));
    match subject {
        Subject::Function => vec![set],
        _ => vec![vec!["Function"], set],
    }
}

impl Metrics {
    /// Metrics of the function of this name; without one, none are written.
    pub fn new(function: Option<String>) -> Self {
        Self {
            function,
            named: Mutex::default(),
        }
    }

    /// Writes what an invocation adds to standard output.
    pub fn write(&self, tally: Tally, request_id: &str) {
        let Some(function) = &self.function else {
            return;
        };
        let tally = tally.bounded(|subject| self.name(subject));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let mut out = std::io::stdout().lock();
        for line in tally.lines(function, request_id, now) {
            // A full or closed pipe must not fail a replication.
            let _ = writeln!(out, "{line}");
        }
    }

    /// Whether the subject may be named, now and from now on.
    fn name(&self, subject: &Subject) -> bool {
        let mut named = self.named.lock().expect("no holder of this lock panics");
        if named.len() < MOST_SUBJECTS {
            named.insert(subject.clone());
        }
        *subject == Subject::Function || named.contains(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(number: usize) -> Subject {
        Subject::Target("master".to_owned(), format!("copy-{number}@eu-central-1"))
    }

    fn parsed(tally: &Tally) -> Vec<Value> {
        let lines = tally.lines("f", "r", 1_800_000_000_000).into_iter();
        lines
            .map(|line| serde_json::from_str(&line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_has_all_of_a_target_by_itself_and_for_the_function() {
        let mut tally = Tally::default();
        tally.add(target(1), "Copied", 1);
        tally.add(target(1), "Copied", 1);
        tally.add(target(1), "Bytes", 5);
        tally.note(target(1), LAG, 7);
        tally.note(target(1), LAG, 9);
        assert_eq!(
            parsed(&tally),
            [json!({
                "_aws": {
                    "Timestamp": 1_800_000_000_000_u64,
                    "CloudWatchMetrics": [{
                        "Namespace": "S3Replicator",
                        "Dimensions": [["Function"], ["Function", "Master", "Target"]],
                        "Metrics": [
                            {"Name": "Bytes", "Unit": "Bytes"},
                            {"Name": "Copied", "Unit": "Count"},
                            {"Name": "ReplicationLag", "Unit": "Milliseconds"},
                        ],
                    }],
                },
                "Function": "f",
                "Master": "master",
                "Target": "copy-1@eu-central-1",
                "request_id": "r",
                "Bytes": 5,
                "Copied": 2,
                "ReplicationLag": [7, 9],
            })]
        );
    }

    #[test]
    fn more_than_a_hundred_values_take_several_lines_and_sums_are_in_the_first() {
        let mut tally = Tally::default();
        for value in 0..250 {
            tally.add(target(1), "Copied", 1);
            tally.note(target(1), LAG, value);
        }
        let lines = parsed(&tally);
        let lags = lines.iter().map(|line| line[LAG].as_array().unwrap().len());
        assert_eq!(lags.collect::<Vec<_>>(), [100, 100, 50]);
        let copied: Vec<&Value> = lines.iter().map(|line| &line["Copied"]).collect();
        assert_eq!(copied, [&json!(250), &Value::Null, &Value::Null]);
    }

    #[test]
    fn buckets_beyond_the_hundredth_count_for_the_function_only() {
        let metrics = Metrics::new(Some("f".to_owned()));
        let mut tally = Tally::default();
        for number in 0..MOST_SUBJECTS + 20 {
            tally.add(target(number), "Copied", 1);
            tally.note(target(number), LAG, 1);
        }
        let bounded = tally.bounded(|subject| metrics.name(subject));
        assert_eq!(bounded.0.len(), MOST_SUBJECTS + 1);
        let rest = &bounded.0[&Subject::Function];
        assert_eq!(rest["Copied"], [20]);
        assert_eq!(rest[LAG].len(), 20);
    }
}
