//! Servers that send their events to a test: each has one of its own.
//!
//! A container belongs to a keeper, a shell that waits for the end of its standard input. The test
//! process holds the other end, so however that process ends, the keeper removes the container.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use s3_replicator::local::world::{RemotePlace, RemoteStore};
use uuid::Uuid;

/// Names the stores that are tested.
const SWITCH: &str = "S3_REPLICATOR_TEST_STORES";

/// How long a server may take to answer.
const READY: Duration = Duration::from_secs(120);

/// A running server.
pub(super) struct Server {
    pub(super) endpoint: String,
    pub(super) key: &'static str,
    container: String,
    input: Option<ChildStdin>,
    keeper: Child,
}

/// Whether a store is switched on; if not, it is said that the test is skipped.
pub(super) fn is_on(store: &str) -> bool {
    let value = std::env::var(SWITCH).unwrap_or_default();
    let is_on = value
        .split(',')
        .any(|name| [store, "all"].contains(&name.trim()));
    if !is_on {
        eprintln!("skipped: {SWITCH}={store} or all switches it on");
    }
    is_on
}

/// A port that nobody has, a moment ago.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A MinIO whose webhooks, with a queue folder and without, lead to this port of this machine.
pub(super) async fn minio(webhook: u16) -> Server {
    let endpoint = format!("http://host.docker.internal:{webhook}/minio");
    let image = image("MINIO_IMAGE", "minio/minio:RELEASE.2025-09-07T16-13-09Z");
    let command = format!(
        "-e MINIO_ROOT_USER=minioadmin -e MINIO_ROOT_PASSWORD=minioadmin \
         -e MINIO_API_SYNC_EVENTS=on \
         -e MINIO_NOTIFY_WEBHOOK_ENABLE_REPLICATOR=on \
         -e MINIO_NOTIFY_WEBHOOK_ENDPOINT_REPLICATOR={endpoint} \
         -e MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_REPLICATOR=/queue \
         -e MINIO_NOTIFY_WEBHOOK_ENABLE_PROMPT=on \
         -e MINIO_NOTIFY_WEBHOOK_ENDPOINT_PROMPT={endpoint} \
         {image} server /data"
    );
    Server::start(9000, "minioadmin", &command).await
}

/// A LocalStack with S3 and SQS.
pub(super) async fn localstack() -> Server {
    let image = image("LOCALSTACK_IMAGE", "localstack/localstack:4.14.0");
    let command = format!("-e SERVICES=s3,sqs -e EAGER_SERVICE_LOADING=1 {image}");
    Server::start(4566, "test", &command).await
}

impl Server {
    async fn start(inside: u16, key: &'static str, command: &str) -> Self {
        let container = format!("s3-replicator-test-{}", Uuid::new_v4().simple());
        // A fixed port, so that the container has it again after a restart.
        let port = free_port();
        let script = format!(
            "trap '' PIPE; docker run -d --name {container} -p 127.0.0.1:{port}:{inside} \
             --add-host host.docker.internal:host-gateway {command} >/dev/null && echo started; \
             read -r _; docker rm -fv {container} >/dev/null 2>&1"
        );
        let mut keeper = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(keeper.stdout.take().unwrap());
        // Held until the end, for the shell writes nothing more.
        let input = keeper.stdin.take();
        let mut errors = keeper.stderr.take().unwrap();
        output.read_line(&mut line).unwrap();
        let mut server = Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            key,
            container,
            input,
            keeper,
        };
        if line.is_empty() {
            drop(server.input.take());
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text);
            panic!("no container could be started, is Docker running? {text}");
        }
        server.wait_until_ready().await;
        server
    }

    /// A view of the store of its own.
    pub(super) async fn store(&self) -> RemoteStore {
        RemoteStore::connect(self.place()).await.unwrap()
    }

    fn place(&self) -> RemotePlace {
        RemotePlace {
            name: "the test's".to_owned(),
            endpoint: self.endpoint.clone(),
            credentials: Credentials::new(self.key, self.key, None, None, "test"),
            advice: "it was started by the test".to_owned(),
        }
    }

    /// SIGKILL, as a machine that crashes does it.
    pub(super) fn kill(&self) {
        self.docker("kill");
    }

    /// Starts it again, with all that it had on disk.
    pub(super) async fn restart(&self) {
        self.docker("start");
        self.wait_until_ready().await;
    }

    fn docker(&self, verb: &str) {
        let mut command = Command::new("docker");
        let output = command.args([verb, &self.container]).output().unwrap();
        assert!(output.status.success(), "docker {verb}: {output:?}");
    }

    async fn wait_until_ready(&self) {
        let deadline = Instant::now() + READY;
        while let Err(error) = RemoteStore::connect(self.place()).await {
            assert!(Instant::now() < deadline, "it does not answer: {error:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.keeper.wait();
    }
}

fn image(variable: &str, default: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}
