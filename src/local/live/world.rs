//! The function, woken by a store's own events.
//!
//! Invariant: nothing stands between function and store, and nothing is told of a write but by
//! the store itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Accept, Channel, Channels, LiveError, OnTrouble, Refusal, SqsQueue, Webhook};
use crate::local::lambda::{
    BatchLimits, Event, FunctionError, FunctionOptions, Invocation, Invoke, LambdaOptions,
    LocalLambda, LogLine, Mapping, MappingOptions, MessageQueue, Program, Route,
};
use crate::local::world::{OutcomeLine, RemoteStore};

/// How long what was accepted may take to be handled, once the world is told to end.
const FINISH: Duration = Duration::from_secs(20);

/// Sees every payload before the function does, and whether all that came before was handled; an
/// event that it refuses is sent again.
pub type Tap = Arc<dyn Fn(String, bool) -> BoxFuture<'static, Result<(), Refusal>> + Send + Sync>;

/// What a live world is made of.
#[derive(Clone)]
pub struct LiveOptions {
    /// Where the buckets are.
    pub store: Arc<RemoteStore>,
    /// How their events leave it.
    pub channels: Channels,
    /// The function's program.
    pub program: Program,
    /// Its region.
    pub region: String,
    /// Environment variables on top of those that the world sets.
    pub environment: BTreeMap<String, String>,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// How many instances there may be at once.
    pub concurrency: usize,
    /// How messages of a queue are gathered.
    pub limits: BatchLimits,
    /// Where webhooks are listened to, if there are some.
    pub listen: SocketAddr,
    /// Who sees payloads first.
    pub tap: Option<Tap>,
    /// Who is told of trouble with a queue.
    pub on_trouble: OnTrouble,
}

impl LiveOptions {
    /// A function as `dev` runs it, for events that come through these channels.
    pub fn new(store: Arc<RemoteStore>, channels: Channels, program: Program) -> Self {
        Self {
            store,
            channels,
            program,
            region: "us-east-1".to_owned(),
            environment: BTreeMap::new(),
            timeout: Duration::from_secs(30),
            concurrency: 4,
            limits: MappingOptions::default().limits,
            listen: ([127, 0, 0, 1], 9180).into(),
            tap: None,
            on_trouble: Arc::new(|_| {}),
        }
    }
}

/// A running world.
pub struct LiveWorld {
    lambda: Arc<LocalLambda>,
    webhook: Option<Webhook>,
    mappings: Vec<Mapping>,
    queues: Vec<SqsQueue>,
    log: JoinHandle<()>,
    end_of_log: oneshot::Sender<()>,
    _folder: TempDir,
}

/// What became of the events that a world had accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The records of events that failed for good, as an on-failure destination gets them.
    pub on_failure: Vec<String>,
    /// Whether events were abandoned while they were still in work.
    pub abandoned: bool,
}

impl LiveWorld {
    /// Starts to listen. `on_log` sees every line of the function's log, and the outcome that it
    /// tells.
    ///
    /// # Errors
    /// An address or a queue cannot be had, or a queue does not fit the function.
    pub async fn start(
        options: LiveOptions,
        on_log: impl Fn(&LogLine, Option<&OutcomeLine>) + Send + 'static,
    ) -> Result<Self, LiveError> {
        let queues = open_queues(&options).await?;
        let folder = tempfile::Builder::new()
            .prefix("s3-replicator-")
            .tempdir()
            .map_err(LiveError::Configuration)?;
        let mut program = options.program.clone();
        program.env.extend(environment(&options, &folder)?);
        let (sender, lines) = mpsc::unbounded_channel();
        let (end_of_log, ended) = oneshot::channel();
        let function = FunctionOptions {
            region: options.region.clone(),
            timeout: options.timeout,
            concurrency: options.concurrency,
            logs: Some(sender),
            ..FunctionOptions::new("s3-replicator", program)
        };
        let lambda = Arc::new(LocalLambda::start(LambdaOptions::new(function)));
        let webhook = match options.channels.contains(&Channel::Webhook) {
            true => {
                let accept = accept(Arc::clone(&lambda), options.tap.clone());
                Some(Webhook::listen(options.listen, accept).await?)
            }
            false => None,
        };
        let invoke = tapped(&lambda, options.tap.clone());
        let mapping = |queue: &SqsQueue| {
            let mapping = MappingOptions {
                limits: options.limits,
                redelivery_delay: None,
                ..MappingOptions::default()
            };
            Mapping::start(queue.clone(), Arc::clone(&invoke), mapping)
        };
        Ok(Self {
            mappings: queues.iter().map(mapping).collect(),
            lambda,
            webhook,
            queues,
            log: tokio::spawn(forward(lines, ended, on_log)),
            end_of_log,
            _folder: folder,
        })
    }

    /// Where webhooks are listened to.
    pub fn webhooks(&self) -> Vec<SocketAddr> {
        let webhook = self.webhook.as_ref();
        webhook.map(Webhook::addresses).unwrap_or_default()
    }

    /// The queues that are polled.
    pub fn queues(&self) -> &[SqsQueue] {
        &self.queues
    }

    /// Waits until nothing that was accepted is in work.
    pub async fn wait_idle(&self) {
        self.lambda.wait_idle().await;
    }

    /// Takes no more events, finishes those that were accepted, and ends the function.
    pub async fn stop(self) -> Ended {
        if let Some(webhook) = self.webhook {
            webhook.stop().await;
        }
        let finished = timeout(FINISH, async {
            for mapping in self.mappings {
                mapping.stop().await;
            }
            self.lambda.wait_idle().await;
        });
        let abandoned = finished.await.is_err();
        self.lambda.function().shutdown().await;
        let _ = self.end_of_log.send(());
        let _ = self.log.await;
        let on_failure = self.lambda.on_failure().drain().into_iter();
        Ended {
            on_failure: on_failure.map(|message| message.body).collect(),
            abandoned,
        }
    }
}

async fn open_queues(options: &LiveOptions) -> Result<Vec<SqsQueue>, LiveError> {
    let mut queues = Vec::new();
    for channel in &options.channels {
        let Channel::Queue { arn } = channel else {
            continue;
        };
        let queue = SqsQueue::open(&options.store, arn, Arc::clone(&options.on_trouble)).await?;
        // As Lambda does when a mapping is created.
        if queue.visibility_timeout() < options.timeout {
            return Err(LiveError::Visibility {
                queue: arn.clone(),
                visibility: queue.visibility_timeout(),
                timeout: options.timeout,
            });
        }
        queues.push(queue);
    }
    Ok(queues)
}

/// What the function finds in its environment: the store, and of the user's configuration nothing
/// but the file of profiles that the variable names.
fn environment(
    options: &LiveOptions,
    folder: &TempDir,
) -> Result<BTreeMap<String, String>, LiveError> {
    let place = options.store.place();
    let empty = folder.path().join("none");
    std::fs::write(&empty, "").map_err(LiveError::Configuration)?;
    let file = |variable: &str| {
        let named = std::env::var(variable).ok().filter(|path| !path.is_empty());
        named.unwrap_or_else(|| empty.display().to_string())
    };
    let mut environment = BTreeMap::from([
        ("AWS_CONFIG_FILE", file("AWS_CONFIG_FILE")),
        (
            "AWS_SHARED_CREDENTIALS_FILE",
            file("AWS_SHARED_CREDENTIALS_FILE"),
        ),
        ("AWS_ENDPOINT_URL_S3", place.endpoint.clone()),
        (
            "AWS_ACCESS_KEY_ID",
            place.credentials.access_key_id().to_owned(),
        ),
        (
            "AWS_SECRET_ACCESS_KEY",
            place.credentials.secret_access_key().to_owned(),
        ),
        // A change of tags counts from the next event on.
        ("S3_REPLICATOR_TAG_TTL", "0".to_owned()),
    ]);
    if let Some(token) = place.credentials.session_token() {
        environment.insert("AWS_SESSION_TOKEN", token.to_owned());
    }
    let own = options.environment.clone().into_iter();
    Ok(environment
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(own)
        .collect())
}

fn accept(lambda: Arc<LocalLambda>, tap: Option<Tap>) -> Accept {
    Arc::new(move |event: String| {
        let (lambda, tap) = (Arc::clone(&lambda), tap.clone());
        Box::pin(async move {
            if let Some(tap) = tap {
                tap(event.clone(), lambda.is_idle()).await?;
            }
            lambda.send(Route::Asynchronous, event);
            Ok(())
        })
    })
}

/// An invocation that the tap refuses has failed, so that its messages come again.
fn tapped(lambda: &Arc<LocalLambda>, tap: Option<Tap>) -> Invoke {
    let invoke = lambda.function().invoker();
    let Some(tap) = tap else { return invoke };
    let lambda = Arc::clone(lambda);
    Arc::new(move |event: Event| {
        let (invoke, tap) = (Arc::clone(&invoke), Arc::clone(&tap));
        let is_idle = lambda.is_idle();
        Box::pin(async move {
            match tap(event.payload.clone(), is_idle).await {
                Ok(()) => invoke(event).await,
                Err(refusal) => Invocation {
                    request_id: event.request_id,
                    instance: None,
                    result: Err(FunctionError {
                        kind: "Refused".to_owned(),
                        message: refusal.to_string(),
                    }),
                },
            }
        })
    })
}

/// Hands over lines until the function has ended and the last of them are told.
async fn forward(
    mut lines: mpsc::UnboundedReceiver<LogLine>,
    mut ended: oneshot::Receiver<()>,
    on_log: impl Fn(&LogLine, Option<&OutcomeLine>),
) {
    loop {
        tokio::select! {
            biased;
            Some(line) = lines.recv() => {
                let outcome = OutcomeLine::parse(&line.line);
                on_log(&line, outcome.as_ref());
            }
            _ = &mut ended => break,
        }
    }
}
