//! PutObject, and what every write of an object goes through.

use std::sync::Arc;

use http::Method;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result};

use super::super::answer::origin;
use super::super::api::Api;
use super::super::conditions::Conditions;
use super::super::etag::{etag, opaque_etag};
use super::super::events::{Event, Kind, Origin};
use super::super::object::{Attributes, Encryption, Object};
use super::super::receive::{Expected, receive};
use super::super::store::Store;
use super::super::tags::{self, TagSet};

/// An object that is about to be written.
pub(super) struct Write<'a> {
    pub(super) bucket: &'a str,
    pub(super) key: &'a str,
    pub(super) object: Object,
    pub(super) tags: TagSet,
    pub(super) kind: Kind,
    pub(super) origin: &'a Origin,
    /// What the object shows as its last-modified time.
    pub(super) modified: std::time::SystemTime,
}

/// What a write left behind.
pub(super) struct Written {
    pub(super) object: Arc<Object>,
    /// As answers show it.
    pub(super) version_id: Option<String>,
}

/// Writes an object and tells of it. The store stays locked from the check of the conditions to
/// the notification: this is the moment at which a write takes effect.
pub(super) fn write(
    api: &Api,
    store: &mut Store,
    write: Write<'_>,
    conditions: &Conditions,
) -> S3Result<Written> {
    let Write {
        bucket,
        key,
        object,
        tags,
        kind,
        origin,
        modified,
    } = write;
    conditions.check_write(store.bucket(bucket)?.current_etag(key))?;
    let serial = store.next_serial();
    let bucket = store.bucket_mut(bucket)?;
    let object = Arc::new(object);
    let id = bucket.put(key, Arc::clone(&object), tags, modified, serial);
    let version_id = bucket.shown(&id);
    let event = Event {
        kind,
        key,
        size: Some(object.content.length()),
        etag: Some(&object.etag),
        version_id: version_id.as_deref(),
        time: api.now(),
        serial,
    };
    api.notify(bucket, &event, origin);
    Ok(Written { object, version_id })
}

/// The encryption that a bucket gives to objects that don't ask for any.
pub(super) fn default_encryption(store: &Store, bucket: &str) -> S3Result<Encryption> {
    Ok(store.bucket(bucket)?.encryption.clone().unwrap_or_default())
}

/// The ETag of bytes that come in one piece: their MD5, unless the encryption hides it.
pub(super) fn etag_for(
    store: &mut Store,
    encryption: &Encryption,
    md5: [u8; 16],
    bucket: &str,
    key: &str,
) -> String {
    if encryption.has_plain_etags() {
        etag(md5)
    } else {
        opaque_etag(md5, &format!("{bucket}/{key}"), store.next_serial())
    }
}

pub(in super::super) async fn put_object(
    api: &Api,
    mut request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    // A browser's form arrives here too.
    let kind = if request.method == Method::POST {
        Kind::Post
    } else {
        Kind::Put
    };
    let origin = origin(&request);
    let body = request.input.body.take();
    let mut expected = Expected::from_request(&request)?;
    if kind == Kind::Post {
        // The length in the headers is that of the whole form.
        expected.forget_length();
    }
    let received = receive(body, expected).await?;

    let S3Request {
        input,
        headers,
        extensions,
        ..
    } = request;
    let tags = tags::from_header(input.tagging.as_deref().unwrap_or_default())?;
    let conditions = Conditions {
        if_match: input.if_match,
        if_none_match: input.if_none_match,
        ..Default::default()
    };

    let mut store = api.lock();
    let default = default_encryption(&store, &input.bucket)?;
    let attributes = Attributes::from_request(&headers, &extensions, input.metadata, &default)?;
    let object = Object {
        etag: etag_for(
            &mut store,
            &attributes.encryption,
            received.md5,
            &input.bucket,
            &input.key,
        ),
        content: received.content,
        parts: Vec::new(),
        checksum: received.checksum,
        attributes,
    };
    let put = Write {
        bucket: &input.bucket,
        key: &input.key,
        object,
        tags,
        kind,
        origin: &origin,
        modified: api.now(),
    };
    let written = write(api, &mut store, put, &conditions)?;

    let mut response = S3Response::new(PutObjectOutput {
        e_tag: Some(ETag::Strong(written.object.etag.clone())),
        version_id: written.version_id,
        ..Default::default()
    });
    written
        .object
        .attributes
        .encryption
        .write_headers(&mut response.headers);
    if let Some(checksum) = &written.object.checksum {
        checksum.write_headers(&mut response.headers);
    }
    Ok(response)
}
