//! What an invocation has to do: each distinct key once, whoever names it how often.

use std::collections::HashMap;

use tokio::sync::OnceCell;

use crate::change::{Change, ObjectKey};
use crate::envelope::Invocation;
use crate::error::Place;
use crate::store::Silent;

/// One key that changed.
#[derive(Debug)]
pub(super) struct Changed<'a> {
    pub(super) bucket: &'a str,
    pub(super) site: &'a str,
    pub(super) key: &'a ObjectKey,
    /// The first notification that names it.
    first: &'a Change,
    master: usize,
}

impl Changed<'_> {
    pub(super) fn place(&self) -> Place {
        Place {
            bucket: self.bucket.to_owned(),
            key: Some(self.key.clone()),
            site: self.site.to_owned(),
        }
    }

    /// When it happened, as the first notification says.
    pub(super) fn happened(&self) -> Option<&str> {
        self.first.event_time.as_deref()
    }

    pub(super) fn event(&self) -> &str {
        &self.first.event_name
    }
}

/// The distinct keys of an invocation, and which delivery names which.
#[derive(Debug)]
pub(super) struct Work<'a> {
    pub(super) keys: Vec<Changed<'a>>,
    /// For each delivery, in order, the indices of the keys that it names.
    pub(super) named: Vec<Vec<usize>>,
    /// Targets that nobody waits for any more.
    pub(super) silent: Silent,
    masters: Vec<OnceCell<()>>,
}

impl<'a> Work<'a> {
    /// Groups the changes; one without a region is at `home`.
    pub(super) fn of(invocation: &'a Invocation, home: &'a str) -> Self {
        let mut keys: Vec<Changed<'a>> = Vec::new();
        let mut known = HashMap::new();
        let mut masters = HashMap::new();
        let mut index_of = |change: &'a Change| {
            let site = change.region.as_deref().unwrap_or(home);
            let bucket = change.bucket.as_str();
            *known.entry((site, bucket, &change.key)).or_insert_with(|| {
                let count = masters.len();
                let master = *masters.entry((site, bucket)).or_insert(count);
                keys.push(Changed {
                    bucket,
                    site,
                    key: &change.key,
                    first: change,
                    master,
                });
                keys.len() - 1
            })
        };
        let named = invocation
            .deliveries
            .iter()
            .map(|delivery| delivery.changes.iter().map(&mut index_of).collect())
            .collect();
        let masters = masters.iter().map(|_| OnceCell::new()).collect();
        Self {
            keys,
            named,
            silent: Silent::default(),
            masters,
        }
    }

    /// The keys in the order they are begun: small ones do not wait for large ones. What an event
    /// says of sizes is good enough for that.
    pub(super) fn small_first(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        order.sort_by_key(|&index| self.keys[index].first.hints.size);
        order
    }

    /// Whether the key's master bucket is known to exist in this invocation.
    pub(super) fn master_exists(&self, changed: &Changed<'_>) -> &OnceCell<()> {
        &self.masters[changed.master]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::parse;

    #[test]
    fn a_key_is_worked_on_once_whoever_names_it() {
        let record = |bucket: &str, key: &str, region: &str| {
            format!(
                r#"{{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","awsRegion":"{region}",
                "s3":{{"bucket":{{"name":"{bucket}"}},"object":{{"key":"{key}"}}}}}}"#
            )
        };
        let payload = format!(
            r#"{{"Records":[{},{},{},{}]}}"#,
            record("m-1", "a+b", "us-east-1"),
            record("m-1", "a%20b", ""),
            record("m-1", "c", "us-east-1"),
            record("m-2", "a+b", "us-east-1"),
        );
        let invocation = parse(&payload).expect("an event");
        let work = Work::of(&invocation, "us-east-1");
        assert_eq!(work.named, [[0, 0, 1, 2]]);
        assert_eq!(work.masters.len(), 2);
    }
}
