//! Asynchronous invocation: a queue of events, retries, and a queue for what failed for good.
//!
//! Invariant: an accepted event ends in a successful invocation or in the on-failure queue.
//! Before it is tried again, or given up, the delay has passed and the store has quiesced.

use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::activity::{Activity, Busy};
use super::failure;
use super::invocation::{Event, Invoke, Quiesced, at_once};
use super::queue::Queue;

/// How events are retried.
#[derive(Clone)]
pub struct AsynchronousOptions {
    /// The ARN of the function, for records.
    pub function_arn: String,
    /// The delay before each retry. Lambda waits one minute, then two.
    pub retry_delays: Vec<Duration>,
    /// Where the records of events go that failed for good.
    pub on_failure: Queue,
    /// What else is awaited before an event is tried again.
    pub quiesced: Quiesced,
    /// Where events count as unfinished work.
    pub activity: Activity,
}

impl AsynchronousOptions {
    /// Two retries, with a laptop's delays.
    pub fn new(function_arn: impl Into<String>, on_failure: Queue) -> Self {
        Self {
            function_arn: function_arn.into(),
            retry_delays: local_retry_delays(),
            on_failure,
            quiesced: at_once(),
            activity: Activity::default(),
        }
    }
}

/// One second, then two, where Lambda waits minutes.
pub(super) fn local_retry_delays() -> Vec<Duration> {
    vec![Duration::from_secs(1), Duration::from_secs(2)]
}

/// Takes events and sees to it that they are handled. Dropping it abandons what is unfinished.
pub struct Asynchronous {
    accepted: mpsc::UnboundedSender<(Event, Busy)>,
    activity: Activity,
    dispatching: AbortHandle,
}

impl Asynchronous {
    /// Starts to wait for events.
    pub fn start(invoke: Invoke, options: AsynchronousOptions) -> Self {
        let (accepted, events) = mpsc::unbounded_channel();
        let activity = options.activity.clone();
        let dispatching = tokio::spawn(dispatch(events, invoke, options)).abort_handle();
        Self {
            accepted,
            activity,
            dispatching,
        }
    }

    /// Accepts an event, and answers the request id that all its attempts have.
    pub fn submit(&self, payload: impl Into<String>) -> String {
        let event = Event::new(payload);
        let request_id = event.request_id.clone();
        // Fails only once the runtime is going down, with everything on it.
        let _ = self.accepted.send((event, self.activity.begin()));
        request_id
    }
}

impl Drop for Asynchronous {
    fn drop(&mut self) {
        self.dispatching.abort();
    }
}

/// Works on all events at once; first attempts begin in the order of acceptance, and the function
/// decides how many of them run.
async fn dispatch(
    mut events: mpsc::UnboundedReceiver<(Event, Busy)>,
    invoke: Invoke,
    options: AsynchronousOptions,
) {
    let mut unfinished = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some((event, busy)) = events.recv() => {
                unfinished.push(handle(event, busy, &invoke, &options));
            }
            Some(()) = unfinished.next() => {}
            else => break,
        }
    }
}

async fn handle(event: Event, _busy: Busy, invoke: &Invoke, options: &AsynchronousOptions) {
    let attempts = options.retry_delays.len() + 1;
    // An event is given up only when nothing of its last attempt is left to take effect, either.
    let delays = options.retry_delays.iter().copied().chain([Duration::ZERO]);
    let mut last_error = None;
    for delay in delays {
        match invoke(event.clone()).await.result {
            Ok(_) => return,
            Err(error) => last_error = Some(error),
        }
        tokio::time::sleep(delay).await;
        (options.quiesced)().await;
    }
    let error = last_error.expect("there is at least one attempt");
    let now = SystemTime::now();
    let record = failure::record(&event, &options.function_arn, attempts, &error, now);
    options.on_failure.send(record);
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use rstest::rstest;
    use tokio::sync::{Semaphore, watch};
    use tokio::time::Instant;

    use super::super::invocation::{FunctionError, Invocation};
    use super::super::queue::QueueOptions;
    use super::*;

    type Attempts = Arc<Mutex<Vec<(Event, Instant)>>>;

    /// A function that fails so many times, and notes its attempts.
    fn failing(times: usize) -> (Invoke, Attempts) {
        let attempts = Attempts::default();
        let noted = Arc::clone(&attempts);
        let invoke: Invoke = Arc::new(move |event| {
            let mut attempts = attempts.lock().unwrap();
            let request_id = event.request_id.clone();
            attempts.push((event, Instant::now()));
            let result = match attempts.len() > times {
                true => Ok("null".to_owned()),
                false => Err(FunctionError::new(
                    "Boom",
                    format!("attempt {}", attempts.len()),
                )),
            };
            Box::pin(async {
                Invocation {
                    request_id,
                    instance: None,
                    result,
                }
            })
        });
        (invoke, noted)
    }

    fn options() -> AsynchronousOptions {
        let on_failure = Queue::new(QueueOptions::new("arn:aws:sqs:::on-failure"));
        AsynchronousOptions::new("arn:aws:lambda:::function:f", on_failure)
    }

    #[rstest]
    #[case::at_first(0, &[0], 0)]
    #[case::at_second(1, &[0, 1], 0)]
    #[case::at_third(2, &[0, 1, 3], 0)]
    #[case::never(99, &[0, 1, 3], 1)]
    #[tokio::test(start_paused = true)]
    async fn event_succeeds_or_lands_in_the_on_failure_queue(
        #[case] failures: usize,
        #[case] at_seconds: &[u64],
        #[case] records: usize,
    ) {
        let (invoke, attempts) = failing(failures);
        let options = options();
        let (on_failure, activity) = (options.on_failure.clone(), options.activity.clone());
        let start = Instant::now();
        let asynchronous = Asynchronous::start(invoke, options);
        let request_id = asynchronous.submit("{}");
        assert!(!activity.is_idle());
        activity.wait_idle().await;
        let attempts = attempts.lock().unwrap();
        let seconds: Vec<u64> = attempts
            .iter()
            .map(|(_, at)| (*at - start).as_secs())
            .collect();
        assert_eq!(seconds, at_seconds);
        assert!(
            attempts
                .iter()
                .all(|(event, _)| event.request_id == request_id)
        );
        assert_eq!(on_failure.len(), records);
    }

    #[tokio::test(start_paused = true)]
    async fn record_tells_the_last_error_and_the_number_of_attempts() {
        let (invoke, _) = failing(99);
        let options = options();
        let (on_failure, activity) = (options.on_failure.clone(), options.activity.clone());
        let asynchronous = Asynchronous::start(invoke, options);
        let request_id = asynchronous.submit(r#"{"Records": [1]}"#);
        activity.wait_idle().await;
        let record: serde_json::Value =
            serde_json::from_str(&on_failure.drain().remove(0).body).unwrap();
        assert_eq!(record["requestContext"]["requestId"], request_id);
        assert_eq!(record["requestContext"]["approximateInvokeCount"], 3);
        assert_eq!(record["requestPayload"]["Records"][0], 1);
        assert_eq!(record["responsePayload"]["errorMessage"], "attempt 3");
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_redelivered_before_the_delay_passed_and_the_store_quiesced() {
        let (invoke, attempts) = failing(1);
        let (quiet, quiets) = watch::channel(false);
        let mut options = options();
        let activity = options.activity.clone();
        options.quiesced = Arc::new(move || {
            let mut quiets = quiets.clone();
            Box::pin(async move {
                let _ = quiets.wait_for(|quiet| *quiet).await;
            })
        });
        let asynchronous = Asynchronous::start(invoke, options);
        asynchronous.submit("{}");
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(attempts.lock().unwrap().len(), 1);
        assert!(!activity.is_idle());
        quiet.send_replace(true);
        activity.wait_idle().await;
        assert_eq!(attempts.lock().unwrap().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn first_attempts_begin_in_the_order_of_acceptance() {
        let (answer, attempts) = failing(0);
        let slot = Arc::new(Semaphore::new(1));
        let invoke: Invoke = Arc::new(move |event| {
            let (slot, answer) = (Arc::clone(&slot), Arc::clone(&answer));
            Box::pin(async move {
                let _slot = slot.acquire().await.unwrap();
                tokio::task::yield_now().await;
                answer(event).await
            })
        });
        let options = options();
        let activity = options.activity.clone();
        let asynchronous = Asynchronous::start(invoke, options);
        let submitted: Vec<String> = (0..50)
            .map(|n| asynchronous.submit(n.to_string()))
            .collect();
        activity.wait_idle().await;
        let attempts = attempts.lock().unwrap();
        let begun: Vec<&String> = attempts
            .iter()
            .map(|(event, _)| &event.request_id)
            .collect();
        assert_eq!(begun, submitted.iter().collect::<Vec<_>>());
    }
}
