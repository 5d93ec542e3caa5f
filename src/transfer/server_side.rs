//! CopyObject: no byte passes through us, and the ETag comes out equal.

use aws_sdk_s3::types::{MetadataDirective, StorageClass, TaggingDirective};

use super::{Job, checksum_algorithm, with_storage_class};
use crate::reconcile::Written;
use crate::s3::exact::{ExactHeaders, copy_source};
use crate::s3::write;
use crate::site::Bucket;

/// Writes exactly the observed object to `target`.
///
/// The source never names a version: the condition on the *current* object is what refuses a copy
/// that comes late. `CopyObject` carries neither metadata (replaced) nor the website redirect by
/// itself: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>
pub(super) async fn copy(job: &Job<'_>, target: &Bucket) -> Written {
    let Job {
        key,
        master,
        object,
        until,
        ..
    } = *job;
    let algorithm = checksum_algorithm(object);
    with_storage_class(object, |storage_class: Option<StorageClass>| {
        let algorithm = algorithm.clone();
        write(
            target,
            key,
            "CopyObject",
            until,
            move |unanswered| async move {
                target
                    .site
                    .client
                    .copy_object()
                    .bucket(&target.name)
                    .key(key.as_str())
                    .copy_source(copy_source(&master.name, key.as_str()))
                    .copy_source_if_match(format!("\"{}\"", object.etag))
                    .metadata_directive(MetadataDirective::Replace)
                    .tagging_directive(TaggingDirective::Replace)
                    .set_checksum_algorithm(algorithm)
                    .set_storage_class(storage_class)
                    .customize()
                    .interceptor(ExactHeaders::of(object))
                    .interceptor(unanswered)
                    .send()
                    .await
            },
        )
    })
    .await
}
