//! Several services in one process and in virtual time, and the real handler between them.
//!
//! `master` and `near-1`, … are one service; `far-1`, … are each a service of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_runtime::invocation_id::DefaultInvocationIdGenerator;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};
use aws_sdk_s3::config::{
    AppName, BehaviorVersion, Builder, Credentials as SdkCredentials, Region,
};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{
    ChecksumMode, CompletedMultipartUpload, CompletedPart, MultipartUpload, Tag, Tagging,
};
use aws_types::sdk_config::TimeSource;
use futures_util::future::BoxFuture;
use s3_replicator::config::Config;
use s3_replicator::handler::{Answer, InvocationFailed, Replicator};
use s3_replicator::local::faults::{Faults, S3Operation, operation_of};
use s3_replicator::local::http::{
    Hangup, Request, Response, Service, SharedService, in_process_client,
};
use s3_replicator::local::s3::{Clock, Credentials, EmbeddedS3, Options};
use s3_replicator::site::{SitePart, Sites};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{MASTER, event};

const KEYS: (&str, &str) = ("test", "test-secret");
const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// One request of the handler's.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) operation: S3Operation,
    pub(crate) bucket: String,
    pub(crate) part: Option<i32>,
    pub(crate) answered: bool,
}

/// All requests of the handler's, in the order of their arrival.
#[derive(Default)]
pub(crate) struct Log {
    seen: Mutex<Vec<Seen>>,
    arrived: Notify,
}

/// The services, what was asked of them, and the handler.
pub(crate) struct Services {
    clients: BTreeMap<String, Client>,
    parts: Vec<(String, String, SharedService)>,
    environment: BTreeMap<String, String>,
    started: Instant,
    pub(crate) faults: Faults,
    pub(crate) log: Arc<Log>,
    pub(crate) replicator: Replicator,
}

struct Observed {
    log: Arc<Log>,
    inner: SharedService,
}

impl Service for Observed {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let uri = request.uri();
        let named = operation_of(request.method(), uri.path(), uri.query(), request.headers());
        let query = uri.query().unwrap_or_default().split('&');
        let part = query
            .filter_map(|pair| pair.strip_prefix("partNumber="))
            .find_map(|number| number.parse().ok());
        let seen = Seen {
            operation: named.operation,
            bucket: named.bucket.unwrap_or_default(),
            part,
            answered: false,
        };
        let index = {
            let mut log = self.log.seen.lock().unwrap();
            log.push(seen);
            log.len() - 1
        };
        self.log.arrived.notify_one();
        let (log, answer) = (Arc::clone(&self.log), self.inner.call(request));
        Box::pin(async move {
            let answer = answer.await;
            log.seen.lock().unwrap()[index].answered = answer.is_ok();
            answer
        })
    }
}

/// Virtual time as clients and stores ask for it.
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

fn client(service: SharedService, started: Instant) -> Builder {
    let retries = RetryPartition::custom("test").token_bucket(TokenBucket::default());
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(in_process_client(service))
        .credentials_provider(SdkCredentials::new(KEYS.0, KEYS.1, None, None, "test"))
        .invocation_id_generator(DefaultInvocationIdGenerator::with_seed(1))
        .retry_partition(retries.build())
        .time_source(VirtualTime(started))
}

impl Services {
    /// A master, `near` targets at its service and `far` ones elsewhere; all buckets are there.
    pub(crate) async fn with_targets(near: usize, far: usize) -> Self {
        Self::configured(near, far, &[]).await
    }

    /// The same, with these variables in the function's environment.
    pub(crate) async fn configured(near: usize, far: usize, environment: &[(&str, &str)]) -> Self {
        fastrand::seed(7);
        let started = Instant::now();
        let (faults, log) = (
            Faults::new(BTreeMap::new(), Arc::new(|_| ())),
            Arc::<Log>::default(),
        );
        let store = || -> SharedService {
            Arc::new(EmbeddedS3::new(Options {
                credentials: vec![Credentials {
                    access_key: KEYS.0.to_owned(),
                    secret_key: KEYS.1.to_owned(),
                }],
                clock: Clock::new(move || VirtualTime::at(started)),
                smallest_part: 1,
                ..Options::default()
            }))
        };
        let main = store();
        let places = [(MASTER.to_owned(), "us-east-1".to_owned(), 0)].into_iter();
        let places = places
            .chain((1..=near).map(|n| (format!("near-{n}"), format!("eu-west-{n}"), 0)))
            .chain((1..=far).map(|n| (format!("far-{n}"), format!("ap-southeast-{n}"), n)));
        let (mut clients, mut parts, mut tag) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (bucket, region, number) in places {
            let service = match number {
                0 => Arc::clone(&main),
                _ => store(),
            };
            let config = client(Arc::clone(&service), started)
                .endpoint_url("http://store")
                .force_path_style(true)
                .region(Region::from_static("us-east-1"));
            let user = Client::from_conf(config.build());
            user.create_bucket().bucket(&bucket).send().await.unwrap();
            if bucket != MASTER {
                tag.push(format!("{bucket}@{region}"));
            }
            clients.insert(bucket, user);
            parts.push((region, format!("http://service-{number}"), service));
        }
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let replicator = replicator(&parts, &environment, &faults, &log, started);
        let services = Self {
            clients,
            parts,
            environment,
            started,
            faults,
            log,
            replicator,
        };
        let tag = Tag::builder()
            .key("ReplicatedTargetBuckets")
            .value(tag.join(" "));
        let tagging = Tagging::builder().tag_set(tag.build().unwrap());
        let request = services.user(MASTER).put_bucket_tagging().bucket(MASTER);
        let tagging = tagging.build().unwrap();
        request.tagging(tagging).send().await.unwrap();
        services
    }

    /// A user's own client for a bucket: no fault meets it, and nothing is counted.
    pub(crate) fn user(&self, bucket: &str) -> &Client {
        &self.clients[bucket]
    }

    /// A new process: it knows nothing of what the last one knew.
    pub(crate) fn restart(&mut self) {
        self.replicator = replicator(
            &self.parts,
            &self.environment,
            &self.faults,
            &self.log,
            self.started,
        );
    }

    /// The handler looks at these keys, with so much time.
    pub(crate) async fn invoke(
        &self,
        keys: &[&str],
        seconds: u64,
    ) -> Result<Answer, InvocationFailed> {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        let payload = event(keys).to_string();
        self.replicator.handle(&payload, "test", deadline).await
    }

    /// The handler looks at a key and is killed when its request number `count` arrives; answers
    /// whether it was.
    pub(crate) async fn invoke_and_kill(&self, key: &str, count: usize) -> bool {
        let before = self.log.seen.lock().unwrap().len();
        let killed = async {
            while self.log.seen.lock().unwrap().len() < before + count {
                self.log.arrived.notified().await;
            }
        };
        let keys = [key];
        tokio::select! {
            biased;
            () = killed => true,
            _ = self.invoke(&keys, 900) => false,
        }
    }

    /// The requests for an operation so far.
    pub(crate) fn seen(&self, operation: &str) -> Vec<Seen> {
        let log = self.log.seen.lock().unwrap();
        let wanted = log
            .iter()
            .filter(|seen| seen.operation.as_str() == operation);
        wanted.cloned().collect()
    }

    /// How many requests there were.
    pub(crate) fn log_length(&self) -> usize {
        self.log.seen.lock().unwrap().len()
    }

    /// All requests but the first `count`.
    pub(crate) fn since(&self, count: usize) -> Vec<Seen> {
        self.log.seen.lock().unwrap()[count..].to_vec()
    }

    /// Forgets what was asked so far.
    pub(crate) fn forget(&self) {
        self.log.seen.lock().unwrap().clear();
    }

    /// A user uploads an object to the master in parts of these sizes, with `with` on its creation.
    pub(crate) async fn upload(
        &self,
        key: &str,
        seed: u64,
        sizes: &[usize],
        with: impl FnOnce(
            aws_sdk_s3::operation::create_multipart_upload::builders::CreateMultipartUploadFluentBuilder,
        ) -> aws_sdk_s3::operation::create_multipart_upload::builders::CreateMultipartUploadFluentBuilder,
    ) -> String {
        let client = self.user(MASTER);
        let created = with(client.create_multipart_upload().bucket(MASTER).key(key));
        let created = created.send().await.unwrap();
        let algorithm = created.checksum_algorithm.clone();
        let id = created.upload_id.unwrap();
        let mut parts = Vec::new();
        let mut bytes = bytes(seed, sizes.iter().sum()).into_iter();
        for (number, size) in (1..).zip(sizes) {
            let body: Vec<u8> = bytes.by_ref().take(*size).collect();
            let part = client
                .upload_part()
                .bucket(MASTER)
                .key(key)
                .upload_id(&id)
                .part_number(number)
                .set_checksum_algorithm(algorithm.clone())
                .body(body.into());
            // Without an algorithm, the SDK would choose one.
            let part = part.customize().config_override(
                aws_sdk_s3::Config::builder().request_checksum_calculation(match &algorithm {
                    Some(_) => aws_sdk_s3::config::RequestChecksumCalculation::WhenSupported,
                    None => aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired,
                }),
            );
            let part = part.send().await.unwrap();
            parts.push(
                CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(part.e_tag)
                    .set_checksum_crc32(part.checksum_crc32)
                    .set_checksum_crc64_nvme(part.checksum_crc64_nvme)
                    .set_checksum_sha256(part.checksum_sha256)
                    .build(),
            );
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let complete = client
            .complete_multipart_upload()
            .bucket(MASTER)
            .key(key)
            .upload_id(id)
            .multipart_upload(parts.build());
        complete.send().await.unwrap().e_tag.unwrap()
    }

    /// A user puts an object of the master together from the beginnings of others, each a part;
    /// answers its size.
    pub(crate) async fn assemble(&self, key: &str, pieces: &[(&str, u64)]) -> i64 {
        let client = self.user(MASTER);
        let created = client.create_multipart_upload().bucket(MASTER).key(key);
        let id = created.send().await.unwrap().upload_id.unwrap();
        let mut parts = Vec::new();
        for (number, (piece, size)) in (1..).zip(pieces) {
            let copy = client
                .upload_part_copy()
                .bucket(MASTER)
                .key(key)
                .upload_id(&id)
                .part_number(number)
                .copy_source(format!("{MASTER}/{piece}"))
                .copy_source_range(format!("bytes=0-{}", size - 1));
            let copied = copy.send().await.unwrap().copy_part_result.unwrap();
            let part = CompletedPart::builder().part_number(number);
            parts.push(part.set_e_tag(copied.e_tag).build());
        }
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let complete = client
            .complete_multipart_upload()
            .bucket(MASTER)
            .key(key)
            .upload_id(id)
            .multipart_upload(parts.build());
        complete.send().await.unwrap();
        self.head(MASTER, key)
            .await
            .unwrap()
            .content_length
            .unwrap()
    }

    /// A user writes an object to the master in one piece, with no checksum but its ETag.
    pub(crate) async fn put(&self, key: &str, seed: u64, size: usize) {
        let put = self.user(MASTER).put_object().bucket(MASTER).key(key);
        let put = put.body(bytes(seed, size).into()).customize();
        let plain = aws_sdk_s3::Config::builder().request_checksum_calculation(
            aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired,
        );
        put.config_override(plain).send().await.unwrap();
    }

    /// What HEAD says of an object, its checksum included.
    pub(crate) async fn head(&self, bucket: &str, key: &str) -> Option<HeadObjectOutput> {
        let head = self.user(bucket).head_object().bucket(bucket).key(key);
        head.checksum_mode(ChecksumMode::Enabled).send().await.ok()
    }

    /// An object's bytes.
    pub(crate) async fn get(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let get = self.user(bucket).get_object().bucket(bucket).key(key);
        let body = get.send().await.ok()?.body;
        Some(body.collect().await.unwrap().to_vec())
    }

    /// An object's tags.
    pub(crate) async fn tags(&self, bucket: &str, key: &str) -> Vec<(String, String)> {
        let request = self.user(bucket).get_object_tagging().bucket(bucket);
        let tags = request.key(key).send().await.unwrap().tag_set;
        tags.into_iter().map(|tag| (tag.key, tag.value)).collect()
    }

    /// The uploads that are under way in a bucket.
    pub(crate) async fn uploads(&self, bucket: &str) -> Vec<MultipartUpload> {
        let request = self.user(bucket).list_multipart_uploads().bucket(bucket);
        request.send().await.unwrap().uploads.unwrap_or_default()
    }

    /// Fails unless a replica has the master's bytes, ETag and tags, and no upload is left.
    pub(crate) async fn assert_equal(&self, bucket: &str, key: &str) {
        let (ours, theirs) = (self.head(MASTER, key).await, self.head(bucket, key).await);
        let (ours, theirs) = (
            ours.unwrap(),
            theirs.unwrap_or_else(|| panic!("{bucket} lacks it")),
        );
        assert_eq!(theirs.e_tag, ours.e_tag, "{bucket}");
        assert_eq!(theirs.metadata, ours.metadata, "{bucket}");
        assert!(
            self.get(MASTER, key).await == self.get(bucket, key).await,
            "bytes of {bucket}"
        );
        assert_eq!(
            self.tags(bucket, key).await,
            self.tags(MASTER, key).await,
            "{bucket}"
        );
        assert!(self.uploads(bucket).await.is_empty(), "{bucket}");
    }
}

fn replicator(
    parts: &[(String, String, SharedService)],
    environment: &BTreeMap<String, String>,
    faults: &Faults,
    log: &Arc<Log>,
    started: Instant,
) -> Replicator {
    let parts = parts.iter().map(|(region, endpoint, service)| {
        let inner: SharedService = Arc::new(faults.around(Arc::clone(service)));
        let observed = Observed {
            log: Arc::clone(log),
            inner,
        };
        SitePart {
            name: region.clone(),
            endpoint: endpoint.clone(),
            client: client(Arc::new(observed), started)
                .app_name(AppName::new("instance-1").unwrap()),
        }
    });
    let config = Config::from_lookup(|name| environment.get(name).cloned()).unwrap();
    let places = config.concurrency;
    Replicator::with_sites(config, Sites::from_parts(parts, places))
}

/// Bytes that look like nothing else.
pub(crate) fn bytes(seed: u64, size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; size];
    random.fill(&mut bytes);
    bytes
}
