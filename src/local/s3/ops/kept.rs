//! What a bucket is set to and what has no effect here: lifecycle rules, object ownership.

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::super::answer::Status;
use super::super::api::Api;

pub(in super::super) fn get_lifecycle(
    api: &Api,
    request: S3Request<GetBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<GetBucketLifecycleConfigurationOutput>> {
    let store = api.lock();
    let rules = store.bucket(&request.input.bucket)?.lifecycle.clone();
    let rules = rules.ok_or_else(|| s3_error!(NoSuchLifecycleConfiguration))?;
    Ok(S3Response::new(GetBucketLifecycleConfigurationOutput {
        rules: Some(rules),
        ..Default::default()
    }))
}

pub(in super::super) fn put_lifecycle(
    api: &Api,
    request: S3Request<PutBucketLifecycleConfigurationInput>,
) -> S3Result<S3Response<PutBucketLifecycleConfigurationOutput>> {
    let PutBucketLifecycleConfigurationInput {
        bucket,
        lifecycle_configuration,
        ..
    } = request.input;
    let rules = lifecycle_configuration.map(|it| it.rules);
    let rules = rules.filter(|rules| !rules.is_empty());
    let rules = rules.ok_or_else(|| s3_error!(MalformedXML))?;
    api.lock().bucket_mut(&bucket)?.lifecycle = Some(rules);
    Ok(S3Response::new(
        PutBucketLifecycleConfigurationOutput::default(),
    ))
}

pub(in super::super) fn delete_lifecycle(
    api: &Api,
    request: S3Request<DeleteBucketLifecycleInput>,
) -> S3Result<S3Response<DeleteBucketLifecycleOutput>> {
    api.lock().bucket_mut(&request.input.bucket)?.lifecycle = None;
    Ok(without_content(DeleteBucketLifecycleOutput {}))
}

pub(in super::super) fn get_ownership(
    api: &Api,
    request: S3Request<GetBucketOwnershipControlsInput>,
) -> S3Result<S3Response<GetBucketOwnershipControlsOutput>> {
    let store = api.lock();
    let controls = store.bucket(&request.input.bucket)?.ownership.clone();
    let controls = controls.ok_or_else(|| s3_error!(OwnershipControlsNotFoundError))?;
    Ok(S3Response::new(GetBucketOwnershipControlsOutput {
        ownership_controls: Some(controls),
    }))
}

pub(in super::super) fn put_ownership(
    api: &Api,
    request: S3Request<PutBucketOwnershipControlsInput>,
) -> S3Result<S3Response<PutBucketOwnershipControlsOutput>> {
    let PutBucketOwnershipControlsInput {
        bucket,
        ownership_controls,
        ..
    } = request.input;
    api.lock().bucket_mut(&bucket)?.ownership = Some(ownership_controls);
    Ok(S3Response::new(PutBucketOwnershipControlsOutput {}))
}

pub(in super::super) fn delete_ownership(
    api: &Api,
    request: S3Request<DeleteBucketOwnershipControlsInput>,
) -> S3Result<S3Response<DeleteBucketOwnershipControlsOutput>> {
    api.lock().bucket_mut(&request.input.bucket)?.ownership = None;
    Ok(without_content(DeleteBucketOwnershipControlsOutput {}))
}

fn without_content<T>(output: T) -> S3Response<T> {
    let mut response = S3Response::new(output);
    response.extensions.insert(Status(StatusCode::NO_CONTENT));
    response
}
