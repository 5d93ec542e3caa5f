//! The local Lambda: the real program behind the Runtime API, with Lambda's ways of failing.
//!
//! ```text
//! notification ── envelope ──┬─ asynchronous ── retries ────────────┬── function ── instances
//!                            └─ queue ── mapping ── batches ────────┘
//!                what fails for good:  on-failure queue, dead letters
//! ```
//!
//! Invariant: an accepted event is never lost. Whatever becomes of the process that has it, the
//! event comes again, until it was handled or is in one of the two queues of failures; and it
//! comes again only after nothing of the failed attempt is in flight any more.

mod activity;
mod asynchronous;
mod batch;
mod envelope;
mod eventbridge;
mod failure;
mod function;
mod instance;
mod invocation;
mod mapping;
mod minio;
mod process;
mod queue;
mod runtime_api;
mod source;
mod timestamp;

use std::time::Duration;

pub use activity::{Activity, Busy};
pub use asynchronous::{Asynchronous, AsynchronousOptions};
pub use batch::{BatchLimits, event as sqs_event, failed as failed_messages, is_due, split};
pub use envelope::{InvalidNotification, Place, wrap};
pub use failure::record as failure_record;
pub use function::{Function, FunctionOptions};
pub use instance::Program;
pub use invocation::{Event, FunctionError, Invocation, Invoke, Quiesced, at_once};
pub use mapping::{Mapping, MappingOptions, MessageQueue};
pub use process::LogLine;
pub use queue::{Message, Queue, QueueOptions, Redrive};
pub use runtime_api::MAX_ANSWER;
pub use source::{Route, Source, UnknownSource};

/// What a local Lambda is made of.
#[derive(Clone)]
pub struct LambdaOptions {
    /// The function.
    pub function: FunctionOptions,
    /// The delay before each retry of an asynchronous event.
    pub retry_delays: Vec<Duration>,
    /// How the queue's messages reach the function. Its `quiesced` holds for both routes.
    pub mapping: MappingOptions,
    /// How often a message is received before it goes to the dead letters.
    pub max_receive_count: u32,
}

impl LambdaOptions {
    /// Lambda's rules with a laptop's delays.
    pub fn new(function: FunctionOptions) -> Self {
        Self {
            function,
            retry_delays: asynchronous::local_retry_delays(),
            mapping: MappingOptions::default(),
            max_receive_count: 3,
        }
    }
}

/// A function with everything that leads to it, and what it could not handle.
pub struct LocalLambda {
    function: Function,
    place: Place,
    asynchronous: Asynchronous,
    queue: Queue,
    on_failure: Queue,
    dead_letters: Queue,
    activity: Activity,
    _mapping: Mapping,
}

impl LocalLambda {
    /// Starts to wait for events; instances start when there are some.
    pub fn start(options: LambdaOptions) -> Self {
        let activity = Activity::default();
        let FunctionOptions {
            name,
            region,
            account,
            timeout,
            ..
        } = &options.function;
        let place = Place {
            region: region.clone(),
            account: account.clone(),
        };
        let arn = |what: &str| format!("arn:aws:sqs:{region}:{account}:{name}-{what}");
        let on_failure = Queue::new(QueueOptions::new(arn("on-failure")));
        let dead_letters = Queue::new(QueueOptions::new(arn("dead-letters")));
        let queue = Queue::new(QueueOptions {
            // As AWS advises: six times the function's timeout.
            visibility_timeout: *timeout * 6,
            redrive: Some(Redrive {
                max_receive_count: options.max_receive_count,
                dead_letters: dead_letters.clone(),
            }),
            activity: Some(activity.clone()),
            ..QueueOptions::new(arn("events"))
        });
        let asynchronous_options = AsynchronousOptions {
            retry_delays: options.retry_delays,
            quiesced: options.mapping.quiesced.clone(),
            activity: activity.clone(),
            ..AsynchronousOptions::new(options.function.arn(), on_failure.clone())
        };
        let function = Function::new(options.function, activity.clone());
        Self {
            asynchronous: Asynchronous::start(function.invoker(), asynchronous_options),
            _mapping: Mapping::start(queue.clone(), function.invoker(), options.mapping),
            function,
            place,
            queue,
            on_failure,
            dead_letters,
            activity,
        }
    }

    /// Sends a notification, as S3 emits it, on the way that the source takes.
    pub fn notify(&self, source: Source, notification: &str) -> Result<(), InvalidNotification> {
        for event in wrap(source, notification, &self.place)? {
            self.send(source.route(), event);
        }
        Ok(())
    }

    /// Sends a payload of the function, or a message of its queue; answers the request id or
    /// message id.
    pub fn send(&self, route: Route, event: String) -> String {
        match route {
            Route::Asynchronous => self.asynchronous.submit(event),
            Route::Queue => self.queue.send(event),
        }
    }

    /// The function, to invoke it directly or kill an instance.
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// The records of asynchronous events that failed for good.
    pub fn on_failure(&self) -> &Queue {
        &self.on_failure
    }

    /// The messages that failed for good.
    pub fn dead_letters(&self) -> &Queue {
        &self.dead_letters
    }

    /// What is unfinished here. Whoever brings events can count them in while they are on the way.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Whether nothing is queued, running, or about to come again.
    pub fn is_idle(&self) -> bool {
        self.activity.is_idle()
    }

    /// Waits until nothing is queued, running, or about to come again.
    pub async fn wait_idle(&self) {
        self.activity.wait_idle().await;
    }

    /// Ends all instances in order and abandons what is unfinished. All log lines have been handed
    /// over afterwards.
    pub async fn shutdown(self) {
        self.function.shutdown().await;
    }
}
