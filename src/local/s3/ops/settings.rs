//! What a bucket is set to: versioning, default encryption, notifications.

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::super::answer::{Status, origin};
use super::super::api::Api;
use super::super::events::test_events;
use super::super::object::Encryption;
use super::super::store::Versioning;
use super::super::{ids, notify};

pub(in super::super) fn get_versioning(
    api: &Api,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<S3Response<GetBucketVersioningOutput>> {
    let store = api.lock();
    let status = match store.bucket(&request.input.bucket)?.versioning {
        Versioning::Never => None,
        Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
    };
    Ok(S3Response::new(GetBucketVersioningOutput {
        status: status.map(BucketVersioningStatus::from_static),
        ..Default::default()
    }))
}

pub(in super::super) fn put_versioning(
    api: &Api,
    request: S3Request<PutBucketVersioningInput>,
) -> S3Result<S3Response<PutBucketVersioningOutput>> {
    let PutBucketVersioningInput {
        bucket,
        versioning_configuration,
        ..
    } = request.input;
    let status = versioning_configuration
        .status
        .as_ref()
        .map(|status| status.as_str());
    let versioning = match status {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        None => {
            return Err(s3_error!(
                IllegalVersioningConfigurationException,
                "The Versioning element must be specified"
            ));
        }
        Some(_) => return Err(s3_error!(MalformedXML)),
    };
    api.lock().bucket_mut(&bucket)?.versioning = versioning;
    Ok(S3Response::new(PutBucketVersioningOutput {}))
}

pub(in super::super) fn get_encryption(
    api: &Api,
    request: S3Request<GetBucketEncryptionInput>,
) -> S3Result<S3Response<GetBucketEncryptionOutput>> {
    let store = api.lock();
    let encryption = store
        .bucket(&request.input.bucket)?
        .encryption
        .clone()
        .unwrap_or_default();
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
            kms_master_key_id: encryption.key_id,
            sse_algorithm: encryption.algorithm.into(),
        }),
        bucket_key_enabled: Some(false),
    };
    let configuration = ServerSideEncryptionConfiguration { rules: vec![rule] };
    Ok(S3Response::new(GetBucketEncryptionOutput {
        server_side_encryption_configuration: Some(configuration),
    }))
}

pub(in super::super) fn put_encryption(
    api: &Api,
    request: S3Request<PutBucketEncryptionInput>,
) -> S3Result<S3Response<PutBucketEncryptionOutput>> {
    let PutBucketEncryptionInput {
        bucket,
        server_side_encryption_configuration,
        ..
    } = request.input;
    let mut rules = server_side_encryption_configuration.rules.into_iter();
    let rule = rules.next().ok_or_else(|| s3_error!(MalformedXML))?;
    let default = rule.apply_server_side_encryption_by_default;
    let default = default.ok_or_else(|| s3_error!(MalformedXML))?;
    let encryption = Encryption::new(default.sse_algorithm.as_str(), default.kms_master_key_id)?;
    api.lock().bucket_mut(&bucket)?.encryption = Some(encryption);
    Ok(S3Response::new(PutBucketEncryptionOutput {}))
}

pub(in super::super) fn delete_encryption(
    api: &Api,
    request: S3Request<DeleteBucketEncryptionInput>,
) -> S3Result<S3Response<DeleteBucketEncryptionOutput>> {
    api.lock().bucket_mut(&request.input.bucket)?.encryption = None;
    let mut response = S3Response::new(DeleteBucketEncryptionOutput {});
    response.extensions.insert(Status(StatusCode::NO_CONTENT));
    Ok(response)
}

pub(in super::super) fn get_notifications(
    api: &Api,
    request: S3Request<GetBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<GetBucketNotificationConfigurationOutput>> {
    let store = api.lock();
    let configuration = store.bucket(&request.input.bucket)?.notifications.clone();
    Ok(S3Response::new(GetBucketNotificationConfigurationOutput {
        event_bridge_configuration: configuration.event_bridge_configuration,
        lambda_function_configurations: configuration.lambda_function_configurations,
        queue_configurations: configuration.queue_configurations,
        topic_configurations: configuration.topic_configurations,
    }))
}

pub(in super::super) fn put_notifications(
    api: &Api,
    request: S3Request<PutBucketNotificationConfigurationInput>,
) -> S3Result<S3Response<PutBucketNotificationConfigurationOutput>> {
    let origin = origin(&request);
    let PutBucketNotificationConfigurationInput {
        bucket,
        notification_configuration,
        ..
    } = request.input;
    let mut configuration = notification_configuration;
    let mut store = api.lock();
    store.bucket(&bucket)?;
    let rules = notify::rules(&mut configuration, || ids::opaque(store.next_serial()))?;
    let bucket = store.bucket_mut(&bucket)?;
    bucket.notifications = configuration;
    bucket.rules = rules;
    api.send(test_events(bucket, &origin, api.now()));
    Ok(S3Response::new(PutBucketNotificationConfigurationOutput {}))
}
