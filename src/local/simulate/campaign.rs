//! Many schedules of one configuration, on all cores.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::configuration::Configuration;
use super::generate::generate;
use super::mutant::Rules;
use super::oracle::Run;
use super::plan::Plan;
use super::trace::Trace;
use super::{model, sdk};

/// What a plan is run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Reconcile, over a model of S3, with a clause taken out or not.
    Model(Rules),
    /// The whole handler with the real SDK, against the embedded S3.
    Sdk,
}

impl Layer {
    /// Runs a plan to its end and judges it.
    pub fn run(self, plan: &Plan, trace: Trace) -> Run {
        match self {
            Self::Model(rules) => model::run(plan, rules, trace),
            Self::Sdk => {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .start_paused(true)
                    .build()
                    .expect("a runtime without I/O needs nothing");
                runtime.block_on(sdk::run(plan, trace))
            }
        }
    }

    /// How many schedules a thread takes at a time: a fraction of a second's.
    fn chunk(self) -> u64 {
        match self {
            Self::Model(_) => 2048,
            Self::Sdk => 16,
        }
    }
}

/// What many schedules showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there were.
    pub schedules: u64,
    /// How many of them ended badly.
    pub diverged: u64,
    /// The least seed of those.
    pub first: Option<u64>,
    /// The least seed of those that leave a replica wrong at rest, which a replay shows.
    pub first_at_rest: Option<u64>,
    /// How many by what was wrong first.
    pub kinds: BTreeMap<&'static str, u64>,
    /// How many invocations there were.
    pub invocations: u64,
    /// How many of them failed or died.
    pub failed: u64,
}

impl Tally {
    /// Failed invocations in a hundred.
    pub fn failed_percent(&self) -> f64 {
        self.failed as f64 * 100.0 / self.invocations.max(1) as f64
    }

    fn add(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.diverged += other.diverged;
        self.first = self.first.into_iter().chain(other.first).min();
        let at_rest = self.first_at_rest.into_iter();
        self.first_at_rest = at_rest.chain(other.first_at_rest).min();
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        self.invocations += other.invocations;
        self.failed += other.failed;
    }
}

/// Runs the schedules of `seeds`; `progress` hears of it now and then, and says whether to go on.
pub fn campaign(
    configuration: &Configuration,
    seeds: std::ops::Range<u64>,
    layer: Layer,
    threads: usize,
    progress: impl Fn(&Tally) -> bool + Sync,
) -> Tally {
    let (next, tally) = (AtomicU64::new(seeds.start), Mutex::new(Tally::default()));
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let from = next.fetch_add(layer.chunk(), Ordering::Relaxed);
                    if from >= seeds.end {
                        break;
                    }
                    let chunk = chunk(
                        configuration,
                        from..(from + layer.chunk()).min(seeds.end),
                        layer,
                    );
                    let mut tally = tally
                        .lock()
                        .expect("a thread that panics ends the campaign");
                    tally.add(chunk);
                    if !progress(&tally) {
                        next.store(seeds.end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    tally
        .into_inner()
        .expect("a thread that panics ends the campaign")
}

fn chunk(configuration: &Configuration, seeds: std::ops::Range<u64>, layer: Layer) -> Tally {
    let mut tally = Tally::default();
    for seed in seeds {
        let run = layer.run(&generate(configuration, seed), Trace::dropped());
        tally.schedules += 1;
        tally.invocations += run.invocations;
        tally.failed += run.failed;
        if let Some(divergence) = run.divergences.first() {
            tally.diverged += 1;
            tally.first.get_or_insert(seed);
            if divergence.problem.is_at_rest() {
                tally.first_at_rest.get_or_insert(seed);
            }
            *tally.kinds.entry(divergence.problem.name()).or_default() += 1;
        }
    }
    tally
}
