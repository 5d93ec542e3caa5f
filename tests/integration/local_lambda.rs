//! The local Lambda with real processes: this test binary runs itself as the function.
//!
//! What the function does with an event, the event says. It speaks the Runtime API over a bare
//! socket, so that it can also do what no well-behaved runtime would.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rstest::rstest;
use rustix::process::{Pid, getpgid, test_kill_process};
use s3_replicator::local::lambda::{
    Activity, Function, FunctionOptions, Invocation, LambdaOptions, LocalLambda, LogLine,
    MAX_ANSWER, MappingOptions, Program, Quiesced, Route, Source,
};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

const MODE: &str = "TEST_FUNCTION_MODE";
const NOTES: &str = "TEST_FUNCTION_NOTES";
const PATIENCE: Duration = Duration::from_secs(60);

// ---- the function ----

#[test]
#[ignore = "the function of the other tests, which run it"]
fn function_process() {
    match std::env::var(MODE).as_deref() {
        Ok("lambda_runtime") => run_lambda_runtime(),
        Ok("init error") => {
            println!("reading the configuration");
            eprintln!("no such bucket: master");
            let error = r#"{"errorType": "Config", "errorMessage": "bad configuration"}"#;
            post("/runtime/init/error", error);
            std::process::exit(1);
        }
        Ok("init exit") => {
            eprintln!("cannot read the configuration");
            std::process::exit(3);
        }
        Ok("init hang") => {
            eprintln!("still reading the configuration");
            hang();
        }
        Ok(mode @ ("plain" | "says goodbye" | "ignores goodbye")) => {
            if mode != "plain" {
                watch_sigterm(mode == "says goodbye");
            }
            loop {
                handle(&get("/runtime/invocation/next"));
            }
        }
        other => panic!("only the tests of the local lambda run this: {other:?}"),
    }
}

/// From its return on, SIGTERM writes a line, and ends the process or does not.
fn watch_sigterm(exits: bool) {
    let (watching, watched) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut sigterm = signal(SignalKind::terminate()).unwrap();
            watching.send(()).unwrap();
            sigterm.recv().await;
            println!("goodbye");
            if exits {
                std::process::exit(0);
            }
        });
    });
    watched.recv().unwrap();
}

fn run_lambda_runtime() {
    let handler =
        lambda_runtime::service_fn(|event: lambda_runtime::LambdaEvent<Value>| async move {
            if event.payload["do"] == "fail" {
                return Err(lambda_runtime::Error::from("failed on purpose"));
            }
            Ok(json!({"payload": event.payload, "deadline": event.context.deadline}))
        });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(lambda_runtime::run(handler)).unwrap();
}

fn handle(next: &Answer) {
    let id = &next.headers["lambda-runtime-aws-request-id"];
    let response = format!("/runtime/invocation/{id}/response");
    let respond = |answer: &str| post(&response, answer).status;
    let event: Value = serde_json::from_str(&next.body).unwrap_or_default();
    if let Ok(notes) = std::env::var(NOTES) {
        std::fs::write(Path::new(&notes).join("last payload"), &next.body).unwrap();
    }
    if event["Records"][0]["eventSource"] == "aws:sqs" {
        respond(&handle_batch(event["Records"].as_array().unwrap()).to_string());
        return;
    }
    let first = note_attempt(event["note"].as_str());
    match event["do"].as_str().unwrap_or("echo") {
        "echo" => assert_eq!(respond(&next.body), 202),
        "describe" => {
            let vars: BTreeMap<String, String> = std::env::vars().collect();
            assert_eq!(
                respond(
                    &json!({"headers": next.headers, "vars": vars, "pid": std::process::id()})
                        .to_string()
                ),
                202
            );
        }
        "print" => {
            println!("a line of {id}");
            eprint!("a last line without an end");
            respond("null");
            std::process::exit(0);
        }
        "fail" => {
            let error = r#"{"errorType": "Boom", "errorMessage": "on purpose", "stackTrace": []}"#;
            let error_path = format!("/runtime/invocation/{id}/error");
            post(&error_path, error);
        }
        "stream" => {
            let chunks = "3\r\n\"ab\r\n4\r\ncde\"\r\n0\r\n\r\n";
            call("POST", &response, "Transfer-Encoding: chunked", chunks);
        }
        "stream an error" => {
            let chunks = "2\r\n\"a\r\n0\r\nLambda-Runtime-Function-Error-Type: Midway\r\n\r\n";
            call("POST", &response, "Transfer-Encoding: chunked", chunks);
        }
        "answer too much" => {
            let status = respond(&format!("\"{}\"", "x".repeat(MAX_ANSWER)));
            println!("refused with {status}");
        }
        "answer for another" => {
            let status = post("/runtime/invocation/none/response", "").status;
            respond(&status.to_string());
        }
        "ask again" => {
            let status = get("/runtime/invocation/next").status;
            respond(&status.to_string());
        }
        "answer and exit" => {
            respond("null");
            std::process::exit(0);
        }
        "exit" => std::process::exit(7),
        "hang" => hang(),
        "exit at first" if first => std::process::exit(7),
        "hang at first" if first => hang(),
        "exit at first" | "hang at first" => assert_eq!(respond(&next.body), 202),
        other => panic!("unknown event: {other}"),
    }
}

/// Does what each message says, and answers which of them failed.
fn handle_batch(records: &[Value]) -> Value {
    let mut failures = Vec::new();
    for record in records {
        let message: Value =
            serde_json::from_str(record["body"].as_str().unwrap()).unwrap_or_default();
        let first = note_attempt(message["note"].as_str());
        match message["do"].as_str().unwrap_or("nothing") {
            "exit at first" if first => std::process::exit(7),
            "hang at first" if first => hang(),
            "poison" => failures.push(json!({"itemIdentifier": record["messageId"]})),
            _ => {}
        }
    }
    json!({"batchItemFailures": failures})
}

/// Whether an event is attempted for the first time; notes are files, since processes die.
fn note_attempt(note: Option<&str>) -> bool {
    let (Some(note), Ok(notes)) = (note, std::env::var(NOTES)) else {
        return false;
    };
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(Path::new(&notes).join(note));
    let file = file.as_mut().unwrap();
    file.write_all(b"x").unwrap();
    file.metadata().unwrap().len() == 1
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

fn get(path: &str) -> Answer {
    call("GET", path, "Accept: */*", "")
}

fn post(path: &str, body: &str) -> Answer {
    call(
        "POST",
        path,
        &format!("Content-Length: {}", body.len()),
        body,
    )
}

/// One request to the Runtime API on a connection of its own.
fn call(method: &str, path: &str, header: &str, body: &str) -> Answer {
    let host = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let mut stream = TcpStream::connect(&host).unwrap();
    let head = format!("{method} /2018-06-01{path} HTTP/1.1\r\nHost: {host}\r\n{header}");
    write!(stream, "{head}\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = String::new();
    stream.read_to_string(&mut body).unwrap();
    Answer {
        status,
        headers,
        body,
    }
}

// ---- the world around it ----

fn options(mode: &str) -> FunctionOptions {
    let mut program = Program::new(std::env::current_exe().unwrap());
    let args = [
        "local_lambda::function_process",
        "--exact",
        "--ignored",
        "--nocapture",
    ];
    program.args = args.map(Into::into).to_vec();
    program.env.insert(MODE.to_owned(), mode.to_owned());
    FunctionOptions {
        timeout: PATIENCE,
        ..FunctionOptions::new("replicator", program)
    }
}

fn function(options: FunctionOptions) -> Function {
    Function::new(options, Activity::default())
}

fn parsed(invocation: &Invocation) -> Value {
    serde_json::from_str(invocation.result.as_ref().unwrap()).unwrap()
}

fn error(invocation: Invocation) -> (String, String) {
    let error = invocation.result.unwrap_err();
    (error.kind, error.message)
}

/// The process of the instance that is next in turn.
async fn process_of(function: &Function) -> Pid {
    let pid = parsed(&function.invoke("{\"do\": \"describe\"}").await)["pid"]
        .as_i64()
        .unwrap();
    Pid::from_raw(pid.try_into().unwrap()).unwrap()
}

fn is_alive(process: Pid) -> bool {
    test_kill_process(process).is_ok()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

// ---- invoking ----

#[tokio::test]
async fn event_reaches_the_function_and_its_answer_comes_back() {
    let function = function(options("plain"));
    let invocation = function.invoke("{\"key\": \"a b\"}").await;
    assert_eq!(invocation.result.unwrap(), "{\"key\": \"a b\"}");
    assert_eq!(invocation.instance, Some(1));
    assert_eq!(invocation.request_id.len(), 36);
}

#[rstest]
#[case::no_json("not json")]
#[case::nothing("")]
#[case::null("null")]
#[case::text("\"é\u{1f389}\"")]
#[tokio::test]
async fn payload_arrives_whatever_it_is(#[case] payload: &str) {
    let invocation = function(options("plain")).invoke(payload).await;
    assert_eq!(invocation.result.unwrap(), payload);
}

#[tokio::test]
async fn real_runtime_works_with_it() {
    let function = function(options("lambda_runtime"));
    let answered = parsed(&function.invoke("{\"a\": 1}").await);
    assert_eq!(answered["payload"], json!({"a": 1}));
    assert!(answered["deadline"].is_u64());
    let (_, message) = error(function.invoke("{\"do\": \"fail\"}").await);
    assert_eq!(message, "failed on purpose");
    let garbage = function.invoke("{").await;
    assert!(garbage.result.is_err());
    let good = function.invoke("{}").await;
    assert_eq!((good.instance, good.result.is_ok()), (Some(1), true));
}

#[tokio::test]
async fn function_finds_lambdas_headers_and_environment_and_nothing_of_ours() {
    let mut options = options("plain");
    options.region = "eu-central-1".to_owned();
    options
        .program
        .env
        .insert("AWS_ENDPOINT_URL_S3".to_owned(), "http://s3".to_owned());
    let invocation = function(options).invoke("{\"do\": \"describe\"}").await;
    let seen = parsed(&invocation);
    let (headers, vars) = (&seen["headers"], &seen["vars"]);
    assert_eq!(
        headers["lambda-runtime-aws-request-id"],
        invocation.request_id
    );
    assert_eq!(
        headers["lambda-runtime-invoked-function-arn"],
        "arn:aws:lambda:eu-central-1:000000000000:function:replicator"
    );
    let deadline: u64 = headers["lambda-runtime-deadline-ms"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    assert!((now..=now + PATIENCE.as_millis() as u64).contains(&deadline));
    assert!(
        headers["lambda-runtime-trace-id"]
            .as_str()
            .unwrap()
            .starts_with("Root=1-")
    );
    for (name, value) in [
        ("AWS_ENDPOINT_URL_S3", "http://s3"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_NAME", "replicator"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/replicator"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_SDK_UA_APP_ID", "instance-1"),
    ] {
        assert_eq!(vars[name], value, "{name}");
    }
    assert!(
        vars["AWS_LAMBDA_LOG_STREAM_NAME"]
            .as_str()
            .unwrap()
            .contains("/[$LATEST]")
    );
    assert!(vars["AWS_EXECUTION_ENV"].is_string());
    assert_eq!(vars.get("HOME"), None);
    assert_eq!(vars.get("CARGO_MANIFEST_DIR"), None);
}

#[rstest]
#[case::error("fail", "Boom", "on purpose")]
#[case::streamed_error("stream an error", "Midway", "the answer's stream ended in an error")]
#[case::too_large(
    "answer too much",
    "Function.ResponseSizeTooLarge",
    "response payload size exceeded maximum allowed payload size (6291556 bytes)"
)]
#[tokio::test]
async fn failed_event_leaves_the_instance_in_use(
    #[case] action: &str,
    #[case] kind: &str,
    #[case] message: &str,
) {
    let (logs, mut lines) = mpsc::unbounded_channel();
    let function = function(FunctionOptions {
        logs: Some(logs),
        ..options("plain")
    });
    let failed = function.invoke(json!({"do": action}).to_string()).await;
    assert_eq!(error(failed), (kind.to_owned(), message.to_owned()));
    let next = function.invoke("1").await;
    assert_eq!(
        (next.instance, next.result.unwrap().as_str()),
        (Some(1), "1")
    );
    function.shutdown().await;
    let mut written = Vec::new();
    while let Ok(line) = lines.try_recv() {
        written.push(line.line);
    }
    let refused = written.contains(&"refused with 413".to_owned());
    assert_eq!(refused, action == "answer too much");
}

#[rstest]
#[case::streamed("stream", "\"abcde\"")]
#[case::unknown_request("answer for another", "400")]
#[case::next_before_the_answer("ask again", "403")]
#[tokio::test]
async fn runtime_api_behaves_like_lambdas(#[case] action: &str, #[case] answer: &str) {
    let invocation = function(options("plain"))
        .invoke(json!({"do": action}).to_string())
        .await;
    assert_eq!(invocation.result.unwrap(), answer);
}

// ---- instances ----

#[tokio::test]
async fn process_that_exits_fails_its_event_and_is_replaced() {
    let function = function(options("plain"));
    let failed = function.invoke("{\"do\": \"exit\"}").await;
    let message = format!(
        "RequestId: {} Error: Runtime exited with error: exit status 7",
        failed.request_id
    );
    assert_eq!(error(failed), ("Runtime.ExitError".to_owned(), message));
    let next = function.invoke("1").await;
    assert_eq!((next.instance, next.result.is_ok()), (Some(2), true));
}

#[tokio::test]
async fn process_that_exits_after_its_answer_fails_no_event() {
    let function = function(options("plain"));
    for instance in 1..=3 {
        let invocation = function.invoke("{\"do\": \"answer and exit\"}").await;
        assert_eq!(
            (invocation.instance, invocation.result.is_ok()),
            (Some(instance), true)
        );
    }
}

#[tokio::test]
async fn event_that_takes_too_long_fails_and_its_process_is_dead_by_then() {
    let mut options = options("plain");
    options.timeout = Duration::from_millis(300);
    let function = function(options);
    let process = process_of(&function).await;
    let failed = function.invoke("{\"do\": \"hang\"}").await;
    assert!(!is_alive(process));
    let message = format!(
        "RequestId: {} Error: Task timed out after 0.30 seconds",
        failed.request_id
    );
    assert_eq!(error(failed), ("Sandbox.Timedout".to_owned(), message));
    assert_eq!(function.invoke("1").await.instance, Some(2));
}

#[tokio::test]
async fn killed_instance_fails_the_event_it_has() {
    let function = function(options("plain"));
    assert!(!function.kill(1));
    let killing = async {
        eventually("instance 1 is alive", || function.kill(1)).await;
    };
    let (failed, ()) = tokio::join!(function.invoke("{\"do\": \"hang\"}"), killing);
    let (kind, message) = error(failed);
    assert_eq!(kind, "Runtime.ExitError");
    assert!(message.contains("signal: killed"), "{message}");
    assert!(!function.kill(1));
}

#[tokio::test]
async fn killed_instance_at_rest_fails_no_event() {
    let function = function(options("plain"));
    function.invoke("1").await;
    assert!(function.kill(1));
    let next = function.invoke("2").await;
    assert_eq!((next.instance, next.result.is_ok()), (Some(2), true));
}

#[tokio::test]
async fn instances_start_on_demand_up_to_the_limit() {
    let mut options = options("plain");
    options.timeout = Duration::from_millis(1500);
    options.concurrency = 2;
    let function = function(options);
    let start = Instant::now();
    let hang = "{\"do\": \"hang\"}";
    let third = async { (function.invoke("3").await, start.elapsed()) };
    let (one, two, (three, waited)) =
        tokio::join!(function.invoke(hang), function.invoke(hang), third);
    let mut hung = [one.instance, two.instance];
    hung.sort();
    assert_eq!(hung, [Some(1), Some(2)]);
    assert_eq!(
        (three.instance, three.result.as_deref()),
        (Some(3), Ok("3"))
    );
    assert!(waited >= Duration::from_millis(1500), "{waited:?}");
    assert_eq!(function.invoke("4").await.instance, Some(3));
}

#[rstest]
#[case::reported("init error", "Config", "bad configuration", "no such bucket: master")]
#[case::exit(
    "init exit",
    "Runtime.ExitError",
    "Runtime exited with error: exit status 3",
    "cannot read the configuration"
)]
#[case::hang(
    "init hang",
    "Sandbox.Timedout",
    "Init timed out after 1.00 seconds",
    "still reading the configuration"
)]
#[tokio::test]
async fn bad_init_is_reported_with_the_last_lines(
    #[case] mode: &str,
    #[case] kind: &str,
    #[case] message: &str,
    #[case] line: &str,
) {
    let init_timeout = Duration::from_secs(if mode == "init hang" { 1 } else { 60 });
    let function = function(FunctionOptions {
        init_timeout,
        ..options(mode)
    });
    let (reported, text) = error(function.invoke("1").await);
    assert_eq!(reported, kind);
    assert!(text.starts_with(message), "{text}");
    assert!(text.contains(line), "{text}");
}

#[tokio::test]
async fn missing_program_is_named() {
    let program = Program::new("/nowhere/bootstrap");
    let (kind, message) = error(
        function(FunctionOptions::new("f", program))
            .invoke("1")
            .await,
    );
    assert_eq!(kind, "Runtime.InvalidEntrypoint");
    assert!(
        message.starts_with("cannot start /nowhere/bootstrap: "),
        "{message}"
    );
}

#[tokio::test]
async fn lines_are_handed_over_with_instance_and_request() {
    let (logs, mut lines) = mpsc::unbounded_channel();
    let function = function(FunctionOptions {
        logs: Some(logs),
        ..options("plain")
    });
    let invocation = function.invoke("{\"do\": \"print\"}").await;
    function.shutdown().await;
    let mut written = Vec::new();
    while let Ok(line) = lines.try_recv() {
        written.push(line);
    }
    let expected = |line: String| LogLine {
        instance: 1,
        request_id: Some(invocation.request_id.clone()),
        line,
    };
    assert!(written.contains(&expected(format!("a line of {}", invocation.request_id))));
    assert!(written.contains(&expected("a last line without an end".to_owned())));
}

#[tokio::test]
async fn no_process_outlives_a_function_that_is_dropped() {
    let function = function(options("plain"));
    let process = process_of(&function).await;
    assert!(is_alive(process));
    drop(function);
    eventually("the process is gone", || !is_alive(process)).await;
}

#[rstest]
#[case::that_ends_by_itself("says goodbye", 0..2)]
#[case::that_does_not("ignores goodbye", 2..60)]
#[tokio::test]
async fn shutdown_asks_a_process_to_end_and_then_ends_it(
    #[case] mode: &str,
    #[case] seconds: std::ops::Range<u64>,
) {
    let (logs, mut lines) = mpsc::unbounded_channel();
    let function = function(FunctionOptions {
        logs: Some(logs),
        ..options(mode)
    });
    let process = process_of(&function).await;
    let start = Instant::now();
    let shutdown = tokio::time::timeout(PATIENCE, function.shutdown());
    shutdown.await.expect("it ends in time");
    assert!(!is_alive(process));
    assert!(seconds.contains(&start.elapsed().as_secs()));
    assert!(std::iter::from_fn(|| lines.try_recv().ok()).any(|line| line.line == "goodbye"));
    assert_eq!(error(function.invoke("1").await).0, "ServiceException");
}

#[tokio::test]
async fn invocation_that_is_given_up_takes_its_instance_along() {
    let function = function(options("plain"));
    let process = process_of(&function).await;
    let given_up = function.invoke("{\"do\": \"hang\"}");
    assert!(
        tokio::time::timeout(Duration::from_millis(50), given_up)
            .await
            .is_err()
    );
    eventually("the process is gone", || !is_alive(process)).await;
    assert_eq!(function.invoke("1").await.instance, Some(2));
}

#[tokio::test]
async fn ctrl_c_of_the_terminal_does_not_reach_the_process() {
    let function = function(options("plain"));
    let process = process_of(&function).await;
    assert_eq!(getpgid(Some(process)).unwrap(), process);
}

// ---- nothing is ever lost ----

struct World {
    lambda: LocalLambda,
    quiesced: Arc<AtomicUsize>,
    notes: tempfile::TempDir,
}

impl World {
    fn new(change: impl FnOnce(&mut LambdaOptions)) -> Self {
        let notes = tempfile::tempdir().unwrap();
        let mut function = options("plain");
        let folder = notes.path().to_str().unwrap().to_owned();
        function.program.env.insert(NOTES.to_owned(), folder);
        let quiesced = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&quiesced);
        let hook: Quiesced = Arc::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {})
        });
        let delay = Duration::from_millis(20);
        let mut options = LambdaOptions {
            retry_delays: vec![delay, delay],
            mapping: MappingOptions {
                redelivery_delay: Some(delay),
                quiesced: hook,
                ..MappingOptions::default()
            },
            ..LambdaOptions::new(function)
        };
        change(&mut options);
        Self {
            lambda: LocalLambda::start(options),
            quiesced,
            notes,
        }
    }

    fn attempts(&self, note: &str) -> u64 {
        std::fs::metadata(self.notes.path().join(note)).map_or(0, |file| file.len())
    }

    async fn settle(&self) {
        tokio::time::timeout(PATIENCE, self.lambda.wait_idle())
            .await
            .expect("it settles in time");
    }
}

#[rstest]
#[case::crashed("exit at first")]
#[case::timed_out("hang at first")]
#[tokio::test]
async fn asynchronous_event_comes_again_after(#[case] action: &str) {
    let world = World::new(|options| options.function.timeout = Duration::from_millis(1000));
    let event = json!({"do": action, "note": "event"}).to_string();
    world.lambda.send(Route::Asynchronous, event);
    assert!(!world.lambda.is_idle());
    world.settle().await;
    assert_eq!(world.attempts("event"), 2);
    assert_eq!(world.quiesced.load(Ordering::SeqCst), 1);
    assert!(world.lambda.on_failure().is_empty());
}

#[tokio::test]
async fn asynchronous_event_of_a_killed_instance_comes_again() {
    let world = World::new(|_| {});
    let event = json!({"do": "hang at first", "note": "event"}).to_string();
    world.lambda.send(Route::Asynchronous, event);
    eventually("the event is in work", || world.attempts("event") == 1).await;
    assert!(world.lambda.function().kill(1));
    world.settle().await;
    assert_eq!(world.attempts("event"), 2);
    assert!(world.lambda.on_failure().is_empty());
}

#[tokio::test]
async fn hopeless_asynchronous_event_is_in_the_on_failure_queue_after_three_attempts() {
    let world = World::new(|_| {});
    let event = json!({"do": "exit", "note": "event"});
    let request_id = world.lambda.send(Route::Asynchronous, event.to_string());
    world.settle().await;
    assert_eq!(world.attempts("event"), 3);
    let record: Value =
        serde_json::from_str(&world.lambda.on_failure().drain().remove(0).body).unwrap();
    assert_eq!(record["requestContext"]["requestId"], request_id);
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(record["requestPayload"], event);
    assert_eq!(record["responsePayload"]["errorType"], "Runtime.ExitError");
}

#[tokio::test]
async fn every_event_of_many_is_handled_though_its_instance_crashed() {
    let world = World::new(|_| {});
    let notes: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    for note in &notes {
        let event = json!({"do": "exit at first", "note": note}).to_string();
        world.lambda.send(Route::Asynchronous, event);
    }
    world.settle().await;
    assert!(notes.iter().all(|note| world.attempts(note) == 2));
    assert!(world.lambda.on_failure().is_empty());
}

#[rstest]
#[case::crashed("exit at first")]
#[case::timed_out("hang at first")]
#[tokio::test]
async fn every_message_of_the_batch_comes_again_after(#[case] action: &str) {
    let world = World::new(|options| options.function.timeout = Duration::from_millis(1000));
    for (note, action) in [("good", "nothing"), ("bad", action), ("unseen", "nothing")] {
        let body = json!({"do": action, "note": note}).to_string();
        world.lambda.send(Route::Queue, body);
    }
    world.settle().await;
    assert_eq!(world.attempts("good"), 2);
    assert_eq!(world.attempts("bad"), 2);
    assert_eq!(world.attempts("unseen"), 1);
    assert_eq!(world.quiesced.load(Ordering::SeqCst), 1);
    assert!(world.lambda.dead_letters().is_empty());
}

#[tokio::test]
async fn poison_alone_comes_again_and_ends_in_the_dead_letters() {
    let world = World::new(|options| options.max_receive_count = 4);
    let poison = json!({"do": "poison", "note": "poison"}).to_string();
    world
        .lambda
        .send(Route::Queue, json!({"note": "good"}).to_string());
    world.lambda.send(Route::Queue, poison.clone());
    world.settle().await;
    assert_eq!(world.attempts("good"), 1);
    assert_eq!(world.attempts("poison"), 4);
    assert_eq!(world.lambda.dead_letters().drain().remove(0).body, poison);
}

#[rstest]
#[case::s3(Source::S3, "/Records/0/eventSource", "aws:s3")]
#[case::sns(Source::Sns, "/Records/0/EventSource", "aws:sns")]
#[case::sqs(Source::Sqs, "/Records/0/eventSource", "aws:sqs")]
#[case::sns_sqs(Source::SnsSqs, "/Records/0/eventSource", "aws:sqs")]
#[case::eventbridge(Source::EventBridge, "/source", "aws.s3")]
#[case::minio(Source::Minio, "/Records/0/eventSource", "minio:s3")]
#[tokio::test]
async fn notification_reaches_the_function_as_its_source_wraps_it(
    #[case] source: Source,
    #[case] pointer: &str,
    #[case] expected: &str,
) {
    let world = World::new(|_| {});
    let notification = json!({"Records": [{
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-01-02T03:04:05.678Z",
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "master"}, "object": {"key": "a+b", "size": 1}}
    }]});
    world
        .lambda
        .notify(source, &notification.to_string())
        .unwrap();
    world.settle().await;
    let payload = std::fs::read_to_string(world.notes.path().join("last payload")).unwrap();
    let payload: Value = serde_json::from_str(&payload).unwrap();
    assert_eq!(payload.pointer(pointer).unwrap(), expected);
    assert!(world.lambda.on_failure().is_empty() && world.lambda.dead_letters().is_empty());
}
