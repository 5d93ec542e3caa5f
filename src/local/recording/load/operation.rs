//! The operations.

use std::path::Path;

use super::fields::{Fields, Value, boolean};
use super::values;
use crate::local::recording::body::Body;
use crate::local::recording::step::{Checksum, Copy, Delete, OperationKind, Put, Tag, Untag};

pub(super) const NAMES: [&str; 7] = [
    "put",
    "copy",
    "delete",
    "tag",
    "untag",
    "versioning",
    "bucket_tags",
];

const LEAST_PART: u64 = 5 * 1024 * 1024;
const MOST_PART: u64 = 5 * 1024 * 1024 * 1024;
const MOST_PARTS: usize = 10_000;

/// Reads the operation called `name`, which is one of [`NAMES`].
pub(super) fn read(name: &str, value: Value<'_>, path: &Path) -> Option<OperationKind> {
    match name {
        "versioning" => versioning(value).map(OperationKind::Versioning),
        "bucket_tags" => values::bucket_tags(value).map(OperationKind::BucketTags),
        _ => {
            let mut fields = value.fields()?;
            let key = fields.required("key", values::key);
            let kind = match name {
                "put" => put(&mut fields, key, path).map(OperationKind::Put),
                "copy" => copy(&mut fields, key).map(OperationKind::Copy),
                "delete" => {
                    let version = fields.optional("version", values::id);
                    key.map(|key| OperationKind::Delete(Delete { key, version }))
                }
                "tag" => {
                    let tags = fields.required("tags", values::object_tags);
                    key.zip(tags)
                        .map(|(key, tags)| OperationKind::Tag(Tag { key, tags }))
                }
                _ => key.map(|key| OperationKind::Untag(Untag { key })),
            };
            fields.close();
            kind
        }
    }
}

fn versioning(value: Value<'_>) -> Option<bool> {
    if value.is_text() {
        let what = r#"true, false or "suspended""#;
        return value.text(what, |text| text == "suspended").map(|_| false);
    }
    boolean(value)
}

fn put(fields: &mut Fields<'_>, key: Option<String>, path: &Path) -> Option<Put> {
    let body = fields.required("body", |value| values::body(value, path));
    let metadata = fields
        .optional("metadata", values::metadata)
        .unwrap_or_default();
    let headers = fields
        .optional("headers", values::headers)
        .unwrap_or_default();
    let tags = fields
        .optional("tags", values::object_tags)
        .unwrap_or_default();
    let parts = fields
        .optional("parts", |value| parts(value, body.as_ref()))
        .unwrap_or_default();
    let names = Checksum::ALL.map(Checksum::as_str).join(", ");
    let checksum = fields.optional("checksum", |value| value.named(&format!("one of {names}")));
    Some(Put {
        key: key?,
        body: body?,
        metadata,
        headers,
        tags,
        parts,
        checksum,
    })
}

fn parts(mut value: Value<'_>, body: Option<&Body>) -> Option<Vec<u64>> {
    let what = "a list of 1 to 10000 sizes";
    let sizes = value
        .reborrow()
        .list(what, |size| size.unsigned(0..=MOST_PART))?;
    let Some((_, all_but_last)) = sizes.split_last() else {
        return value.expected(what);
    };
    if sizes.len() > MOST_PARTS {
        return value.expected(what);
    }
    if all_but_last.iter().any(|size| *size < LEAST_PART) {
        let what = format!("parts of at least {LEAST_PART} bytes, the last one excepted");
        return value.expected(&what);
    }
    match body.map(Body::size) {
        Some(size) if sizes.iter().sum::<u64>() != size => {
            value.expected(&format!("sizes that add up to the body's {size} bytes"))
        }
        _ => Some(sizes),
    }
}

fn copy(fields: &mut Fields<'_>, key: Option<String>) -> Option<Copy> {
    let from = fields.required("from", values::key);
    let from_version = fields.optional("from_version", values::id);
    let metadata = fields.optional("metadata", values::metadata);
    let headers = fields.optional("headers", values::headers);
    let tags = fields.optional("tags", values::object_tags);
    let changes_nothing = from_version.is_none() && metadata.is_none() && headers.is_none();
    if key.is_some() && key == from && changes_nothing {
        let expected = "another key, or metadata or headers that a copy onto itself changes";
        fields.report("from", expected, format!("{:?}", key.unwrap_or_default()));
        return None;
    }
    Some(Copy {
        key: key?,
        from: from?,
        from_version,
        metadata,
        headers,
        tags,
    })
}
