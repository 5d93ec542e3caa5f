//! A bucket to be set up, in the embedded S3, beside queue and function; and a real function that
//! hears of it as its notification configuration says.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketLocationConstraint, CreateBucketConfiguration, Event, FilterRule, FilterRuleName,
    NotificationConfiguration, NotificationConfigurationFilter, S3KeyFilter, Tag, Tagging,
    TopicConfiguration,
};
use axum::http::HeaderValue;
use axum::http::header::DATE;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use s3_replicator::local::http::{
    Hangup, Request, Response, Server, Service, SharedService, serve,
};
use s3_replicator::local::lambda::{Activity, Function, FunctionOptions};
use s3_replicator::local::s3::{Credentials, EmbeddedS3, Options};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::mpsc;

use super::aws::Aws;
use crate::live::store::client;
use crate::support::{bootstrap, store};

const KEYS: (&str, &str) = (store::ACCESS_KEY, store::SECRET_KEY);

/// A rule of somebody else's.
pub(super) const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:theirs";

/// Everything that a test needs.
pub(super) struct Stage {
    pub(super) client: Client,
    pub(super) aws: Aws,
    pub(super) trouble: Troubles,
    /// Nobody hears of anything.
    pub(super) is_deaf: Arc<AtomicBool>,
    endpoint: String,
    _server: Server,
    _function: Function,
}

/// What somebody may have changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Snapshot {
    pub(super) tags: BTreeMap<String, String>,
    pub(super) notifications: NotificationConfiguration,
    pub(super) queue_policy: Option<Value>,
    pub(super) function_statements: Vec<Value>,
}

/// What goes wrong at S3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    None,
    /// PutBucketTagging is answered with 403.
    TagsRefused,
    /// PutBucketTagging is not answered.
    TagsHeld,
    /// Somebody else puts tags just before the rule is put.
    TagsChangedMeanwhile,
    /// S3 does not see at once that it may send.
    PermissionUnseenOnce,
    /// A destination of somebody else's is gone: S3 takes no rules, unless told not to try.
    DestinationGone,
    /// The targets' tags may not be read.
    TargetTagsHidden,
    /// The targets may not be looked at.
    TargetsDenied,
    /// The targets do not answer.
    TargetsHeld,
    /// S3's clock is years behind, so it refuses everything.
    Skewed,
}

/// What goes wrong, and whether it has.
#[derive(Clone)]
pub(super) struct Troubles(Arc<Mutex<(Trouble, bool)>>);

impl Troubles {
    pub(super) fn is(&self, trouble: Trouble) {
        *self.0.lock().unwrap() = (trouble, false);
    }

    pub(super) fn was_met(&self) -> bool {
        self.0.lock().unwrap().1
    }

    /// What a request meets.
    fn meets(&self, request: &Request) -> Option<Trouble> {
        let put = |what: &str| {
            request.method() == "PUT" && request.uri().query().is_some_and(|it| it.contains(what))
        };
        let (trouble, was_met) = &mut *self.0.lock().unwrap();
        let is_met = match trouble {
            Trouble::None => false,
            Trouble::TagsRefused | Trouble::TagsHeld => put("tagging"),
            Trouble::TagsChangedMeanwhile | Trouble::PermissionUnseenOnce => {
                put("notification") && !*was_met
            }
            Trouble::DestinationGone => {
                let skip = "x-amz-skip-destination-validation";
                put("notification") && !request.headers().contains_key(skip)
            }
            Trouble::Skewed => true,
            Trouble::TargetsDenied | Trouble::TargetsHeld => {
                request.uri().path().starts_with("/replica")
            }
            Trouble::TargetTagsHidden => {
                request.uri().path().starts_with("/replica")
                    && request
                        .uri()
                        .query()
                        .is_some_and(|it| it.contains("tagging"))
            }
        };
        *was_met |= is_met;
        is_met.then_some(*trouble)
    }
}

/// The store, with what goes wrong before it.
struct Troubled {
    inner: SharedService,
    troubles: Troubles,
}

impl Service for Troubled {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let inner = Arc::clone(&self.inner);
        match self.troubles.meets(&request) {
            None | Some(Trouble::None) => inner.call(request),
            Some(Trouble::TagsRefused | Trouble::TargetTagsHidden) => {
                error(403, "AccessDenied", "no")
            }
            // HEAD has no body.
            Some(Trouble::TargetsDenied) => error(403, "", ""),
            Some(Trouble::Skewed) => Box::pin(async {
                let mut refused = error(403, "", "").await?;
                let date = HeaderValue::from_static("Thu, 01 Jan 2015 00:00:00 GMT");
                refused.headers_mut().insert(DATE, date);
                Ok(refused)
            }),
            Some(Trouble::TagsHeld | Trouble::TargetsHeld) => Box::pin(std::future::pending()),
            Some(Trouble::PermissionUnseenOnce | Trouble::DestinationGone) => error(
                400,
                "InvalidArgument",
                "Unable to validate the following destination configurations",
            ),
            Some(Trouble::TagsChangedMeanwhile) => Box::pin(async move {
                tag(
                    &store::client(Arc::clone(&inner)),
                    "master",
                    &[("team", "y")],
                )
                .await;
                inner.call(request).await
            }),
        }
    }
}

fn error(status: u16, code: &str, message: &str) -> BoxFuture<'static, Result<Response, Hangup>> {
    let body = match code {
        "" => String::new(),
        code => format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"),
    };
    let body = Full::from(body).map_err(|never: Infallible| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status.try_into().unwrap();
    Box::pin(async { Ok(response) })
}

async fn tag(client: &Client, bucket: &str, tags: &[(&str, &str)]) {
    let tag = |(key, value): &(&str, &str)| Tag::builder().key(*key).value(*value).build();
    let tags = tags.iter().map(tag).collect::<Result<_, _>>().unwrap();
    let tagging = Tagging::builder().set_tag_set(Some(tags)).build().unwrap();
    let put = client.put_bucket_tagging().bucket(bucket);
    put.tagging(tagging).send().await.unwrap();
}

impl Stage {
    /// A master with a tag and a rule of somebody else's, two buckets that may become targets, and
    /// all that `setup` asks for beside S3.
    pub(super) async fn set() -> Self {
        let (sender, mut notifications) = mpsc::unbounded_channel();
        let embedded = EmbeddedS3::new(Options {
            credentials: vec![Credentials {
                access_key: KEYS.0.to_owned(),
                secret_key: KEYS.1.to_owned(),
            }],
            notifications: Some(sender),
            ..Options::default()
        });
        let trouble = Troubles(Arc::new(Mutex::new((Trouble::None, false))));
        let service = Troubled {
            inner: Arc::new(embedded),
            troubles: trouble.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = serve(listener, Arc::new(service)).await;
        let endpoint = format!("http://{}", server.address());
        let mut program = bootstrap();
        let variables = [
            ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", KEYS.0),
            ("AWS_SECRET_ACCESS_KEY", KEYS.1),
            ("S3_REPLICATOR_TAG_TTL", "0"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        program.env.extend(variables);
        let function = Function::new(
            FunctionOptions::new("replicator", program),
            Activity::default(),
        );
        let is_deaf = Arc::new(AtomicBool::new(false));
        let (invoked, deaf) = (function.clone(), Arc::clone(&is_deaf));
        tokio::spawn(async move {
            while let Some(notification) = notifications.recv().await {
                if deaf.load(Ordering::Relaxed) {
                    continue;
                }
                // What fails comes again on AWS; here the next put of the canary does.
                let _ = invoked.invoke(notification.body).await;
            }
        });
        let stage = Self {
            client: client(&endpoint, KEYS),
            aws: Aws::start().await,
            trouble,
            is_deaf,
            endpoint,
            _server: server,
            _function: function,
        };
        stage.create("master", "us-east-1").await;
        stage.create("replica-1", "eu-west-1").await;
        stage.create("replica-2", "ap-southeast-1").await;
        stage.tag("master", &[("team", "x")]).await;
        stage.notify(their_rule(&["s3:ObjectRestore:*"])).await;
        stage
    }

    pub(super) async fn create(&self, bucket: &str, region: &str) {
        let mut create = self.client.create_bucket().bucket(bucket);
        if region != "us-east-1" {
            let location = BucketLocationConstraint::from(region);
            let configuration = CreateBucketConfiguration::builder().location_constraint(location);
            create = create.create_bucket_configuration(configuration.build());
        }
        create.send().await.unwrap();
    }

    pub(super) async fn tag(&self, bucket: &str, tags: &[(&str, &str)]) {
        tag(&self.client, bucket, tags).await;
    }

    /// Gives the master these rules and no others.
    pub(super) async fn notify(&self, configuration: NotificationConfiguration) {
        let put = self.client.put_bucket_notification_configuration();
        let put = put
            .bucket("master")
            .notification_configuration(configuration);
        put.send().await.unwrap();
    }

    /// Runs the program.
    pub(super) async fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_s3-replicator"));
        command
            .args(arguments)
            .env("AWS_ENDPOINT_URL", &self.aws.endpoint)
            .env("AWS_ENDPOINT_URL_S3", &self.endpoint)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", KEYS.0)
            .env("AWS_SECRET_ACCESS_KEY", KEYS.1)
            .env("AWS_CONFIG_FILE", "/nonexistent")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
            .env_remove("AWS_PROFILE")
            .kill_on_drop(true);
        command
    }

    /// All that `setup` may change.
    pub(super) async fn snapshot(&self) -> Snapshot {
        snapshot(&self.client, &self.aws).await
    }
}

async fn snapshot(client: &Client, aws: &Aws) -> Snapshot {
    let tags = client.get_bucket_tagging().bucket("master").send().await;
    let tags = tags.map(|it| it.tag_set).unwrap_or_default();
    let get = client.get_bucket_notification_configuration();
    let found = get.bucket("master").send().await.unwrap();
    let notifications = NotificationConfiguration::builder()
        .set_queue_configurations(found.queue_configurations)
        .set_topic_configurations(found.topic_configurations)
        .set_lambda_function_configurations(found.lambda_function_configurations)
        .set_event_bridge_configuration(found.event_bridge_configuration)
        .build();
    let (queue_policy, function_statements) = aws.with(|things| {
        let policy = things.queues["events"].get("Policy");
        let policy = policy.map(|it| serde_json::from_str(it.as_str().unwrap()).unwrap());
        (policy, things.functions["replicator"].statements.clone())
    });
    Snapshot {
        tags: tags.into_iter().map(|tag| (tag.key, tag.value)).collect(),
        notifications,
        queue_policy,
        function_statements,
    }
}

/// A rule of somebody else's, with a filter.
pub(super) fn their_rule(events: &[&str]) -> NotificationConfiguration {
    let prefix = FilterRule::builder()
        .name(FilterRuleName::Prefix)
        .value("theirs/")
        .build();
    let key = S3KeyFilter::builder().filter_rules(prefix).build();
    let topic = TopicConfiguration::builder()
        .id("theirs")
        .topic_arn(TOPIC)
        .set_events(Some(events.iter().map(|it| Event::from(*it)).collect()))
        .filter(NotificationConfigurationFilter::builder().key(key).build())
        .build()
        .unwrap();
    NotificationConfiguration::builder()
        .topic_configurations(topic)
        .build()
}

/// What a program printed.
pub(super) fn shown(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    text(&output.stdout) + &text(&output.stderr)
}
