//! Stores, clients and the function of one plan.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_runtime::invocation_id::DefaultInvocationIdGenerator;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials as SdkCredentials, Region, RequestChecksumCalculation,
};
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, VersioningConfiguration,
};
use aws_types::sdk_config::TimeSource;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::history::History;
use super::log::Log;
use super::memory::BUDGET;
use super::user::tagging;
use super::wire::{Shared, Wire};
use crate::config::Config;
use crate::handler::Replicator;
use crate::local::http::{SharedService, in_process_client};
use crate::local::s3::{Clock, Credentials, EmbeddedS3, Options};
use crate::local::simulate::plan::Plan;
use crate::local::simulate::trace::Trace;
use crate::site::{SitePart, Sites};
use crate::targets::TARGETS_TAG;

/// The time at which every world begins.
const EPOCH: Duration = Duration::from_secs(1_800_000_000);
const REGIONS: [&str; 3] = ["us-east-1", "ap-southeast-1", "eu-central-1"];
/// Keys and parts in work at once.
pub(super) const PLACES: usize = 16;
const KEYS: (&str, &str) = ("simulation", "simulation-secret");

/// Bucket and key, by their numbers.
pub(super) type Echoes = mpsc::UnboundedReceiver<(u8, u8)>;

/// Everything that goes on in one plan.
pub(super) struct World {
    pub(super) shared: Arc<Shared>,
    pub(super) replicator: Replicator,
    pub(super) log: Log,
}

/// Virtual time as the SDK asks for it.
#[derive(Debug)]
struct VirtualTime(Instant);

impl VirtualTime {
    fn at(started: Instant) -> SystemTime {
        SystemTime::UNIX_EPOCH + EPOCH + started.elapsed()
    }
}

impl TimeSource for VirtualTime {
    fn now(&self) -> SystemTime {
        Self::at(self.0)
    }
}

pub(super) fn name(bucket: u8) -> String {
    if bucket == 0 {
        "master".to_owned()
    } else {
        format!("replica-{bucket}")
    }
}

/// The bucket of this name.
pub(super) fn number(name: &str) -> u8 {
    let number = name.strip_prefix("replica-");
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

pub(super) fn region(bucket: u8) -> &'static str {
    REGIONS[usize::from(bucket) % REGIONS.len()]
}

impl World {
    /// The world, and the keys that are written in buckets that are masters of others.
    pub(super) async fn new(plan: &Plan, trace: Trace) -> (Self, Echoes) {
        fastrand::seed(plan.seed);
        let started = Instant::now();
        let store = || -> SharedService {
            Arc::new(EmbeddedS3::new(Options {
                credentials: vec![Credentials {
                    access_key: KEYS.0.to_owned(),
                    secret_key: KEYS.1.to_owned(),
                }],
                notifications: None,
                clock: Clock::new(move || VirtualTime::at(started)),
                smallest_part: 1,
            }))
        };
        let main = store();
        let separate = if plan.shape.streams {
            store()
        } else {
            Arc::clone(&main)
        };
        let buckets = 0..plan.shape.targets + 1;
        let is_separate = |bucket: u8| plan.shape.streams && bucket == plan.shape.targets;
        let store_of = |bucket: u8| {
            if is_separate(bucket) {
                &separate
            } else {
                &main
            }
        };
        let clients = buckets.clone().map(|bucket| {
            // A checksum would prove what is to be proven by the bytes.
            let config = client(Arc::clone(store_of(bucket)), started, plan.seed)
                .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
                .endpoint_url("http://main")
                .force_path_style(true)
                .region(Region::from_static(region(bucket)));
            Client::from_conf(config.build())
        });
        let history = History::new(clients.collect());
        let (echo, echoes) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(plan.clone(), trace, history, echo, started));
        let parts = buckets.map(|bucket| {
            let wire = Arc::new(Wire {
                shared: Arc::clone(&shared),
                inner: Arc::clone(store_of(bucket)),
            });
            SitePart {
                name: region(bucket).to_owned(),
                endpoint: if is_separate(bucket) {
                    "http://separate"
                } else {
                    "http://main"
                }
                .to_owned(),
                client: client(wire, started, plan.seed),
            }
        });
        let config = Config::from_lookup(|_| None).expect("nothing is set to nothing wrong");
        let config = Config {
            memory: BUDGET as u64,
            concurrency: PLACES,
            ..config
        };
        let replicator = Replicator::with_sites(config, Sites::from_parts(parts, PLACES));
        let world = Self {
            shared,
            replicator,
            log: Log::default(),
        };
        world.create_buckets(plan).await;
        (world, echoes)
    }

    pub(super) fn client(&self, bucket: u8) -> &Client {
        self.shared.history.client(bucket)
    }

    async fn create_buckets(&self, plan: &Plan) {
        for bucket in 0..plan.shape.targets + 1 {
            let client = self.client(bucket);
            let place = (bucket > 0).then(|| {
                let place = BucketLocationConstraint::from(region(bucket));
                CreateBucketConfiguration::builder()
                    .location_constraint(place)
                    .build()
            });
            let created = client.create_bucket().bucket(name(bucket));
            let created = created.set_create_bucket_configuration(place).send().await;
            created.expect("the embedded store makes buckets");
            if plan.shape.encrypted {
                let request = client.put_bucket_encryption().bucket(name(bucket));
                let done = request
                    .server_side_encryption_configuration(kms())
                    .send()
                    .await;
                done.expect("the embedded store hides ETags");
            }
            let versioned = if bucket == 0 {
                plan.shape.versioned_master
            } else {
                plan.shape.versioned_targets
            };
            if versioned {
                let enabled =
                    VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
                let request = client.put_bucket_versioning().bucket(name(bucket));
                let done = request
                    .versioning_configuration(enabled.build())
                    .send()
                    .await;
                done.expect("the embedded store knows versions");
            }
        }
        for bucket in 0..plan.shape.targets {
            let targets: Vec<String> = plan
                .targets(bucket)
                .map(|target| format!("{}@{}", name(target), region(target)))
                .collect();
            if targets.is_empty() {
                continue;
            }
            let tagging = tagging(TARGETS_TAG, &targets.join(" "));
            let request = self
                .client(bucket)
                .put_bucket_tagging()
                .bucket(name(bucket));
            let tagged = request.tagging(tagging).send().await;
            tagged.expect("the embedded store keeps tags");
        }
    }
}

/// Encryption that hides what ETags would tell.
fn kms() -> ServerSideEncryptionConfiguration {
    let kms = ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms);
    let kms = kms.build().expect("the algorithm is set");
    let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(kms);
    let rules = ServerSideEncryptionConfiguration::builder().rules(rule.build());
    rules.build().expect("there is a rule")
}

/// What a client is made of, with everything that would differ from run to run.
fn client(service: SharedService, started: Instant, seed: u64) -> Builder {
    let (access_key, secret_key) = KEYS;
    let retries = RetryPartition::custom("simulation").token_bucket(TokenBucket::default());
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(in_process_client(service))
        .credentials_provider(SdkCredentials::new(
            access_key,
            secret_key,
            None,
            None,
            "simulation",
        ))
        .invocation_id_generator(DefaultInvocationIdGenerator::with_seed(seed))
        .retry_partition(retries.build())
        .time_source(VirtualTime(started))
}
