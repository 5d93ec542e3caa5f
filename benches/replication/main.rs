//! Benchmarks: the function side by side with other tools, in one run on one store.
//!
//! ```text
//! just bench                     about a quarter of an hour
//! just bench --quick             about a minute, and coarse
//! just bench --only large        a section: cold, requests, small, growth or large
//! just bench --out FILE          JSON elsewhere than target/bench.json
//! ```
//!
//! What is measured is the packaged binary behind a Runtime API, as a process: its own CPU clock,
//! its own memory, and what the store says it was asked for. Nothing of this program's own work
//! counts. Linux only.

mod budgets;
mod cold;
mod events;
mod function;
mod growth;
mod large;
mod peers;
mod process;
mod report;
mod requests;
mod small;
mod store;

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use s3_replicator::error::chain;

use function::Function;
use peers::Peers;
use report::Report;
use store::{KEYS, Minio};

/// A failure is the end of the run, and its text is all that matters of it.
type Fallible<T> = Result<T, Box<dyn Error>>;

/// Site of the targets that are streamed to: the same server, asked as somebody else.
const ELSEWHERE: &str = "elsewhere";

/// How much is measured.
struct Size {
    repeats: usize,
    /// Objects of the comparison with other tools.
    small: usize,
    /// Events that come one by one.
    events: usize,
    cold_starts: usize,
    /// Changes in one invocation.
    growth: &'static [usize],
    large: &'static [Large],
}

/// A large object: its name, the size of a part, how many parts, how often it is moved.
struct Large {
    name: &'static str,
    part_mib: usize,
    parts: i32,
    /// Whether the master keeps a checksum by this algorithm.
    checksum: Option<ChecksumAlgorithm>,
    repeats: usize,
}

const COMPLETE: Size = Size {
    repeats: 3,
    small: 1000,
    events: 300,
    cold_starts: 41,
    growth: &[1, 10, 100, 1000, 10_000],
    large: &[
        Large {
            name: "1 GiB in parts of 8 MiB",
            part_mib: 8,
            parts: 128,
            checksum: None,
            repeats: 3,
        },
        Large {
            name: "1 GiB in parts of 512 MiB",
            part_mib: 512,
            parts: 2,
            checksum: None,
            repeats: 1,
        },
        Large {
            name: "5 GiB in parts of 8 MiB",
            part_mib: 8,
            parts: 640,
            checksum: None,
            repeats: 1,
        },
        Large {
            name: "1 GiB in parts of 8 MiB, CRC32",
            part_mib: 8,
            parts: 128,
            checksum: Some(ChecksumAlgorithm::Crc32),
            repeats: 1,
        },
    ],
};

const QUICK: Size = Size {
    repeats: 1,
    small: 200,
    events: 50,
    cold_starts: 11,
    growth: &[1, 100, 1000],
    large: &[Large {
        name: "256 MiB in parts of 8 MiB",
        part_mib: 8,
        parts: 32,
        checksum: None,
        repeats: 1,
    }],
};

/// What there is to measure, and to measure with.
struct Bench {
    size: Size,
    bootstrap: PathBuf,
    hello: PathBuf,
    /// Where logs and the store's data are.
    folder: PathBuf,
    peers: Option<Peers>,
}

impl Bench {
    /// Starts the function, at a store and with these variables besides.
    fn start(&self, minio: &Minio, variables: &[(&str, &str)]) -> Fallible<Function> {
        let config = self.folder.join("aws-config");
        let (id, secret) = KEYS;
        fs::write(
            &config,
            format!(
                "[profile {ELSEWHERE}]\nregion = us-east-1\nendpoint_url = http://{}\n\
                 aws_access_key_id = {id}\naws_secret_access_key = {secret}\n",
                minio.address
            ),
        )?;
        let own = [
            ("AWS_CONFIG_FILE", config.display().to_string()),
            ("AWS_ENDPOINT_URL_S3", format!("http://{}", minio.address)),
            ("S3_REPLICATOR_TAG_TTL", "3600".to_owned()),
        ];
        let mut environment = environment();
        environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
        let more = variables.iter();
        environment.extend(more.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Function::start(&self.bootstrap, &environment, &self.log("function"))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }
}

/// What the function finds set on Lambda.
fn environment() -> Vec<(String, String)> {
    let variables = [
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", KEYS.0),
        ("AWS_SECRET_ACCESS_KEY", KEYS.1),
        ("S3_REPLICATOR_MASTERS", "*"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    variables.to_vec()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    // What builds and runs every target to test it, does not measure.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("nothing measured; `just bench` does");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Fallible<()> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let target = target.parent().ok_or("the target folder has no name")?;
    let (mut size, mut out, mut only) = (COMPLETE, target.join("bench.json"), None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => {}
            "--quick" => size = QUICK,
            "--out" => out = arguments.next().ok_or("--out wants a file")?.into(),
            "--only" => only = Some(arguments.next().ok_or("--only wants a section")?.as_str()),
            other => {
                return Err(
                    format!("{other} is not known; --quick, --only SECTION, --out FILE").into(),
                );
            }
        }
    }
    let folder = target.join("tmp/bench");
    fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join("lock"))?;
    lock.try_lock()
        .map_err(|_| "another benchmark is running in this target folder")?;
    let cache = cache()?;
    let mut report = Report::default();
    let peers = Peers::install(&cache);
    if let Err(error) = &peers {
        report.missing.push(format!("s5cmd and rclone: {error}"));
    }
    let bench = Bench {
        size,
        bootstrap: built(target, "bootstrap")?,
        hello: built(target, "hello-world")?,
        folder,
        peers: peers.ok(),
    };
    measure(&bench, store::find(&cache).as_deref(), only, &mut report)?;
    let machine = machine()?;
    let budgets = budgets::judge(&bench, &report);
    report.print(&machine, &budgets);
    let json = report.json(&machine, &budgets);
    fs::write(&out, format!("{json:#}\n"))?;
    println!("\nJSON: {}", out.display());
    Ok(())
}

/// What is measured at a store, under the names that `--only` takes.
type Section = fn(&Bench, &Minio, &mut Report) -> Fallible<()>;
const SECTIONS: [(&str, Section); 4] = [
    ("requests", requests::measure),
    ("small", small::measure),
    ("growth", growth::measure),
    ("large", large::measure),
];

fn measure(
    bench: &Bench,
    minio: Option<&Path>,
    only: Option<&str>,
    report: &mut Report,
) -> Fallible<()> {
    let is_wanted = |section: &str| only.is_none_or(|only| only == section);
    let is_known = |only: &&str| *only == "cold" || SECTIONS.iter().any(|(name, _)| name == only);
    if let Some(only) = only.filter(|only| !is_known(only)) {
        return Err(format!("--only {only}: cold, requests, small, growth or large").into());
    }
    if is_wanted("cold") {
        eprintln!("cold start");
        cold::starts(bench, report)?;
    }
    let Some(binary) = minio else {
        report.missing.push(
            "all that needs a store: MINIO does not name a MinIO binary, and none is in the cache"
                .to_owned(),
        );
        return Ok(());
    };
    if is_wanted("cold") {
        eprintln!("first event");
        cold::first_events(bench, binary, report)?;
    }
    let minio = Minio::start(binary, &bench.folder.join("store"), None, &[])?;
    for (name, section) in SECTIONS {
        if is_wanted(name) {
            eprintln!("{name}");
            section(bench, &minio, report)?;
        }
    }
    Ok(())
}

/// Pauses this program, which has nothing else to do.
#[expect(clippy::disallowed_methods, reason = "nothing else runs here")]
fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// What outlives a checkout.
fn cache() -> Fallible<PathBuf> {
    let cache = match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => PathBuf::from(home).join(".cache"),
        (None, None) => return Err("neither XDG_CACHE_HOME nor HOME is set".into()),
    };
    let cache = cache.join("s3-replicator");
    fs::create_dir_all(&cache)?;
    Ok(cache)
}

fn built(target: &Path, name: &str) -> Fallible<PathBuf> {
    let path = target.join("release").join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} is not there; `just bench` builds it", path.display()).into())
    }
}

/// The machine and the time, in one line.
fn machine() -> Fallible<String> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let models = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name"));
    let models: Vec<&str> = models.collect();
    let model = models
        .first()
        .map_or("", |model| model.trim_start_matches(['\t', ' ', ':']));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let now = DateTime::from(SystemTime::now()).fmt(Format::DateTime)?;
    let minute = now.split('.').next().unwrap_or(&now);
    Ok(format!(
        "{} × {model}, Linux {}, {minute}, load {load} at the end",
        models.len(),
        kernel.trim()
    ))
}
