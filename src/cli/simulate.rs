//! `simulate`: many schedules of the real reconcile, or one of them told as a story.

use std::io::{IsTerminal, Write};
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use super::spectator::{json, line};
use super::{CommandError, Ended};
use crate::local::simulate::{
    Configuration, Layer, Mutant, Plan, Rules, Run, Tally, Trace, campaign, generate, recorded,
    shrink, story,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  s3-replicator simulate                                # 100,000 schedules of each configuration
  s3-replicator simulate kills --schedules 1000000
  s3-replicator simulate parts --sdk --schedules 1000   # the whole function, the real SDK
  s3-replicator simulate slow --mutant no-if-match      # takes a clause out, and finds it missing
  s3-replicator simulate slow --mutant no-if-match --seed 17533 --shrink
  s3-replicator simulate slow --seed 7 --recording-to bug.jsonl && s3-replicator replay bug.jsonl";

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Which kinds of schedules [default: all but residue]
    #[arg(value_name = "CONFIGURATION", value_parser = known::<Configuration>(&Configuration::ALL.map(|one| one.name)))]
    configurations: Vec<Configuration>,
    /// How many schedules of each [default: 100000, or 1000 with --sdk]
    #[arg(long, value_name = "N")]
    schedules: Option<u64>,
    /// The seed of the first schedule
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "seed")]
    from: u64,
    /// Goes on with fresh seeds, round after round, for so many seconds
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["seed", "schedules"])]
    soak: Option<u64>,
    /// Takes one clause of the algorithm out
    #[arg(long, value_name = "NAME", value_parser = known::<Mutant>(&Mutant::ALL.map(Mutant::as_str)))]
    mutant: Option<Mutant>,
    /// Runs the whole function with the real SDK against the embedded S3, some hundred schedules a
    /// second, instead of its algorithm against a model of S3
    #[arg(long, conflicts_with_all = ["mutant", "preconditions"])]
    sdk: bool,
    /// An experiment: writes and deletes carry the replica's observed state as a precondition
    #[arg(long)]
    preconditions: bool,
    /// Runs this one schedule and tells its story
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Makes a schedule that fails as small as it gets: that of --seed, or the first that leaves a
    /// replica wrong
    #[arg(long)]
    shrink: bool,
    /// Writes the schedule's recording to a file
    #[arg(long, value_name = "FILE")]
    recording_to: Option<std::path::PathBuf>,
    /// How many threads [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Prints JSON Lines
    #[arg(long)]
    json: bool,
}

/// One of these names, which help and errors list.
fn known<T>(names: &[&'static str]) -> impl TypedValueParser<Value = T> + use<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names.iter().copied()).try_map(|name| name.parse())
}

/// One configuration's line for machines.
#[derive(Serialize)]
struct Summary<'a> {
    configuration: &'a str,
    layer: &'a str,
    mutant: Option<&'a str>,
    schedules: u64,
    per_second: u64,
    diverged: u64,
    first_seed: Option<u64>,
    kinds: &'a std::collections::BTreeMap<&'static str, u64>,
    invocations: u64,
    failed_percent: f64,
}

/// One schedule for machines.
#[derive(Serialize)]
struct One<'a> {
    configuration: &'a str,
    seed: u64,
    lines: usize,
    divergences: Vec<String>,
    recording: &'a str,
    story: &'a str,
}

impl Simulate {
    pub(super) fn run(self) -> Result<Ended, CommandError> {
        if let Some(seed) = self.seed {
            let [configuration] = self.configurations[..] else {
                return Err(CommandError::Input(
                    "--seed needs exactly one configuration".to_owned(),
                ));
            };
            let failed = self.one(&configuration, seed)?;
            return Ok(ended(failed));
        }
        let end = self
            .soak
            .map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let mut from = self.from;
        if end.is_some() {
            let fresh = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            from = fresh.map_or(from, |time| time.as_nanos() as u64 >> 1);
        }
        let mut failed = false;
        loop {
            for configuration in self.chosen() {
                failed |= self.many(&configuration, from, end)?;
            }
            from += self.schedules();
            if failed || end.is_none_or(|end| Instant::now() >= end) {
                return Ok(ended(failed));
            }
        }
    }

    fn schedules(&self) -> u64 {
        let default = if self.sdk { 1_000 } else { 100_000 };
        self.schedules.unwrap_or(default)
    }

    fn layer(&self) -> Layer {
        match self.sdk {
            true => Layer::Sdk,
            false => Layer::Model(Rules {
                mutant: self.mutant,
                preconditions: self.preconditions,
            }),
        }
    }

    fn chosen(&self) -> Vec<Configuration> {
        if self.configurations.is_empty() {
            let all = Configuration::ALL.into_iter();
            return all
                .filter(|configuration| !configuration.has_residue)
                .collect();
        }
        self.configurations.clone()
    }

    /// Runs many schedules; tells whether some ended badly, or too many invocations failed.
    fn many(
        &self,
        configuration: &Configuration,
        from: u64,
        end: Option<Instant>,
    ) -> Result<bool, CommandError> {
        let started = Instant::now();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let shows = !self.json && std::io::stderr().is_terminal();
        let (last, shown) = (Mutex::new(started), AtomicBool::new(false));
        let progress = |tally: &Tally| {
            let mut last = last.lock().expect("nothing panics under this lock");
            if shows && last.elapsed() > Duration::from_millis(200) {
                *last = Instant::now();
                shown.store(true, Ordering::Relaxed);
                let rate = rate(tally, started);
                let Tally {
                    schedules,
                    diverged,
                    ..
                } = tally;
                let _ = write!(
                    std::io::stderr(),
                    "\r{configuration}: {schedules} of {}, {rate}/s, {diverged} diverged ",
                    self.schedules()
                );
            }
            end.is_none_or(|end| Instant::now() < end)
        };
        let seeds = from..from.saturating_add(self.schedules());
        let tally = campaign(
            configuration,
            seeds,
            self.layer(),
            self.threads.unwrap_or(cores),
            progress,
        );
        if shown.into_inner() {
            let _ = write!(std::io::stderr(), "\r{:78}\r", "");
        }
        self.show(configuration, &tally, rate(&tally, started));
        if let Some(first) = tally.first_at_rest.or(tally.first)
            && (self.shrink || self.recording_to.is_some())
        {
            self.one(configuration, first)?;
        }
        let too_many =
            self.mutant.is_none() && tally.failed_percent() > configuration.failed_percent as f64;
        Ok(tally.diverged > 0 || too_many)
    }

    fn show(&self, configuration: &Configuration, tally: &Tally, per_second: u64) {
        let mutant = self.mutant.map(Mutant::as_str);
        if self.json {
            return json(&Summary {
                configuration: configuration.name,
                layer: if self.sdk { "sdk" } else { "model" },
                mutant,
                schedules: tally.schedules,
                per_second,
                diverged: tally.diverged,
                first_seed: tally.first,
                kinds: &tally.kinds,
                invocations: tally.invocations,
                failed_percent: tally.failed_percent(),
            });
        }
        let name = mutant.map_or(configuration.name.to_owned(), |mutant| {
            format!("{configuration}, {mutant}")
        });
        let mut text = format!(
            "{name:<40} {:>9} schedules {per_second:>7}/s {:>7} diverged, {:.1} % of invocations failed",
            tally.schedules,
            tally.diverged,
            tally.failed_percent()
        );
        if let Some(first) = tally.first {
            let kinds: Vec<String> = tally
                .kinds
                .iter()
                .map(|(kind, count)| format!("{count} {kind}"))
                .collect();
            text.push_str(&format!("; first at seed {first}: {}", kinds.join(", ")));
        }
        line(format_args!("{text}"));
    }

    /// Runs one schedule and shows it; tells whether it ended badly.
    fn one(&self, configuration: &Configuration, seed: u64) -> Result<bool, CommandError> {
        let mut plan = generate(configuration, seed);
        let judged = |plan: &Plan| self.layer().run(plan, Trace::dropped());
        let problem = judged(&plan)
            .divergences
            .first()
            .map(|divergence| divergence.problem.name());
        if self.shrink && problem.is_some() {
            let fails = |plan: &Plan| {
                let divergences = judged(plan).divergences;
                divergences
                    .first()
                    .map(|divergence| divergence.problem.name())
                    == problem
            };
            plan = shrink(&plan, fails);
        }
        let run = self.layer().run(&plan, Trace::kept());
        let (recording, story) = (recorded(&plan, &run).to_json_lines(), story(&plan, &run));
        if let Some(file) = &self.recording_to {
            std::fs::write(file, &recording).map_err(|error| {
                CommandError::Input(format!("could not write {}: {error}", file.display()))
            })?;
        }
        self.show_one(configuration, seed, &plan, &run, &recording, &story);
        Ok(!run.divergences.is_empty())
    }

    fn show_one(
        &self,
        configuration: &Configuration,
        seed: u64,
        plan: &Plan,
        run: &Run,
        recording: &str,
        story: &str,
    ) {
        if self.json {
            return json(&One {
                configuration: configuration.name,
                seed,
                lines: plan.lines(),
                divergences: run.divergences.iter().map(ToString::to_string).collect(),
                recording,
                story,
            });
        }
        line(format_args!("{recording}\n{}", story.trim_end()));
        if run.divergences.is_empty() {
            line(format_args!("      right  every replica is equal"));
        }
    }
}

fn rate(tally: &Tally, started: Instant) -> u64 {
    (tally.schedules as f64 / started.elapsed().as_secs_f64().max(0.001)) as u64
}

fn ended(failed: bool) -> Ended {
    if failed {
        Ended::WithDifferences
    } else {
        Ended::Well
    }
}
