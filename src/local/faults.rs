//! Faults between the function and a store, a journal of what it asked for, and a way to wait
//! until no request is in flight.
//!
//! Only the function's requests are ever disturbed: those whose `User-Agent` names an instance
//! (`app/instance-1`). What sets a scene up or checks it passes untouched, but is written down.
//! Which request a fault takes is decided by order alone, so a run repeats; no choice is left
//! that would want a seed.

mod answer;
mod body;
mod fault;
mod journal;
mod layer;
mod operation;
mod remote;

pub(in crate::local) use answer::{error as error_answer, error_in_200 as error_in_200_answer};
pub use fault::{Effect, Fault, Scope, When};
pub use journal::{Ending, Entry};
pub(in crate::local) use layer::instance_of;
pub use layer::{FaultLayer, Faults, KillHook};
pub use operation::{Named, S3Operation, operation_of};
pub use remote::{InvalidEndpoint, RemoteService};

#[cfg(test)]
mod tests;
