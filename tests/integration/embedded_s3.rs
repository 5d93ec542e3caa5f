//! The embedded S3, as the real SDK sees it.

mod checksums;
mod conditions;
mod copies;
mod listings;
mod multipart;
mod notifications;
mod objects;
mod protocol;
mod settings;
mod versions;
