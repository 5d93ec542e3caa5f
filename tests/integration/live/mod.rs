//! `record` around the embedded S3, recordings of real stores, and stores that send no events; what
//! needs a real store is in [`real_stores::live`](crate::real_stores).

mod captured;
pub(crate) mod command;
mod embedded;
pub(crate) mod store;
