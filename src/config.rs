//! The environment as a [`Config`], read once at cold start through a lookup function.
//!
//! Nothing is guessed: a value that is not understood is an error, and all errors are reported
//! together. A variable that is set to nothing counts as not set, as in the AWS tools.

mod masters;
mod size;

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use tracing_subscriber::filter::Targets;

pub use self::masters::Masters;
#[cfg(feature = "cli")]
pub(crate) use self::masters::matches;
use self::size::{GIB, KIB, MIB};
use crate::excerpt::excerpt;

/// Every setting of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Buckets whose events are served.
    pub masters: Masters,
    /// How long the tags of a bucket are cached; zero is not at all.
    pub tag_ttl: Duration,
    /// Keys in work at once, at least 1.
    pub concurrency: usize,
    /// Bytes of a part where the master gives no boundaries, from 5 MiB to 5 GiB.
    pub part_size: u64,
    /// Above this many bytes a streamed object goes by parts; at most 5 GiB.
    pub multipart_threshold: u64,
    /// Bytes in flight in the whole process.
    pub memory: u64,
    /// Whether removals are replicated where the master's tags don't say.
    pub deletes: bool,
    /// What is logged and how.
    pub logging: Logging,
    /// What the function is called where there is Lambda, or what passes for it.
    pub function: Option<String>,
}

/// What is logged and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// One line an event in either.
    pub format: LogFormat,
    /// Directives for [`Targets`], which needs no regular expressions.
    pub filter: String,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl Config {
    /// Reads the configuration from whatever `lookup` knows, usually the environment.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut reader = Reader {
            lookup,
            errors: Vec::new(),
        };
        let config = Self {
            masters: reader.read(
                "S3_REPLICATOR_MASTERS",
                Masters::default(),
                "bucket names, `*` for any characters, separated by spaces",
                Masters::parse,
            ),
            tag_ttl: reader.read(
                "S3_REPLICATOR_TAG_TTL",
                Duration::from_secs(60),
                "a whole number of seconds, at most 4294967295",
                |value| {
                    whole_number::<u32>(value).map(|seconds| Duration::from_secs(seconds.into()))
                },
            ),
            concurrency: reader.read(
                "S3_REPLICATOR_CONCURRENCY",
                16,
                "a whole number from 1 to 1024",
                |value| whole_number(value).filter(|keys| (1..=1024).contains(keys)),
            ),
            part_size: reader.read(
                "S3_REPLICATOR_PART_SIZE",
                8 * MIB,
                "a size from 5MiB to 5GiB, such as `8MiB`",
                |value| size::parse(value).filter(|size| (5 * MIB..=5 * GIB).contains(size)),
            ),
            multipart_threshold: reader.read(
                "S3_REPLICATOR_MULTIPART_THRESHOLD",
                64 * MIB,
                "a size of at most 5GiB, such as `64MiB`",
                |value| size::parse(value).filter(|&size| size <= 5 * GIB),
            ),
            memory: reader.read(
                "S3_REPLICATOR_MEMORY",
                64 * MIB,
                "a size of at least 64KiB, such as `64MiB`",
                |value| size::parse(value).filter(|&size| size >= 64 * KIB),
            ),
            deletes: reader.read(
                "S3_REPLICATOR_DELETES",
                true,
                "`true` or `false`",
                |value| value.parse().ok(),
            ),
            logging: reader.logging(),
            function: (reader.lookup)("AWS_LAMBDA_FUNCTION_NAME"),
        };
        if reader.errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigErrors(reader.errors))
        }
    }
}

/// Reads variable by variable and remembers what was wrong.
struct Reader<L> {
    lookup: L,
    errors: Vec<ConfigError>,
}

impl<L: Fn(&str) -> Option<String>> Reader<L> {
    fn read<T>(
        &mut self,
        variable: &'static str,
        default: T,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        let Some(value) = (self.lookup)(variable).filter(|value| !value.is_empty()) else {
            return default;
        };
        match parse(&value) {
            Some(parsed) => parsed,
            None => {
                self.errors.push(ConfigError {
                    variable,
                    value,
                    expected,
                });
                default
            }
        }
    }

    fn logging(&mut self) -> Logging {
        let on_lambda = (self.lookup)("AWS_LAMBDA_RUNTIME_API").is_some();
        let format = self.read(
            "AWS_LAMBDA_LOG_FORMAT",
            if on_lambda {
                LogFormat::Json
            } else {
                LogFormat::Text
            },
            "`JSON` or `Text`",
            log_format,
        );
        let by_level = self.read(
            "AWS_LAMBDA_LOG_LEVEL",
            filter("info"),
            "`TRACE`, `DEBUG`, `INFO`, `WARN`, `ERROR` or `FATAL`",
            |value| log_level(value).map(filter),
        );
        let filter = self.read(
            "RUST_LOG",
            by_level,
            "filter directives, such as `info` or `warn,s3_replicator=debug`",
            |value| value.parse::<Targets>().ok().map(|_| value.to_owned()),
        );
        Logging { format, filter }
    }
}

/// Digits only: no sign, no fraction, no space.
fn whole_number<T: std::str::FromStr>(value: &str) -> Option<T> {
    value
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| value.parse().ok())?
}

fn log_format(value: &str) -> Option<LogFormat> {
    match value.to_ascii_lowercase().as_str() {
        "json" => Some(LogFormat::Json),
        "text" => Some(LogFormat::Text),
        _ => None,
    }
}

fn log_level(value: &str) -> Option<&'static str> {
    match value.to_ascii_lowercase().as_str() {
        "trace" => Some("trace"),
        "debug" => Some("debug"),
        "info" => Some("info"),
        "warn" => Some("warn"),
        "error" | "fatal" => Some("error"),
        _ => None,
    }
}

/// The level is ours; dependencies speak up from `warn` on, since what they say below that is
/// much, and may be headers and bodies. What programs print that give us credentials is never told.
fn filter(level: &str) -> String {
    match level {
        "warn" | "error" => format!("{level},aws_config=off"),
        _ => format!("warn,aws_config=off,s3_replicator={level}"),
    }
}

/// Everything that is wrong with the environment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// Each problem, in the order of the variables in the documentation.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("environment is not understood: ")?;
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

/// One variable whose value is not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected {expected} in {variable}, found `{}`", excerpt(.value))]
pub struct ConfigError {
    /// The variable's name.
    pub variable: &'static str,
    /// What it is set to.
    pub value: String,
    /// What it may be set to.
    pub expected: &'static str,
}

#[cfg(test)]
mod tests;
