//! A function's process behind the least Runtime API there can be: one event after the other.
//!
//! The API is here rather than the local Lambda's, so that the process's clock can be read at the
//! very moments that count: when it asks for an event, and when it answers.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Fallible;
use super::process::{Cost, cpu, memory};

/// As long as Lambda gives at most.
const TIMEOUT: Duration = Duration::from_secs(900);

/// A running function that waits for an event. Killed when dropped.
pub(crate) struct Function {
    child: Child,
    calls: Receiver<Call>,
    /// How to answer the process, which asks for the next event.
    asking: Sender<String>,
    /// From its spawning to its first asking.
    pub(crate) cold_start: Cost,
    invocations: u32,
}

/// One request of the process, and the way to answer it.
struct Call {
    path: String,
    body: String,
    reply: Sender<String>,
}

impl Function {
    /// Starts the program with nothing but these variables and Lambda's own.
    pub(crate) fn start(
        program: &Path,
        environment: &[(String, String)],
        log: &Path,
    ) -> Fallible<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let api = listener.local_addr()?.to_string();
        let (sender, calls) = channel();
        // Ends with this program; it costs nothing while nobody connects.
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let calls = sender.clone();
                thread::spawn(move || serve(&connection, &calls));
            }
        });
        let output = File::create(log)?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api)
            .env("AWS_LAMBDA_FUNCTION_NAME", "benchmark")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let started = Instant::now();
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let mut function = Self {
            child,
            calls,
            asking: channel().0,
            cold_start: Cost::default(),
            invocations: 0,
        };
        let call = function.next_call()?;
        let wall = started.elapsed();
        function.cold_start = Cost {
            wall,
            cpu: function.cpu()?,
            peak: memory(function.pid(), "VmHWM")?,
        };
        function.asking = asking(call)?;
        Ok(function)
    }

    /// Has one event handled: wall time to the answer, CPU until it asks for the next, and the peak
    /// of memory since its start. An answer that is an error is one here too.
    pub(crate) fn invoke(&mut self, payload: &str) -> Fallible<Cost> {
        self.invocations += 1;
        let before = cpu(self.pid())?;
        let started = Instant::now();
        self.asking.send(event(self.invocations, payload))?;
        let answer = self.next_call()?;
        let wall = started.elapsed();
        if !answer.path.ends_with("/response") {
            return Err(format!("the function answered with {}", answer.body).into());
        }
        answer.reply.send(accepted())?;
        self.asking = asking(self.next_call()?)?;
        Ok(Cost {
            cpu: self.cpu()?.saturating_sub(before),
            wall,
            peak: memory(self.pid(), "VmHWM")?,
        })
    }

    /// All CPU that it has taken since its spawning.
    pub(crate) fn cpu(&self) -> Fallible<Duration> {
        cpu(self.pid())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn next_call(&mut self) -> Fallible<Call> {
        let give_up = Instant::now() + TIMEOUT;
        while Instant::now() < give_up {
            if let Ok(call) = self.calls.recv_timeout(Duration::from_secs(1)) {
                return Ok(call);
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the function ended with {status}").into());
            }
        }
        Err(format!("the function said nothing for {} s", TIMEOUT.as_secs()).into())
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn asking(call: Call) -> Fallible<Sender<String>> {
    if call.path.ends_with("/invocation/next") {
        Ok(call.reply)
    } else {
        Err(format!("the function failed to start: {}", call.body).into())
    }
}

/// One connection: requests with a length, answered in their order.
fn serve(connection: &TcpStream, calls: &Sender<Call>) -> Option<()> {
    connection.set_nodelay(true).ok()?;
    let (mut reader, mut writer) = (BufReader::new(connection), connection);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (reply, replied) = channel();
        let body = String::from_utf8_lossy(&body).into_owned();
        calls.send(Call { path, body, reply }).ok()?;
        writer.write_all(replied.recv().ok()?.as_bytes()).ok()?;
    }
}

fn event(number: u32, payload: &str) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let deadline = (now + TIMEOUT).as_millis();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         lambda-runtime-aws-request-id: 00000000-0000-4000-8000-{number:012}\r\n\
         lambda-runtime-deadline-ms: {deadline}\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:benchmark\r\n\
         lambda-runtime-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793\r\n\r\n{payload}",
        payload.len()
    )
}

fn accepted() -> String {
    "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n\
     {\"status\":\"OK\"}"
        .to_owned()
}
