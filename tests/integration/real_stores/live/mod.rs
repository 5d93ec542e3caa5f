//! Events that a store sends by itself: `dev` and `record` at work, and nothing lost on the way.

mod by_hand;
mod dead_letters;
mod localstack;
mod minio;
mod world;

pub(crate) use localstack::Queues;
