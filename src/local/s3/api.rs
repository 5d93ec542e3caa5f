//! Which operations the store has, and what all of them share.
//!
//! Invariant: the store's lock is never held across an await. Operations that await anything
//! receive a body, and are done with it before they lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};
use tokio::sync::mpsc::UnboundedSender;

use super::events::{self, Event, Origin};
use super::notify::Notification;
use super::ops::{
    attributes, buckets, copy, delete, get, kept, list, list_uploads, multipart, put, settings,
    tagging,
};
use super::store::{Bucket, Store};
use super::{Clock, Options};

/// The store behind its lock, and where its notifications go.
#[derive(Clone)]
pub(super) struct Api {
    shared: Arc<Shared>,
}

struct Shared {
    store: Mutex<Store>,
    clock: Clock,
    notifications: Option<UnboundedSender<Notification>>,
    smallest_part: u64,
}

impl Api {
    pub(super) fn new(options: &Options) -> Api {
        let shared = Shared {
            store: Mutex::new(Store::default()),
            clock: options.clock.clone(),
            notifications: options.notifications.clone(),
            smallest_part: options.smallest_part,
        };
        Api {
            shared: Arc::new(shared),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Store> {
        // A panic in one request must not take the others down with it.
        self.shared
            .store
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`Options::smallest_part`].
    pub(super) fn smallest_part(&self) -> u64 {
        self.shared.smallest_part
    }

    pub(super) fn now(&self) -> SystemTime {
        self.shared.clock.now()
    }

    /// Tells whoever the bucket's configuration names. Called with the store locked, so that
    /// notifications leave in the order in which operations took effect.
    pub(super) fn notify(&self, bucket: &Bucket, event: &Event<'_>, origin: &Origin) {
        if self.shared.notifications.is_some() {
            self.send(events::notifications(bucket, event, origin));
        }
    }

    /// Sends notifications to whoever listens.
    pub(super) fn send(&self, notifications: Vec<Notification>) {
        if let Some(sender) = &self.shared.notifications {
            for notification in notifications {
                // Nobody listens any more: the world is being taken down.
                let _ = sender.send(notification);
            }
        }
    }
}

/// Implements `S3` by one function for each operation; those of the first group only receive a
/// body before they act.
macro_rules! operations {
    (
        awaiting { $($async_name:ident($async_input:ty) -> $async_output:ty = $async_path:path;)* }
        immediate { $($name:ident($input:ty) -> $output:ty = $path:path;)* }
    ) => {
        #[async_trait::async_trait]
        impl S3 for Api {
            $(async fn $async_name(
                &self,
                request: S3Request<$async_input>,
            ) -> S3Result<S3Response<$async_output>> {
                $async_path(self, request).await
            })*
            $(async fn $name(
                &self,
                request: S3Request<$input>,
            ) -> S3Result<S3Response<$output>> {
                $path(self, request)
            })*
        }
    };
}

operations! {
    awaiting {
        put_object(PutObjectInput) -> PutObjectOutput = put::put_object;
        upload_part(UploadPartInput) -> UploadPartOutput = multipart::upload_part;
    }
    immediate {
        create_bucket(CreateBucketInput) -> CreateBucketOutput = buckets::create;
        delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = buckets::delete;
        get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = buckets::location;
        head_bucket(HeadBucketInput) -> HeadBucketOutput = buckets::head;
        list_buckets(ListBucketsInput) -> ListBucketsOutput = buckets::list;

        delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput
            = kept::delete_lifecycle;
        get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput)
            -> GetBucketLifecycleConfigurationOutput = kept::get_lifecycle;
        put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput)
            -> PutBucketLifecycleConfigurationOutput = kept::put_lifecycle;
        delete_bucket_ownership_controls(DeleteBucketOwnershipControlsInput)
            -> DeleteBucketOwnershipControlsOutput = kept::delete_ownership;
        get_bucket_ownership_controls(GetBucketOwnershipControlsInput)
            -> GetBucketOwnershipControlsOutput = kept::get_ownership;
        put_bucket_ownership_controls(PutBucketOwnershipControlsInput)
            -> PutBucketOwnershipControlsOutput = kept::put_ownership;

        delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput
            = settings::delete_encryption;
        get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput
            = settings::get_encryption;
        put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput
            = settings::put_encryption;
        get_bucket_notification_configuration(GetBucketNotificationConfigurationInput)
            -> GetBucketNotificationConfigurationOutput = settings::get_notifications;
        put_bucket_notification_configuration(PutBucketNotificationConfigurationInput)
            -> PutBucketNotificationConfigurationOutput = settings::put_notifications;
        get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput
            = settings::get_versioning;
        put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput
            = settings::put_versioning;

        delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput
            = tagging::delete_bucket;
        get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput = tagging::get_bucket;
        put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput = tagging::put_bucket;
        delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput
            = tagging::delete_object;
        get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput = tagging::get_object;
        put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput = tagging::put_object;

        get_object(GetObjectInput) -> GetObjectOutput = get::get_object;
        head_object(HeadObjectInput) -> HeadObjectOutput = get::head_object;
        get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput
            = attributes::get_object_attributes;
        delete_object(DeleteObjectInput) -> DeleteObjectOutput = delete::delete_object;
        delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = delete::delete_objects;
        copy_object(CopyObjectInput) -> CopyObjectOutput = copy::copy_object;

        list_objects(ListObjectsInput) -> ListObjectsOutput = list::objects;
        list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = list::objects_v2;
        list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput = list::versions;
        list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput
            = list_uploads::uploads;
        list_parts(ListPartsInput) -> ListPartsOutput = list_uploads::parts;

        create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput
            = multipart::create;
        upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput = copy::upload_part_copy;
        complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput
            = multipart::complete;
        abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput
            = multipart::abort;
    }
}
