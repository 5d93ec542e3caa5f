//! The kinds of values that fields have.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::fields::Value;
use crate::local::recording::body::Body;
use crate::targets::{is_bucket_name, is_region};

/// The headers that a recording may give an object, as they are spelled in memory.
pub const HEADERS: [&str; 10] = [
    "Cache-Control",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Type",
    "Expires",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
];

/// What S3 keeps of user metadata at most, in bytes of names and values.
const METADATA_BYTES: usize = 2048;
const OBJECT_TAGS: usize = 10;
const BUCKET_TAGS: usize = 50;
/// The largest object that S3 holds.
const OBJECT_SIZE: u64 = 50 * (1 << 40);

pub(super) fn id(value: Value<'_>) -> Option<String> {
    value.text("a name that is not empty", |id| !id.is_empty())
}

pub(super) fn key(value: Value<'_>) -> Option<String> {
    value.text("a key of 1 to 1024 bytes", |key| {
        (1..=1024).contains(&key.len())
    })
}

pub(super) fn bucket_name(value: Value<'_>) -> Option<String> {
    value.text("a bucket name by S3's naming rules", is_bucket_name)
}

pub(super) fn region(value: Value<'_>) -> Option<String> {
    value.text("a region like ap-southeast-1", is_region)
}

pub(super) fn object_tags(value: Value<'_>) -> Option<BTreeMap<String, String>> {
    tags(value, OBJECT_TAGS)
}

pub(super) fn bucket_tags(value: Value<'_>) -> Option<BTreeMap<String, String>> {
    tags(value, BUCKET_TAGS)
}

fn tags(value: Value<'_>, most: usize) -> Option<BTreeMap<String, String>> {
    let what = format!("an object of at most {most} tags");
    limited(
        value,
        &what,
        |map| map.len() <= most,
        |name, value| {
            let length = name.encode_utf16().count();
            if !(1..=128).contains(&length) {
                return value.expected("a tag whose name has 1 to 128 characters");
            }
            let what = "a tag value of at most 256 characters";
            let value = value.text(what, |text| text.encode_utf16().count() <= 256)?;
            Some((name.to_owned(), value))
        },
    )
}

pub(super) fn metadata(value: Value<'_>) -> Option<BTreeMap<String, String>> {
    let size = |map: &BTreeMap<String, String>| {
        map.iter()
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
    };
    let what = format!("an object of user metadata, at most {METADATA_BYTES} bytes in all");
    limited(
        value,
        &what,
        |map| size(map) <= METADATA_BYTES,
        |name, value| {
            if name.is_empty() || !name.bytes().all(is_metadata_name) {
                return value.expected("metadata whose name is a header name in lowercase");
            }
            Some((
                name.to_owned(),
                value.text("text without control characters", is_header_value)?,
            ))
        },
    )
}

pub(super) fn headers(value: Value<'_>) -> Option<BTreeMap<String, String>> {
    value.map("an object of headers", |name, value| {
        match HEADERS
            .iter()
            .find(|known| known.eq_ignore_ascii_case(name))
        {
            Some(known) => {
                let what = "text without control characters, not empty";
                let value = value.text(what, |text| !text.is_empty() && is_header_value(text))?;
                Some(((*known).to_owned(), value))
            }
            None => value.expected(&format!("one of the headers {}", HEADERS.join(", "))),
        }
    })
}

/// Environment variables; what Lambda reserves is refused as Lambda refuses it.
pub(super) fn environment(value: Value<'_>) -> Option<BTreeMap<String, String>> {
    value.map("an object of environment variables", |name, value| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_name = name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphabetic())
            && name.bytes().all(is_letter);
        let is_reserved = name == "AWS_LAMBDA_RUNTIME_API" || name == "_HANDLER";
        if !is_name || is_reserved {
            return value.expected("an environment variable that Lambda lets one set");
        }
        Some((
            name.to_owned(),
            value.text("text without NUL", |text| !text.contains('\0'))?,
        ))
    })
}

/// A map that is good as a whole, too.
fn limited(
    value: Value<'_>,
    what: &str,
    is_good: impl FnOnce(&BTreeMap<String, String>) -> bool,
    read: impl FnMut(&str, Value<'_>) -> Option<(String, String)>,
) -> Option<BTreeMap<String, String>> {
    let mut value = value;
    let map = value.reborrow().map(what, read)?;
    if is_good(&map) {
        Some(map)
    } else {
        value.expected(what)
    }
}

fn is_metadata_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_header_value(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

pub(super) fn body(value: Value<'_>, recording: &Path) -> Option<Body> {
    let mut fields = value.fields()?;
    let form = fields.exactly_one(&["text", "base64", "file", "size"])?;
    let body = match form {
        "text" => fields
            .required(form, |value| value.text("text", |_| true))
            .map(Body::Text),
        "base64" => fields.required(form, base64),
        "file" => fields.required(form, |value| file(value, recording)),
        _ => {
            let size = fields.required(form, |value| value.unsigned(0..=OBJECT_SIZE));
            let seed = fields.optional("seed", |value| value.unsigned(0..=u64::MAX));
            size.map(|size| Body::Generated {
                size,
                seed: seed.unwrap_or(0),
            })
        }
    };
    fields.close();
    body
}

fn base64(mut value: Value<'_>) -> Option<Body> {
    let what = "base64 with padding";
    let text = value.reborrow().text(what, |_| true)?;
    match BASE64_STANDARD.decode(text) {
        Ok(bytes) => Some(Body::Base64(bytes.into())),
        Err(_) => value.expected(what),
    }
}

fn file(mut value: Value<'_>, recording: &Path) -> Option<Body> {
    let what = "a path relative to the recording";
    let is_relative = |name: &str| !name.is_empty() && Path::new(name).is_relative();
    let name = value.reborrow().text(what, is_relative)?;
    let path = recording.parent().unwrap_or(Path::new("")).join(&name);
    match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => Some(Body::File {
            name,
            size: metadata.len(),
            path,
        }),
        Ok(_) => value.expected(&format!("a file at {}", path.display())),
        Err(error) => value.expected(&format!("a file at {} ({error})", path.display())),
    }
}
