//! A real process: started, listened to, ended.
//!
//! Invariant: it never outlives its owner. Dropping the runtime kills it, dropping the owner does
//! too, and if this program is killed outright, the process finds its Runtime API gone. It has a
//! process group of its own, so that a terminal's Ctrl-C reaches us alone and we end it in order.

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a process may take to end after SIGTERM before SIGKILL, as on Lambda.
pub(super) const TERM_GRACE: Duration = Duration::from_secs(2);

/// How long pipes are read on after the process ended, should a child of its own hold them.
const PIPE_GRACE: Duration = Duration::from_millis(500);

/// How many of the last lines are kept to explain a failed start.
const KEPT_LINES: usize = 20;

/// One line that an instance wrote to stdout or stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The instance's number.
    pub instance: u32,
    /// The event that the instance last took when the line was read; none during init.
    pub request_id: Option<String>,
    /// The line without its end; bytes that are no UTF-8 are replaced.
    pub line: String,
}

/// Whom lines go to, and what they are marked with.
pub(super) struct Lines {
    pub(super) instance: u32,
    pub(super) last_request: Arc<Mutex<Option<String>>>,
    pub(super) sink: Option<mpsc::UnboundedSender<LogLine>>,
}

/// A running process, or how it ended. Clones are handles to the same process.
#[derive(Debug, Clone)]
pub(super) struct Process {
    wish: Arc<watch::Sender<Wish>>,
    ended: watch::Receiver<Option<ExitStatus>>,
    last_lines: Arc<Mutex<VecDeque<String>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wish {
    Run,
    Terminate,
    Kill,
}

impl Process {
    /// Starts the command in a process group of its own, and forwards its lines.
    pub(super) fn spawn(mut command: Command, lines: Lines) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let last_lines = Arc::new(Mutex::new(VecDeque::with_capacity(KEPT_LINES)));
        let lines = Arc::new(lines);
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(forward(stdout, Arc::clone(&lines), Arc::clone(&last_lines)));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(forward(stderr, lines, Arc::clone(&last_lines)));
        }
        let (wish, wishes) = watch::channel(Wish::Run);
        let (end, ended) = watch::channel(None);
        tokio::spawn(async move {
            let status = supervise(child, wishes).await;
            // All lines are out before the end is known: they are what explains it.
            let _ = timeout(PIPE_GRACE, async {
                while readers.join_next().await.is_some() {}
            })
            .await;
            end.send_replace(Some(status));
        });
        Ok(Self {
            wish: Arc::new(wish),
            ended,
            last_lines,
        })
    }

    /// Asks it to end, and ends it if it does not do so in [`TERM_GRACE`].
    pub(super) fn terminate(&self) {
        self.want(Wish::Terminate);
    }

    /// Ends it at once.
    pub(super) fn kill(&self) {
        self.want(Wish::Kill);
    }

    fn want(&self, wanted: Wish) {
        self.wish.send_if_modified(|wish| {
            let stronger = wanted > *wish;
            if stronger {
                *wish = wanted;
            }
            stronger
        });
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Whether it has ended, or is about to because it was told so.
    pub(super) fn is_doomed(&self) -> bool {
        self.has_ended() || *self.wish.borrow() != Wish::Run
    }

    /// Waits for its end; its lines have all been forwarded by then.
    pub(super) async fn ended(&self) -> ExitStatus {
        let mut ended = self.ended.clone();
        let status = ended
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|status| *status);
        // The supervisor goes without a word only together with the runtime.
        status.unwrap_or_else(|| ExitStatus::from_raw(Signal::KILL.as_raw()))
    }

    /// The last lines it wrote, oldest first, each preceded by a line break.
    pub(super) fn last_lines(&self) -> String {
        let lines = self
            .last_lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| format!("\n  {line}")).collect()
    }
}

/// Lambda's words for how a process ended.
pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "Runtime exited without providing a reason".to_owned(),
        (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
        (None, Some(signal)) => format!("Runtime exited with error: signal: {}", name(signal)),
        (None, None) => "Runtime exited with error".to_owned(),
    }
}

fn name(signal: i32) -> String {
    const KILL: i32 = Signal::KILL.as_raw();
    const TERM: i32 = Signal::TERM.as_raw();
    const ABORT: i32 = Signal::ABORT.as_raw();
    const SEGV: i32 = Signal::SEGV.as_raw();
    match signal {
        KILL => "killed".to_owned(),
        TERM => "terminated".to_owned(),
        ABORT => "aborted".to_owned(),
        SEGV => "segmentation fault".to_owned(),
        other => other.to_string(),
    }
}

/// Owns the child until its end, which a wish may hasten.
async fn supervise(mut child: Child, mut wishes: watch::Receiver<Wish>) -> ExitStatus {
    let group = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let signal = |signal| {
        if let Some(group) = group {
            // It fails only if nobody of the group is left.
            let _ = kill_process_group(group, signal);
        }
    };
    let status = loop {
        let wish = *wishes.borrow_and_update();
        match wish {
            Wish::Run => {}
            Wish::Terminate => signal(Signal::TERM),
            Wish::Kill => signal(Signal::KILL),
        }
        tokio::select! {
            biased;
            status = child.wait() => break status,
            changed = wishes.changed(), if wish != Wish::Kill => if changed.is_err() {
                signal(Signal::KILL);
                break child.wait().await;
            },
            () = tokio::time::sleep(TERM_GRACE), if wish == Wish::Terminate => {
                signal(Signal::KILL);
                break child.wait().await;
            }
        }
    };
    // Whatever it started itself goes with it.
    signal(Signal::KILL);
    status.unwrap_or_else(|_| ExitStatus::from_raw(Signal::KILL.as_raw()))
}

/// Reads lines for as long as there are any; the sink never makes the process wait.
async fn forward(
    pipe: impl AsyncRead + Unpin,
    lines: Arc<Lines>,
    last_lines: Arc<Mutex<VecDeque<String>>>,
) {
    let mut pipe = BufReader::new(pipe).split(b'\n');
    while let Ok(Some(line)) = pipe.next_segment().await {
        let line = String::from_utf8_lossy(&line)
            .trim_end_matches('\r')
            .to_owned();
        {
            let mut last_lines = last_lines.lock().unwrap_or_else(PoisonError::into_inner);
            if last_lines.len() == KEPT_LINES {
                last_lines.pop_front();
            }
            last_lines.push_back(line.clone());
        }
        if let Some(sink) = &lines.sink {
            let request_id = lines
                .last_request
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            // Nobody has to listen, but the pipe must be read on.
            let _ = sink.send(LogLine {
                instance: lines.instance,
                request_id,
                line,
            });
        }
    }
}
