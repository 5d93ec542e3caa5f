//! The local world: everything around the function that AWS would be, on a laptop.
//!
//! - [`http`]: requests and answers as plain values; a service on a port or without a socket
//! - [`s3`]: the embedded S3
//! - [`lambda`]: the local Lambda, with its retries, queue and dead letters
//! - [`faults`]: what goes wrong between the function and its stores, and a journal of it all
//! - [`live`]: real stores' own events, and the function that they wake
//! - [`record`]: writes a recording of what happens
//! - [`recording`]: operations and deliveries in a file
//! - [`world`]: all of these together; replays recordings
//! - [`simulate`]: the same code in virtual time, millions of schedules at a time

pub mod faults;
pub mod http;
pub mod lambda;
pub mod live;
pub mod record;
pub mod recording;
pub mod s3;
pub mod simulate;
pub mod world;
