//! What the function counts, as CloudWatch reads it from the log.

use serde_json::{Value, json};

use crate::support::{MASTER, Setting, Stage, event};

/// The metrics in what a function has logged, in the order in which they were written.
async fn metrics(stage: Stage) -> Vec<Value> {
    let lines = stage.end().await.into_iter();
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    lines.filter(|line| line["_aws"].is_object()).collect()
}

fn of<'a>(metrics: &'a [Value], target: &str) -> Vec<&'a Value> {
    let is_it = |line: &&Value| line["Target"] == format!("{target}@eu-west-1");
    metrics.iter().filter(is_it).collect()
}

#[tokio::test]
async fn outcomes_bytes_and_lag_are_counted_for_each_target() {
    let stage = Setting::with_targets(2).start().await;
    stage.put(MASTER, "a", "hello").await;
    stage.put(MASTER, "b", "hi").await;
    let mut first = event(&["a", "b"]);
    first["Records"][0]["eventTime"] = json!("2026-01-02T03:04:05.678Z");
    let invoked = stage.function.invoke(first.to_string()).await;
    invoked.result.unwrap();
    stage.notify(&["a"]).await.unwrap();

    let metrics = metrics(stage).await;
    for target in ["replica-1", "replica-2"] {
        let [copied, equal] = of(&metrics, target)[..] else {
            panic!("{metrics:?}")
        };
        assert_eq!(copied["Copied"], 2);
        assert_eq!(copied["Bytes"], 7);
        assert!(copied["ReplicationLag"].as_u64().unwrap() > 0, "{copied}");
        assert_eq!(copied["Function"], "s3-replicator");
        assert_eq!(copied["request_id"], json!(invoked.request_id));
        assert_eq!(
            (&equal["Equal"], &equal["Copied"]),
            (&json!(1), &Value::Null)
        );
    }
    let of_master: Vec<&Value> = metrics
        .iter()
        .filter(|line| line["Changes"].is_u64())
        .collect();
    assert_eq!(of_master[0]["Changes"], 2);
    assert_eq!(of_master[0]["Rounds"], 2);
    assert_eq!(of_master[0]["Master"], MASTER);
}

#[tokio::test]
async fn failures_and_throttles_are_counted_where_they_happen() {
    use s3_replicator::local::faults::{Effect, Fault, Scope};

    let stage = Setting::with_targets(2).start().await;
    stage.put(MASTER, "k", "hello").await;
    for (bucket, status, times) in [
        ("replica-1", 403, None),
        ("replica-2", 503, 2.try_into().ok()),
    ] {
        stage.faults.arm(Fault {
            on: Some("CopyObject".parse().unwrap()),
            scope: Scope::Bucket(bucket.to_owned()),
            times,
            ..Fault::new(Effect::Answer(status))
        });
    }
    stage.notify(&["k"]).await.unwrap_err();
    let metrics = metrics(stage).await;
    assert_eq!(of(&metrics, "replica-1")[0]["FailedPermanent"], 1);
    assert_eq!(of(&metrics, "replica-2")[0]["Copied"], 1);
    let throttled: Vec<&Value> = metrics
        .iter()
        .filter(|line| line["Throttles"].is_u64())
        .collect();
    assert_eq!(throttled.len(), 1, "{metrics:?}");
    assert_eq!(throttled[0]["Throttles"], 2);
    assert_eq!(throttled[0]["Site"], "eu-west-1");
}

#[tokio::test]
async fn events_of_untagged_and_of_unserved_buckets_and_poison_are_counted() {
    let stage = Setting::with_targets(0)
        .env("S3_REPLICATOR_MASTERS", "mas*")
        .start()
        .await;
    stage.notify(&["k"]).await.unwrap();
    let mut other = event(&["k"]);
    other["Records"][0]["s3"]["bucket"]["name"] = json!("not-ours");
    stage
        .function
        .invoke(other.to_string())
        .await
        .result
        .unwrap_err();
    stage.function.invoke("{}").await.result.unwrap_err();

    let metrics = metrics(stage).await;
    let [unconfigured, unserved, poison] = &metrics[..] else {
        panic!("{metrics:?}")
    };
    assert_eq!(unconfigured["UnconfiguredEvents"], 1);
    assert_eq!(unconfigured["Master"], MASTER);
    // Whoever sends it chooses the name, so it is in no dimension.
    for line in [unserved, poison] {
        assert_eq!(line["FailedPermanent"], 1);
        let sets = &line["_aws"]["CloudWatchMetrics"][0]["Dimensions"];
        assert_eq!(*sets, json!([["Function"]]));
    }
}
