//! One bucket's keys, page by page: the next page is read while the last one is used up, and no
//! further, so that a listing holds two pages whatever the bucket holds.

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::types::EncodingType;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::Instant;

use super::merge::{Entry, Listed};
use crate::change::{InvalidKey, ObjectKey};
use crate::error::{Failure, Kind};
use crate::s3::send;
use crate::site::Bucket;

/// How long a page may take, with all attempts.
const PATIENCE: Duration = Duration::from_secs(300);

const ATTEMPTED: &str = "ListObjectsV2";

/// Which keys of a bucket are listed, and how many by one request.
#[derive(Debug, Clone, Default)]
pub struct Range {
    /// How they begin.
    pub prefix: String,
    /// What they come behind.
    pub after: Option<ObjectKey>,
    /// At most 1,000, which is also the default.
    pub page_size: Option<i32>,
}

/// The store says that there is more, and not where.
#[derive(Debug, thiserror::Error)]
#[error("the store says that the listing goes on, and not from where")]
struct NoWayOn;

/// The answer is no listing, in whatever encoding.
#[derive(Debug, thiserror::Error)]
#[error("what the store answers is no listing")]
struct NoListing;

/// A listed name that is no key.
#[derive(Debug, thiserror::Error)]
#[error("the store lists what is no key")]
struct NoKey(#[source] InvalidKey);

/// Lists in the store's own order, up to the end or the first failure.
pub fn list(bucket: Bucket, range: Range) -> BoxStream<'static, Result<Listed, Failure>> {
    let (sender, receiver) = channel(1);
    tokio::spawn(async move { read(&bucket, range, sender).await });
    let pages = stream::unfold(receiver, async |mut receiver| {
        Some((receiver.recv().await?, receiver))
    });
    pages
        .map_ok(|page: Vec<Listed>| stream::iter(page.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

/// Sends pages until the listing ends or nobody waits for them any more.
async fn read(bucket: &Bucket, range: Range, pages: Sender<Result<Vec<Listed>, Failure>>) {
    let mut token = None;
    loop {
        let page = page(bucket, &range, token.take()).await;
        let (page, next) = match page {
            Ok((page, next)) => (Ok(page), next),
            Err(failure) => (Err(failure), None),
        };
        if pages.send(page).await.is_err() || next.is_none() {
            return;
        }
        token = next;
    }
}

/// Lines, and where the next page begins.
type Page = (Vec<Listed>, Option<String>);

/// One page. Names come as they are, since stores do not agree on how to encode them: LocalStack
/// compares encoded names with a token that is not, and SeaweedFS leaves `+` alone. What XML cannot
/// carry is asked for again in the encoding that AWS has for it.
async fn page(bucket: &Bucket, range: &Range, token: Option<String>) -> Result<Page, Failure> {
    match fetch(bucket, range, token.clone(), None).await? {
        Some(page) if !page.0.iter().any(|line| is_fragile(&line.key)) => Ok(page),
        _ => {
            let encoded = fetch(bucket, range, token, Some(EncodingType::Url)).await?;
            encoded.ok_or_else(|| failure(bucket, NoListing.into()))
        }
    }
}

/// Whether XML may have made something else of a name: of a carriage return it makes a newline.
fn is_fragile(key: &ObjectKey) -> bool {
    key.as_str().contains(char::is_control)
}

fn failure(bucket: &Bucket, cause: Box<dyn Error + Send + Sync>) -> Failure {
    Failure::new(Kind::Permanent, ATTEMPTED, bucket.place(None), cause)
}

/// One page in one encoding; `None` is an answer that cannot be parsed.
async fn fetch(
    bucket: &Bucket,
    range: &Range,
    token: Option<String>,
    encoding: Option<EncodingType>,
) -> Result<Option<Page>, Failure> {
    let after = range.after.as_ref().map(|key| key.as_str().to_owned());
    let request = bucket
        .site
        .client
        .list_objects_v2()
        .bucket(&bucket.name)
        .set_prefix(Some(range.prefix.clone()).filter(|prefix| !prefix.is_empty()))
        // A token says more than where the listing began.
        .set_start_after(after.filter(|_| token.is_none()))
        .set_continuation_token(token.clone())
        .set_max_keys(range.page_size)
        .set_encoding_type(encoding);
    let request = async {
        match request.send().await {
            Err(error)
                if error
                    .raw_response()
                    .is_some_and(|raw| raw.status().is_success()) =>
            {
                Ok(None)
            }
            answer => answer.map(Some),
        }
    };
    let deadline = Instant::now() + PATIENCE;
    let Some(output) = send(bucket, None, ATTEMPTED, deadline, request).await? else {
        return Ok(None);
    };
    let is_encoded = output.encoding_type == Some(EncodingType::Url);
    let listed = |object: aws_sdk_s3::types::Object| {
        let name = object.key.unwrap_or_default();
        let key = match is_encoded {
            true => ObjectKey::from_form_urlencoded(&name),
            false => ObjectKey::new(name),
        };
        let etag = object.e_tag.unwrap_or_default();
        let entry = Entry {
            size: object.size.unwrap_or_default().unsigned_abs(),
            etag: etag.trim_matches('"').to_owned(),
        };
        let key = key.map_err(|invalid| failure(bucket, NoKey(invalid).into()))?;
        Ok(Listed { key, entry })
    };
    let rows: Vec<Listed> = output
        .contents
        .unwrap_or_default()
        .into_iter()
        .map(listed)
        .collect::<Result<_, Failure>>()?;
    if !output.is_truncated.unwrap_or_default() {
        return Ok(Some((rows, None)));
    }
    match output.next_continuation_token {
        Some(next) if Some(&next) != token.as_ref() => Ok(Some((rows, Some(next)))),
        _ => Err(failure(bucket, NoWayOn.into())),
    }
}
