//! One instance: a real process and the Runtime API that it alone talks to.
//!
//! Invariant: a failure that leaves the process in an unknown state (a deadline, its end) is
//! reported only when the process is dead, so its connections are closed by then.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::time::timeout;
use uuid::Uuid;

use super::function::FunctionOptions;
use super::invocation::{Event, FunctionError};
use super::process::{Lines, Process, TERM_GRACE, describe};
use super::runtime_api::{Answer, Offer, Phase, RuntimeApi};
use super::timestamp::{iso_millis, unix_millis};

/// What is run as a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables besides Lambda's own, which they may replace.
    pub env: BTreeMap<String, String>,
}

impl Program {
    /// A program without arguments and variables.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
        }
    }
}

/// A started process, for one event at a time. It is killed when dropped.
pub(super) struct Instance {
    number: u32,
    api: RuntimeApi,
    process: Process,
}

impl Instance {
    /// Starts the process; it has still to [get ready](Self::initialized).
    pub(super) async fn spawn(
        number: u32,
        options: &FunctionOptions,
    ) -> Result<Self, FunctionError> {
        let unusable = |what: String| FunctionError::new("Runtime.InvalidEntrypoint", what);
        let api = RuntimeApi::listen()
            .await
            .map_err(|error| unusable(format!("cannot open the runtime api: {error}")))?;
        let program = &options.program;
        let mut command = Command::new(&program.path);
        command
            .args(&program.args)
            .env_clear()
            .envs(environment(number, &api, options));
        let lines = Lines {
            instance: number,
            last_request: api.last_request(),
            sink: options.logs.clone(),
        };
        let process = Process::spawn(command, lines).map_err(|error| {
            unusable(format!("cannot start {}: {error}", program.path.display()))
        })?;
        Ok(Self {
            number,
            api,
            process,
        })
    }

    /// Which one it is, counted from 1 over the function's life.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// The process, to end it from elsewhere.
    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Whether it waits for an event right now.
    pub(super) fn is_ready(&self) -> bool {
        !self.process.is_doomed() && *self.api.phase().borrow() == Phase::Asking
    }

    /// Waits until the process asks for its first event, or says why it never does.
    pub(super) async fn initialized(&self, within: Duration) -> Result<(), FunctionError> {
        let failure = tokio::select! {
            biased;
            phase = self.past(Phase::Starting) => match phase {
                Phase::InitFailed(error) => {
                    // It is about to end, with its last words still in the pipe.
                    let _ = timeout(TERM_GRACE, self.process.ended()).await;
                    error
                }
                _ => return Ok(()),
            },
            status = self.process.ended() => {
                FunctionError::new("Runtime.ExitError", describe(status))
            }
            () = tokio::time::sleep(within) => {
                let message = format!("Init timed out after {:.2} seconds", within.as_secs_f64());
                FunctionError::new("Sandbox.Timedout", message)
            }
        };
        self.process.kill();
        self.process.ended().await;
        let FunctionError { kind, message } = failure;
        Err(FunctionError {
            kind,
            message: message + &self.process.last_lines(),
        })
    }

    /// Waits until an instance that had events asks for another; false if it never will.
    pub(super) async fn comes_back(&self, within: Duration) -> bool {
        // A process that was just killed may still look as if it asked.
        if self.process.is_doomed() {
            return false;
        }
        tokio::select! {
            biased;
            _ = self.process.ended() => false,
            phase = self.past(Phase::Away) => phase == Phase::Asking,
            () = tokio::time::sleep(within) => false,
        }
    }

    /// Waits until the process is in another phase than this.
    async fn past(&self, past: Phase) -> Phase {
        let mut phase = self.api.phase();
        let phase = phase.wait_for(|phase| *phase != past).await;
        phase
            .expect("the api is owned and outlives this wait")
            .clone()
    }

    /// Has the process handle one event.
    pub(super) async fn invoke(&self, event: Event, options: &FunctionOptions) -> Answer {
        let request_id = event.request_id.clone();
        let (answer, answered) = oneshot::channel();
        self.api.offer(Offer {
            event,
            function_arn: options.arn(),
            trace_id: trace_id(),
            deadline: SystemTime::now() + options.timeout,
            answer,
        });
        let failure = tokio::select! {
            biased;
            Ok(answer) = answered => return answer,
            status = self.process.ended() => ("Runtime.ExitError", describe(status)),
            () = tokio::time::sleep(options.timeout) => {
                let seconds = options.timeout.as_secs_f64();
                ("Sandbox.Timedout", format!("Task timed out after {seconds:.2} seconds"))
            }
        };
        self.process.kill();
        self.process.ended().await;
        let (kind, message) = failure;
        Err(FunctionError::new(
            kind,
            format!("RequestId: {request_id} Error: {message}"),
        ))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.process.kill();
    }
}

/// Lambda's environment, and nothing of ours: a `HOME` would let the SDK find the profiles of
/// whoever runs this, which the same function on Lambda would not see.
fn environment(
    number: u32,
    api: &RuntimeApi,
    options: &FunctionOptions,
) -> BTreeMap<OsString, OsString> {
    let now = SystemTime::now();
    let day = iso_millis(now)[..10].replace('-', "/");
    let lambda = [
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023".to_owned()),
        ("AWS_DEFAULT_REGION", options.region.clone()),
        (
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            options.memory_mb.to_string(),
        ),
        ("AWS_LAMBDA_FUNCTION_NAME", options.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        (
            "AWS_LAMBDA_LOG_GROUP_NAME",
            format!("/aws/lambda/{}", options.name),
        ),
        (
            "AWS_LAMBDA_LOG_STREAM_NAME",
            format!("{day}/[$LATEST]{}", Uuid::new_v4().simple()),
        ),
        ("AWS_LAMBDA_RUNTIME_API", api.address().to_string()),
        ("AWS_REGION", options.region.clone()),
        ("AWS_SDK_UA_APP_ID", format!("instance-{number}")),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
    ];
    let inherited = ["PATH", "TMPDIR"]
        .into_iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    inherited
        .chain(
            lambda
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
        .chain(
            options
                .program
                .env
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
        .collect()
}

/// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0`.
fn trace_id() -> String {
    let seconds = unix_millis(SystemTime::now()) / 1000;
    let root = Uuid::new_v4().simple().to_string();
    let parent = Uuid::new_v4().simple().to_string();
    format!(
        "Root=1-{seconds:08x}-{};Parent={};Sampled=0",
        &root[..24],
        &parent[..16]
    )
}
