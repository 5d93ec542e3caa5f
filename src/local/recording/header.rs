//! The first line: which buckets there are and how the function hears of them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::local::lambda::Source;

/// The world in which a recording's steps happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What a person calls it; the file's stem by default.
    pub name: String,
    /// Decides every choice that is left open.
    pub seed: u64,
    /// The envelope around notifications.
    pub source: Source,
    /// The bucket that is replicated.
    pub master: Bucket,
    /// The buckets it is replicated to, and those that these are replicated to in turn.
    pub targets: Vec<TargetBucket>,
    /// The function's own settings.
    pub function: Function,
    /// How messages are gathered for one invocation; of use only where there is a queue.
    pub batch: Batch,
    /// How often an asynchronous invocation that failed is tried again, 0 to 2.
    pub retries: u8,
}

/// A bucket as the world makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Its region, which is the site it is reached by.
    pub region: String,
    /// Whether versioning is enabled from the start.
    pub versioning: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A bucket that is replicated to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetBucket {
    /// The bucket.
    pub bucket: Bucket,
    /// Whether its site is a service of its own, with its own endpoint and credentials.
    pub separate: bool,
    /// Whether it is made at all; a target that is not is missing throughout.
    pub create: bool,
}

/// The function's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// How long an invocation may take.
    pub timeout: Duration,
    /// How many instances there may be at once.
    pub concurrency: usize,
    /// Environment variables on top of those that the world sets.
    pub environment: BTreeMap<String, String>,
}

/// How messages are gathered for one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// At most so many messages.
    pub size: usize,
    /// How long the first message waits for others.
    pub window: Duration,
    /// How often a message is received before it goes to the dead-letter queue.
    pub max_receives: u32,
}

impl Header {
    /// A world with this master and nothing else.
    pub fn new(name: impl Into<String>, master: Bucket) -> Self {
        Self {
            name: name.into(),
            seed: 0,
            source: Source::default(),
            master,
            targets: Vec::new(),
            function: Function::default(),
            batch: Batch::default(),
            retries: Self::RETRIES,
        }
    }

    /// Every bucket, the master first.
    pub fn buckets(&self) -> impl Iterator<Item = &Bucket> {
        std::iter::once(&self.master).chain(self.targets.iter().map(|target| &target.bucket))
    }

    pub(super) const RETRIES: u8 = 2;
}

impl Bucket {
    /// An empty bucket without versioning or tags.
    pub fn new(name: impl Into<String>, region: impl Into<String>) -> Self {
        let (name, region) = (name.into(), region.into());
        Self {
            name,
            region,
            versioning: false,
            tags: BTreeMap::new(),
        }
    }
}

impl Default for Function {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            concurrency: 2,
            environment: BTreeMap::new(),
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            size: 10,
            window: Duration::ZERO,
            max_receives: 5,
        }
    }
}

/// Whether bucket tags name targets, rightly or wrongly.
pub(super) fn name_targets(tags: &BTreeMap<String, String>) -> bool {
    tags.iter().any(|(tag, value)| {
        let rest = tag.strip_prefix("ReplicatedTargetBuckets");
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) && !value.is_empty()
    })
}
