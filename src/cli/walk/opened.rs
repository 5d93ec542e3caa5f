//! From arguments to a master with its targets and the keys to walk over.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::Instant;

use super::arguments::{S3Uri, WalkArguments};
use super::form::{self, grouped, size};
use crate::change::ObjectKey;
use crate::cli::CommandError;
use crate::cli::spectator::{json, line};
use crate::config::Config;
use crate::drift::cost::{Counted, Estimate};
use crate::drift::filter::Filter;
use crate::drift::inventory::{Inventory, OpenError};
use crate::drift::keys::{Keys, Selection, count};
use crate::drift::scope::{Rule, Scope};
use crate::drift::subject::{Subject, named_region};
use crate::drift::throttle::Throttle;
use crate::drift::verify::Level;
use crate::error::{Failure, chain};
use crate::http_client::http_client;
use crate::s3::head_bucket;
use crate::site::{Bucket, Sites};

/// How long an answer may keep us waiting for its first byte: a server-side copy is silent.
const SILENCE: Duration = Duration::from_secs(300);

/// How long what is asked before the walk may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A master with its targets, and what was asked of them.
pub(crate) struct Opened {
    pub(crate) sites: Sites,
    pub(crate) subject: Subject,
    pub(crate) selection: Selection,
    pub(crate) throttle: Throttle,
}

impl WalkArguments {
    /// Reads the environment, the master's tags and its notification rules.
    pub(crate) async fn open(&self) -> Result<Opened, CommandError> {
        let lookup = |name: &str| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
        let mut config =
            Config::from_lookup(lookup).map_err(|errors| CommandError::Input(chain(&errors)))?;
        config.concurrency = self.keys_at_once(1);
        let throttle = Throttle::new(self.requests_per_second);
        let timeouts = TimeoutConfig::builder().read_timeout(SILENCE).build();
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(throttle.around(http_client()))
            .retry_config(RetryConfig::adaptive())
            .timeout_config(timeouts);
        let sites = Sites::load_with(loader, config.concurrency).await;
        let sites = sites.map_err(|error| CommandError::Input(chain(&error)))?;
        let S3Uri { bucket, rest } = &self.master;
        let subject = Subject::open(&sites, &config, bucket, self.site.as_deref()).await?;
        if !subject.is_configured() {
            return Err(CommandError::Input(format!(
                "s3://{bucket} has no tag ReplicatedTargetBuckets, so it is no master: tag it with \
                 its targets, as in `copy-1@ap-southeast-1 copy-2@eu-central-1`"
            )));
        }
        for problem in subject.problems() {
            anstream::eprintln!("error: {}", problem.chain());
        }
        if subject.targets().is_empty() {
            return Err(CommandError::Input(format!(
                "s3://{bucket} has no target that can be served"
            )));
        }
        let scope = match rest {
            Some(prefix) => Scope::of_prefix(prefix),
            None => rules_of(subject.master()).await?,
        };
        let patterns = self.patterns.0.clone();
        let selection = Selection {
            filter: Filter::new(rest.as_deref().unwrap_or_default(), patterns),
            scope,
            after: self.start_after.clone(),
            page_size: self.page_size,
        };
        Ok(Opened {
            sites,
            subject,
            selection,
            throttle,
        })
    }

    /// How many keys are in work at once, where each is asked for in so many buckets: no more than
    /// a second's requests, since keys that wait for theirs would only run out of time.
    pub(crate) fn keys_at_once(&self, buckets: usize) -> usize {
        let concurrency = usize::from(self.concurrency);
        let Some(rate) = self.requests_per_second else {
            return concurrency;
        };
        let rate = usize::try_from(rate.get()).unwrap_or(usize::MAX);
        concurrency.min(rate / buckets).max(1)
    }

    /// The keys to walk over, and targets that cannot be reached.
    pub(crate) async fn keys(
        &self,
        opened: &Opened,
    ) -> Result<(Keys, Vec<(usize, Failure)>), CommandError> {
        let selection = opened.selection.clone();
        let Some(uri) = &self.from_inventory else {
            // Listings find out by themselves.
            return Ok((Keys::listed(&opened.subject, selection), Vec::new()));
        };
        let inventory = open_inventory(&opened.sites, &opened.subject, uri).await?;
        let deadline = Instant::now() + PATIENCE;
        let targets = opened.subject.targets().iter();
        let asked = join_all(targets.map(|target| head_bucket(target, deadline))).await;
        let is_lost = asked.iter().map(Result::is_err).collect();
        let lost = asked.into_iter().enumerate();
        let lost = lost.filter_map(|(target, asked)| Some((target, asked.err()?)));
        let keys = Keys::of_inventory(inventory, selection, is_lost);
        Ok((keys, lost.collect()))
    }

    /// Counts the master's keys and says what the walk asks for and costs; nothing is counted where
    /// that would cost as much as the walk itself.
    pub(crate) async fn announce(
        &self,
        opened: &Opened,
        level: Level,
    ) -> Result<Option<u64>, CommandError> {
        let counted = match (&self.from_inventory, level) {
            (None, Level::Head | Level::Bytes) => {
                Some(count(&opened.subject, &opened.selection).await?)
            }
            _ => None,
        };
        let announcement = Announcement::of(self, opened, level, counted);
        match self.json {
            true => json(&serde_json::json!({ "plan": announcement })),
            false => announcement.show(),
        }
        Ok(counted.map(|counted| counted.keys))
    }
}

async fn rules_of(master: &Bucket) -> Result<Scope, CommandError> {
    let rules = Scope::of_notifications(master, Instant::now() + PATIENCE).await;
    // A store may have no notifications, and a role no permission to read them.
    rules.map_err(CommandError::Unscoped)
}

async fn open_inventory(
    sites: &Sites,
    subject: &Subject,
    uri: &S3Uri,
) -> Result<Inventory, CommandError> {
    let rest = uri.rest.clone().unwrap_or_default();
    let key = ObjectKey::new(rest)
        .map_err(|invalid| CommandError::Input(format!("--from-inventory: {invalid}")))?;
    // S3 keeps an inventory in the region of the bucket that it is of, which may be a target's. A
    // profile may be of another service, where a region is only a name.
    let near = &subject.master().site;
    let own = near.client.config().region().map(|region| region.as_ref());
    let site = match named_region(&near.client, &uri.bucket).await {
        Some(region) if own != Some(region.as_str()) && !sites.is_profile(&near.name) => {
            let site = sites.get(&region).await;
            site.map_err(|error| CommandError::Input(chain(&error)))?
        }
        _ => near.clone(),
    };
    let bucket = Bucket {
        name: uri.bucket.clone(),
        site,
    };
    let inventory = match Inventory::open(bucket, &key).await {
        Ok(inventory) => inventory,
        Err(OpenError::Failure(failure)) => return Err(failure.into()),
        Err(error) => return Err(CommandError::Input(chain(&error))),
    };
    let mut known = std::iter::once(subject.master()).chain(subject.targets());
    if known.all(|bucket| bucket.name != inventory.source) {
        return Err(CommandError::Input(format!(
            "the inventory is of s3://{}, which is neither the master nor one of its targets",
            inventory.source
        )));
    }
    Ok(inventory)
}

/// What a walk covers and asks for.
#[derive(Serialize)]
struct Announcement {
    master: String,
    site: String,
    targets: Vec<String>,
    covers: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dollars: Option<f64>,
    #[serde(skip)]
    detail: String,
}

impl Announcement {
    fn of(
        arguments: &WalkArguments,
        opened: &Opened,
        level: Level,
        counted: Option<Counted>,
    ) -> Self {
        let subject = &opened.subject;
        let targets = subject.targets();
        let covers = opened.selection.scope.rules().iter();
        let covers = covers.map(Rule::to_string);
        let per_target = targets.len() as u64;
        let page_size = arguments
            .page_size
            .map(|size| u64::from(size.unsigned_abs()));
        let estimate =
            counted.map(|counted| (counted, Estimate::of(counted, per_target, level, page_size)));
        let detail = match (&estimate, level) {
            (Some((counted, estimate)), _) => {
                let gets = match estimate.gets {
                    0 => String::new(),
                    gets => format!(", {} GET", grouped(gets)),
                };
                format!(
                    "about {} for {} ({}): {} LIST, {} HEAD{gets}, and one for each object \
                     with tags; {} at AWS list prices",
                    grouped(estimate.requests()),
                    form::counted(counted.keys, "key"),
                    size(counted.bytes),
                    grouped(estimate.lists),
                    grouped(estimate.heads),
                    form::dollars(estimate.dollars()),
                )
            }
            (None, Level::Listing) => format!(
                "{} LIST for every 1,000 keys, and {} HEAD for a key that seems to differ; \
                 metadata not checked",
                1 + targets.len(),
                1 + targets.len(),
            ),
            (None, _) => format!("{} HEAD for every key of the inventory", 1 + targets.len()),
        };
        let named = targets
            .iter()
            .map(|target| format!("{}@{}", target.name, target.site.name));
        Self {
            master: subject.master().name.clone(),
            site: subject.master().site.name.clone(),
            targets: named.collect(),
            covers: covers.collect(),
            keys: estimate.as_ref().map(|(counted, _)| counted.keys),
            bytes: estimate.as_ref().map(|(counted, _)| counted.bytes),
            requests: estimate.as_ref().map(|(_, estimate)| estimate.requests()),
            dollars: estimate.as_ref().map(|(_, estimate)| estimate.dollars()),
            detail,
        }
    }

    fn show(&self) {
        line(format_args!("master    {}@{}", self.master, self.site));
        line(format_args!("targets   {}", self.targets.join(" ")));
        line(format_args!("covers    {}", self.covers.join(" ")));
        line(format_args!("requests  {}", self.detail));
        line(format_args!(""));
    }
}
