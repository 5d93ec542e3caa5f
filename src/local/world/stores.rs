//! The stores of a world: one service for all regions, and one for each separate site.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use aws_sdk_s3::config::{BehaviorVersion, Credentials as SdkCredentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration, Event,
    LambdaFunctionConfiguration, NotificationConfiguration, QueueConfiguration, Tag, Tagging,
    TopicConfiguration, VersioningConfiguration,
};
use aws_sdk_s3::{Client, Config};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;

use super::remote::RemoteStore;
use super::watch::Watch;
use super::{Store, WorldError, WorldOptions};
use crate::local::faults::Faults;
use crate::local::http::{Server, SharedService, serve};
use crate::local::lambda::Source;
use crate::local::recording::{Bucket, Header};
use crate::local::s3::{Credentials, Destination, EmbeddedS3, Emitter, Notification, Options};

/// What the function signs its requests with, so that its writes can be told from the user's.
const FUNCTION: (&str, &str) = ("FUNCTION", "function-secret");

/// A pair of keys.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            access_key: "local".to_owned(),
            secret_key: "local-secret".to_owned(),
        }
    }
}

/// Which site each bucket of a recording is at.
pub(super) fn site_of(header: &Header) -> BTreeMap<String, String> {
    header
        .buckets()
        .map(|bucket| (bucket.name.clone(), bucket.region.clone()))
        .collect()
}

/// The running services.
pub(super) struct Stores {
    main: Server,
    /// The store behind `main`, where it is not in this program, and what it emits.
    remote: Option<(Arc<RemoteStore>, Arc<Emitter>)>,
    /// Whether the buckets end with the world.
    temporary: bool,
    notifications: UnboundedSender<Notification>,
    /// By site.
    separate: BTreeMap<String, Separate>,
    clients: BTreeMap<String, Client>,
    /// Buckets that the header wants to be missing.
    missing: BTreeSet<String>,
    keys: Keys,
    folder: TempDir,
    region: String,
}

/// A site that is a service of its own.
struct Separate {
    server: Server,
    /// The store behind it, where it is not in this program.
    remote: Option<Arc<RemoteStore>>,
}

impl Stores {
    pub(super) async fn start(
        options: &WorldOptions,
        faults: &Faults,
        notifications: UnboundedSender<Notification>,
    ) -> Result<Self, WorldError> {
        let header = &options.header;
        let sites = separate_sites(header);
        let pair = |access_key: &str, secret_key: &str| Credentials {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
        };
        let embedded = || -> SharedService {
            Arc::new(EmbeddedS3::new(Options {
                credentials: vec![
                    pair(&options.keys.access_key, &options.keys.secret_key),
                    pair(FUNCTION.0, FUNCTION.1),
                ],
                notifications: Some(notifications.clone()),
                ..Options::default()
            }))
        };
        let start = async |address: SocketAddr, service: SharedService| {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|source| WorldError::Listen { address, source })?;
            Ok::<_, WorldError>(serve(listener, Arc::new(faults.around(service))).await)
        };
        let remote = match &options.store {
            Store::Embedded => None,
            Store::Remote(store) => Some((Arc::clone(store), Arc::new(emitter(options)))),
        };
        let service = match &remote {
            None => embedded(),
            Some((store, emitter)) => Arc::new(Watch {
                inner: Arc::new(store.service()),
                emitter: Arc::clone(emitter),
                notifications: notifications.clone(),
                lookup: store.client(&header.master.region),
                user: options.keys.access_key.clone(),
                function: FUNCTION.0.to_owned(),
            }),
        };
        let main = start(options.listen, service).await?;
        let mut separate = BTreeMap::new();
        for site in sites {
            let store = remote.as_ref().and_then(|(store, _)| store.site(&site));
            let service = match store {
                None => embedded(),
                Some(store) => Arc::new(store.service()),
            };
            let server = start((Ipv4Addr::LOCALHOST, 0).into(), service).await?;
            let remote = store.cloned();
            separate.insert(site, Separate { server, remote });
        }
        let folder = write_configuration(&separate).map_err(WorldError::Configuration)?;
        let http_client = aws_smithy_http_client::Builder::new().build_http();
        let clients = header
            .buckets()
            .map(|bucket| {
                let (server, store) = match separate.get(&bucket.region) {
                    Some(site) => (&site.server, site.remote.as_ref()),
                    None => (&main, remote.as_ref().map(|(store, _)| store)),
                };
                let address = server.address();
                let client = match store {
                    Some(store) => store.client_at(&format!("http://{address}"), &bucket.region),
                    None => client(&http_client, address, &bucket.region, &options.keys),
                };
                (bucket.name.clone(), client)
            })
            .collect();
        let missing = header.targets.iter().filter(|target| !target.create);
        let missing = missing.map(|target| target.bucket.name.clone()).collect();
        let keys = options.keys.clone();
        let region = header.master.region.clone();
        Ok(Self {
            main,
            remote,
            temporary: options.temporary,
            notifications,
            separate,
            clients,
            missing,
            keys,
            folder,
            region,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.main.address()
    }

    /// What the function finds in its environment.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let path = |name| self.folder.path().join(name).display().to_string();
        let mut environment = BTreeMap::from([
            ("AWS_ACCESS_KEY_ID", FUNCTION.0.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", FUNCTION.1.to_owned()),
            ("AWS_REGION", self.region.clone()),
            (
                "AWS_ENDPOINT_URL_S3",
                format!("http://{}", self.main.address()),
            ),
            ("AWS_CONFIG_FILE", path("config")),
            ("AWS_SHARED_CREDENTIALS_FILE", path("credentials")),
        ]);
        if let Some((store, _)) = &self.remote {
            let keys = &store.place().credentials;
            environment.insert("AWS_ACCESS_KEY_ID", keys.access_key_id().to_owned());
            environment.insert("AWS_SECRET_ACCESS_KEY", keys.secret_access_key().to_owned());
            if let Some(token) = keys.session_token() {
                environment.insert("AWS_SESSION_TOKEN", token.to_owned());
            }
        }
        environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }

    /// A client for the user, towards the store that has this bucket.
    pub(super) fn client(&self, bucket: &str) -> &Client {
        &self.clients[bucket]
    }

    /// Whether the bucket was made at all.
    pub(super) fn created(&self, bucket: &str) -> bool {
        !self.missing.contains(bucket)
    }

    /// Whether a notification comes from a request of the user, not of the function.
    pub(super) fn is_users(&self, notification: &Notification) -> bool {
        notification
            .body
            .contains(&format!("\"AWS:{}\"", self.keys.access_key))
    }

    /// Makes the buckets as the header wants them, and has them notify the function.
    pub(super) async fn create_buckets(
        &self,
        options: &WorldOptions,
        function_arn: &str,
    ) -> Result<(), WorldError> {
        let header = &options.header;
        let targets = header.targets.iter().filter(|target| target.create);
        for bucket in std::iter::once(&header.master).chain(targets.map(|target| &target.bucket)) {
            self.create_bucket(bucket).await?;
            // What stands before a store that notifies nobody needs no configuration.
            let is_ours = self.remote.is_none() || self.separate.contains_key(&bucket.region);
            if is_ours && options.notifying.contains(&bucket.name) {
                let configuration = notifications(header.source, function_arn);
                self.client(&bucket.name)
                    .put_bucket_notification_configuration()
                    .bucket(&bucket.name)
                    .notification_configuration(configuration)
                    .send()
                    .await
                    .map_err(|error| failed("PutBucketNotificationConfiguration", bucket, error))?;
            }
        }
        for event in self
            .remote
            .iter()
            .flat_map(|(_, emitter)| emitter.test_events())
        {
            // Nobody listens any more: the world is being taken down.
            let _ = self.notifications.send(event);
        }
        Ok(())
    }

    async fn create_bucket(&self, bucket: &Bucket) -> Result<(), WorldError> {
        let client = self.client(&bucket.name);
        let store = match self.separate.get(&bucket.region) {
            Some(site) => site.remote.as_ref(),
            None => self.remote.as_ref().map(|(store, _)| store),
        };
        if let Some(store) = store.filter(|_| self.temporary) {
            store.note(&bucket.name, &bucket.region);
        }
        let mut create = client.create_bucket().bucket(&bucket.name);
        if bucket.region != "us-east-1" {
            let location = BucketLocationConstraint::from(bucket.region.as_str());
            create = create.create_bucket_configuration(
                CreateBucketConfiguration::builder()
                    .location_constraint(location)
                    .build(),
            );
        }
        match create.send().await {
            Ok(_) => {}
            Err(error) if !self.temporary && is_ours_already(&error) => {}
            Err(error) => return Err(failed("CreateBucket", bucket, error)),
        }
        if bucket.versioning {
            self.set_versioning(&bucket.name, true).await?;
        }
        if !bucket.tags.is_empty() {
            self.set_tags(&bucket.name, &bucket.tags).await?;
        }
        Ok(())
    }

    /// Enables or suspends versioning.
    pub(super) async fn set_versioning(
        &self,
        bucket: &str,
        enabled: bool,
    ) -> Result<(), WorldError> {
        let status = match enabled {
            true => BucketVersioningStatus::Enabled,
            false => BucketVersioningStatus::Suspended,
        };
        self.client(bucket)
            .put_bucket_versioning()
            .bucket(bucket)
            .versioning_configuration(VersioningConfiguration::builder().status(status).build())
            .send()
            .await
            .map_err(|error| WorldError::request("PutBucketVersioning", bucket, None, error))?;
        Ok(())
    }

    /// Replaces a bucket's tags; none removes them.
    pub(super) async fn set_tags(
        &self,
        bucket: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), WorldError> {
        let client = self.client(bucket);
        if tags.is_empty() {
            let answer = client.delete_bucket_tagging().bucket(bucket).send().await;
            return answer
                .map(drop)
                .map_err(|error| WorldError::request("DeleteBucketTagging", bucket, None, error));
        }
        let answer = client
            .put_bucket_tagging()
            .bucket(bucket)
            .tagging(tagging(tags))
            .send()
            .await;
        answer
            .map(drop)
            .map_err(|error| WorldError::request("PutBucketTagging", bucket, None, error))
    }

    pub(super) async fn stop(self) {
        let main = self.remote.iter().map(|(store, _)| store);
        let sites = self.separate.values();
        let stores = main.chain(sites.filter_map(|site| site.remote.as_ref()));
        for store in stores.filter(|_| self.temporary) {
            // Each knows which of them it has.
            store.remove(self.clients.keys().cloned()).await;
        }
        self.main.stop().await;
        for site in self.separate.into_values() {
            site.server.stop().await;
        }
    }
}

/// Whether there is such a bucket and it is the user's.
fn is_ours_already<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code() == Some("BucketAlreadyOwnedByYou")
}

/// What speaks for the buckets that notify, with the destination that the source has.
fn emitter(options: &WorldOptions) -> Emitter {
    let header = &options.header;
    let buckets = header.buckets().filter(|bucket| {
        let separate = separate_sites(header).contains(&bucket.region);
        options.notifying.contains(&bucket.name) && !separate
    });
    let arn = |service: &str| format!("arn:aws:{service}:us-east-1:000000000000:s3-replicator");
    let destination = match header.source {
        Source::Sqs => Destination::Queue { arn: arn("sqs") },
        Source::Sns | Source::SnsSqs => Destination::Topic { arn: arn("sns") },
        Source::S3 | Source::EventBridge | Source::Minio => {
            Destination::Function { arn: arn("lambda") }
        }
    };
    let buckets = buckets.map(|bucket| (bucket.name.clone(), bucket.region.clone()));
    Emitter::new(buckets, &destination)
}

fn failed(
    operation: &'static str,
    bucket: &Bucket,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> WorldError {
    WorldError::request(operation, &bucket.name, None, error)
}

/// Tags as S3's API takes them.
pub(in crate::local) fn tagging(tags: &BTreeMap<String, String>) -> Tagging {
    let tags = tags.iter().map(|(key, value)| {
        Tag::builder()
            .key(key)
            .value(value)
            .build()
            .expect("key and value are set")
    });
    Tagging::builder()
        .set_tag_set(Some(tags.collect()))
        .build()
        .expect("the tag set is set")
}

/// The sites that are services of their own; a recording's site is one or it is not.
fn separate_sites(header: &Header) -> BTreeSet<String> {
    let separate = header.targets.iter().filter(|target| target.separate);
    separate
        .map(|target| target.bucket.region.clone())
        .collect()
}

/// Writes a profile for each separate site: what a user writes to reach another provider.
fn write_configuration(separate: &BTreeMap<String, Separate>) -> std::io::Result<TempDir> {
    // Named after the process, so that whoever kills it can tell what to remove.
    let folder = tempfile::Builder::new()
        .prefix(&format!("s3-replicator-{}-", std::process::id()))
        .tempdir()?;
    let mut profiles = String::new();
    for (site, Separate { server, remote }) in separate {
        let keys = remote.as_ref().map(|store| &store.place().credentials);
        let (access_key, secret_key) = match keys {
            Some(keys) => (keys.access_key_id(), keys.secret_access_key()),
            None => FUNCTION,
        };
        let _ = write!(
            profiles,
            "[profile {site}]\nregion = {site}\nendpoint_url = http://{}\n\
             aws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n\n",
            server.address()
        );
    }
    std::fs::write(folder.path().join("config"), profiles)?;
    std::fs::write(folder.path().join("credentials"), "")?;
    Ok(folder)
}

fn client(
    http_client: &SharedHttpClient,
    address: SocketAddr,
    region: &str,
    keys: &Keys,
) -> Client {
    let Keys {
        access_key,
        secret_key,
    } = keys;
    let credentials = SdkCredentials::new(access_key, secret_key, None, None, "local world");
    Client::from_conf(
        Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http_client.clone())
            .region(Region::new(region.to_owned()))
            .endpoint_url(format!("http://{address}"))
            .force_path_style(true)
            .credentials_provider(credentials)
            // What a recording says is what is sent: no checksum that it does not name.
            .request_checksum_calculation(
                aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired,
            )
            .build(),
    )
}

/// Everything that can change an object, to the destination that `source` begins with.
fn notifications(source: Source, function_arn: &str) -> NotificationConfiguration {
    let events = [
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
        "s3:ObjectTagging:*",
        "s3:LifecycleExpiration:*",
    ]
    .map(Event::from)
    .to_vec();
    let arn = |service: &str| {
        let place = function_arn
            .split(':')
            .skip(3)
            .take(2)
            .collect::<Vec<_>>()
            .join(":");
        format!("arn:aws:{service}:{place}:s3-replicator-events")
    };
    let builder = NotificationConfiguration::builder();
    match source {
        Source::Sqs => builder.queue_configurations(
            QueueConfiguration::builder()
                .queue_arn(arn("sqs"))
                .set_events(Some(events))
                .build()
                .expect("arn and events are set"),
        ),
        Source::Sns | Source::SnsSqs => builder.topic_configurations(
            TopicConfiguration::builder()
                .topic_arn(arn("sns"))
                .set_events(Some(events))
                .build()
                .expect("arn and events are set"),
        ),
        Source::S3 | Source::EventBridge | Source::Minio => builder.lambda_function_configurations(
            LambdaFunctionConfiguration::builder()
                .lambda_function_arn(function_arn)
                .set_events(Some(events))
                .build()
                .expect("arn and events are set"),
        ),
    }
    .build()
}
