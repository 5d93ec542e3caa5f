//! The local world: stores, the function and its events, as one recording's header describes them.
//!
//! ```text
//! operation ─▶ store ─▶ notification ─▶ local Lambda ─▶ function ─▶ faults ─▶ stores
//! ```
//!
//! The function reaches every store through [`Faults`]; set-up, operations and expectations go the
//! same way but are never disturbed, since they are not the function's.

mod capabilities;
mod check;
mod names;
pub(in crate::local) mod object;
mod operation;
mod outcome;
mod probe;
mod remote;
mod replay;
mod stores;
mod watch;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};

pub use self::outcome::OutcomeLine;
pub use self::remote::{RemotePlace, RemoteStore, StoreError};
pub use self::replay::{Happening, Replayed, replay};
pub use self::stores::Keys;
pub(in crate::local) use self::stores::tagging;

use self::outcome::Outcomes;
use self::stores::Stores;
use super::faults::{Entry, Faults};
use super::lambda::{
    BatchLimits, Function, FunctionOptions, LambdaOptions, LocalLambda, LogLine, MappingOptions,
    Place, Program, Quiesced, Source, wrap,
};
use super::recording::{Header, Recording};
use super::s3::Notification;

/// What a world is made of.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    /// Buckets, envelope and function settings.
    pub header: Header,
    /// The buckets whose notifications lead to the function.
    pub notifying: Vec<String>,
    /// The function's program.
    pub program: Program,
    /// Where the main store listens; port 0 for any.
    pub listen: SocketAddr,
    /// Who the user is, towards every store of this program.
    pub keys: Keys,
    /// Where the buckets are, except those of separate sites.
    pub store: Store,
    /// Whether the buckets are made for this world and removed with it. Others may be there
    /// already, and stay.
    pub temporary: bool,
}

/// Where buckets are.
#[derive(Debug, Clone, Default)]
pub enum Store {
    /// In this program.
    #[default]
    Embedded,
    /// At a real endpoint.
    Remote(Arc<RemoteStore>),
}

impl WorldOptions {
    /// The world that a recording describes.
    pub fn of(recording: &Recording, program: Program, store: Store) -> Self {
        let notifying = recording.notifying().into_iter();
        Self {
            header: recording.header.clone(),
            notifying: notifying.map(ToOwned::to_owned).collect(),
            program,
            listen: ([127, 0, 0, 1], 0).into(),
            keys: Keys::default(),
            store,
            temporary: true,
        }
    }
}

/// The world could not be made, or something in it that must work did not.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The address is taken, or not ours to take.
    #[error("could not listen on {address}; choose another with --listen, or port 0 for any")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The function's configuration could not be written.
    #[error("could not write the function's AWS configuration to a temporary folder")]
    Configuration(#[source] std::io::Error),
    /// A body could not be read.
    #[error("could not read a body")]
    Body(#[source] std::io::Error),
    /// A request of set-up, an operation or an expectation failed.
    #[error("{operation} failed for {place}")]
    Request {
        /// The S3 operation.
        operation: &'static str,
        /// `s3://bucket/key`
        place: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl WorldError {
    fn request(
        operation: &'static str,
        bucket: &str,
        key: Option<&str>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let place = match key {
            Some(key) => format!("s3://{bucket}/{}", key.escape_debug()),
            None => format!("s3://{bucket}"),
        };
        Self::Request {
            operation,
            place,
            source: source.into(),
        }
    }
}

/// A running world.
pub struct World {
    stores: Stores,
    faults: Faults,
    lambda: Arc<LocalLambda>,
    source: Source,
    place: Place,
    outcomes: Outcomes,
    notifications: mpsc::UnboundedReceiver<Notification>,
    logs: tokio::task::JoinHandle<()>,
    end_of_log: oneshot::Sender<()>,
}

impl World {
    /// Makes the stores with their buckets, and the function that waits for events.
    ///
    /// `on_log` sees every line of the function's log, and the outcome that it tells.
    pub async fn start(
        options: WorldOptions,
        on_log: impl Fn(&LogLine, Option<&OutcomeLine>) + Send + 'static,
    ) -> Result<Self, WorldError> {
        let function: Arc<OnceLock<Function>> = Arc::default();
        let faults = Faults::new(stores::site_of(&options.header), kill_hook(&function));
        let (sender, notifications) = mpsc::unbounded_channel();
        let stores = Stores::start(&options, &faults, sender).await?;

        let (log_sender, mut log_lines) = mpsc::unbounded_channel::<LogLine>();
        let outcomes = Outcomes::default();
        let recorded = outcomes.clone();
        let (end_of_log, mut ended) = oneshot::channel();
        let logs = tokio::spawn(async move {
            loop {
                tokio::select! {
                    biased;
                    Some(line) = log_lines.recv() => {
                        let outcome = recorded.record(&line);
                        on_log(&line, outcome.as_ref());
                    }
                    _ = &mut ended => break,
                }
            }
        });
        let lambda = start_lambda(&options, &stores, &faults, log_sender);
        let _ = function.set(lambda.function().clone());
        let source = options.header.source;
        let place = Place {
            region: lambda.function().options().region.clone(),
            account: lambda.function().options().account.clone(),
        };
        let mut world = Self {
            stores,
            faults,
            lambda: Arc::new(lambda),
            source,
            place,
            outcomes,
            notifications,
            logs,
            end_of_log,
        };
        world
            .stores
            .create_buckets(&options, &world.lambda.function().options().arn())
            .await?;
        for test_event in world.arrived() {
            world.send(&test_event.body);
        }
        Ok(world)
    }

    /// The address of the main store.
    pub fn address(&self) -> SocketAddr {
        self.stores.address()
    }

    /// The notifications that have come and not been sent on.
    fn arrived(&mut self) -> Vec<Notification> {
        std::iter::from_fn(|| self.notifications.try_recv().ok()).collect()
    }

    /// Waits for the next notification and hands it to the function.
    pub async fn forward_next(&mut self) {
        for event in self.next_events().await {
            self.send_event(event);
        }
    }

    /// Waits for the next notification; answers what the function is to receive of it.
    pub async fn next_events(&mut self) -> Vec<String> {
        match self.notifications.recv().await {
            Some(notification) => self.wrapped(&notification.body),
            None => Vec::new(),
        }
    }

    /// Hands an event to the function; answers the request's or message's id.
    pub fn send_event(&self, event: String) -> String {
        self.lambda.send(self.source.route(), event)
    }

    /// Whether all that was handed to the function has been handled.
    pub fn is_idle(&self) -> bool {
        self.lambda.is_idle()
    }

    /// What the function has asked of the stores so far, in the order of arrival.
    pub fn requests(&self) -> Vec<Entry> {
        let mut journal = self.faults.journal();
        journal.retain(|entry| entry.instance.is_some());
        journal
    }

    /// A client of the user for the store that has this bucket, one of the header's.
    pub fn client(&self, bucket: &str) -> aws_sdk_s3::Client {
        self.stores.client(bucket).clone()
    }

    /// Sends a notification on the way that the source takes.
    fn send(&self, body: &str) -> Vec<String> {
        let events = self.wrapped(body).into_iter();
        events.map(|event| self.send_event(event)).collect()
    }

    fn wrapped(&self, body: &str) -> Vec<String> {
        // Only a notification that is no JSON cannot be wrapped, and the store makes none.
        wrap(self.source, body, &self.place).unwrap_or_default()
    }

    /// Waits until no event is queued or running, new ones included.
    async fn settle(&mut self) {
        loop {
            tokio::select! {
                biased;
                Some(notification) = self.notifications.recv() => {
                    self.send(&notification.body);
                }
                () = self.lambda.wait_idle() => {
                    if self.notifications.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    /// Ends the function and the stores in order.
    pub async fn stop(self) {
        // All lines have been handed over once the function has ended.
        self.lambda.function().shutdown().await;
        let _ = self.end_of_log.send(());
        let _ = self.logs.await;
        self.stores.stop().await;
    }
}

/// Kills the instance that a request names, `instance-N`.
fn kill_hook(function: &Arc<OnceLock<Function>>) -> super::faults::KillHook {
    let function = Arc::clone(function);
    Arc::new(move |instance| {
        let number = instance
            .and_then(|name| name.strip_prefix("instance-"))
            .and_then(|number| number.parse().ok());
        if let (Some(function), Some(number)) = (function.get(), number) {
            function.kill(number);
        }
    })
}

fn start_lambda(
    options: &WorldOptions,
    stores: &Stores,
    faults: &Faults,
    logs: mpsc::UnboundedSender<LogLine>,
) -> LocalLambda {
    let header = &options.header;
    let mut program = options.program.clone();
    program.env.extend(stores.environment());
    program.env.insert(
        "S3_REPLICATOR_MASTERS".to_owned(),
        options.notifying.join(" "),
    );
    // A change of tags in a recording counts from the next event on.
    program
        .env
        .insert("S3_REPLICATOR_TAG_TTL".to_owned(), "0".to_owned());
    program.env.extend(header.function.environment.clone());
    let faults = faults.clone();
    let quiesced: Quiesced = Arc::new(move || {
        let faults = faults.clone();
        Box::pin(async move { faults.quiesced().await })
    });
    let function = FunctionOptions {
        region: header.master.region.clone(),
        timeout: header.function.timeout,
        concurrency: header.function.concurrency,
        logs: Some(logs),
        ..FunctionOptions::new("s3-replicator", program)
    };
    let mut lambda = LambdaOptions::new(function);
    lambda.retry_delays.truncate(header.retries.into());
    lambda.max_receive_count = header.batch.max_receives;
    lambda.mapping = MappingOptions {
        limits: BatchLimits {
            size: header.batch.size,
            window: header.batch.window,
        },
        quiesced,
        ..MappingOptions::default()
    };
    LocalLambda::start(lambda)
}
