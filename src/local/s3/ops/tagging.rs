//! The tags of buckets and of objects.

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::super::answer::{Status, origin};
use super::super::api::Api;
use super::super::events::{Event, Kind, Origin};
use super::super::tags::{self, Owner, TagSet};

pub(in super::super) fn get_bucket(
    api: &Api,
    request: S3Request<GetBucketTaggingInput>,
) -> S3Result<S3Response<GetBucketTaggingOutput>> {
    let store = api.lock();
    let bucket = store.bucket(&request.input.bucket)?;
    if bucket.tags.is_empty() {
        return Err(s3_error!(NoSuchTagSet));
    }
    Ok(S3Response::new(GetBucketTaggingOutput {
        tag_set: tags::to_dto(&bucket.tags),
    }))
}

pub(in super::super) fn put_bucket(
    api: &Api,
    request: S3Request<PutBucketTaggingInput>,
) -> S3Result<S3Response<PutBucketTaggingOutput>> {
    let tags = tags::from_dto(request.input.tagging.tag_set, Owner::Bucket)?;
    api.lock().bucket_mut(&request.input.bucket)?.tags = tags;
    Ok(no_content(PutBucketTaggingOutput {}))
}

pub(in super::super) fn delete_bucket(
    api: &Api,
    request: S3Request<DeleteBucketTaggingInput>,
) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
    api.lock().bucket_mut(&request.input.bucket)?.tags.clear();
    Ok(no_content(DeleteBucketTaggingOutput {}))
}

pub(in super::super) fn get_object(
    api: &Api,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    let input = request.input;
    let store = api.lock();
    let found = store
        .bucket(&input.bucket)?
        .find(&input.key, input.version_id.as_deref())?;
    Ok(S3Response::new(GetObjectTaggingOutput {
        tag_set: tags::to_dto(&found.tags),
        version_id: found.version_id,
    }))
}

pub(in super::super) fn put_object(
    api: &Api,
    request: S3Request<PutObjectTaggingInput>,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let origin = origin(&request);
    let input = request.input;
    let tags = tags::from_dto(input.tagging.tag_set, Owner::Object)?;
    let object = Named {
        bucket: &input.bucket,
        key: &input.key,
        version: input.version_id,
    };
    let version_id = replace(api, object, tags, Kind::TagsPut, &origin)?;
    Ok(S3Response::new(PutObjectTaggingOutput { version_id }))
}

pub(in super::super) fn delete_object(
    api: &Api,
    request: S3Request<DeleteObjectTaggingInput>,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    let origin = origin(&request);
    let input = request.input;
    let object = Named {
        bucket: &input.bucket,
        key: &input.key,
        version: input.version_id,
    };
    let version_id = replace(api, object, TagSet::new(), Kind::TagsDelete, &origin)?;
    Ok(no_content(DeleteObjectTaggingOutput { version_id }))
}

struct Named<'a> {
    bucket: &'a str,
    key: &'a str,
    version: Option<String>,
}

/// Gives an object other tags, and tells of it.
fn replace(
    api: &Api,
    object: Named<'_>,
    new: TagSet,
    kind: Kind,
    origin: &Origin,
) -> S3Result<Option<String>> {
    let mut store = api.lock();
    let serial = store.next_serial();
    let bucket = store.bucket_mut(object.bucket)?;
    let (tags, found) = bucket.tags_mut(object.key, object.version.as_deref())?;
    *tags = new;
    let event = Event {
        kind,
        key: object.key,
        size: None,
        etag: Some(&found.object.etag),
        version_id: found.version_id.as_deref(),
        time: api.now(),
        serial,
    };
    api.notify(bucket, &event, origin);
    Ok(found.version_id)
}

fn no_content<T>(output: T) -> S3Response<T> {
    let mut response = S3Response::new(output);
    response.extensions.insert(Status(StatusCode::NO_CONTENT));
    response
}
