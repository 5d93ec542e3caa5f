//! Routes: from a master bucket to its targets, as the master's tags say.
//!
//! Tags are cached for a time, and so is what was found out about the targets. Cycles are refused:
//! a target that leads back to the master would copy old states over newer writes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::warn;

use crate::error::{Failure, Kind, Place};
use crate::s3::{head_bucket, send};
use crate::site::{Bucket, Sites};
use crate::targets::{Expected, Target, parse};

/// How many buckets a chain of targets is followed through.
const HOPS: usize = 8;

/// How long cycles are looked for, at most: a site that hangs must leave time for the others.
const CYCLE_CHECK: Duration = Duration::from_secs(2);

/// Where a master's objects go.
#[derive(Debug)]
pub struct Route {
    /// The master.
    pub master: Bucket,
    /// Its targets, without those that are refused.
    pub targets: Vec<Bucket>,
    /// What is wrong with its tags; each fails the change, after the targets have been served.
    pub problems: Vec<Failure>,
    /// What the tags say about removals.
    pub deletes: Option<bool>,
    /// Whether the tags name any target at all.
    pub configured: bool,
}

/// All routes that are known at present.
#[derive(Debug)]
pub struct Routes {
    ttl: Duration,
    known: Mutex<HashMap<(String, String), Slot>>,
}

/// One master's route: whoever comes first loads it, the others wait.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Arc<Route>)>>>;

impl Routes {
    /// Keeps what it has read for `ttl`.
    pub fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            known: Mutex::default(),
        }
    }

    /// The route of the master `bucket` at `site`.
    pub async fn get(
        &self,
        sites: &Sites,
        site: &str,
        bucket: &str,
        deadline: Instant,
    ) -> Result<Arc<Route>, Failure> {
        let id = (site.to_owned(), bucket.to_owned());
        let slot = {
            let mut known = self.known.lock().expect("no holder of this lock panics");
            Arc::clone(known.entry(id).or_default())
        };
        let mut slot = slot.lock().await;
        if let Some((loaded, route)) = &*slot
            && loaded.elapsed() < self.ttl
        {
            return Ok(Arc::clone(route));
        }
        let master = resolve(sites, bucket, site).await?;
        let route = Arc::new(load(sites, master, deadline).await?);
        *slot = Some((Instant::now(), Arc::clone(&route)));
        Ok(route)
    }
}

/// A bucket at the site that a tag, an event or the command line names.
pub(crate) async fn resolve(sites: &Sites, bucket: &str, site: &str) -> Result<Bucket, Failure> {
    match sites.get(site).await {
        Ok(site) => Ok(Bucket {
            name: bucket.to_owned(),
            site,
        }),
        Err(error) => {
            let place = Place {
                bucket: bucket.to_owned(),
                key: None,
                site: site.to_owned(),
            };
            Err(Failure::new(
                Kind::Permanent,
                "resolving the site",
                place,
                error,
            ))
        }
    }
}

/// The route of a master as it is now, past any cache.
pub(crate) async fn load(
    sites: &Sites,
    master: Bucket,
    deadline: Instant,
) -> Result<Route, Failure> {
    let tags = bucket_tags(&master, deadline).await?;
    let list = parse(pairs(&tags), |name| sites.is_profile(name));
    if !list.configured {
        // Some stores answer "no tags" for a bucket that does not exist.
        head_bucket(&master, deadline).await?;
    }
    let refuse =
        |problem| Failure::new(Kind::Permanent, "reading tags", master.place(None), problem);
    let left = deadline.saturating_duration_since(Instant::now());
    let patience = Instant::now() + CYCLE_CHECK.min(left / 4);
    let mut problems: Vec<Failure> = list.problems.into_iter().map(refuse).collect();
    let admitted = join_all(
        list.targets
            .iter()
            .map(|target| admit(sites, &master, target, patience)),
    )
    .await;
    let mut targets = Vec::with_capacity(admitted.len());
    for (target, admitted) in list.targets.iter().zip(admitted) {
        match admitted {
            Ok(bucket) => targets.push(bucket),
            Err(Refused::Problem(expected)) => problems.push(refuse(target.problem(expected))),
            Err(Refused::Failure(failure)) => problems.push(failure),
        }
    }
    Ok(Route {
        master,
        targets,
        problems,
        deletes: list.deletes,
        configured: list.configured,
    })
}

enum Refused {
    Problem(Expected),
    Failure(Failure),
}

/// The target's bucket, unless it is the master itself or leads back to it.
async fn admit(
    sites: &Sites,
    master: &Bucket,
    target: &Target,
    patience: Instant,
) -> Result<Bucket, Refused> {
    let bucket = resolve(sites, &target.bucket, &target.site)
        .await
        .map_err(Refused::Failure)?;
    if bucket == *master {
        return Err(Refused::Problem(Expected::NotTheMaster));
    }
    match path_back(sites, master, &bucket, patience).await {
        Some(path) => Err(Refused::Problem(Expected::NoCycle { path })),
        None => Ok(bucket),
    }
}

/// The chain of tags that leads from `target` to `master`, if there is one.
///
/// A bucket whose tags cannot be read is let through with a warning, or a site that is down would
/// stop the others.
pub(crate) async fn path_back(
    sites: &Sites,
    master: &Bucket,
    target: &Bucket,
    patience: Instant,
) -> Option<String> {
    let mut paths = vec![(
        target.clone(),
        format!("{} -> {}", master.name, target.name),
    )];
    let mut seen = vec![target.clone()];
    for _ in 0..HOPS {
        let mut next = Vec::new();
        for (bucket, path) in paths {
            let tags = match bucket_tags(&bucket, patience).await {
                Ok(tags) => tags,
                Err(failure) if failure.kind == Kind::NoSuchBucket => continue,
                Err(failure) => {
                    let error = failure.chain();
                    warn!(
                        bucket = master.name,
                        target = bucket.name,
                        error,
                        "cycles not checked"
                    );
                    continue;
                }
            };
            for target in parse(pairs(&tags), |name| sites.is_profile(name)).targets {
                let Ok(bucket) = resolve(sites, &target.bucket, &target.site).await else {
                    continue;
                };
                let path = format!("{path} -> {}", bucket.name);
                if bucket == *master {
                    return Some(path);
                }
                if !seen.contains(&bucket) {
                    seen.push(bucket.clone());
                    next.push((bucket, path));
                }
            }
        }
        paths = next;
    }
    None
}

/// The bucket's tags; none is no error.
pub(crate) async fn bucket_tags(
    bucket: &Bucket,
    deadline: Instant,
) -> Result<Vec<aws_sdk_s3::types::Tag>, Failure> {
    let request = async {
        use aws_sdk_s3::error::ProvideErrorMetadata;
        match bucket
            .site
            .client
            .get_bucket_tagging()
            .bucket(&bucket.name)
            .send()
            .await
        {
            Ok(output) => Ok(output.tag_set),
            Err(error) if error.code() == Some("NoSuchTagSet") => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    };
    send(bucket, None, "GetBucketTagging", deadline, request).await
}

pub(crate) fn pairs(tags: &[aws_sdk_s3::types::Tag]) -> impl Iterator<Item = (&str, &str)> {
    tags.iter()
        .map(|tag| (tag.key.as_str(), tag.value.as_str()))
}
