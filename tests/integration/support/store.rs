//! An embedded store with a bucket `master`, a client for it in the same process, and a clock
//! that the test turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as SdkCredentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use s3_replicator::local::http::{SharedService, in_process_client};
use s3_replicator::local::s3::{Clock, Credentials, EmbeddedS3, Notification, Options};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub(crate) const ACCESS_KEY: &str = "access";
pub(crate) const SECRET_KEY: &str = "secret";
pub(crate) const MASTER: &str = "master";

/// 2025-10-09T08:07:06Z, where every store's clock starts.
pub(crate) const START: u64 = 1_759_997_226;

/// A store and what a test needs to use it.
pub(crate) struct Store {
    pub(crate) service: SharedService,
    pub(crate) client: Client,
    notifications: UnboundedReceiver<Notification>,
    seconds: Arc<AtomicU64>,
}

impl Store {
    /// A store with the bucket `master` in `us-east-1`.
    pub(crate) async fn with_master() -> Store {
        let seconds = Arc::new(AtomicU64::new(START));
        let shown = Arc::clone(&seconds);
        let clock = Clock::new(move || {
            SystemTime::UNIX_EPOCH + Duration::from_secs(shown.load(Ordering::Relaxed))
        });
        let (sender, notifications) = unbounded_channel();
        let credentials = Credentials {
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
        };
        let options = Options {
            credentials: vec![credentials],
            notifications: Some(sender),
            clock,
            ..Options::default()
        };
        let service: SharedService = Arc::new(EmbeddedS3::new(options));
        let client = client(Arc::clone(&service));
        let store = Store {
            service,
            client,
            notifications,
            seconds,
        };
        store
            .client
            .create_bucket()
            .bucket(MASTER)
            .send()
            .await
            .expect("the bucket is new");
        store
    }

    /// Lets time pass.
    pub(crate) fn advance(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Puts text under a key of `master`; the answer is its ETag.
    pub(crate) async fn put(&self, key: &str, text: &'static str) -> String {
        let body = ByteStream::from_static(text.as_bytes());
        let put = self.client.put_object().bucket(MASTER).key(key).body(body);
        put.send()
            .await
            .expect("a put succeeds")
            .e_tag
            .expect("it has an ETag")
    }

    /// What a key of `master` holds.
    pub(crate) async fn get(&self, key: &str) -> Vec<u8> {
        let answer = self
            .client
            .get_object()
            .bucket(MASTER)
            .key(key)
            .send()
            .await;
        let body = answer.expect("the key is there").body;
        body.collect().await.expect("the body arrives").to_vec()
    }

    /// The notifications that were sent up to now.
    pub(crate) fn notifications(&mut self) -> Vec<Notification> {
        std::iter::from_fn(|| self.notifications.try_recv().ok()).collect()
    }
}

/// A client that calls `service` without a socket, and does not retry.
pub(crate) fn client(service: SharedService) -> Client {
    let config = config(ACCESS_KEY, SECRET_KEY)
        .endpoint_url("http://embedded.test")
        .http_client(in_process_client(service));
    Client::from_conf(config.build())
}

/// Everything about a client but where it connects to.
pub(crate) fn config(access_key: &str, secret_key: &str) -> Builder {
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SdkCredentials::new(
            access_key, secret_key, None, None, "test",
        ))
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .force_path_style(true)
}

/// The code of the error that an operation failed with, and the status of its answer.
pub(crate) fn failure<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> (String, u16) {
    let error = result.expect_err("it was to fail");
    let status = error
        .raw_response()
        .map_or(0, |response| response.status().as_u16());
    (error.code().unwrap_or_default().to_owned(), status)
}
