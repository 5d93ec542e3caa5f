//! s3-replicator keeps any number of S3 buckets equal to one master bucket.
//!
//! A tag on the master names the targets, its event notifications wake the function, and the
//! function makes every target equal again. An event only says *look at this key*; what is there
//! to be seen decides, so it does not matter how often, how late or in which order events come.
//!
//! ```text
//!            parse                    decide                        execute
//! payload ─▶ envelope ─▶ change ─▶ ┌ reconcile ─▶ plan ─▶ object ┐ ─▶ store, transfer, s3
//!            targets ◀── routes ─▶ └ observe, decide, act, confirm ┘
//!            config                                                  site, handler, telemetry
//! ```
//!
//! A pure core in a thin shell: envelopes, keys, tags, equality and the plan are functions over
//! plain data. Only `site`, `routes`, `store`, `s3`, `transfer` and `handler` touch the network, only
//! `function` and `site` the environment. `reconcile` is written over a small trait, so that it
//! runs on real S3 as well as on a model of it.
//!
//! In reading order:
//!
//! - [`change`], [`envelope`]: any payload becomes changes, each with the id to report failure under
//! - [`targets`], [`config`]: the tag grammar, the environment
//! - [`object`], [`plan`]: when two objects are equal, and what follows if they are not
//! - [`reconcile`]: one key made equal everywhere, and why that converges
//! - [`site`], [`routes`]: from a region or profile to a client, from a master to its targets
//! - [`store`], [`transfer`], [`s3`]: one key on real S3, how its bytes move, the requests
//! - [`handler`], [`function`]: one invocation, and the process around it
//! - [`error`], [`telemetry`], [`metrics`]: what went wrong, and who hears of it
//!
//! Two features are for laptops and not in the Lambda's binary: `local`, a world with an embedded
//! S3 and a local Lambda, and `cli`, the command line, with [`drift`] for whole buckets.
//!
//! Deliberately absent: a database, a lock, an order of events, a retry loop of our own around the
//! SDK's, and anything written onto replicas that the master does not have.

pub mod change;
#[cfg(feature = "cli")]
pub mod cli;
pub mod config;
#[cfg(feature = "cli")]
pub mod drift;
pub mod envelope;
pub mod error;
mod excerpt;
pub mod function;
pub mod handler;
mod http_client;
#[cfg(feature = "local")]
pub mod local;
pub mod metrics;
pub mod object;
pub mod plan;
pub mod reconcile;
pub mod routes;
pub mod s3;
pub mod site;
pub mod store;
pub mod targets;
pub mod telemetry;
pub mod transfer;
