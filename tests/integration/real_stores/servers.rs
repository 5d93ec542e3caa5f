//! Real servers for a test run: each started once, none left behind.
//!
//! Invariant: a server belongs to a keeper, a shell that waits for the end of its standard input.
//! The test process holds the other end, so however that process ends (success, failure, Ctrl-C,
//! SIGKILL), the keeper removes the server. It has a process group of its own, which Ctrl-C does
//! not reach.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use s3_replicator::local::world::{RemotePlace, RemoteStore};
use tokio::sync::OnceCell;
use uuid::Uuid;

/// A kind of real store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Minio,
    LocalStack,
    SeaweedFs,
}

/// A running server.
pub(crate) struct Server {
    place: RemotePlace,
    _keeper: Child,
}

static MINIO: OnceCell<Server> = OnceCell::const_new();
static LOCALSTACK: OnceCell<Server> = OnceCell::const_new();
static SEAWEEDFS: OnceCell<Server> = OnceCell::const_new();

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Minio, Self::LocalStack, Self::SeaweedFs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Minio => "MinIO",
            Self::LocalStack => "LocalStack",
            Self::SeaweedFs => "SeaweedFS",
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Self::Minio => "TEST_MINIO",
            Self::LocalStack => "TEST_LOCALSTACK",
            Self::SeaweedFs => "TEST_SEAWEEDFS",
        }
    }

    /// Whether tests of this store are switched on; where it was not said, how to do that is
    /// printed.
    pub(crate) fn is_on(self) -> bool {
        let variable = self.variable();
        match std::env::var(variable).ok().as_deref() {
            Some("on") => true,
            Some("off") => false,
            None | Some("") => {
                let name = self.name();
                eprintln!("skipped: {name} is not tested; switch it on with {variable}=on");
                false
            }
            Some(other) => panic!("{variable} is {other:?}, expected on or off"),
        }
    }

    /// The server of this test run, started if need be.
    pub(crate) async fn server(self) -> &'static Server {
        let cell = match self {
            Self::Minio => &MINIO,
            Self::LocalStack => &LOCALSTACK,
            Self::SeaweedFs => &SEAWEEDFS,
        };
        cell.get_or_init(|| self.start()).await
    }

    async fn start(self) -> Server {
        let server = tokio::task::spawn_blocking(move || self.launch());
        let server = server.await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            match RemoteStore::connect(server.place.clone()).await {
                Ok(_) => return server,
                Err(error) if Instant::now() > deadline => {
                    panic!("{} does not answer: {error:?}", self.name())
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    fn launch(self) -> Server {
        let container = format!("s3-replicator-test-{}", Uuid::new_v4().simple());
        let (script, key) = match self {
            Self::Minio => {
                let image = image("MINIO_IMAGE", "minio/minio:RELEASE.2025-09-07T16-13-09Z");
                let options = "-e MINIO_ROOT_USER=minioadmin -e MINIO_ROOT_PASSWORD=minioadmin";
                let command = format!("{options} {image} server /data");
                (in_container(&container, 9000, &command), "minioadmin")
            }
            Self::LocalStack => {
                let image = image("LOCALSTACK_IMAGE", "localstack/localstack:4.14.0");
                let options = "-e SERVICES=s3,sqs -e EAGER_SERVICE_LOADING=1";
                let command = format!("{options} {image}");
                (in_container(&container, 4566, &command), "test")
            }
            Self::SeaweedFs => (weed(), "weedadmin"),
        };
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
        output.read_line(&mut line).unwrap();
        let Some(port) = line
            .trim()
            .rsplit(':')
            .next()
            .filter(|port| !port.is_empty())
        else {
            let mut errors = String::new();
            let _ = keeper.stderr.take().unwrap().read_to_string(&mut errors);
            panic!(
                "{} could not be started; {}=off leaves it out: {errors}",
                self.name(),
                self.variable()
            );
        };
        let place = RemotePlace {
            name: self.name().to_owned(),
            endpoint: format!("http://127.0.0.1:{port}"),
            credentials: Credentials::new(key, key, None, None, "test"),
            advice: "it was started by the test".to_owned(),
        };
        Server {
            place,
            _keeper: keeper,
        }
    }
}

impl Server {
    /// A fresh view of the store, with no buckets of ours.
    pub(crate) async fn store(&self) -> RemoteStore {
        RemoteStore::connect(self.place.clone()).await.unwrap()
    }
}

fn image(variable: &str, default: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| default.to_owned())
}

/// Prints `host:port` once the container runs, and removes it in the end.
fn in_container(name: &str, port: u16, command: &str) -> String {
    // A fixed port, so that the container has it again after a restart.
    let host = free_ports(1)[0];
    format!(
        "docker run -d --name {name} -p 127.0.0.1:{host}:{port} \
         --add-host host.docker.internal:host-gateway {command} >/dev/null || exit 1; \
         echo {host}; read -r _; docker rm -fv {name} >/dev/null 2>&1"
    )
}

/// SeaweedFS as a plain process, none of its ports fixed.
fn weed() -> String {
    let program = std::env::var("WEED").unwrap_or_else(|_| "weed".to_owned());
    let ports = free_ports(8);
    let keys = r#"{"identities": [{"name": "test", "credentials": [{"accessKey": "weedadmin", "secretKey": "weedadmin"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}"#;
    format!(
        "command -v '{program}' >/dev/null || {{ echo 'WEED names no program: {program}' >&2; exit 1; }}; \
         folder=$(mktemp -d) && echo '{keys}' >$folder/keys.json && cd $folder || exit 1; \
         '{program}' server -dir=$folder -ip=127.0.0.1 -ip.bind=127.0.0.1 \
         -master.telemetry=false -master.volumeSizeLimitMB=64 -volume.max=100 \
         -master.port={} -master.port.grpc={} -volume.port={} -volume.port.grpc={} \
         -filer.port={} -filer.port.grpc={} -s3 -s3.port={} -s3.port.grpc={} \
         -s3.port.iceberg=0 -s3.port.lance=0 -s3.config=$folder/keys.json >log 2>&1 </dev/null & \
         echo {}; read -r _; kill -9 $!; wait; rm -rf $folder",
        ports[0], ports[1], ports[2], ports[3], ports[4], ports[5], ports[6], ports[7], ports[6],
    )
}

/// Ports that nobody has, a moment ago.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let ports = listeners.iter();
    ports
        .map(|listener| listener.local_addr().unwrap().port())
        .collect()
}
