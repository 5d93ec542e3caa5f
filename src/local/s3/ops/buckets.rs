//! Buckets themselves: create, head, list, locate, delete.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::super::answer::Status;
use super::super::api::Api;
use super::super::events::CANONICAL_ID;
use super::super::store::Bucket as StoredBucket;
use super::super::time::shown_time;
use crate::targets::is_region;

const DEFAULT_REGION: &str = "us-east-1";

/// The account that every bucket belongs to. Only HeadBucket is asked whose a bucket is.
const ACCOUNT: &str = "000000000000";

/// The owner of everything.
pub(super) fn owner() -> Owner {
    Owner {
        display_name: None,
        id: Some(CANONICAL_ID.to_owned()),
    }
}

pub(in super::super) fn create(
    api: &Api,
    request: S3Request<CreateBucketInput>,
) -> S3Result<S3Response<CreateBucketOutput>> {
    let endpoint = request
        .region
        .as_ref()
        .map_or(DEFAULT_REGION, |region| region.as_str());
    let name = request.input.bucket;
    let constraint = request
        .input
        .create_bucket_configuration
        .and_then(|configuration| configuration.location_constraint);
    let region = region(
        constraint.as_ref().map(BucketLocationConstraint::as_str),
        endpoint,
    )?;

    let mut store = api.lock();
    if let Some(existing) = store.buckets.get(&name) {
        // The oldest region alone answers as if the bucket had been created again.
        if existing.region != DEFAULT_REGION || region != DEFAULT_REGION {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
    } else {
        let bucket = StoredBucket::new(name.clone(), region, api.now());
        store.buckets.insert(name.clone(), bucket);
    }
    Ok(S3Response::new(CreateBucketOutput {
        location: Some(format!("/{name}")),
    }))
}

/// The region of a new bucket: the constraint, which must fit the endpoint that was signed for.
fn region(constraint: Option<&str>, endpoint: &str) -> S3Result<String> {
    let region = match constraint {
        None | Some("") if endpoint == DEFAULT_REGION => return Ok(DEFAULT_REGION.to_owned()),
        None | Some("") => return Err(s3_error!(IllegalLocationConstraintException)),
        Some("EU") => "eu-west-1",
        Some(DEFAULT_REGION) => return Err(s3_error!(InvalidLocationConstraint)),
        Some(name) if !is_region(name) => return Err(s3_error!(InvalidLocationConstraint)),
        Some(name) => name,
    };
    if endpoint != DEFAULT_REGION && endpoint != region {
        return Err(s3_error!(IllegalLocationConstraintException));
    }
    Ok(region.to_owned())
}

pub(in super::super) fn head(
    api: &Api,
    request: S3Request<HeadBucketInput>,
) -> S3Result<S3Response<HeadBucketOutput>> {
    let store = api.lock();
    let HeadBucketInput {
        bucket,
        expected_bucket_owner,
    } = request.input;
    let bucket = store.bucket(&bucket)?;
    if expected_bucket_owner.is_some_and(|expected| expected != ACCOUNT) {
        return Err(s3_error!(AccessDenied));
    }
    Ok(S3Response::new(HeadBucketOutput {
        bucket_region: Some(bucket.region.clone()),
        ..Default::default()
    }))
}

pub(in super::super) fn location(
    api: &Api,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    let store = api.lock();
    let region = store.bucket(&request.input.bucket)?.region.clone();
    let constraint = (region != DEFAULT_REGION).then(|| BucketLocationConstraint::from(region));
    Ok(S3Response::new(GetBucketLocationOutput {
        location_constraint: constraint,
    }))
}

pub(in super::super) fn delete(
    api: &Api,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<S3Response<DeleteBucketOutput>> {
    let mut store = api.lock();
    if !store.bucket(&request.input.bucket)?.objects.is_empty() {
        return Err(s3_error!(BucketNotEmpty));
    }
    store.buckets.remove(&request.input.bucket);
    let mut response = S3Response::new(DeleteBucketOutput {});
    response
        .extensions
        .insert(Status(http::StatusCode::NO_CONTENT));
    Ok(response)
}

pub(in super::super) fn list(
    api: &Api,
    request: S3Request<ListBucketsInput>,
) -> S3Result<S3Response<ListBucketsOutput>> {
    let ListBucketsInput {
        bucket_region,
        continuation_token,
        max_buckets,
        prefix,
    } = request.input;
    let is_paged = bucket_region.is_some() || max_buckets.is_some() || prefix.is_some();
    let max = match max_buckets {
        None => usize::MAX,
        Some(max @ 1..=10_000) => max as usize,
        Some(_) => {
            return Err(s3_error!(
                InvalidArgument,
                "Argument max-buckets must be an integer between 1 and 10000"
            ));
        }
    };
    let store = api.lock();
    let mut matching = store
        .buckets
        .values()
        .filter(|bucket| {
            continuation_token
                .as_ref()
                .is_none_or(|after| bucket.name > *after)
        })
        .filter(|bucket| {
            prefix
                .as_ref()
                .is_none_or(|prefix| bucket.name.starts_with(prefix))
        })
        .filter(|bucket| {
            bucket_region
                .as_ref()
                .is_none_or(|region| bucket.region == *region)
        });
    let page: Vec<&StoredBucket> = matching.by_ref().take(max).collect();
    let next = matching
        .next()
        .and(page.last())
        .map(|last| last.name.clone());
    let buckets = page.into_iter().map(|bucket| Bucket {
        bucket_region: is_paged.then(|| bucket.region.clone()),
        creation_date: Some(shown_time(bucket.created)),
        name: Some(bucket.name.clone()),
    });
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(buckets.collect()),
        continuation_token: next,
        owner: Some(owner()),
        prefix,
    }))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::default(None, "us-east-1", Ok("us-east-1"))]
    #[case::elsewhere_from_default(Some("eu-central-1"), "us-east-1", Ok("eu-central-1"))]
    #[case::at_home(Some("eu-central-1"), "eu-central-1", Ok("eu-central-1"))]
    #[case::old_name(Some("EU"), "eu-west-1", Ok("eu-west-1"))]
    #[case::unspecified(None, "eu-central-1", Err("IllegalLocationConstraintException"))]
    #[case::misfit(
        Some("eu-west-1"),
        "eu-central-1",
        Err("IllegalLocationConstraintException")
    )]
    #[case::default_by_name(Some("us-east-1"), "us-east-1", Err("InvalidLocationConstraint"))]
    #[case::no_region(Some("moon"), "us-east-1", Err("InvalidLocationConstraint"))]
    fn regions_of_new_buckets(
        #[case] constraint: Option<&str>,
        #[case] endpoint: &str,
        #[case] expected: Result<&str, &str>,
    ) {
        let result = region(constraint, endpoint);
        let result = result.map_err(|error| error.code().as_str().to_owned());
        assert_eq!(result, expected.map(str::to_owned).map_err(str::to_owned));
    }
}
