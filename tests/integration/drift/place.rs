//! A master and its targets in some store, the program run on them, and what it said.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketVersioningStatus, EncodingType, Tag, Tagging, VersioningConfiguration,
};
use s3_replicator::change::ObjectKey;
use s3_replicator::local::faults::{Effect, Entry, Fault, Faults, Scope};
use s3_replicator::local::http::{Server, SharedService, serve};
use s3_replicator::local::s3::{Credentials, EmbeddedS3, Options};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::time::{Duration, Instant, sleep};

use crate::support::{client, text};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

const PAIR: (&str, &str) = ("test", "test-secret");

/// A store with a master and targets at it.
pub(crate) struct Place {
    pub(crate) client: Client,
    pub(crate) master: String,
    pub(crate) targets: Vec<String>,
    environment: BTreeMap<String, String>,
    /// Only of the embedded store: its requests.
    pub(crate) faults: Faults,
    _server: Option<Server>,
}

/// What the program did.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    /// Its JSON lines.
    pub(crate) lines: Vec<Value>,
    pub(crate) text: String,
    pub(crate) errors: String,
}

impl Ran {
    /// What was said of a key: at which target, the result or outcome, and the reason.
    pub(crate) fn said(&self) -> Vec<String> {
        let mut said: Vec<String> = self
            .lines
            .iter()
            .filter(|line| line.get("key").is_some())
            .map(|line| {
                let ending = line.get("result").unwrap_or(&line["outcome"]);
                let reason = line["reason"].as_str().unwrap_or_default();
                let words = [&line["target"], &line["key"], ending].map(|it| it.as_str().unwrap());
                format!("{} {reason}", words.join(" "))
                    .trim_end()
                    .to_owned()
            })
            .collect();
        said.sort();
        said
    }

    /// The last line.
    pub(crate) fn summary(&self) -> &Value {
        let summary = self.lines.last().map(|line| &line["summary"]);
        summary.unwrap_or_else(|| panic!("no summary: {}", self.errors))
    }

    /// How many replicas of the target at this place ended so.
    pub(crate) fn count(&self, target: usize, ending: &str) -> u64 {
        let count = &self.summary()["targets"][target][ending]["keys"];
        count.as_u64().unwrap_or_default()
    }
}

impl Place {
    /// The embedded store, with `replica-1` and so on.
    pub(crate) async fn embedded(targets: usize) -> Self {
        Self::behind(targets, |store| store).await
    }

    /// The same with something before it.
    pub(crate) async fn behind(
        targets: usize,
        layer: impl FnOnce(SharedService) -> SharedService,
    ) -> Self {
        let store = EmbeddedS3::new(Options {
            credentials: vec![Credentials {
                access_key: PAIR.0.to_owned(),
                secret_key: PAIR.1.to_owned(),
            }],
            ..Options::default()
        });
        let faults = Faults::new(BTreeMap::new(), Arc::new(|_| ()));
        let store = layer(Arc::new(store));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = serve(listener, Arc::new(faults.around(store))).await;
        let endpoint = format!("http://{}", server.address());
        let mut place = Self::at(&endpoint, PAIR, "", targets).await;
        place.faults = faults;
        place._server = Some(server);
        place
    }

    /// Any store, with a suffix for the names of the buckets.
    pub(crate) async fn at(
        endpoint: &str,
        (access_key, secret_key): (&str, &str),
        suffix: &str,
        targets: usize,
    ) -> Self {
        let environment = [
            ("AWS_ENDPOINT_URL_S3", endpoint),
            ("AWS_ACCESS_KEY_ID", access_key),
            ("AWS_SECRET_ACCESS_KEY", secret_key),
            ("AWS_REGION", "us-east-1"),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            // By which the journal and faults know the program's requests.
            ("AWS_SDK_UA_APP_ID", "instance-cli"),
        ];
        let place = Self {
            client: client(endpoint, (access_key, secret_key)),
            master: format!("master{suffix}"),
            targets: (1..=targets)
                .map(|number| format!("replica-{number}{suffix}"))
                .collect(),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            faults: Faults::new(BTreeMap::new(), Arc::new(|_| ())),
            _server: None,
        };
        for bucket in place.targets.iter().chain([&place.master]) {
            place.create(bucket).await;
        }
        let entries = place.targets.iter().map(|name| format!("{name}@us-east-1"));
        let entries = entries.collect::<Vec<_>>().join(" ");
        place
            .tag(&place.master, &[("ReplicatedTargetBuckets", &entries)])
            .await;
        place
    }

    /// One more variable for the program.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// What the program finds in its environment.
    pub(crate) fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    pub(crate) async fn create(&self, bucket: &str) {
        self.client
            .create_bucket()
            .bucket(bucket)
            .send()
            .await
            .unwrap();
    }

    /// Gives a bucket these tags and no others.
    pub(crate) async fn tag(&self, bucket: &str, tags: &[(&str, &str)]) {
        let tags = tags.iter().map(|(key, value)| tag(key, value)).collect();
        let tagging = Tagging::builder().set_tag_set(Some(tags)).build().unwrap();
        let request = self.client.put_bucket_tagging().bucket(bucket);
        request.tagging(tagging).send().await.unwrap();
    }

    /// Keeps versions from now on.
    pub(crate) async fn version(&self, bucket: &str) {
        let enabled = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled);
        let request = self.client.put_bucket_versioning().bucket(bucket);
        let request = request.versioning_configuration(enabled.build());
        request.send().await.unwrap();
    }

    pub(crate) async fn put(&self, bucket: &str, key: &str, text: &str) {
        let request = self.client.put_object().bucket(bucket).key(key);
        request
            .body(text.as_bytes().to_vec().into())
            .send()
            .await
            .unwrap();
    }

    pub(crate) async fn delete(&self, bucket: &str, key: &str) {
        let request = self.client.delete_object().bucket(bucket).key(key);
        request.send().await.unwrap();
    }

    /// Gives an object this tag and no other.
    pub(crate) async fn tag_object(&self, bucket: &str, key: &str, value: &str) {
        let tagging = Tagging::builder().tag_set(tag("k", value)).build().unwrap();
        let request = self.client.put_object_tagging().bucket(bucket).key(key);
        request.tagging(tagging).send().await.unwrap();
    }

    /// The keys of a bucket, in order.
    pub(crate) async fn keys(&self, bucket: &str) -> Vec<String> {
        let list = self.client.list_objects_v2().bucket(bucket);
        let pages = list
            .encoding_type(EncodingType::Url)
            .into_paginator()
            .send();
        let pages = pages.collect::<Result<Vec<_>, _>>().await.unwrap();
        let objects = pages
            .into_iter()
            .flat_map(|page| page.contents.unwrap_or_default());
        let key = |name: String| ObjectKey::from_form_urlencoded(&name).unwrap();
        objects
            .map(|object| key(object.key.unwrap()).as_str().to_owned())
            .collect()
    }

    /// The text of an object, if there is one.
    pub(crate) async fn text(&self, bucket: &str, key: &str) -> Option<String> {
        text(&self.client, bucket, key).await
    }

    /// `s3://master`.
    pub(crate) fn uri(&self) -> String {
        format!("s3://{}", self.master)
    }

    /// Runs `verify` on the master to its end; a difference needs to last no time.
    pub(crate) async fn verify(&self, arguments: &[&str]) -> Ran {
        let uri = self.uri();
        self.run(&[&["verify", &uri, "--json", "--settle", "0"], arguments].concat())
            .await
    }

    /// Runs `sync` on the master to its end.
    pub(crate) async fn sync(&self, arguments: &[&str]) -> Ran {
        let uri = self.uri();
        self.run(&[&["sync", &uri, "--json"], arguments].concat())
            .await
    }

    /// Runs the program to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.ran(self.start(arguments)).await
    }

    /// Starts the program.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_s3-replicator"));
        for (name, _) in std::env::vars() {
            if name.starts_with("AWS_") || name.starts_with("S3_REPLICATOR_") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .envs(&self.environment)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// Waits for the program's end.
    pub(crate) async fn ran(&self, child: Child) -> Ran {
        let output = child.wait_with_output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        Ran {
            code: output.status.code(),
            lines: text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect(),
            text,
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// From now on this happens to the program's requests for an operation, once `after` of them
    /// have passed.
    pub(crate) fn fault(&self, operation: &str, bucket: &str, after: u32, effect: Effect) {
        self.faults.arm(Fault {
            on: Some(operation.parse().unwrap()),
            scope: match bucket {
                "" => Scope::Anywhere,
                bucket => Scope::Bucket(bucket.to_owned()),
            },
            after,
            times: None,
            ..Fault::new(effect)
        });
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// The program's requests so far for an operation.
    pub(crate) fn requests(&self, operation: &str) -> Vec<Entry> {
        let journal = self.faults.journal().into_iter();
        journal
            .filter(|entry| entry.instance.is_some() && entry.operation.as_str() == operation)
            .collect()
    }
}

pub(crate) fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}
