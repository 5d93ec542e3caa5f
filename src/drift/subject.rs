//! A master with its targets, as a walk asks them: what the function knows of them, and its own way
//! to look at a key and to repair it.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use futures_util::future::{join, join_all};
use tokio::sync::{OnceCell, SetOnce};
use tokio::time::Instant;

use super::sync::Rehearsal;
use crate::change::ObjectKey;
use crate::config::Config;
use crate::error::Failure;
use crate::object::Object;
use crate::reconcile::{Comparison, Report, reconcile};
use crate::routes::{Route, Routes};
use crate::s3::{TagCounts, head, head_bucket};
use crate::site::{Bucket, Sites};
use crate::store::{Key, Silent};
use crate::transfer::{self, Limits, Turn};

/// How long one look may take, with all attempts.
const LOOK: Duration = Duration::from_secs(300);

/// How long one object may take to be moved or read: the largest one, over a slow line.
const MOVE: Duration = Duration::from_secs(24 * 3600);

/// A master and its targets.
#[derive(Debug, Clone)]
pub struct Subject(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    route: Arc<Route>,
    deletes: bool,
    tag_counts: TagCounts,
    limits: Limits,
    /// All keys count as begun, since there is no end of them in sight.
    siblings: SetOnce<()>,
}

/// What a look at one key has shown.
#[derive(Debug)]
pub struct Look {
    /// The master's object.
    pub master: Option<Object>,
    /// The replicas that were asked for, in the order of the targets.
    pub replicas: Vec<Option<Result<Option<Object>, Failure>>>,
}

impl Subject {
    /// Reads the tags of `bucket`, which is at `site`, or wherever the store says that it is.
    pub async fn open(
        sites: &Sites,
        config: &Config,
        bucket: &str,
        site: Option<&str>,
    ) -> Result<Self, Failure> {
        let deadline = Instant::now() + LOOK;
        let site = match site {
            Some(site) => site.to_owned(),
            None => region_of(sites, bucket).await?,
        };
        let route = Routes::new(config.tag_ttl);
        let route = route.get(sites, &site, bucket, deadline).await?;
        // Some stores answer "no tags" for a bucket that does not exist.
        head_bucket(&route.master, deadline).await?;
        let deletes = route.deletes.unwrap_or(config.deletes);
        let limits = Limits::new(
            config.concurrency,
            config.memory,
            config.part_size,
            config.multipart_threshold,
        );
        Ok(Self(Arc::new(Inner {
            route,
            deletes,
            tag_counts: TagCounts::default(),
            limits,
            siblings: SetOnce::new_with(Some(())),
        })))
    }

    /// The master.
    pub fn master(&self) -> &Bucket {
        &self.0.route.master
    }

    /// Its targets, without those that are refused.
    pub fn targets(&self) -> &[Bucket] {
        &self.0.route.targets
    }

    /// What is wrong with the master's tags.
    pub fn problems(&self) -> &[Failure] {
        &self.0.route.problems
    }

    /// Whether the tags name any target at all.
    pub fn is_configured(&self) -> bool {
        self.0.route.configured
    }

    /// Whether removals are replicated.
    pub fn deletes(&self) -> bool {
        self.0.deletes
    }

    /// Looks at the key in the master and in the targets that are `wanted`, all at once.
    pub async fn look(&self, key: &ObjectKey, wanted: &[bool]) -> Result<Look, Failure> {
        let deadline = Instant::now() + LOOK;
        let counts = &self.0.tag_counts;
        let replicas = self.targets().iter().zip(wanted);
        let replicas = replicas.map(async |(target, &wanted)| match wanted {
            true => Some(head(target, key, counts, deadline).await),
            false => None,
        });
        let master = head(self.master(), key, counts, deadline);
        let (master, replicas) = join(master, join_all(replicas)).await;
        Ok(Look {
            master: master?,
            replicas,
        })
    }

    /// Reads both objects and compares their bytes.
    pub async fn compare(
        &self,
        key: &ObjectKey,
        master: &Object,
        target: usize,
        replica: &Object,
    ) -> Result<Comparison, Failure> {
        let sides = ((self.master(), master), (&self.targets()[target], replica));
        transfer::compare(key, sides.0, sides.1, Instant::now() + MOVE).await
    }

    /// Whether a delete marker hides the key in a target, where it is absent.
    pub async fn is_under_marker(&self, key: &ObjectKey, target: usize) -> bool {
        let target = &self.targets()[target];
        let request = target.site.client.head_object().bucket(&target.name);
        let answer = request.key(key.as_str()).send().await;
        answer.is_err_and(|error| {
            let headers = error.raw_response().map(|raw| raw.headers());
            headers.and_then(|headers| headers.get("x-amz-delete-marker")) == Some("true")
        })
    }

    /// Waits for a place to work on a key.
    pub async fn turn(&self) -> Turn<'_> {
        self.0.limits.turn(&self.0.siblings).await
    }

    /// Makes the key equal at `targets`, as the function does; a rehearsal writes nothing.
    pub async fn reconcile(
        &self,
        key: &ObjectKey,
        turn: &Turn<'_>,
        targets: &[Bucket],
        deletes: bool,
        is_rehearsal: bool,
    ) -> Report {
        let store = Key {
            key,
            master: self.master(),
            targets,
            tag_counts: &self.0.tag_counts,
            limits: &self.0.limits,
            turn,
            // Asked for every key: a walk lasts too long for one answer.
            master_exists: &OnceCell::new(),
            silent: &Silent::default(),
            deadline: Instant::now() + MOVE,
        };
        match is_rehearsal {
            true => reconcile(&Rehearsal(store), targets.len(), deletes).await,
            false => reconcile(&store, targets.len(), deletes).await,
        }
    }
}

/// The region that the bucket itself names, or our own.
async fn region_of(sites: &Sites, bucket: &str) -> Result<String, Failure> {
    let home = sites.home().to_owned();
    let Ok(site) = sites.get(&home).await else {
        return Ok(home);
    };
    Ok(named_region(&site.client, bucket).await.unwrap_or(home))
}

/// The region that the bucket names.
pub async fn named_region(client: &Client, bucket: &str) -> Option<String> {
    let named = match client.head_bucket().bucket(bucket).send().await {
        Ok(output) => output.bucket_region,
        // A bucket elsewhere is a redirect, which says where.
        Err(error) => error
            .raw_response()
            .and_then(|raw| raw.headers().get("x-amz-bucket-region"))
            .map(str::to_owned),
    };
    named.filter(|region| !region.is_empty())
}
