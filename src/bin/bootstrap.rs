//! The Lambda function: what AWS runs, and the local world too.

use std::process::ExitCode;

fn main() -> ExitCode {
    s3_replicator::function::run()
}
