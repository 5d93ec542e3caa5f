//! The embedded S3: a strict S3 in memory, without a cloud account.
//!
//! One [`EmbeddedS3`] is one service: all its buckets, whatever their regions, are behind one
//! endpoint, so that copies between them are server-side. It speaks S3 through `s3s`, which
//! parses requests and checks signatures; this module is the store behind it.
//!
//! A write takes effect at one moment, under the store's lock, and its notifications leave in
//! that order. Once a request has arrived, a write no longer depends on the client: dropping the
//! client's future does not undo it.
//!
//! Reading order: `object` and `content` (what is stored), `store` and `uploads` (the model),
//! `api` and `ops` (the operations), `answer` (the layer around `s3s`), `notify` and `events`.
//!
//! # Where it differs from AWS
//!
//! - A put without a checksum stores none; AWS would add a CRC64NVME.
//! - Any region may be signed for; only the location of a new bucket must fit it.
//! - The body checksums of requests with XML bodies are not compared (the signature covers them).
//! - A delete of a key that an unversioned bucket does not have notifies nobody.
//! - No ACLs, policies, object lock, website or CORS: they answer `NotImplemented`. Lifecycle rules
//!   and object ownership are kept and have no effect.
//! - Of all operations only HeadBucket heeds `x-amz-expected-bucket-owner`.
//! - An archived object cannot be restored, and a key of the client's own (SSE-C) is known by the
//!   MD5 that comes with it, for objects that are put in one piece.
//! - A second CompleteMultipartUpload of the same upload is `NoSuchUpload`.
//! - A `Range` that cannot be parsed is `InvalidArgument`; AWS would ignore it.
//! - A notification's destination may be in another region than its bucket.
//! - Names in XML are written as they are: a key with control characters needs
//!   `encoding-type=url`, as it does for most clients of S3.

mod answer;
mod api;
mod checksum;
mod claim;
mod conditions;
mod content;
mod emitter;
mod errors;
mod etag;
mod event_shapes;
mod events;
mod expires;
mod ids;
mod listing;
mod names;
mod notify;
mod object;
mod ops;
mod receive;
mod store;
mod tags;
mod time;
mod uploads;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use http::Method;
use s3s::auth::{S3Auth, SecretKey};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

use self::api::Api;
pub use self::emitter::{Emitter, EventKind, Written};
use self::expires::ExpiresDetour;
use self::names::BucketNames;
pub use self::notify::{Destination, Notification};
use super::http::{Hangup, Request, Response, Service};

/// What a service is started with.
#[derive(Clone)]
pub struct Options {
    /// Whose signatures are accepted. Without any, every request is refused.
    pub credentials: Vec<Credentials>,
    /// Where notifications go. Without it, none are made.
    pub notifications: Option<UnboundedSender<Notification>>,
    /// The time that the store believes it is.
    pub clock: Clock,
    /// Bytes that every part of an upload but the last has at least: 5 MiB at AWS.
    pub smallest_part: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            credentials: Vec::new(),
            notifications: None,
            clock: Clock::system(),
            smallest_part: 5 * 1024 * 1024,
        }
    }
}

/// A pair of keys that may sign requests.
#[derive(Clone)]
pub struct Credentials {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// Tells the time: that of the machine, or one that a test decides.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    is_real: bool,
}

impl Clock {
    /// A clock that asks `now`. Signatures of any date are accepted under it, as `s3s` knows
    /// only the machine's time; presigned addresses still expire by that.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Clock {
        Clock {
            now: Arc::new(now),
            is_real: false,
        }
    }

    /// The machine's clock.
    pub fn system() -> Clock {
        Clock {
            now: Arc::new(SystemTime::now),
            is_real: true,
        }
    }

    /// What it shows.
    pub fn now(&self) -> SystemTime {
        (self.now)()
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("is_real", &self.is_real)
            .finish_non_exhaustive()
    }
}

/// An S3 service in memory. Clones are the same service.
#[derive(Clone)]
pub struct EmbeddedS3 {
    service: S3Service,
    requests: Arc<AtomicU64>,
}

impl fmt::Debug for EmbeddedS3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedS3").finish_non_exhaustive()
    }
}

impl EmbeddedS3 {
    /// A service without buckets.
    pub fn new(options: Options) -> EmbeddedS3 {
        let api = Api::new(&options);
        let without_authentication = builder(api.clone(), &options).build();
        let mut builder = builder(api, &options);
        builder.set_route(ExpiresDetour {
            inner: without_authentication,
        });
        builder.set_auth(Keys(options.credentials));
        EmbeddedS3 {
            service: builder.build(),
            requests: Arc::default(),
        }
    }
}

fn builder(api: Api, options: &Options) -> S3ServiceBuilder {
    let mut config = S3Config::default();
    if !options.clock.is_real {
        config.presigned_url_max_skew_time_secs = u32::MAX;
    }
    let mut builder = S3ServiceBuilder::new(api);
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    builder.set_validation(BucketNames);
    builder
}

impl Service for EmbeddedS3 {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let EmbeddedS3 { service, requests } = self.clone();
        let work = async move { answer::answer(service, &requests, request).await };
        match Handle::try_current() {
            // A write that was sent takes effect even if its client has gone by then.
            Ok(runtime) if !is_read => {
                let task = runtime.spawn(work);
                Box::pin(async move { task.await.unwrap_or(Err(Hangup)) })
            }
            _ => Box::pin(work),
        }
    }
}

/// The keys that may sign requests.
struct Keys(Vec<Credentials>);

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let found = self.0.iter().find(|one| one.access_key == access_key);
        let found = found.ok_or_else(|| s3_error!(InvalidAccessKeyId))?;
        Ok(SecretKey::from(found.secret_key.as_str()))
    }
}
