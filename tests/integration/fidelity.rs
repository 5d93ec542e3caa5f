//! What of an object arrives, by each way, on each store: measured into `docs/fidelity.md`.

mod page;
mod things;
mod written;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials as SdkCredentials, Region};
use aws_sdk_s3::types::{Tag, Tagging};
use rstest::rstest;
use s3_replicator::config::Config;
use s3_replicator::handler::Replicator;
use s3_replicator::local::http::{Server, serve};
use s3_replicator::local::s3::{Credentials, EmbeddedS3, Options};
use s3_replicator::site::{SitePart, Sites};
use tokio::net::TcpListener;
use tokio::time::Instant;

use self::page::{Cell, Page};
use self::things::{THINGS, Thing, Way};
use self::written::{part_copy_refusal, put, shown, trailer_refusal, upload};
use crate::real_stores::servers::Kind;
use crate::support::event;

/// A store with a master, a target at the same service, and one that counts as another.
struct Subject {
    client: Client,
    replicator: Replicator,
    /// The names of master, near and far target.
    buckets: [String; 3],
    _server: Option<Server>,
}

fn client(endpoint: &str, key: &str, secret: &str) -> Builder {
    Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .credentials_provider(SdkCredentials::new(key, secret, None, None, "test"))
}

impl Subject {
    async fn new(endpoint: &str, key: &str, secret: &str, server: Option<Server>) -> Self {
        let user = Client::from_conf(client(endpoint, key, secret).build());
        let code = format!("{:08x}", fastrand::u32(..));
        let buckets = ["master", "near", "far"].map(|name| format!("fidelity-{name}-{code}"));
        for bucket in &buckets {
            user.create_bucket().bucket(bucket).send().await.unwrap();
        }
        let [master, near, far] = &buckets;
        let targets = format!("{near}@eu-west-1 {far}@ap-southeast-1");
        let tag = Tag::builder().key("ReplicatedTargetBuckets").value(targets);
        let tagging = Tagging::builder().tag_set(tag.build().unwrap());
        let request = user.put_bucket_tagging().bucket(master);
        let tagging = tagging.build().unwrap();
        request.tagging(tagging).send().await.unwrap();
        // Another spelling of the endpoint is another service.
        let elsewhere = format!("{endpoint}/");
        let part = |region: &str, endpoint: &str| SitePart {
            name: region.to_owned(),
            endpoint: endpoint.to_owned(),
            client: client(endpoint, key, secret),
        };
        let parts = [
            part("us-east-1", endpoint),
            part("eu-west-1", endpoint),
            part("ap-southeast-1", &elsewhere),
        ];
        let config = Config::from_lookup(|_| None).unwrap();
        Self {
            client: user,
            replicator: Replicator::with_sites(config, Sites::from_parts(parts, 16)),
            buckets,
            _server: server,
        }
    }

    async fn embedded() -> Self {
        let credentials = Credentials {
            access_key: "test".to_owned(),
            secret_key: "test-secret".to_owned(),
        };
        let store = EmbeddedS3::new(Options {
            credentials: vec![credentials],
            ..Options::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = serve(listener, Arc::new(store)).await;
        let endpoint = format!("http://{}", server.address());
        Self::new(&endpoint, "test", "test-secret", Some(server)).await
    }

    /// Whether a thing arrives by a way, or why not.
    async fn measure(&self, thing: &Thing, way: Way) -> Cell {
        let [master, near, far] = &self.buckets;
        let key = format!("{} {}", thing.name, way.name());
        let written = match way {
            Way::CopyObject | Way::StreamedWhole => put(&self.client, master, &key, thing).await,
            Way::MultipartCopy | Way::StreamedParts => {
                upload(&self.client, master, &key, thing).await
            }
        };
        if let Err(code) = written {
            return Cell::NotKept(format!("the store answers `{code}`"));
        }
        let (ours, plain) = (
            shown(&self.client, master, &key, thing).await,
            shown(&self.client, master, &key, thing).await,
        );
        assert_eq!(
            ours, plain,
            "{key}: the store tells it differently each time"
        );
        let Some(ours) = ours else {
            return Cell::NotKept("the store drops it silently".to_owned());
        };
        let mut payload = event(&[&key]);
        payload["Records"][0]["s3"]["bucket"]["name"] = master.as_str().into();
        let deadline = Instant::now() + Duration::from_secs(60);
        let payload = payload.to_string();
        let answer = self.replicator.handle(&payload, "test", deadline).await;
        let replica = match way {
            Way::CopyObject | Way::MultipartCopy => near,
            Way::StreamedWhole | Way::StreamedParts => far,
        };
        let theirs = shown(&self.client, replica, &key, thing).await;
        if theirs.as_ref() == Some(&ours) {
            return Cell::Carried;
        }
        // Where it does not, the plain SDK must be refused the same.
        let user = &self.client;
        let refused = match (way, &thing.checksum) {
            (Way::MultipartCopy, Some(checksum)) => {
                let refusal = part_copy_refusal(user, master, near, &key, checksum).await;
                refusal.map(|code| (code, "UploadPartCopy into an upload that keeps it"))
            }
            (Way::StreamedParts, Some(checksum)) => {
                let refusal = trailer_refusal(user, far, checksum).await;
                refusal.map(|code| {
                    (
                        code,
                        "UploadPart with it behind the bytes, so the change fails",
                    )
                })
            }
            _ => None,
        };
        match refused {
            Some((code, what)) => {
                Cell::NotCarried(format!("the store answers `{code}` to any {what}"))
            }
            None => panic!("{key}: the replica has {theirs:?}, the master {ours:?}: {answer:?}"),
        }
    }

    async fn measure_all(&self, store: &str) -> Page {
        let mut page = Page::of(store);
        for thing in THINGS.iter() {
            for way in Way::ALL {
                if thing.is_of(way) {
                    page.add(thing.name, way.name(), self.measure(thing, way).await);
                }
            }
        }
        page
    }
}

#[tokio::test]
async fn everything_is_carried_on_the_embedded_store() {
    let page = Subject::embedded().await.measure_all("embedded").await;
    assert_eq!(page.not_carried(), Vec::<String>::new());
    page.keep();
}

#[rstest]
#[case::minio(Kind::Minio)]
#[case::localstack(Kind::LocalStack)]
#[tokio::test]
async fn what_a_real_store_does_not_carry_it_refuses(#[case] kind: Kind) {
    let Some(server) = kind.server("what of an object arrives").await else {
        return;
    };
    let (endpoint, key) = server.access();
    let subject = Subject::new(endpoint, key, key, None).await;
    subject.measure_all(kind.name()).await.keep();
}
