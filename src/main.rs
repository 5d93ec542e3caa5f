//! The command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    s3_replicator::cli::main()
}
