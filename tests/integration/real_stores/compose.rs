//! What `just up`, `just down` and `just test-integration` run.

use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::process::{Command, Output};

use rstest::rstest;
use uuid::Uuid;

use super::keeper::Keeper;
use super::seaweedfs::free_ports;
use super::servers::Kind;

/// One developer's stores, beside those of others.
struct Compose {
    project: String,
    port: String,
    keeper: Keeper,
}

impl Compose {
    fn new() -> Self {
        let project = format!("s3-replicator-test-{}", Uuid::new_v4().simple());
        let script =
            "echo ready; read -r _; COMPOSE_PROJECT_NAME=$1 docker/stores.sh down >/dev/null 2>&1";
        let [port] = free_ports();
        Self {
            keeper: Keeper::start(script, &[&project]).0,
            project,
            port: port.to_string(),
        }
    }

    fn command(&self, program: &str, arguments: &[&str]) -> (i32, String) {
        let command = &mut Command::new(program);
        command
            .args(arguments)
            .env("COMPOSE_PROJECT_NAME", &self.project)
            .env("MINIO_PORT", &self.port);
        ended(command.output().unwrap())
    }

    fn stores(&self, arguments: &[&str]) -> (i32, String) {
        self.command("docker/stores.sh", arguments)
    }

    /// What Docker has of it, of these things.
    fn left(&self, things: &[&str]) -> String {
        let label = format!("label=com.docker.compose.project={}", self.project);
        let command = &mut Command::new("docker");
        let found = command
            .args(things)
            .args(["--quiet", "--filter", &label])
            .output();
        ended(found.unwrap()).1
    }
}

fn ended(output: Output) -> (i32, String) {
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn stores_come_up_serve_replays_and_go_down_without_remains() {
    if !Kind::Minio.is_on("the stores of `just up`") {
        return;
    }
    let compose = Compose::new();
    let (code, words) = compose.stores(&["down"]);
    assert_eq!((code, words.trim()), (0, "nothing is up"));

    let port = compose.port.clone();
    let taken = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let (code, words) = compose.stores(&["up", "minio"]);
    let expected =
        format!("port {port} is in use, so minio can't start: choose another with MINIO_PORT=PORT");
    assert_eq!((code, words.trim()), (1, expected.as_str()));
    drop(taken);

    let replay = [
        "replay",
        "fixtures/recordings/put.jsonl",
        "--store",
        "minio",
    ];
    let program = env!("CARGO_BIN_EXE_s3-replicator");
    let (code, words) = compose.command(program, &replay);
    assert_eq!(code, 1, "{words}");
    assert!(words.contains("start it with `just up minio`"), "{words}");

    for _ in 0..2 {
        let (code, words) = compose.stores(&["up", "minio"]);
        assert_eq!(code, 0, "{words}");
        assert!(
            words.contains(&format!("minio answers at http://127.0.0.1:{port}\n")),
            "{words}"
        );
    }
    let (code, words) = compose.command(program, &replay);
    assert_eq!(code, 0, "{words}");

    let (code, words) = compose.stores(&["down"]);
    assert_eq!(code, 0, "{words}");
    for things in [&["ps", "--all"][..], &["volume", "ls"], &["network", "ls"]] {
        assert_eq!(compose.left(things), "", "{things:?}");
    }
    drop(compose.keeper);
}

#[test]
fn image_that_cannot_be_fetched_is_named() {
    if !Kind::Minio.is_on("an image that is not there") {
        return;
    }
    let command = &mut Command::new("docker/stores.sh");
    // A registry that answers nobody.
    let command = command
        .args(["up", "minio"])
        .env("MINIO_IMAGE", "127.0.0.1:1/nothing:1");
    let [port] = free_ports();
    let (code, words) = ended(
        command
            .env("MINIO_PORT", port.to_string())
            .output()
            .unwrap(),
    );
    assert_eq!(code, 1, "{words}");
    let expected = "the image of minio could not be fetched, MINIO_IMAGE=NAME:TAG names another: ";
    assert!(words.starts_with(expected), "{words}");
}

#[rstest]
#[case::up("docker/stores.sh", &["up"], "Docker is not installed: ")]
#[case::down("docker/stores.sh", &["down"], "Docker is not installed: ")]
#[case::tests("ci/test-stores.sh", &["minio"], "Docker is not installed: ")]
#[case::seaweedfs("ci/test-stores.sh", &["seaweedfs"], "there is no program `weed`: ")]
fn what_is_not_installed_is_told_in_one_sentence(
    #[case] script: &str,
    #[case] arguments: &[&str],
    #[case] expected: &str,
) {
    // Where the shell is, and nothing else.
    let folder = tempfile::tempdir().unwrap();
    for program in ["bash", "dirname"] {
        let found = Command::new("sh")
            .args(["-c", "command -v \"$0\"", program])
            .output();
        let path = String::from_utf8(found.unwrap().stdout).unwrap();
        symlink(path.trim(), folder.path().join(program)).unwrap();
    }
    let command = &mut Command::new(script);
    let command = command
        .args(arguments)
        .env("PATH", folder.path())
        .env_remove("WEED");
    let (code, words) = ended(command.output().unwrap());
    assert_eq!((code, words.lines().count()), (1, 1), "{words}");
    assert!(words.starts_with(expected), "{words}");
}

#[rstest]
#[case("docker/stores.sh", &["up", "floppy"])]
#[case("docker/stores.sh", &[])]
#[case("ci/test-stores.sh", &["floppy"])]
fn wrong_usage_is_told_with_the_right_one(#[case] script: &str, #[case] arguments: &[&str]) {
    let (code, words) = ended(Command::new(script).args(arguments).output().unwrap());
    assert_eq!(code, 2, "{words}");
    assert!(words.contains("usage: just "), "{words}");
}
