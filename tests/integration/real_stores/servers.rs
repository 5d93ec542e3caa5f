//! The servers of a test run: each started once, by the first test that asks for it.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use aws_credential_types::Credentials;
use s3_replicator::local::world::{RemotePlace, RemoteStore};
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep};

use super::container::{Container, Recipe};
use super::keeper::Keeper;
use super::seaweedfs::{SeaweedFs, free_ports};

/// Names the stores that are tested: some of them, separated by commas, or `all`.
const SWITCH: &str = "S3_REPLICATOR_TEST_STORES";

/// How long a server may take to answer.
const READY: Duration = Duration::from_secs(120);

/// A kind of real store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Minio,
    LocalStack,
    SeaweedFs,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) place: RemotePlace,
    pub(crate) handle: Handle,
}

/// What keeps it running.
pub(crate) enum Handle {
    Container(Box<Container>),
    Process(SeaweedFs),
}

/// Of the whole run.
static FOLDERS: LazyLock<Keeper> = LazyLock::new(Keeper::of_temporary_folders);

static MINIO: OnceCell<Server> = OnceCell::const_new();
static LOCALSTACK: OnceCell<Server> = OnceCell::const_new();
static SEAWEEDFS: OnceCell<Server> = OnceCell::const_new();

/// What was said to be skipped.
static TOLD: Mutex<BTreeSet<(&str, String)>> = Mutex::new(BTreeSet::new());

const MINIO_RECIPE: Recipe = Recipe {
    variable: "MINIO_IMAGE",
    image: "minio/minio:RELEASE.2025-09-07T16-13-09Z",
    port: 9000,
    environment: &[
        ("MINIO_ROOT_USER", "minioadmin"),
        ("MINIO_ROOT_PASSWORD", "minioadmin"),
    ],
    command: &["server", "/data"],
};

const LOCALSTACK_RECIPE: Recipe = Recipe {
    variable: "LOCALSTACK_IMAGE",
    image: "localstack/localstack:4.14.0",
    port: 4566,
    environment: &[("SERVICES", "s3,sqs"), ("EAGER_SERVICE_LOADING", "1")],
    command: &[],
};

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Minio, Self::LocalStack, Self::SeaweedFs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Minio => "MinIO",
            Self::LocalStack => "LocalStack",
            Self::SeaweedFs => "SeaweedFS",
        }
    }

    /// As the switch names it.
    pub(crate) fn switch(self) -> &'static str {
        match self {
            Self::Minio => "minio",
            Self::LocalStack => "localstack",
            Self::SeaweedFs => "seaweedfs",
        }
    }

    /// Whether it is switched on; if not, it is said that `what` is skipped.
    ///
    /// # Panics
    /// The switch names what is no store.
    pub(crate) fn is_on(self, what: &str) -> bool {
        let value = std::env::var(SWITCH).unwrap_or_default();
        if switched_on(&value).unwrap().contains(self.switch()) {
            return true;
        }
        let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert((self.switch(), what.to_owned())) {
            // Not by a macro: the test runner would keep it to itself where the test passes.
            let _ = writeln!(
                std::io::stderr(),
                "skipped on {}: {what}; {SWITCH}={} or all switches it on",
                self.name(),
                self.switch()
            );
        }
        false
    }

    /// The server of this test run, if it is switched on.
    pub(crate) async fn server(self, what: &str) -> Option<&'static Server> {
        if !self.is_on(what) {
            return None;
        }
        let cell = match self {
            Self::Minio => &MINIO,
            Self::LocalStack => &LOCALSTACK,
            Self::SeaweedFs => &SEAWEEDFS,
        };
        Some(cell.get_or_init(|| self.start(None, &[])).await)
    }

    /// A server for one test alone, whose port stays the same over restarts.
    pub(crate) async fn own_server(self) -> Server {
        self.own_server_with(&[]).await
    }

    /// The same, with these variables in its environment.
    pub(crate) async fn own_server_with(self, environment: &[(&str, &str)]) -> Server {
        let [port] = free_ports();
        self.start(Some(port), environment).await
    }

    async fn start(self, port: Option<u16>, environment: &[(&str, &str)]) -> Server {
        LazyLock::force(&FOLDERS);
        let container = async |recipe| match Container::start(&recipe, port, environment).await {
            Ok(container) => (container.port, Handle::Container(Box::new(container))),
            Err(why) => panic!("{}: {why}", self.name()),
        };
        let ((port, handle), key) = match self {
            Self::Minio => (container(MINIO_RECIPE).await, "minioadmin"),
            Self::LocalStack => (container(LOCALSTACK_RECIPE).await, "test"),
            Self::SeaweedFs => {
                let process = SeaweedFs::start();
                ((process.port, Handle::Process(process)), SeaweedFs::KEY)
            }
        };
        let place = RemotePlace {
            name: self.name().to_owned(),
            endpoint: format!("http://127.0.0.1:{port}"),
            credentials: Credentials::new(key, key, None, None, "test"),
            advice: "it was started by the test".to_owned(),
        };
        let mut server = Server { place, handle };
        server.wait_until_ready().await;
        server
    }
}

impl Server {
    /// A view of the store of its own, with no buckets.
    pub(crate) async fn store(&self) -> RemoteStore {
        RemoteStore::connect(self.place.clone()).await.unwrap()
    }

    /// The container's name.
    pub(crate) fn container(&self) -> &str {
        match &self.handle {
            Handle::Container(container) => &container.name,
            Handle::Process(_) => panic!("{} has no container", self.place.name),
        }
    }

    /// SIGKILL, as a machine that crashes does it.
    pub(crate) async fn kill(&self) {
        self.docker("kill").await;
    }

    /// Starts it again, with all that it had on disk.
    pub(crate) async fn restart(&mut self) {
        self.docker("start").await;
        self.wait_until_ready().await;
    }

    async fn docker(&self, verb: &str) {
        let mut command = tokio::process::Command::new("docker");
        let output = command.args([verb, self.container()]).output().await;
        let output = output.unwrap();
        assert!(output.status.success(), "docker {verb}: {output:?}");
    }

    /// Its endpoint, and the key that is its secret as well.
    pub(crate) fn access(&self) -> (&str, &str) {
        (&self.place.endpoint, self.place.credentials.access_key_id())
    }

    async fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + READY;
        while let Err(error) = RemoteStore::connect(self.place.clone()).await {
            if let Handle::Process(process) = &mut self.handle
                && let Some(why) = process.keeper.ended()
            {
                panic!("{} has ended: {why}", self.place.name);
            }
            assert!(
                Instant::now() < deadline,
                "{} does not answer: {error:?}",
                self.place.name
            );
            sleep(Duration::from_millis(100)).await;
        }
    }
}

fn switched_on(value: &str) -> Result<BTreeSet<&'static str>, String> {
    let mut on = BTreeSet::new();
    for name in value
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let mut known = Kind::ALL.into_iter().map(Kind::switch);
        match name {
            "all" => on.extend(known),
            _ => match known.find(|known| *known == name) {
                Some(known) => drop(on.insert(known)),
                None => {
                    return Err(format!(
                        "{SWITCH} names {name:?}, expected minio, localstack, seaweedfs or all"
                    ));
                }
            },
        }
    }
    Ok(on)
}

#[test]
fn switch_names_stores() {
    assert_eq!(switched_on(""), Ok(BTreeSet::new()));
    assert_eq!(
        switched_on("minio, seaweedfs"),
        Ok(BTreeSet::from(["minio", "seaweedfs"]))
    );
    assert_eq!(switched_on("all").map(|on| on.len()), Ok(3));
    assert!(switched_on("minio,floppy").is_err_and(|why| why.contains("\"floppy\"")));
}
