//! A target at a service of its own: the bytes are streamed, and looked at where they are.

use super::place::Place;

#[tokio::test(flavor = "multi_thread")]
async fn target_at_another_service_is_verified_and_repaired_like_any_other() {
    let mut place = Place::embedded(1).await;
    let elsewhere = Place::embedded(0).await;
    elsewhere.create("far-1").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let keys = "aws_access_key_id = test\naws_secret_access_key = test-secret";
    let endpoint = &elsewhere.environment()["AWS_ENDPOINT_URL_S3"];
    let profile = format!("[profile elsewhere]\nendpoint_url = {endpoint}\n{keys}\n");
    std::fs::write(&file, profile).unwrap();
    place.set("AWS_CONFIG_FILE", file.to_str().unwrap());
    let targets = "replica-1@us-east-1 far-1@elsewhere";
    place
        .tag("master", &[("ReplicatedTargetBuckets", targets)])
        .await;
    for key in ["content", "equal", "missing"] {
        place.put("master", key, "one").await;
    }
    let synced = place.sync(&[]).await;
    assert_eq!(synced.code, Some(0), "{}", synced.errors);
    assert_eq!([0, 1].map(|target| synced.count(target, "copied")), [3, 3]);

    elsewhere.put("far-1", "content", "two").await;
    elsewhere.put("far-1", "extra", "x").await;
    elsewhere.delete("far-1", "missing").await;
    let verified = place.verify(&[]).await;
    let expected = [
        "far-1 content differing content",
        "far-1 extra extra",
        "far-1 missing missing",
    ];
    assert_eq!(verified.said(), expected, "{}", verified.errors);
    let repaired = place.sync(&["--delete"]).await;
    assert_eq!(repaired.code, Some(0), "{}", repaired.errors);
    assert_eq!(
        elsewhere.keys("far-1").await,
        ["content", "equal", "missing"]
    );
    let clean = place.verify(&["--bytes"]).await;
    assert_eq!(
        (clean.code, clean.said()),
        (Some(0), vec![]),
        "{}",
        clean.errors
    );
}
