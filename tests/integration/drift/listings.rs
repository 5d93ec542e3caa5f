//! Listings of every size and order, and targets that cannot be listed.

use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use rstest::rstest;
use s3_replicator::local::faults::{Effect, Fault, Scope};
use s3_replicator::local::http::{Hangup, Request, Response, Service, SharedService};

use super::place::Place;

/// Keys that are easily decoded, ordered or split in the wrong way.
const SPECIAL: [&str; 18] = [
    "a\rb",
    " leads",
    "trails ",
    "\u{1}",
    "a",
    "a b",
    "a+b",
    "a%2Bb",
    "a-b",
    "a/",
    "a/b",
    "a//b",
    "a&b<c>",
    "a\"b'",
    "a\tb",
    "é",
    "日本/☂",
    "🦀",
];

#[rstest]
#[case::one_by_one("1")]
#[case::by_three("3")]
#[case::at_once("1000")]
#[tokio::test(flavor = "multi_thread")]
async fn every_key_is_seen_once_whatever_the_pages(#[case] page_size: &str) {
    let place = Place::embedded(2).await;
    for key in SPECIAL {
        place.put("master", key, key).await;
    }
    place.put("replica-2", "a!extra", "x").await;
    let synced = place.sync(&["--page-size", page_size]).await;
    assert_eq!(synced.code, Some(0), "{}", synced.errors);
    let copied = [synced.count(0, "copied"), synced.count(1, "copied")];
    assert_eq!(copied, [SPECIAL.len() as u64; 2]);
    let verified = place.verify(&["--page-size", page_size]).await;
    assert_eq!(verified.said(), ["replica-2 a!extra extra"]);
    assert_eq!(verified.summary()["keys"], SPECIAL.len() + 1);
    assert_eq!(place.keys("replica-1").await, place.keys("master").await);
}

/// Rewrites what a listing of `replica-1` says.
struct Rewriting(SharedService, fn(String) -> String);

impl Service for Rewriting {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let uri = request.uri().clone();
        let is_listing = uri
            .query()
            .is_some_and(|query| query.contains("list-type=2"));
        let (answer, rewrite) = (self.0.call(request), self.1);
        if !is_listing || !uri.path().starts_with("/replica-1") {
            return answer;
        }
        Box::pin(async move {
            let (mut parts, body) = answer.await?.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let text = rewrite(String::from_utf8(body.to_vec()).unwrap());
            parts.headers.remove("content-length");
            let body = Full::from(text)
                .map_err(|never| match never {})
                .boxed_unsync();
            Ok(Response::from_parts(parts, body))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_lists_in_another_order_is_noticed() {
    let place = Place::behind(2, |store| {
        let swapped = |text: String| {
            let text = text.replace("<Key>a-b<", "<Key>?<");
            text.replace("<Key>a/b<", "<Key>a-b<")
                .replace("<Key>?<", "<Key>a/b<")
        };
        std::sync::Arc::new(Rewriting(store, swapped))
    })
    .await;
    for bucket in ["master", "replica-1", "replica-2"] {
        for key in ["a-b", "a/b"] {
            place.put(bucket, key, "x").await;
        }
    }
    place.put("replica-2", "b", "extra").await;
    let verified = place.verify(&[]).await;
    assert_eq!(verified.code, Some(1));
    let named = "replica-1@us-east-1 is not verified";
    assert!(verified.errors.contains(named), "{}", verified.errors);
    assert!(
        verified
            .errors
            .contains("UTF-8 bytes: `a-b` came after `a/b`"),
        "{}",
        verified.errors
    );
    let of_the_other: Vec<_> = verified
        .said()
        .into_iter()
        .filter(|said| said.starts_with("replica-2"))
        .collect();
    assert_eq!(of_the_other, ["replica-2 b extra"]);
    assert_eq!(verified.count(1, "equal"), 2);
    let synced = place.sync(&["--delete"]).await;
    assert_eq!(synced.code, Some(1), "it is not done at the first");
    assert_eq!(place.keys("replica-1").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_name_that_nobody_finds_is_told() {
    let place = Place::behind(1, |store| {
        let renamed = |text: String| text.replace("<Key>a<", "<Key>b<");
        std::sync::Arc::new(Rewriting(store, renamed))
    })
    .await;
    place.put("replica-1", "a", "x").await;
    let verified = place.verify(&[]).await;
    assert_eq!(
        verified.said(),
        ["replica-1 b in flight"],
        "{}",
        verified.errors
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn target_that_is_down_is_named_and_the_others_are_served() {
    let place = Place::embedded(2).await;
    place.put("master", "k", "x").await;
    place.faults.arm(Fault {
        scope: Scope::Bucket("replica-1".to_owned()),
        ..Fault::new(Effect::SiteDown(true))
    });
    let verified = place.verify(&[]).await;
    assert_eq!(verified.said(), ["replica-2 k missing"]);
    assert_eq!(verified.code, Some(1));
    let error = verified.summary()["targets"][0]["error"].as_str().unwrap();
    assert!(error.contains("s3://replica-1"), "{error}");
    let synced = place.sync(&[]).await;
    assert_eq!(synced.code, Some(1));
    assert_eq!(synced.count(1, "copied"), 1);
    assert_eq!(
        place.verify(&[]).await.code,
        Some(1),
        "one is still not verified"
    );
    let shown = place.run(&["verify", "s3://master", "--settle", "0"]).await;
    assert!(shown.text.contains("INCOMPLETE"), "{}", shown.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_requests_are_sent_than_was_allowed() {
    let place = Place::embedded(1).await;
    for number in 0..10 {
        place.put("master", &format!("k{number}"), "x").await;
    }
    let started = std::time::Instant::now();
    let synced = place.sync(&["--requests-per-second", "20"]).await;
    assert_eq!(synced.code, Some(0), "{}", synced.errors);
    let sent = synced.summary()["requests"].as_u64().unwrap();
    // Not an upper bound on time: what was sent cannot have been sent faster.
    let least = (sent - 1) as f64 / 20.0;
    assert!(
        sent >= 40 && started.elapsed().as_secs_f64() >= least,
        "{sent} requests"
    );
}

/// Answers listings of as many keys as a bucket could have, and leaves the rest to the store.
struct Large(SharedService, usize);

impl Service for Large {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        if !query.contains("list-type=2") {
            return self.0.call(request);
        }
        let token = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("continuation-token="));
        let from: usize = token.map_or(0, |token| token.parse().unwrap());
        let to = (from + 1000).min(self.1);
        let keys = (from..to).map(|number| {
            format!(
                "<Contents><Key>folder/key-{number:09}</Key><ETag>\"d41d8cd98f00b204e9800998ecf8427e\"\
                 </ETag><Size>1</Size></Contents>"
            )
        });
        let next = match to < self.1 {
            true => format!(
                "<IsTruncated>true</IsTruncated><NextContinuationToken>{to}</NextContinuationToken>"
            ),
            false => "<IsTruncated>false</IsTruncated>".to_owned(),
        };
        let text = format!(
            "<ListBucketResult>{next}{}</ListBucketResult>",
            keys.collect::<String>()
        );
        let body = Full::from(text)
            .map_err(|never| match never {})
            .boxed_unsync();
        Box::pin(async move { Ok(Response::new(body)) })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_number_of_keys() {
    let few = peak_memory(10_000).await;
    let many = peak_memory(200_000).await;
    println!("at most {few} B with 10,000 keys, {many} B with 200,000");
    // A growth of 100 B a key would be 19 MB.
    assert!(
        many < few + 10_000_000,
        "{few} B with 10,000 keys, {many} B with 200,000"
    );
}

/// What a fast verify of so many keys holds at most, in bytes.
async fn peak_memory(keys: usize) -> u64 {
    let place = Place::behind(2, |store| std::sync::Arc::new(Large(store, keys))).await;
    let mut child = place.start(&["verify", "s3://master", "--fast", "--json"]);
    // Not of `wait4`, which counts what the process was before it became the program.
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or_default() * 1024);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let verified = place.ran(child).await;
    assert_eq!(verified.summary()["keys"], keys, "{}", verified.errors);
    peak
}
