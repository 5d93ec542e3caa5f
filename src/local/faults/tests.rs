use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http_body_util::{BodyExt, Full};
use rstest::rstest;
use tokio::sync::Semaphore;

use super::*;
use crate::local::http::{Body, Hangup, Request, Response, Service};

/// Notes what reaches it and answers 200 with "0123456789" once it has a permit.
#[derive(Clone)]
struct FakeStore {
    reached: Arc<Mutex<Vec<String>>>,
    permits: Arc<Semaphore>,
}

impl FakeStore {
    fn new(permits: usize) -> Self {
        Self {
            reached: Arc::default(),
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    fn reached(&self) -> Vec<String> {
        self.reached.lock().unwrap().clone()
    }
}

fn full(text: &'static str) -> Body {
    Full::new(Bytes::from_static(text.as_bytes()))
        .map_err(|never| match never {})
        .boxed_unsync()
}

impl Service for FakeStore {
    fn call(&self, request: Request) -> BoxFuture<'static, Result<Response, Hangup>> {
        let store = self.clone();
        Box::pin(async move {
            store.permits.acquire().await.unwrap().forget();
            let line = format!("{} {}", request.method(), request.uri().path());
            request.into_body().collect().await.unwrap();
            store.reached.lock().unwrap().push(line);
            Ok(Response::new(full("0123456789")))
        })
    }
}

/// A store behind faults, and the instances that were killed.
struct Scene {
    store: FakeStore,
    faults: Faults,
    layer: FaultLayer,
    killed: Arc<Mutex<Vec<Option<String>>>>,
}

fn scene() -> Scene {
    scene_with(FakeStore::new(Semaphore::MAX_PERMITS))
}

fn scene_with(store: FakeStore) -> Scene {
    let killed: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let kill: KillHook = {
        let killed = killed.clone();
        Arc::new(move |instance| killed.lock().unwrap().push(instance.map(str::to_owned)))
    };
    let sites = [
        ("replica-1", "eu-west-1"),
        ("replica-2", "eu-west-1"),
        ("master", "us-east-1"),
    ];
    let sites = sites.map(|(bucket, site)| (bucket.to_owned(), site.to_owned()));
    let faults = Faults::new(BTreeMap::from(sites), kill);
    let layer = faults.around(Arc::new(store.clone()));
    Scene {
        store,
        faults,
        layer,
        killed,
    }
}

fn request(line: &str, agent: &str) -> Request {
    let (method, path) = line.split_once(' ').unwrap();
    let request = http::Request::builder()
        .uri(path)
        .header("user-agent", agent);
    let request = match method {
        "COPY" => request
            .method("PUT")
            .header("x-amz-copy-source", "master/k"),
        method => request.method(method),
    };
    request.body(full("body")).unwrap()
}

const AGENT: &str = "aws-sdk-rust/1.3 os/linux lang/rust/1.95 app/instance-7";

impl Scene {
    async fn send(&self, line: &str) -> Result<Response, Hangup> {
        self.layer.call(request(line, AGENT)).await
    }

    /// The status and body of the answer, or why it has none.
    async fn sent(&self, line: &str) -> String {
        let Ok(response) = self.send(line).await else {
            return "hangup".to_owned();
        };
        let status = response.status().as_u16();
        match response.into_body().collect().await {
            Ok(body) => format!("{status} {}", String::from_utf8_lossy(&body.to_bytes())),
            Err(error) => format!("{status} {error}"),
        }
    }
}

fn in_bucket(bucket: &str, effect: Effect) -> Fault {
    Fault {
        scope: Scope::Bucket(bucket.to_owned()),
        ..Fault::new(effect)
    }
}

const OK: &str = "200 0123456789";

#[rstest]
#[case::slow_down("COPY /b/k", 503, "<Code>SlowDown</Code>")]
#[case::internal_error("COPY /b/k", 500, "<Code>InternalError</Code>")]
#[case::denied("GET /b/k", 403, "<Code>AccessDenied</Code>")]
#[case::no_key("GET /b/k", 404, "<Code>NoSuchKey</Code>")]
#[case::no_bucket("GET /b", 404, "<Code>NoSuchBucket</Code>")]
#[case::precondition("COPY /b/k", 412, "<Code>PreconditionFailed</Code>")]
#[case::conflict("COPY /b/k", 409, "<Code>OperationAborted</Code>")]
#[case::bad_gateway("COPY /b/k", 502, "<html>")]
#[case::gateway_timeout("COPY /b/k", 504, "<html>")]
#[tokio::test]
async fn answer_has_the_error_body_of_its_status(
    #[case] line: &str,
    #[case] status: u16,
    #[case] part: &str,
) {
    let scene = scene();
    scene.faults.arm(Fault::new(Effect::Answer(status)));
    let answer = scene.sent(line).await;
    assert!(
        answer.starts_with(&format!("{status} ")) && answer.contains(part),
        "{answer}"
    );
    assert_eq!(answer.contains("<Error>"), ![502, 504].contains(&status));
    assert!(scene.store.reached().is_empty());
    assert_eq!(scene.sent(line).await, OK);
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let scene = scene();
    scene.faults.arm(Fault::new(Effect::Answer(503)));
    assert_eq!(scene.sent("HEAD /b/k").await, "503 ");
}

#[rstest]
#[case::reset_before(Effect::Reset(When::Before), 0, false)]
#[case::reset_after(Effect::Reset(When::After), 1, false)]
#[case::kill_before(Effect::Kill(When::Before), 0, true)]
#[case::kill_after(Effect::Kill(When::After), 1, true)]
#[tokio::test]
async fn lost_answer_may_or_may_not_have_taken_effect(
    #[case] effect: Effect,
    #[case] reached: usize,
    #[case] kills: bool,
) {
    let scene = scene();
    scene.faults.arm(Fault::new(effect));
    assert_eq!(scene.sent("COPY /b/k").await, "hangup");
    assert_eq!(scene.store.reached().len(), reached);
    let killed = if kills {
        vec![Some("instance-7".to_owned())]
    } else {
        Vec::new()
    };
    assert_eq!(*scene.killed.lock().unwrap(), killed);
    assert_eq!(scene.faults.journal()[0].ending, Some(Ending::HungUp));
}

#[tokio::test]
async fn error_in_200_is_for_operations_that_can_fail_so() {
    let scene = scene();
    scene.faults.arm(Fault::new(Effect::ErrorIn200));
    assert_eq!(scene.sent("HEAD /b/k").await, OK);
    assert_eq!(scene.sent("PUT /b/k").await, OK);
    let answer = scene.sent("COPY /b/k").await;
    assert!(
        answer.starts_with("200 ") && answer.contains("<Code>InternalError</Code>"),
        "{answer}"
    );
    assert_eq!(scene.store.reached().len(), 2);
}

#[rstest]
#[case::at_once(0, "")]
#[case::half_way(4, "0123")]
#[tokio::test]
async fn answer_is_cut_off(#[case] bytes: u64, #[case] kept: &str) {
    let scene = scene();
    scene.faults.arm(Fault::new(Effect::CutAfter(bytes)));
    let mut body = scene.send("GET /b/k").await.unwrap().into_body();
    let mut read = Vec::new();
    let error = loop {
        match body.frame().await {
            Some(Ok(frame)) => read.extend_from_slice(frame.data_ref().unwrap()),
            Some(Err(error)) => break error,
            None => panic!("the body came to its end"),
        }
    };
    assert_eq!(
        (read, error.to_string()),
        (kept.into(), "the answer was cut off by a fault".into())
    );
    assert_eq!(scene.faults.journal()[0].bytes_out, bytes);
}

#[tokio::test]
async fn short_answer_is_not_cut_off() {
    let scene = scene();
    scene.faults.arm(Fault::new(Effect::CutAfter(10)));
    assert_eq!(scene.sent("GET /b/k").await, OK);
}

#[rstest]
#[case::before(When::Before, 0)]
#[case::after(When::After, 1)]
#[tokio::test(start_paused = true)]
async fn delayed_request_takes_effect_on_its_side_of_the_delay(
    #[case] when: When,
    #[case] reached: usize,
) {
    let scene = scene();
    scene.faults.arm(Fault::new(Effect::Delay(1000, when)));
    let waiting = scene.send("COPY /b/k");
    assert!(
        tokio::time::timeout(Duration::from_millis(999), waiting)
            .await
            .is_err()
    );
    assert_eq!(scene.store.reached().len(), reached);
    scene.faults.quiesced().await;
    assert_eq!(scene.store.reached().len(), 1);
}

#[tokio::test]
async fn site_is_down_for_all_its_buckets_until_it_is_back() {
    let scene = scene();
    let site = |down| Fault {
        scope: Scope::Site("eu-west-1".to_owned()),
        ..Fault::new(Effect::SiteDown(down))
    };
    scene.faults.arm(site(true));
    for line in [
        "HEAD /replica-1/k",
        "COPY /replica-2/k",
        "GET /replica-1?tagging",
    ] {
        assert_eq!(scene.sent(line).await, "hangup");
    }
    assert_eq!(scene.sent("HEAD /master/k").await, OK);
    scene
        .faults
        .arm(in_bucket("replica-1", Effect::SiteDown(false)));
    assert_eq!(scene.sent("HEAD /replica-1/k").await, "hangup");
    scene.faults.arm(site(false));
    assert_eq!(scene.sent("HEAD /replica-1/k").await, OK);
}

#[tokio::test]
async fn outage_lasts_for_a_number_of_requests() {
    let scene = scene();
    let down = in_bucket("replica-1", Effect::SiteDown(true));
    scene.faults.arm(Fault {
        times: NonZeroU32::new(2),
        ..down
    });
    for answer in ["hangup", "hangup", OK] {
        assert_eq!(scene.sent("HEAD /replica-1/k").await, answer);
    }
}

#[rstest]
#[case::other_operation("HEAD /b/k", false)]
#[case::other_bucket("COPY /c/k", false)]
#[case::other_key("COPY /b/l", false)]
#[case::the_one("COPY /b/k", true)]
#[tokio::test]
async fn fault_takes_only_what_it_is_bound_to(#[case] line: &str, #[case] taken: bool) {
    let scene = scene();
    scene.faults.arm(Fault {
        on: "CopyObject".parse().ok(),
        key: Some("k".to_owned()),
        ..in_bucket("b", Effect::Reset(When::Before))
    });
    assert_eq!(scene.sent(line).await, if taken { "hangup" } else { OK });
    assert_eq!(scene.faults.journal()[0].faulted, taken);
    assert_eq!(scene.faults.armed().len(), usize::from(!taken));
}

#[tokio::test]
async fn only_the_function_is_disturbed() {
    let scene = scene();
    scene.faults.arm(Fault::new(Effect::Reset(When::Before)));
    for agent in [
        "aws-sdk-rust/1.3",
        "aws-cli/2 app/other",
        "curl/8 happ/instance-1",
    ] {
        assert!(
            scene.layer.call(request("COPY /b/k", agent)).await.is_ok(),
            "{agent}"
        );
    }
    assert_eq!(scene.sent("COPY /b/k").await, "hangup");
}

#[tokio::test]
async fn faults_take_requests_in_the_order_in_which_they_were_armed() {
    let scene = scene();
    let slow = Fault::new(Effect::Answer(503));
    scene.faults.arm(Fault {
        after: 1,
        times: NonZeroU32::new(2),
        ..slow
    });
    scene.faults.arm(Fault::new(Effect::Reset(When::Before)));
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(scene.sent("HEAD /b/k").await);
    }
    assert_eq!(answers, ["hangup", "503 ", "503 ", OK]);
}

#[tokio::test]
async fn journal_has_every_request() {
    let scene = scene();
    assert_eq!(scene.sent("PUT /b/a%20b").await, OK);
    scene
        .layer
        .call(request("GET /b?tagging", "aws-cli/2"))
        .await
        .unwrap();
    let entries = scene.faults.journal();
    let put = Entry {
        sequence: 0,
        operation: "PutObject".parse().unwrap(),
        bucket: Some("b".to_owned()),
        key: Some("a b".to_owned()),
        source: None,
        sets_tags: false,
        instance: Some("instance-7".to_owned()),
        ending: Some(Ending::Answered(200)),
        bytes_in: 4,
        bytes_out: 10,
        faulted: false,
    };
    assert_eq!(entries[0], put);
    assert_eq!(
        (entries[1].operation.as_str(), &entries[1].instance),
        ("GetBucketTagging", &None)
    );
}

#[tokio::test]
async fn request_runs_to_its_end_though_its_client_went_away() {
    let scene = scene_with(FakeStore::new(0));
    drop(scene.layer.call(request("COPY /b/k", AGENT)));
    tokio::task::yield_now().await;
    assert!(scene.faults.quiesced().now_or_never().is_none());
    assert_eq!(scene.faults.journal()[0].ending, None);
    scene.store.permits.add_permits(1);
    scene.faults.quiesced().await;
    assert_eq!(scene.store.reached(), ["PUT /b/k"]);
    assert_eq!(
        scene.faults.journal()[0].ending,
        Some(Ending::Answered(200))
    );
}
