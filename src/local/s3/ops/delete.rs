//! DeleteObject and DeleteObjects.

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::super::answer::{Status, origin};
use super::super::api::Api;
use super::super::errors::message;
use super::super::events::{Event, Kind, Origin};
use super::super::store::{Bucket, Deletion, Entry, Store};

/// What a delete names.
struct Target<'a> {
    bucket: &'a str,
    key: &'a str,
    version_id: Option<&'a str>,
    if_match: Option<ETagCondition>,
}

/// Deletes, and tells of it; the store stays locked in between.
fn delete(
    api: &Api,
    store: &mut Store,
    target: &Target<'_>,
    origin: &Origin,
) -> S3Result<Deletion> {
    check_condition(store.bucket(target.bucket)?, target)?;
    let serial = store.next_serial();
    let now = api.now();
    let bucket = store.bucket_mut(target.bucket)?;
    let deletion = bucket.delete(target.key, target.version_id, now, serial)?;
    let (kind, id) = match &deletion {
        Deletion::Nothing => return Ok(deletion),
        Deletion::Removed { id, .. } => (Kind::Delete, id),
        Deletion::Marked { id } => (Kind::DeleteMarkerCreated, id),
    };
    let version_id = bucket.shown(id);
    let event = Event {
        kind,
        key: target.key,
        size: None,
        etag: None,
        version_id: version_id.as_deref(),
        time: now,
        serial,
    };
    api.notify(bucket, &event, origin);
    Ok(deletion)
}

/// `If-Match` is about the current version: nothing there is a missing key, a delete marker
/// matches no ETag.
fn check_condition(bucket: &Bucket, target: &Target<'_>) -> S3Result<()> {
    let Some(condition) = &target.if_match else {
        return Ok(());
    };
    let current = bucket
        .objects
        .get(target.key)
        .and_then(|versions| versions.last());
    let current = current.ok_or_else(|| s3_error!(NoSuchKey))?;
    let holds = match (&current.entry, condition) {
        (Entry::DeleteMarker, _) => false,
        (Entry::Object { .. }, ETagCondition::Any) => true,
        (Entry::Object { object, .. }, ETagCondition::ETag(etag)) => object.etag == etag.value(),
    };
    if holds {
        Ok(())
    } else {
        Err(s3_error!(PreconditionFailed))
    }
}

pub(in super::super) fn delete_object(
    api: &Api,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    let origin = origin(&request);
    let input = request.input;
    let target = Target {
        bucket: &input.bucket,
        key: &input.key,
        version_id: input.version_id.as_deref(),
        if_match: input.if_match,
    };
    let mut store = api.lock();
    let deletion = delete(api, &mut store, &target, &origin)?;
    let bucket = store.bucket(target.bucket)?;
    let (id, delete_marker) = match &deletion {
        Deletion::Nothing => (target.version_id, None),
        Deletion::Removed { id, was_marker } => (Some(id.as_str()), was_marker.then_some(true)),
        Deletion::Marked { id } => (Some(id.as_str()), Some(true)),
    };
    let output = DeleteObjectOutput {
        delete_marker,
        version_id: id.and_then(|id| bucket.shown(id)),
        ..Default::default()
    };
    let mut response = S3Response::new(output);
    response.extensions.insert(Status(StatusCode::NO_CONTENT));
    Ok(response)
}

pub(in super::super) fn delete_objects(
    api: &Api,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let origin = origin(&request);
    let DeleteObjectsInput {
        bucket,
        delete: Delete { objects, quiet },
        ..
    } = request.input;
    if objects.is_empty() || objects.len() > 1000 {
        return Err(s3_error!(MalformedXML));
    }
    let mut store = api.lock();
    store.bucket(&bucket)?;
    let mut deleted = Vec::new();
    let mut errors = Vec::new();
    for object in objects {
        let target = Target {
            bucket: &bucket,
            key: &object.key,
            version_id: object.version_id.as_deref(),
            if_match: object.e_tag.clone().map(ETagCondition::ETag),
        };
        match delete(api, &mut store, &target, &origin) {
            Ok(deletion) => deleted.push(deleted_object(object, deletion)),
            Err(error) => errors.push(Error {
                code: Some(error.code().as_str().to_owned()),
                key: Some(object.key),
                message: Some(
                    error
                        .message()
                        .unwrap_or(message(error.code().as_str()))
                        .to_owned(),
                ),
                version_id: object.version_id,
            }),
        }
    }
    if quiet == Some(true) {
        deleted.clear();
    }
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: Some(errors),
        ..Default::default()
    }))
}

fn deleted_object(named: ObjectIdentifier, deletion: Deletion) -> DeletedObject {
    let (delete_marker, delete_marker_version_id) = match deletion {
        Deletion::Marked { id } => (Some(true), Some(id)),
        Deletion::Removed {
            id,
            was_marker: true,
        } => (Some(true), Some(id)),
        Deletion::Removed { .. } | Deletion::Nothing => (None, None),
    };
    DeletedObject {
        delete_marker,
        delete_marker_version_id,
        key: Some(named.key),
        version_id: named.version_id,
    }
}
