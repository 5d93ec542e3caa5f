//! A stage for one function: an embedded S3 behind a fault layer, and the real `bootstrap`.

pub(crate) mod services;
pub(crate) mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials as SdkCredentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Tag, Tagging};
use aws_sdk_s3::{Client, Config};
use s3_replicator::local::faults::{Entry, Faults};
use s3_replicator::local::http::{Server, SharedService, serve};
use s3_replicator::local::lambda::{
    Activity, Function, FunctionError, FunctionOptions, LogLine, Program,
};
use s3_replicator::local::s3::{Credentials, EmbeddedS3, Options};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

pub(crate) const MASTER: &str = "master";

/// The real function.
pub(crate) fn bootstrap() -> Program {
    Program::new(env!("CARGO_BIN_EXE_bootstrap"))
}

/// A store with a master and its targets, and a function that has not started yet.
pub(crate) struct Stage {
    pub(crate) client: Client,
    pub(crate) faults: Faults,
    pub(crate) function: Function,
    pub(crate) logs: mpsc::UnboundedReceiver<LogLine>,
    _server: Server,
}

/// How the stage is set.
pub(crate) struct Setting {
    targets: usize,
    layer: fn(SharedService) -> SharedService,
    environment: BTreeMap<String, String>,
    timeout: Duration,
}

impl Setting {
    /// A master with so many targets, `replica-1` and on.
    pub(crate) fn with_targets(targets: usize) -> Self {
        Self {
            targets,
            layer: |store| store,
            environment: BTreeMap::new(),
            timeout: Duration::from_secs(20),
        }
    }

    /// Something between the function and its store.
    pub(crate) fn layer(mut self, layer: fn(SharedService) -> SharedService) -> Self {
        self.layer = layer;
        self
    }

    /// One more variable in the function's environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// How long an invocation may take.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the stage.
    pub(crate) async fn start(self) -> Stage {
        let pair = ("test", "test-secret");
        let store = EmbeddedS3::new(Options {
            credentials: vec![Credentials {
                access_key: pair.0.to_owned(),
                secret_key: pair.1.to_owned(),
            }],
            ..Options::default()
        });
        let faults = Faults::new(BTreeMap::new(), Arc::new(|_| ()));
        let store = (self.layer)(Arc::new(store));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = serve(listener, Arc::new(faults.around(store))).await;
        let endpoint = format!("http://{}", server.address());
        let client = client(&endpoint, pair);

        let (sender, logs) = mpsc::unbounded_channel();
        let mut program = bootstrap();
        program.env.extend(
            [
                ("AWS_ENDPOINT_URL_S3", endpoint.as_str()),
                ("AWS_ACCESS_KEY_ID", pair.0),
                ("AWS_SECRET_ACCESS_KEY", pair.1),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        program.env.extend(self.environment);
        let options = FunctionOptions {
            timeout: self.timeout,
            logs: Some(sender),
            ..FunctionOptions::new("s3-replicator", program)
        };
        let function = Function::new(options, Activity::default());
        let stage = Stage {
            client,
            faults,
            function,
            logs,
            _server: server,
        };
        stage.create_buckets(self.targets).await;
        stage
    }
}

/// The text of an object, if there is one.
pub(crate) async fn text(client: &Client, bucket: &str, key: &str) -> Option<String> {
    let get = client.get_object().bucket(bucket).key(key);
    let answer = get.send().await.ok()?;
    let body = answer.body.collect().await.unwrap().into_bytes();
    Some(String::from_utf8(body.to_vec()).unwrap())
}

/// A client as any user has one.
pub(crate) fn client(endpoint: &str, (access_key, secret_key): (&str, &str)) -> Client {
    Client::from_conf(
        Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(Region::from_static("us-east-1"))
            .endpoint_url(endpoint)
            .force_path_style(true)
            .credentials_provider(SdkCredentials::new(
                access_key, secret_key, None, None, "test",
            ))
            .build(),
    )
}

impl Stage {
    async fn create_buckets(&self, targets: usize) {
        let names: Vec<String> = (1..=targets)
            .map(|number| format!("replica-{number}"))
            .collect();
        for name in names.iter().map(String::as_str).chain([MASTER]) {
            self.client
                .create_bucket()
                .bucket(name)
                .send()
                .await
                .unwrap();
        }
        let entries: Vec<String> = names
            .iter()
            .map(|name| format!("{name}@eu-west-1"))
            .collect();
        if !entries.is_empty() {
            self.tag_master(&[("ReplicatedTargetBuckets", &entries.join(" "))])
                .await;
        }
    }

    /// Gives the master these tags and no others.
    pub(crate) async fn tag_master(&self, tags: &[(&str, &str)]) {
        let tag = |(key, value): &(&str, &str)| Tag::builder().key(*key).value(*value).build();
        let tags = tags.iter().map(tag).collect::<Result<_, _>>().unwrap();
        let tagging = Tagging::builder().set_tag_set(Some(tags)).build().unwrap();
        let request = self
            .client
            .put_bucket_tagging()
            .bucket(MASTER)
            .tagging(tagging);
        request.send().await.unwrap();
    }

    /// Writes an object of one line.
    pub(crate) async fn put(&self, bucket: &str, key: &str, text: &str) {
        let body = ByteStream::from(text.as_bytes().to_vec());
        self.client
            .put_object()
            .bucket(bucket)
            .key(key)
            .body(body)
            .send()
            .await
            .unwrap();
    }

    /// Deletes an object.
    pub(crate) async fn delete(&self, bucket: &str, key: &str) {
        self.client
            .delete_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .unwrap();
    }

    /// The text of an object, if there is one.
    pub(crate) async fn text(&self, bucket: &str, key: &str) -> Option<String> {
        text(&self.client, bucket, key).await
    }

    /// Has the function look at these keys, as S3 itself would.
    pub(crate) async fn notify(&self, keys: &[&str]) -> Result<String, FunctionError> {
        self.function.invoke(event(keys).to_string()).await.result
    }

    /// The function's requests that `count` accepts, up to now.
    pub(crate) fn requests(&self, count: impl Fn(&Entry) -> bool) -> usize {
        let journal = self.faults.journal();
        journal
            .iter()
            .filter(|entry| entry.instance.is_some() && count(entry))
            .count()
    }

    /// Ends the function; answers all that it logged.
    pub(crate) async fn end(mut self) -> Vec<String> {
        self.function.shutdown().await;
        let mut lines = Vec::new();
        while let Ok(line) = self.logs.try_recv() {
            lines.push(line.line);
        }
        lines
    }
}

/// An S3 notification that names these keys of the master.
pub(crate) fn event(keys: &[&str]) -> Value {
    let record = |key: &&str| {
        let key = s3_replicator::change::ObjectKey::new(*key)
            .unwrap()
            .to_form_urlencoded();
        json!({
            "eventSource": "aws:s3",
            "awsRegion": "us-east-1",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": MASTER}, "object": {"key": key}},
        })
    };
    json!({ "Records": keys.iter().map(record).collect::<Vec<_>>() })
}
