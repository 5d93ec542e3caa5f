//! Who else replicates into a target: its extra keys may be another master's.
//!
//! What is looked at: the tags of every bucket that can be listed with the credentials of the
//! master's site and of each target's. A master in an account of which we know nothing is not seen.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;

use super::subject::Subject;
use crate::error::Failure;
use crate::routes::{bucket_tags, pairs};
use crate::s3::send;
use crate::site::{Bucket, Site, Sites};
use crate::targets::parse;

const PATIENCE: Duration = Duration::from_secs(300);

/// Buckets whose tags are read at once.
const AT_ONCE: usize = 16;

/// What was found.
#[derive(Debug, Default)]
pub struct OtherMasters {
    /// Targets, by their place, and a bucket that replicates into them.
    pub found: Vec<(usize, String)>,
    /// Services whose buckets could not be listed.
    pub unlisted: Vec<Failure>,
    /// Buckets whose tags could not be read.
    pub unread: Vec<Failure>,
}

/// Looks for buckets beside the master whose tags name one of its targets.
pub async fn other_masters(sites: &Sites, subject: &Subject) -> OtherMasters {
    let mut other = OtherMasters::default();
    let mut services: Vec<&Bucket> = Vec::new();
    for bucket in [subject.master()].into_iter().chain(subject.targets()) {
        if services
            .iter()
            .all(|it| it.site.service != bucket.site.service)
        {
            services.push(bucket);
        }
    }
    for known in services {
        let buckets = match buckets_of(sites, known).await {
            Ok(buckets) => buckets,
            Err(failure) => {
                other.unlisted.push(failure);
                continue;
            }
        };
        let tags = stream::iter(buckets).map(async |bucket| {
            let tags = bucket_tags(&bucket, Instant::now() + PATIENCE).await;
            (bucket, tags)
        });
        let mut tags = std::pin::pin!(tags.buffer_unordered(AT_ONCE));
        while let Some((bucket, tags)) = tags.next().await {
            if bucket == *subject.master() {
                continue;
            }
            let tags = match tags {
                Ok(tags) => tags,
                Err(failure) => {
                    other.unread.push(failure);
                    continue;
                }
            };
            for named in parse(pairs(&tags), |name| sites.is_profile(name)).targets {
                let Ok(site) = sites.get(&named.site).await else {
                    continue;
                };
                let named = Bucket {
                    name: named.bucket,
                    site,
                };
                let target = subject.targets().iter().position(|it| *it == named);
                other
                    .found
                    .extend(target.map(|target| (target, bucket.name.clone())));
            }
        }
    }
    other
}

/// The buckets of the service that `known` is at, each at its own region where the store says it.
async fn buckets_of(sites: &Sites, known: &Bucket) -> Result<Vec<Bucket>, Failure> {
    let pages = known.site.client.list_buckets().into_paginator().items();
    let listed = async { pages.send().collect::<Result<Vec<_>, _>>().await };
    let deadline = Instant::now() + PATIENCE;
    let listed = send(known, None, "ListBuckets", deadline, listed).await?;
    let mut buckets = Vec::with_capacity(listed.len());
    for bucket in listed {
        let region = bucket.bucket_region.as_deref();
        buckets.push(Bucket {
            site: site_of(sites, known, region).await,
            name: bucket.name.unwrap_or_default(),
        });
    }
    Ok(buckets)
}

/// The region's site, where it is the same service; the one that listed it elsewhere.
async fn site_of(sites: &Sites, known: &Bucket, region: Option<&str>) -> std::sync::Arc<Site> {
    let named = match region {
        Some(region) => sites.get(region).await.ok(),
        None => None,
    };
    named
        .filter(|site| site.service == known.site.service)
        .unwrap_or_else(|| known.site.clone())
}
