//! The same scenarios on real servers: MinIO and LocalStack in containers, SeaweedFS as a process.
//!
//! `S3_REPLICATOR_TEST_STORES` switches them on, see [`servers::Kind::server`]. A server that is
//! switched on and cannot be started is a failure, never a skip.

mod compose;
mod container;
mod cross_service;
mod drift;
mod harness;
mod keeper;
mod killed;
mod live;
mod recordings;
mod replay;
mod seaweedfs;
pub(crate) mod servers;
mod setup;
mod table;
