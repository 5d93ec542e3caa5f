//! What a process costs: CPU by its own clock, wall time, peak memory.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

use super::{Fallible, pause};

/// What something took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// User and system time of the process alone.
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
    /// Peak resident memory in bytes.
    pub(crate) peak: u64,
}

/// Runs a program to its end; what it says goes to `log`.
pub(crate) fn run(command: &mut Command, log: &Path) -> Fallible<Cost> {
    let output = File::create(log)?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    // Not the system's own figure, which knows the memory of who started it as well.
    let mut peak = 0;
    let ended = loop {
        peak = peak.max(memory(child.id(), "VmHWM").unwrap_or(0));
        match child.try_wait4()? {
            Some(ended) => break ended,
            None => pause(Duration::from_millis(2)),
        }
    };
    let wall = started.elapsed();
    if !ended.status.success() {
        let said = fs::read_to_string(log)?;
        let last: Vec<&str> = said.lines().rev().take(3).collect();
        let (status, last) = (ended.status, last.join(" | "));
        let program = command.get_program().display();
        return Err(format!("{program} ended with {status}: {last}").into());
    }
    Ok(Cost {
        cpu: ended.rusage.utime + ended.rusage.stime,
        wall,
        peak,
    })
}

/// The CPU time of a process so far, in nanoseconds rather than the ticks of its `stat`.
///
/// It must be about to wait: the system adds up what a thread has run when it stops. Threads that
/// have ended are not in it; the function has none such.
pub(crate) fn cpu(pid: u32) -> Fallible<Duration> {
    pause(Duration::from_millis(2));
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let times = fs::read_to_string(thread?.path().join("schedstat"))?;
        let ran = times.split(' ').next().unwrap_or_default();
        sum += ran.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(sum))
}

/// A figure of `/proc/PID/status` in bytes, such as `VmHWM`, the peak of resident memory.
pub(crate) fn memory(pid: u32, name: &str) -> Fallible<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .ok_or_else(|| format!("/proc/{pid}/status has no {name}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Makes the process's peak of resident memory what it has now.
pub(crate) fn forget_peak(pid: u32) -> Fallible<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}
