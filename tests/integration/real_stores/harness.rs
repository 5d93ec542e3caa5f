//! The harness itself: nothing that it starts outlives a run, and two runs do not meet.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::servers::{Handle, Kind};

/// How a run tells another what it has started.
const MARK: &str = "started ";

/// How the test that is run in a process of its own is to end.
const ENDING: &str = "S3_REPLICATOR_TEST_ENDING";

#[rstest]
#[tokio::test]
async fn nothing_outlives_a_run(
    #[values(Kind::Minio, Kind::SeaweedFs)] kind: Kind,
    #[values("success", "failure", "Ctrl-C", "SIGKILL")] ending: &str,
) {
    if !kind.is_on("a run's remains") {
        return;
    }
    let (mut first, mut second) = (run(kind, ending), run(kind, "success"));
    let (one, other) = (started(&mut first), started(&mut second));
    assert_ne!(one, other, "two runs at once share a server");
    assert!(is_there(&one) && is_there(&other));
    let pid = Pid::from_child(&first);
    match ending {
        "Ctrl-C" => kill_process(pid, Signal::INT).unwrap(),
        "SIGKILL" => kill_process(pid, Signal::KILL).unwrap(),
        _ => drop(first.stdin.take()),
    }
    assert_eq!(first.wait().unwrap().success(), ending == "success");
    wait_until_gone(&one).await;
    assert!(is_there(&other), "one run has ended another's server");
    drop(second.stdin.take());
    assert!(second.wait().unwrap().success());
    wait_until_gone(&other).await;
}

/// A run of the next test alone.
fn run(kind: Kind, ending: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "real_stores::harness::holds_a_server",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(ENDING, format!("{kind:?} {ending}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by other tests in a process of its own"]
async fn holds_a_server() {
    let ending = std::env::var(ENDING).unwrap_or_default();
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| ending.starts_with(&format!("{kind:?} ")));
    let Some(kind) = kind else {
        return;
    };
    let server = kind.server("a server that is held").await.unwrap();
    let thing = match &server.handle {
        Handle::Container(container) => container.name.clone(),
        Handle::Process(process) => process.folder.clone(),
    };
    println!("\n{MARK}{thing}");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    assert!(ending.ends_with("success"), "as it was told");
}

/// The container or the folder that a run has started.
fn started(run: &mut Child) -> String {
    let output = BufReader::new(run.stdout.take().unwrap());
    let mut lines = output.lines().map(Result::unwrap);
    let line = lines.find_map(|line| Some(line.strip_prefix(MARK)?.to_owned()));
    // Read on, so that the run can write.
    std::thread::spawn(move || lines.for_each(drop));
    line.expect("the run has started a server")
}

fn is_there(thing: &str) -> bool {
    if thing.starts_with('/') {
        return Path::new(thing).exists() || processes().contains(thing);
    }
    let found = Command::new("docker").args(["inspect", thing]).output();
    found.unwrap().status.success()
}

/// The command lines of all processes.
fn processes() -> String {
    let found = Command::new("ps").args(["-A", "-o", "args"]).output();
    String::from_utf8_lossy(&found.unwrap().stdout).into_owned()
}

async fn wait_until_gone(thing: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while is_there(thing) {
        assert!(Instant::now() < deadline, "{thing} is still there");
        sleep(Duration::from_millis(100)).await;
    }
}
