//! The Lambda function's entry: configuration, then one invocation after the other until SIGTERM.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tracing::{error, warn};

use crate::config::Config;
use crate::error::chain;
use crate::handler::Replicator;
use crate::http_client::http_client;
use crate::telemetry;

/// Runs the function in this process, as `bootstrap` does. Returns when it is told to end.
///
/// Every problem of the configuration is reported at once, before any event is taken.
pub fn run() -> ExitCode {
    if let Err(code) = with_lambda_environment() {
        return code;
    }
    let config =
        match Config::from_lookup(|name| Some(env::var_os(name)?.to_string_lossy().into_owned())) {
            Ok(config) => config,
            Err(errors) => return init_failed(&chain(&errors)),
        };
    telemetry::init(&config.logging);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the operating system gives a process its event queue");
    runtime.block_on(serve(config))
}

/// What `lambda_runtime` reads, and panics without.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "s3-replicator"),
    ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
];

/// Lambda sets all of its variables. A host that gives no more than the address of its Runtime API
/// gets this very program again, with the others set.
fn with_lambda_environment() -> Result<(), ExitCode> {
    if env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        let text = "this is a Lambda function and AWS_LAMBDA_RUNTIME_API is not set; \
                    `s3-replicator demo` shows it at work";
        return Err(init_failed(text));
    }
    if ENVIRONMENT
        .iter()
        .all(|(name, _)| env::var_os(name).is_some())
    {
        return Ok(());
    }
    let missing = ENVIRONMENT
        .iter()
        .filter(|(name, _)| env::var_os(name).is_none());
    let program = env::current_exe().map_err(|error| init_failed(&error.to_string()))?;
    let arguments = env::args_os().skip(1);
    let error = Command::new(program)
        .args(arguments)
        .envs(missing.copied())
        .exec();
    Err(init_failed(&error.to_string()))
}

/// An init error may come before logging is set up, so it is one plain JSON line on its own.
fn init_failed(error: &str) -> ExitCode {
    let line = serde_json::json!({ "level": "ERROR", "message": "init failed", "error": error });
    eprintln!("{line}");
    ExitCode::FAILURE
}

async fn serve(config: Config) -> ExitCode {
    if config.masters.is_any() {
        warn!("S3_REPLICATOR_MASTERS is empty, so events of any bucket are served");
    }
    let replicator = match Replicator::new(config, http_client()).await {
        Ok(replicator) => Rc::new(replicator),
        Err(error) => return init_failed(&chain(&error)),
    };
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => return init_failed(&chain(&error)),
    };
    let handler = service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let replicator = Rc::clone(&replicator);
        async move {
            let deadline = instant_of(event.context.deadline);
            let request_id = &event.context.request_id;
            replicator
                .handle(event.payload.get(), request_id, deadline)
                .await
        }
    });
    tokio::select! {
        // An invocation under way ends unanswered and comes again.
        _ = terminate.recv() => ExitCode::SUCCESS,
        ended = lambda_runtime::run(handler) => match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(cause) => {
                error!(error = chain(&*cause), "the Runtime API failed");
                ExitCode::FAILURE
            }
        },
    }
}

/// A deadline in milliseconds of the Unix epoch, on the monotonic clock.
fn instant_of(deadline_ms: u64) -> Instant {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Instant::now() + time_left(Duration::from_millis(deadline_ms), now)
}

/// The time between two times of the Unix epoch.
///
/// `cargo lambda watch` sends how long an invocation may take in place of a time, always ten minutes;
/// nothing that is to happen lies within the epoch's first day.
fn time_left(deadline: Duration, now: Duration) -> Duration {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    match deadline < DAY {
        true => deadline,
        false => deadline.saturating_sub(now),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::lambda(1_800_000_900, 900)]
    #[case::passed(1_799_999_999, 0)]
    #[case::cargo_lambda(600, 600)]
    fn time_left_is_that_of_the_host(#[case] deadline_s: u64, #[case] expected_s: u64) {
        let now = Duration::from_secs(1_800_000_000);
        let left = time_left(Duration::from_secs(deadline_s), now);
        assert_eq!(left, Duration::from_secs(expected_s));
    }
}
