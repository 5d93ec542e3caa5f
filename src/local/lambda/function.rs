//! A function: instances of one program, started on demand and used again.
//!
//! Invariant: an instance has one event at a time, and at most `concurrency` events are in work.
//! Only an instance that asks for an event gets one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};

use super::activity::Activity;
use super::instance::{Instance, Program};
use super::invocation::{Event, FunctionError, Invocation, Invoke};
use super::process::{LogLine, Process};
use super::runtime_api::Answer;

/// What a function is and may do.
#[derive(Debug, Clone)]
pub struct FunctionOptions {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub program: Program,
    /// Its region.
    pub region: String,
    /// The account it belongs to, twelve digits.
    pub account: String,
    /// The memory it is told to have, in MB; nothing enforces it.
    pub memory_mb: u32,
    /// How long an instance may take until it asks for its first event. Lambda's is 10 s.
    pub init_timeout: Duration,
    /// How long one event may take; an instance that takes longer is killed.
    pub timeout: Duration,
    /// How many events may be in work at once; more wait, first come first served.
    pub concurrency: usize,
    /// Where the lines go that instances write.
    pub logs: Option<mpsc::UnboundedSender<LogLine>>,
}

impl FunctionOptions {
    /// A function of this program, otherwise as small functions commonly are.
    pub fn new(name: impl Into<String>, program: Program) -> Self {
        Self {
            name: name.into(),
            program,
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            memory_mb: 256,
            init_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            concurrency: 4,
            logs: None,
        }
    }

    /// The function's ARN, without a version.
    pub fn arn(&self) -> String {
        format!(
            "arn:aws:lambda:{}:{}:function:{}",
            self.region, self.account, self.name
        )
    }
}

/// A function that can be invoked. Clones are the same function; when the last one is dropped,
/// its instances are killed.
#[derive(Clone)]
pub struct Function(Arc<Inner>);

struct Inner {
    options: FunctionOptions,
    activity: Activity,
    slots: Semaphore,
    started: AtomicU32,
    /// Instances that have answered and may be used again.
    idle: Mutex<Vec<Instance>>,
    /// Handles to all processes that may be alive; none once the function is shut down.
    processes: Mutex<Option<BTreeMap<u32, Process>>>,
}

impl Function {
    /// A function without any instance yet. What it has in work is counted in `activity`.
    pub fn new(options: FunctionOptions, activity: Activity) -> Self {
        let slots = Semaphore::new(options.concurrency);
        Self(Arc::new(Inner {
            options,
            activity,
            slots,
            started: AtomicU32::new(0),
            idle: Mutex::default(),
            processes: Mutex::new(Some(BTreeMap::new())),
        }))
    }

    /// What it was made of.
    pub fn options(&self) -> &FunctionOptions {
        &self.0.options
    }

    /// Has the payload handled once, by an instance at rest or a new one.
    pub async fn invoke(&self, payload: impl Into<String>) -> Invocation {
        self.run(Event::new(payload)).await
    }

    /// Has an event handled once. Dropping the future kills the instance that has it.
    pub async fn run(&self, event: Event) -> Invocation {
        let request_id = event.request_id.clone();
        let _busy = self.0.activity.begin();
        let (instance, result) = self.0.attempt(event).await;
        Invocation {
            request_id,
            instance,
            result,
        }
    }

    /// The way into this function, for those that deliver events.
    pub fn invoker(&self) -> Invoke {
        let function = self.clone();
        Arc::new(move |event| {
            let function = function.clone();
            Box::pin(async move { function.run(event).await })
        })
    }

    /// Kills an instance, wherever it is in its work; false if it is not alive.
    pub fn kill(&self, instance: u32) -> bool {
        let processes = self.0.processes();
        let alive = processes
            .as_ref()
            .and_then(|processes| processes.get(&instance));
        match alive.filter(|process| !process.has_ended()) {
            Some(process) => {
                process.kill();
                true
            }
            None => false,
        }
    }

    /// Ends all instances: SIGTERM, and SIGKILL two seconds later. Events in work fail, later ones
    /// are refused. Every line that was written has been handed over afterwards.
    pub async fn shutdown(&self) {
        self.0.slots.close();
        let processes = self.0.processes().take().unwrap_or_default();
        for process in processes.values() {
            process.terminate();
        }
        for process in processes.values() {
            process.ended().await;
        }
        self.0.idle().clear();
    }
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, Vec<Instance>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn processes(&self) -> MutexGuard<'_, Option<BTreeMap<u32, Process>>> {
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn attempt(&self, event: Event) -> (Option<u32>, Answer) {
        let Ok(_slot) = self.slots.acquire().await else {
            return (None, Err(shut_down()));
        };
        let instance = match self.ready_instance().await {
            Ok(instance) => instance,
            Err((number, error)) => return (Some(number), Err(error)),
        };
        let answer = instance.invoke(event, &self.options).await;
        let number = instance.number();
        if !instance.process().is_doomed() {
            self.idle().push(instance);
        }
        (Some(number), answer)
    }

    /// An instance at rest, if one comes back from its last event, else a new one.
    async fn ready_instance(&self) -> Result<Instance, (u32, FunctionError)> {
        while let Some(instance) = self.take_idle() {
            if instance.comes_back(self.options.timeout).await {
                return Ok(instance);
            }
        }
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        let of_it = |error| (number, error);
        let instance = Instance::spawn(number, &self.options)
            .await
            .map_err(of_it)?;
        match self.processes().as_mut() {
            Some(processes) => {
                processes.retain(|_, process| !process.has_ended());
                processes.insert(number, instance.process().clone());
            }
            None => return Err((number, shut_down())),
        }
        instance
            .initialized(self.options.init_timeout)
            .await
            .map_err(of_it)?;
        Ok(instance)
    }

    /// The instance used last that asks for an event, or else one that may do so soon.
    fn take_idle(&self) -> Option<Instance> {
        let mut idle = self.idle();
        let ready = idle.iter().rposition(Instance::is_ready);
        ready.map(|at| idle.remove(at)).or_else(|| idle.pop())
    }
}

fn shut_down() -> FunctionError {
    FunctionError::new("ServiceException", "the function has been shut down")
}
