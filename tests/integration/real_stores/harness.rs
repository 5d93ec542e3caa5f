//! The harness itself: nothing that it starts outlives a run, and two runs do not meet.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use s3_replicator::local::recording::Recording;
use s3_replicator::local::world::{Store, WorldOptions, replay};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::servers::{Handle, Kind};
use crate::support::bootstrap;

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
    let (one, other) = (Remains::of(&mut first), Remains::of(&mut second));
    assert_ne!(one.server, other.server, "two runs at once share a server");
    assert!(one.are_all_there() && other.are_all_there());
    let pid = Pid::from_child(&first);
    match ending {
        "Ctrl-C" => kill_process(pid, Signal::INT).unwrap(),
        "SIGKILL" => kill_process(pid, Signal::KILL).unwrap(),
        _ => drop(first.stdin.take()),
    }
    assert_eq!(first.wait().unwrap().success(), ending == "success");
    one.wait_until_gone().await;
    assert!(other.are_all_there(), "one run has ended what is another's");
    drop(second.stdin.take());
    assert!(second.wait().unwrap().success());
    other.wait_until_gone().await;
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
    let recording = Recording::load(Path::new("fixtures/recordings/put.jsonl")).unwrap();
    let store = Store::Remote(Arc::new(server.store().await));
    let options = WorldOptions::of(&recording, bootstrap(), store);
    let (spectator, _happenings) = mpsc::unbounded_channel();
    let (_, world) = replay(&recording, options, spectator).await.unwrap();
    println!(
        "\n{MARK}{}",
        match &server.handle {
            Handle::Container(container) => &container.name,
            Handle::Process(process) => &process.folder,
        }
    );
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    assert!(ending.ends_with("success"), "as it was told");
    world.stop().await;
}

/// What a run has started.
struct Remains {
    /// The container's name, or the folder of a server that is a process.
    server: String,
    /// The function's process.
    function: String,
    /// How its world's temporary folder begins.
    folder: String,
}

impl Remains {
    fn of(run: &mut Child) -> Self {
        let output = BufReader::new(run.stdout.take().unwrap());
        let mut lines = output.lines().map(Result::unwrap);
        let line = lines.find_map(|line| Some(line.strip_prefix(MARK)?.to_owned()));
        // Read on, so that the run can write.
        std::thread::spawn(move || lines.for_each(drop));
        let parent = run.id().to_string();
        let function = processes().into_iter().find(|process| {
            let mut words = process.split_whitespace().skip(1);
            words.next() == Some(&parent) && process.contains("bootstrap")
        });
        Self {
            server: line.expect("the run has started a server"),
            function: function.expect("the run has started the function"),
            folder: format!("s3-replicator-{parent}-"),
        }
    }

    /// Whether the server, the function and the folder are there.
    fn there(&self) -> [bool; 3] {
        let processes = processes();
        let server = match self.server.starts_with('/') {
            true => {
                let named = |process: &String| process.contains(&self.server);
                Path::new(&self.server).exists() || processes.iter().any(named)
            }
            false => {
                let found = Command::new("docker")
                    .args(["inspect", &self.server])
                    .output();
                found.unwrap().status.success()
            }
        };
        // By number and name: its parent is another one by now, and its number may be, too.
        let pid = self.function.split_whitespace().next();
        let function = processes.iter().any(|process| {
            process.split_whitespace().next() == pid && process.contains("bootstrap")
        });
        let mut folders = std::fs::read_dir(std::env::temp_dir()).unwrap();
        let folder = folders.any(|entry| {
            let name = entry.unwrap().file_name();
            name.to_string_lossy().starts_with(&self.folder)
        });
        [server, function, folder]
    }

    fn are_all_there(&self) -> bool {
        self.there() == [true; 3]
    }

    async fn wait_until_gone(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.there() != [false; 3] {
            assert!(
                Instant::now() < deadline,
                "of server, function and folder there are {:?}",
                self.there()
            );
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Number, parent's number and command line of every process.
fn processes() -> Vec<String> {
    let found = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid=,args="])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    text.lines().map(str::to_owned).collect()
}
