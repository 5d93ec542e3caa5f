//! `dev` or `record` as a process, read line by line.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long anything may take to be told.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command that runs until it is told to end; it is killed when dropped.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<Value>,
    /// The first line: where it is.
    pub(crate) ready: Value,
}

impl Running {
    /// Starts a command with `--json` and the real function, and waits until it is ready.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command(arguments, environment)
            .args(["--json", "--function", env!("CARGO_BIN_EXE_bootstrap")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = read(child.stdout.take().unwrap());
        let ready = match lines.recv_timeout(PATIENCE) {
            Ok(ready) => ready,
            Err(_) => panic!("{arguments:?} did not start: {:?}", child.try_wait()),
        };
        assert_eq!(ready["ready"], true, "{ready}");
        Self {
            child,
            lines,
            ready,
        }
    }

    /// Waits until outcomes for all of these keys have come from a target; answers what came.
    pub(crate) fn outcomes(&self, target: &str, keys: &[&str]) -> Vec<Value> {
        let (mut came, deadline) = (Vec::new(), Instant::now() + PATIENCE);
        let is_there = |came: &[Value], key: &&str| {
            came.iter()
                .any(|it| it["key"] == **key && it["target"] == target)
        };
        while !keys.iter().all(|key| is_there(&came, key)) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => came.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("not all of {keys:?} came: {came:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("it has ended: {came:?}"),
            }
        }
        came
    }

    /// Presses Ctrl-C; answers the exit code.
    pub(crate) fn interrupt(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    command(arguments, environment).output().unwrap()
}

/// What a command said was wrong.
pub(crate) fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_s3-replicator"));
    command.args(arguments).envs(environment.iter().copied());
    command
}

fn read(output: ChildStdout) -> Receiver<Value> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    lines
}
