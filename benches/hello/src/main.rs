//! The least that a Lambda function in Rust can be: what the replicator's cold start is held against.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

fn main() -> Result<(), Error> {
    let hello = service_fn(async |_: LambdaEvent<Value>| Ok::<_, Error>("hello, world"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(lambda_runtime::run(hello))
}
