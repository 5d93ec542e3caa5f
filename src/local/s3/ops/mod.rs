//! The operations, a file for each group: from a request of `s3s` to the store and back.

pub(super) mod attributes;
pub(super) mod buckets;
pub(super) mod copy;
pub(super) mod delete;
pub(super) mod get;
pub(super) mod kept;
pub(super) mod list;
pub(super) mod list_uploads;
pub(super) mod multipart;
pub(super) mod put;
pub(super) mod settings;
pub(super) mod tagging;
