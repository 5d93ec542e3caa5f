//! The SDK layer: the whole handler with the real SDK against the embedded S3, without a socket.
//!
//! It shows what the model cannot: requests as HTTP, the SDK's own retries, lost answers as the
//! interceptor sees them, deadlines, streaming. Everything that would differ from run to run comes
//! from the plan's seed or from virtual time.

mod history;
mod judge;
mod log;
mod memory;
mod run;
mod user;
mod wire;
mod world;

pub(super) use run::run;
