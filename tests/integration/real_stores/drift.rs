//! Drift of every kind on real stores: found by `verify`, named, and repaired by `sync`.

use rstest::rstest;

use super::servers::Kind;
use crate::drift::place::Place;
use crate::drift::repairs::{drift_of_every_kind, expected};

#[rstest]
#[case::minio(Kind::Minio)]
#[case::localstack(Kind::LocalStack)]
#[case::seaweedfs(Kind::SeaweedFs)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_of_every_kind_is_found_named_and_repaired(#[case] kind: Kind) {
    let Some(server) = kind.server("verify and sync").await else {
        return;
    };
    let (endpoint, key) = server.access();
    let suffix = format!("-{:08x}", fastrand::u32(..));
    let place = Place::at(endpoint, (key, key), &suffix, 2).await;
    // By the credentials of these stores, all buckets can be listed.
    drift_of_every_kind(&place).await;
    let found = place.verify(&[]).await;
    let mut expected = expected(&place.targets[0]);
    if kind == Kind::SeaweedFs {
        // It does not say that a marker is why there is nothing.
        for said in &mut expected {
            *said = said.replace(" delete marker", "");
        }
    }
    assert_eq!(found.said(), expected, "{}", found.errors);
    assert_eq!((found.code, found.count(1, "equal")), (Some(1), 10));
    let repaired = place.sync(&["--delete"]).await;
    assert_eq!(repaired.code, Some(0), "{}", repaired.errors);
    let clean = place.verify(&["--bytes"]).await;
    assert_eq!(
        (clean.code, clean.said()),
        (Some(0), vec![]),
        "{}",
        clean.errors
    );
    let page_size = match kind {
        // It cannot read its own token for a page that begins with a name beyond ASCII.
        Kind::LocalStack => "1000",
        _ => "1",
    };
    let by_pages = place.verify(&["--fast", "--page-size", page_size]).await;
    let equal = (by_pages.code, by_pages.count(0, "equal"));
    assert_eq!(equal, (Some(0), 10), "{}", by_pages.errors);
}
