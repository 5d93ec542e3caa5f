//! Tests of the whole, through its public ways in.

mod cli;
mod deploy;
mod drift;
mod embedded_s3;
mod fidelity;
mod function;
mod live;
mod local_lambda;
mod metrics;
mod real_stores;
mod recordings;
mod replication;
mod requests;
mod setup;
mod simulate;
mod support;
mod transfer;
