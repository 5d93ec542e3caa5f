//! Who else replicates into a target: its extra keys may be another master's.
//!
//! What is looked at: the tags of every bucket that can be listed with the credentials of the
//! master's site and of each target's. A master in an account of which we know nothing is not seen.
//!
//! Invariant: what cannot be told counts as another master. An entry with a target's name whose site
//! only its owner can resolve, or that is misspelt, may mean that target.

use std::sync::Arc;
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

impl OtherMasters {
    fn found(&mut self, subject: &Subject, master: &Bucket, may_be: impl Fn(&Bucket) -> bool) {
        let targets = (0..).zip(subject.targets());
        let named = targets.filter(|(_, target)| may_be(target));
        self.found
            .extend(named.map(|(target, _)| (target, master.name.clone())));
    }
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
            let list = parse(pairs(&tags), |name| sites.is_profile(name));
            for named in list.targets {
                let site = sites.get(&named.site).await.ok();
                let may_be = |target: &Bucket| match &site {
                    Some(site) => {
                        let site = Arc::clone(site);
                        let name = named.bucket.clone();
                        *target == Bucket { name, site }
                    }
                    None => target.name == named.bucket,
                };
                other.found(subject, &bucket, may_be);
            }
            let misread = list.problems.iter().flat_map(|it| it.entry.split(' '));
            for entry in misread {
                let is_of_name = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
                let name = entry.split(|c| !is_of_name(c)).next().unwrap_or_default();
                other.found(subject, &bucket, |target| target.name == name);
            }
        }
    }
    other
}

/// The buckets of the service that `known` is at, each at its own region where the store says it.
async fn buckets_of(sites: &Sites, known: &Bucket) -> Result<Vec<Bucket>, Failure> {
    // S3 tells regions to whoever asks for anything: a number will do.
    let list = known.site.client.list_buckets().max_buckets(1000);
    let pages = list.into_paginator().items();
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
async fn site_of(sites: &Sites, known: &Bucket, region: Option<&str>) -> Arc<Site> {
    let named = match region {
        Some(region) => sites.get(region).await.ok(),
        None => None,
    };
    named
        .filter(|site| site.service == known.site.service)
        .unwrap_or_else(|| known.site.clone())
}
