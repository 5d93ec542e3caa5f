//! Drift: whether every replica is as its master is, for whole buckets, and making it so.
//!
//! ```text
//!  scope, filter ─▶ listing ─▶ merge ─┐
//!                  inventory ─────────┴▶ keys ─▶ verify: look, judge, look again ─▶ batch_manifest
//!                                             └▶ sync: reconcile, then delete what is extra
//! ```
//!
//! A walk goes over the keys of a master and of its targets in key order, side by side, and holds
//! no more than a page of each, so memory does not grow with the number of keys. What it judges by
//! is what reconcile judges by, and what it repairs with is reconcile itself: this module decides
//! nothing about one key that the function would decide otherwise.
//!
//! In reading order:
//!
//! - [`scope`], [`filter`]: which keys are meant; pure
//! - [`merge`], [`listing`], [`inventory`], [`keys`]: from buckets to one stream of keys
//! - [`subject`]: the master, its targets, and what is needed to ask them
//! - [`walk`], [`position`]: as many keys at once as are admitted, and where to go on from
//! - [`judge`], [`verify`], [`batch_manifest`]: what is right, what is not, and for whom to repair it
//! - [`sync`], [`other_masters`]: repairs, and what must not be deleted
//! - [`cost`], [`throttle`]: what it costs, and how many requests go out
//!
//! Deliberately absent: a file of what was done, and a retry loop of its own. A walk that ended
//! early is taken up by `--start-after`, and what is equal already costs no write.

pub mod batch_manifest;
pub mod cost;
pub mod filter;
pub mod inventory;
pub mod judge;
pub mod keys;
pub mod listing;
pub mod merge;
pub mod other_masters;
pub mod position;
pub mod scope;
pub mod subject;
pub mod sync;
pub mod throttle;
pub mod verify;
pub mod walk;
