//! The command line: one file a subcommand.
//!
//! Exit code 0: all is well. 1: a difference, a failed expectation, an operation that failed.
//! 2: wrong usage or input. 130: interrupted.

mod account;
mod arn;
mod demo;
mod dev;
mod diagnosis;
mod doctor;
mod program;
mod record;
mod redrive;
mod replay;
mod setup;
mod simulate;
mod spectator;
mod store;
mod sync;
mod verify;
mod walk;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Failure, chain};
use crate::local::live::LiveError;
use crate::local::record::RecordError;

/// Keeps any number of S3 buckets equal to one master bucket.
#[derive(Debug, Parser)]
#[command(
    name = "s3-replicator",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_help = EXAMPLES
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  s3-replicator demo
  s3-replicator dev --master artifacts@us-east-1 --target copy@eu-central-1
  s3-replicator replay fixtures/recordings/*.jsonl
  s3-replicator setup --master artifacts --target copy@eu-central-1 --queue ARN --dry-run
  s3-replicator doctor --master artifacts
  s3-replicator verify s3://artifacts
  s3-replicator sync s3://artifacts --dry-run";

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the tour: objects appear in two regions and vanish again
    #[command(after_help = demo::EXAMPLES)]
    Demo(demo::Demo),
    /// Keeps a local world up and replicates what any S3 client writes to it
    #[command(after_help = dev::EXAMPLES)]
    Dev(dev::Dev),
    /// Replays recordings and judges their expectations
    #[command(after_help = replay::EXAMPLES)]
    Replay(replay::Replay),
    /// Does what `dev` does, and writes a recording of it
    #[command(after_help = record::EXAMPLES)]
    Record(record::Record),
    /// Runs the real reconcile under many schedules in virtual time, and finds those that diverge
    #[command(after_help = simulate::EXAMPLES)]
    Simulate(simulate::Simulate),
    /// Tells whether every replica is right, and which are not
    #[command(after_help = verify::EXAMPLES)]
    Verify(verify::Verify),
    /// Makes every replica right, by the same reconcile as the function
    #[command(after_help = sync::EXAMPLES)]
    Sync(sync::Sync),
    /// Has a bucket replicated: checks, shows what it would write, and writes it
    #[command(after_help = setup::EXAMPLES)]
    Setup(Box<setup::Setup>),
    /// Finds out what keeps a bucket from being replicated, and says how to mend it
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(Box<doctor::Doctor>),
    /// Puts messages of a dead-letter queue back, for another chance
    #[command(after_help = redrive::EXAMPLES)]
    Redrive(redrive::Redrive),
    /// Runs the Lambda function in this process, as bootstrap does
    #[command(hide = true)]
    Function,
}

/// What every command that starts the function takes.
#[derive(Debug, Args)]
struct FunctionArguments {
    /// The function to run: a bootstrap, or the package that holds one [default: the bootstrap
    /// beside this program, or this program itself]
    #[arg(long, value_name = "PATH")]
    function: Option<std::path::PathBuf>,
    /// Where the buckets are: embedded (the S3 in this program), minio, localstack, or the
    /// http://HOST:PORT of any other S3, whose credentials are taken from the AWS variables
    #[arg(long, default_value = "embedded", value_name = "STORE")]
    store: store::StoreName,
}

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    /// Exit code 2.
    #[error("{0}")]
    Input(String),
    /// Exit code 1.
    #[error(transparent)]
    World(#[from] crate::local::world::WorldError),
    /// Exit code 1.
    #[error(transparent)]
    Store(#[from] crate::local::world::StoreError),
    /// Exit code 1.
    #[error(transparent)]
    Live(#[from] crate::local::live::LiveError),
    /// Exit code 1, or 2 for what the user named.
    #[error(transparent)]
    Record(#[from] crate::local::record::RecordError),
    /// Exit code 1.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// Exit code 1.
    #[error(
        "the notification rules of s3://{bucket}, which say what is replicated, could not be read; \
         name a prefix instead, or all keys with s3://{bucket}/",
        bucket = .0.place.bucket
    )]
    Unscoped(#[source] Failure),
    /// Exit code 1.
    #[error(
        "whether another master replicates into a target could not be found out, so nothing was done; \
         without --delete nothing is deleted, and --assume-only-master says that there is none"
    )]
    OtherMasters(#[source] Failure),
    /// Exit code 1.
    #[error("could not write {path}")]
    Write {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

/// How a command ended.
enum Ended {
    Well,
    WithDifferences,
    Interrupted,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match arguments.command {
        Command::Function => return crate::function::run(),
        // It has runtimes of its own, one for each schedule.
        Command::Simulate(simulate) => simulate.run(),
        command => run(command),
    };
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::WithDifferences) => ExitCode::from(1),
        Ok(Ended::Interrupted) => ExitCode::from(130),
        Err(error) => {
            anstream::eprintln!("error: {}", chain(&error));
            ExitCode::from(match error {
                CommandError::Input(_)
                | CommandError::Live(LiveError::SeveralMasters { .. })
                | CommandError::Record(RecordError::Exists(_)) => 2,
                CommandError::World(_)
                | CommandError::Failure(_)
                | CommandError::OtherMasters(_)
                | CommandError::Unscoped(_)
                | CommandError::Write { .. }
                | CommandError::Store(_)
                | CommandError::Live(_)
                | CommandError::Record(_) => 1,
            })
        }
    }
}

fn run(command: Command) -> Result<Ended, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("the operating system gives a process its event queue");
    runtime.block_on(async {
        match command {
            Command::Demo(demo) => demo.run().await,
            Command::Dev(dev) => dev.run().await,
            Command::Record(record) => record.run().await,
            Command::Redrive(redrive) => redrive.run().await,
            Command::Replay(replay) => replay.run().await,
            Command::Setup(setup) => setup.run().await,
            Command::Doctor(doctor) => doctor.run().await,
            Command::Verify(verify) => verify.run().await,
            Command::Sync(sync) => sync.run().await,
            Command::Simulate(_) | Command::Function => unreachable!("they run without it"),
        }
    })
}

/// Listens for Ctrl-C, SIGTERM and SIGHUP from now on; resolves once one has come.
fn told_to_end() -> impl Future<Output = ()> {
    let listen = |kind| signal(kind).expect("signals can be listened to");
    let (mut interrupt, mut terminate) = (
        listen(SignalKind::interrupt()),
        listen(SignalKind::terminate()),
    );
    let mut hangup = listen(SignalKind::hangup());
    async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
