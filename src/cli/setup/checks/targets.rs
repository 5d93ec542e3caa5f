//! Targets: those that are asked for, that tags name already, and that are to be taken away.
//!
//! Invariant: only what was asked for keeps anything from being written.

use futures_util::future::join_all;

use super::lenient;
use crate::cli::account::{Account, deadline};
use crate::cli::diagnosis::buckets::{exists, hidden_tags};
use crate::cli::diagnosis::{Finding, Status};
use crate::cli::setup::tags::{Entry, Tags, named_otherwise, pairs, unfit};
use crate::routes::path_back;
use crate::site::Bucket;
use crate::targets::parse;

/// Every target: there, where it is said to be, and not leading back.
pub(super) async fn targets(account: &Account, master: &Bucket, targets: &[Entry]) -> Vec<Finding> {
    let of_each = targets.iter().map(|entry| target(account, master, entry));
    join_all(of_each).await.concat()
}

async fn target(account: &Account, master: &Bucket, entry: &Entry) -> Vec<Finding> {
    let error = |found: String, mend: &str| vec![Finding::error("target", found, mend)];
    if let Some(why) = unfit(entry, |name| account.sites.is_profile(name)) {
        let mend = "name a region, or add the profile to AWS_CONFIG_FILE";
        return error(format!("{entry}: {why}"), mend);
    }
    let bucket = match account.bucket(&entry.bucket, &entry.site).await {
        Ok(bucket) => bucket,
        Err(failure) => return error(failure.chain(), "mend the AWS shared configuration"),
    };
    let name = &bucket.name;
    if bucket == *master {
        return error(
            format!("s3://{name} is the master itself"),
            "name another bucket",
        );
    }
    let found = exists("target", &bucket).await;
    if found.status == Status::Error {
        return vec![found];
    }
    match path_back(&account.sites, master, &bucket, deadline()).await {
        Some(path) => {
            let last = path.rsplit(" -> ").nth(1).unwrap_or(name);
            let (master, region) = (&master.name, master.site.region());
            error(
                format!("s3://{name} leads back to the master ({path}): {CYCLE}"),
                &format!("s3-replicator setup --master {last} --undo --target {master}@{region}"),
            )
        }
        None => std::iter::once(found)
            .chain(hidden_tags(&bucket).await)
            .collect(),
    }
}

/// That a target which is to be taken away is not there to be.
pub(super) fn unnamed(tags: &Tags, entry: &Entry, master: &str) -> Option<Finding> {
    match named_otherwise(tags, entry) {
        None => Some(Finding::warning(
            "target",
            format!("{entry} is not named for s3://{master}"),
            "nothing, if it was taken away before",
        )),
        Some(others) => others.first().map(|other| {
            let found = format!("the bucket of {entry} is named as {other}");
            Finding::error("target", found, format!("--target {other}"))
        }),
    }
}

/// Targets that tags name already: what is wrong with them is told, and is no reason not to write.
pub(super) async fn tagged(account: &Account, tags: &Tags, named: &[Entry]) -> Vec<Finding> {
    let list = parse(pairs(tags), |name| account.sites.is_profile(name));
    let others = list
        .targets
        .into_iter()
        .filter(|target| named.iter().all(|it| it.bucket != target.bucket));
    let of_each = others.map(async |target| {
        let found = match account.bucket(&target.bucket, &target.site).await {
            Ok(bucket) => exists("target", &bucket).await,
            Err(failure) => Finding::unknown("target", failure.chain()),
        };
        (found.status != Status::Ok).then(|| lenient(found))
    });
    join_all(of_each).await.into_iter().flatten().collect()
}

/// Why a cycle is refused.
const CYCLE: &str = "old states would be copied over newer writes";
