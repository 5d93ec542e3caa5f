//! Ends what a test run has started, however the run itself ends.
//!
//! Invariant: a keeper is a shell that waits for the end of its standard input, whose other end
//! only the test process holds. So it learns of success, failure, Ctrl-C and SIGKILL alike. It has
//! a process group of its own, which the terminal's Ctrl-C does not reach. Testcontainers itself
//! removes what is dropped, but statics are never dropped, and it has no reaper.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

/// A shell that lives until this value, or the process, is gone.
#[derive(Debug)]
pub(crate) struct Keeper {
    process: Child,
    _input: ChildStdin,
}

impl Keeper {
    /// Starts a shell with a script; answers the first line that it writes.
    ///
    /// Its standard input is descriptor 3 as well, since a shell gives what it runs in the
    /// background another one. Nobody may read its output in the end, which must not end it.
    pub(crate) fn start(script: &str, arguments: &[&str]) -> (Self, String) {
        let mut process = Command::new("sh")
            .args([
                "-c",
                &format!("trap '' PIPE; exec 3<&0; {script}"),
                "keeper",
            ])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let keeper = Self {
            process,
            _input: input,
        };
        (keeper, line.trim().to_owned())
    }

    /// Removes a container of this name in the end, with its volumes.
    pub(crate) fn of_container(name: &str) -> Self {
        // Asked again for a while: the run may have ended while the container was being made.
        const SCRIPT: &str = "\
            echo ready; read -r _; \
            for _ in 1 2 3 4 5; do \
                docker inspect \"$1\" >/dev/null 2>&1 && docker rm -fv \"$1\" >/dev/null 2>&1 && break; \
                sleep 1; \
            done";
        Self::start(SCRIPT, &[name]).0
    }

    /// Removes what worlds of this process keep in temporary folders.
    pub(crate) fn of_temporary_folders() -> Self {
        const SCRIPT: &str = "echo ready; read -r _; rm -rf \"$1-\"*";
        let name = format!("s3-replicator-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        Self::start(SCRIPT, &[path.to_str().unwrap()]).0
    }

    /// What it wrote as errors, if it has ended, which it should not have.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.process.try_wait().unwrap()?;
        let mut errors = String::new();
        let mut output = self.process.stderr.take()?;
        output.read_to_string(&mut errors).unwrap();
        Some(errors)
    }
}
