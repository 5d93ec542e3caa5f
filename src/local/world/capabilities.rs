//! What a store can express, measured on the store itself.
//!
//! A recording is skipped for nothing but versioning, regions, keys, and the header of web sites,
//! which stores without web sites drop. Each is tried once a store, in a bucket of its own, and
//! never concluded from the store's name.

use std::collections::{BTreeMap, BTreeSet};

use super::remote::RemoteStore;
use crate::local::recording::{Action, OperationKind, Recording};

/// What was measured so far; `None` is a thing that works, the rest are reasons why not.
#[derive(Debug, Default)]
pub(super) struct Probed {
    versioning: Option<Option<String>>,
    suspension: Option<Option<String>>,
    regions: BTreeMap<String, Option<String>>,
    keys: BTreeMap<String, Option<String>>,
    redirect: Option<Option<String>>,
}

/// What makes an object of a web site send its readers elsewhere.
pub(super) const REDIRECT: &str = "x-amz-website-redirect-location";

/// What a recording asks of a store.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    versioning: bool,
    suspension: bool,
    regions: BTreeSet<String>,
    keys: BTreeSet<String>,
    redirect: bool,
}

impl RemoteStore {
    /// Why this store cannot express a recording; empty if it can. The store is asked for what is
    /// not known of it yet.
    pub async fn lacks(&self, recording: &Recording) -> Vec<String> {
        let needs = needs(recording);
        let mut probed = self.probed.lock().await;
        let mut reasons = Vec::new();
        for region in &needs.regions {
            if !probed.regions.contains_key(region) {
                let reason = self.probe_region(region).await;
                probed.regions.insert(region.clone(), reason);
            }
            reasons.extend(probed.regions[region].clone());
        }
        if needs.versioning {
            if probed.versioning.is_none() {
                probed.versioning = Some(self.probe_versioning().await);
            }
            reasons.extend(probed.versioning.clone().flatten());
        }
        if needs.suspension {
            if probed.suspension.is_none() {
                probed.suspension = Some(self.probe_suspension().await);
            }
            reasons.extend(probed.suspension.clone().flatten());
        }
        if needs.redirect {
            if probed.redirect.is_none() {
                probed.redirect = Some(self.probe_redirect().await);
            }
            reasons.extend(probed.redirect.clone().flatten());
        }
        let unknown: Vec<&String> = needs
            .keys
            .iter()
            .filter(|key| !probed.keys.contains_key(*key))
            .collect();
        if !unknown.is_empty() {
            let found = self.probe_keys(&unknown).await;
            probed.keys.extend(found);
        }
        let refused = needs.keys.iter().filter_map(|key| probed.keys[key].clone());
        reasons.extend(refused);
        reasons
    }
}

fn needs(recording: &Recording) -> Needs {
    let mut needs = Needs::default();
    let separate = |name: &str| {
        let mut targets = recording.header.targets.iter();
        targets.any(|target| target.separate && target.bucket.name == name)
    };
    // A separate site is a service of our own, which can express everything.
    for bucket in recording.header.buckets() {
        if !separate(&bucket.name) {
            needs.versioning |= bucket.versioning;
            needs.regions.insert(bucket.region.clone());
        }
    }
    for step in &recording.steps {
        if let Action::Operation(operation) = &step.action {
            let elsewhere = operation.target.as_deref().is_some_and(separate);
            if let OperationKind::Versioning(enabled) = operation.kind
                && !elsewhere
            {
                needs.versioning = true;
                needs.suspension |= !enabled;
            }
            needs.keys.extend(operation.kind.key().map(str::to_owned));
            needs.redirect |= match &operation.kind {
                OperationKind::Put(put) => put.headers.contains_key(REDIRECT),
                OperationKind::Copy(copy) => {
                    let mut headers = copy.headers.iter();
                    headers.any(|headers| headers.contains_key(REDIRECT))
                }
                _ => false,
            };
        }
    }
    needs
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn needs_are_read_from_header_and_steps() {
        let text = concat!(
            r#"{"recording": 1, "master": {"bucket": "master", "region": "us-east-1"}, "#,
            r#""targets": [{"bucket": "replica", "region": "eu-west-1", "versioning": true, "separate": true}]}"#,
            "\n",
            r#"{"put": {"key": "a//b", "body": {"text": "x"}, "headers": {"x-amz-website-redirect-location": "/"}}}"#,
            "\n",
            r#"{"versioning": false}"#,
            "\n"
        );
        let recording = Recording::parse(text, Path::new("test.jsonl")).unwrap();
        let expected = Needs {
            versioning: true,
            suspension: true,
            regions: ["us-east-1".to_owned()].into(),
            keys: ["a//b".to_owned()].into(),
            redirect: true,
        };
        assert_eq!(needs(&recording), expected);
    }
}
