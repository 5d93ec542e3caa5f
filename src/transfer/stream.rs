//! From one service to others: the master is read once, every target is written at once.

use std::cell::RefCell;

use aws_sdk_s3::Config;
use aws_sdk_s3::config::{RequestChecksumCalculation, StalledStreamProtectionConfig};
use aws_sdk_s3::types::ChecksumAlgorithm;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use tokio::time::timeout_at;

use super::boundaries::Boundaries;
use super::layout::Part;
use super::proof::{Done, from_hex};
use super::relay::{LeftBehind, relay};
use super::source::{Share, Source};
use super::upload::{Cut, Ended, Upload, part_checksum};
use super::{Job, checksum_of, done_of, with_storage_class};
use crate::error::{Failure, Kind};
use crate::object::Object;
use crate::reconcile::Written;
use crate::s3::exact::ExactHeaders;
use crate::s3::{send, write};
use crate::site::Bucket;

/// Sends the whole object to all of `targets` in one request each; the answers are in their order.
pub(super) async fn send_whole(job: &Job<'_>, targets: &[&Bucket]) -> Vec<Written> {
    let source = Source::new(job, None);
    let puts = targets
        .iter()
        .map(|&target| async move |share| put(job, target, share).await);
    let answers = relay(&source, puts).await;
    let written = targets.iter().zip(answers).map(|(target, answer)| {
        let mut written = answer.unwrap_or_else(|left_behind| Written {
            ambiguous: left_behind.complete,
            ..Written::failed(behind(job, target, "PutObject", left_behind))
        });
        if written.result.is_err()
            && let Some(failure) = source.failure()
        {
            written.result = Err(failure);
        }
        written
    });
    written.collect()
}

/// Sends the object part by part to all of `targets`, each part read once.
pub(super) async fn send_parts(
    job: &Job<'_>,
    targets: &[&Bucket],
    boundaries: &Boundaries,
) -> Vec<Ended> {
    let open = |&target| async move {
        match Upload::open(job, target, boundaries, part_checksum(job)).await {
            Ok(Some(upload)) => Ok(RefCell::new((upload, None::<Cut>))),
            Ok(None) => Err(Ended::Refuted),
            Err(failure) => Err(Ended::Written(Written::failed(failure))),
        }
    };
    let opened = join_all(targets.iter().map(open)).await;
    let uploads: Vec<&RefCell<_>> = opened.iter().filter_map(|one| one.as_ref().ok()).collect();
    stream::iter(boundaries.in_turn())
        .map(async |part| {
            let lacks_it = |one: &&&RefCell<(Upload<'_>, Option<Cut>)>| {
                let (upload, failed) = &*one.borrow();
                failed.is_none() && upload.lacks(part)
            };
            if !uploads.iter().any(|one| lacks_it(&one)) {
                return;
            }
            let place = timeout_at(job.until, job.limits.place()).await;
            let lacking: Vec<_> = uploads.iter().filter(lacks_it).copied().collect();
            let whom: Vec<(&Bucket, String)> = lacking
                .iter()
                .map(|one| {
                    let (upload, _) = &*one.borrow();
                    (upload.target, upload.id.clone())
                })
                .collect();
            let answers = match place {
                Ok(_place) => send_part(job, &whom, part, boundaries).await,
                Err(_) => whom
                    .iter()
                    .map(|(target, _)| Err(job.not_started("UploadPart", target)))
                    .collect(),
            };
            for (one, answer) in lacking.iter().zip(answers) {
                let (upload, failed) = &mut *one.borrow_mut();
                match answer {
                    Ok(done) => upload.add(part.number, done),
                    Err(failure) => {
                        failed.get_or_insert_with(|| Cut::by(job, failure));
                    }
                }
            }
        })
        .buffer_unordered(job.limits.places())
        .collect::<()>()
        .await;
    let finish = opened.into_iter().map(async |opened| match opened {
        Ok(upload) => {
            let (upload, failed) = upload.into_inner();
            upload.finish(boundaries, failed).await
        }
        Err(ended) => ended,
    });
    join_all(finish).await
}

/// Reads one part and sends it to the targets that lack it, each named with its upload.
async fn send_part(
    job: &Job<'_>,
    targets: &[(&Bucket, String)],
    part: &Part,
    boundaries: &Boundaries,
) -> Vec<Result<Done, Failure>> {
    let source = Source::new(job, Some(*part));
    let puts = targets.iter().map(|(target, upload_id)| {
        async move |share| put_part(job, target, upload_id, part, boundaries, share).await
    });
    let answers = relay(&source, puts).await;
    let done = targets.iter().zip(answers).map(|((target, _), answer)| {
        let done = answer.unwrap_or_else(|cause| Err(behind(job, target, "UploadPart", cause)));
        done.map_err(|failure| source.failure().unwrap_or(failure))
    });
    done.collect()
}

/// A target that was left behind is another round's.
fn behind(job: &Job<'_>, target: &Bucket, attempted: &'static str, cause: LeftBehind) -> Failure {
    Failure::new(Kind::Raced, attempted, target.place(Some(job.key)), cause)
}

/// How a request with a body differs from our other ones: a target that takes no more bytes is
/// given up, and where there is nothing to prove them by, a checksum is computed on the way.
fn uploading(computes_checksum: bool) -> aws_sdk_s3::config::Builder {
    let calculation = match computes_checksum {
        true => RequestChecksumCalculation::WhenSupported,
        // Otherwise the SDK names the algorithm and sends no value.
        false => RequestChecksumCalculation::WhenRequired,
    };
    let stalled = StalledStreamProtectionConfig::enabled()
        .download_enabled(false)
        .upload_enabled(true)
        .grace_period(super::SILENCE);
    Config::builder()
        .request_checksum_calculation(calculation)
        .stalled_stream_protection(stalled.build())
}

/// One `PutObject`. The master's own MD5 or checksum goes along, so that the target proves the
/// bytes from end to end, and keeps the same checksum.
async fn put(job: &Job<'_>, target: &Bucket, share: Share) -> Written {
    let length = i64::try_from(job.object.size).expect("at most 5 GiB");
    let mut written = with_storage_class(job.object, async |storage_class| {
        write(target, job.key, "PutObject", job.until, |unanswered| {
            target
                .site
                .client
                .put_object()
                .bucket(&target.name)
                .key(job.key.as_str())
                .content_length(length)
                .set_storage_class(storage_class)
                .body(share.body())
                .customize()
                .config_override(uploading(false))
                .interceptor(proofs(job.object))
                .interceptor(unanswered)
                .send()
        })
        .await
    })
    .await;
    written.ambiguous &= share.was_handed_over();
    written
}

/// The object's headers, with what proves its content.
fn proofs(object: &Object) -> ExactHeaders {
    let mut headers = ExactHeaders::of(object);
    if object.etag_proves_content
        && let Some(md5) = from_hex(&object.etag)
    {
        headers = headers.with("content-md5", aws_smithy_types::base64::encode(md5));
    }
    if !object.checksums.composite
        && let Some((algorithm, value)) = object.checksums.values.iter().next()
    {
        headers = headers.with(&format!("x-amz-checksum-{algorithm}"), value);
    }
    headers
}

/// One `UploadPart`. Where the upload keeps a checksum, every part has to come with its own: the
/// master's where it is known, else one that is computed on the way.
async fn put_part(
    job: &Job<'_>,
    target: &Bucket,
    upload_id: &str,
    part: &Part,
    boundaries: &Boundaries,
    share: Share,
) -> Result<Done, Failure> {
    let checksum = part_checksum(job);
    let known = usize::try_from(part.number - 1).ok();
    let known = known.and_then(|index| boundaries.checksums.get(index));
    let (headers, compute): (_, Option<ChecksumAlgorithm>) = match (checksum, known) {
        (Some((algorithm, _)), Some(value)) => {
            let name = algorithm.as_str().to_ascii_lowercase();
            (
                ExactHeaders::default().with(&format!("x-amz-checksum-{name}"), value),
                None,
            )
        }
        (checksum, _) => (
            ExactHeaders::default(),
            checksum.map(|(algorithm, _)| algorithm),
        ),
    };
    let request = target
        .site
        .client
        .upload_part()
        .bucket(&target.name)
        .key(job.key.as_str())
        .upload_id(upload_id)
        .part_number(part.number)
        .content_length(i64::try_from(part.size).expect("at most 5 GiB"))
        .set_checksum_algorithm(compute.clone())
        .body(share.body())
        .customize()
        .config_override(uploading(compute.is_some()))
        .interceptor(headers);
    let output = send(
        target,
        Some(job.key),
        "UploadPart",
        job.until,
        request.send(),
    )
    .await?;
    Ok(done_of!(output, part.size))
}
