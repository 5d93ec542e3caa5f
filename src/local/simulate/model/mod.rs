//! The model layer: the real reconcile over a store of a few lines, in virtual time.

mod bucket;
mod invocation;
mod judge;
mod parts;
mod request;
mod run;
mod store;
mod wire;
mod world;

pub(in crate::local::simulate) use request::Answer;
pub(super) use run::run;
