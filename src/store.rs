//! One key on real S3: what [`reconcile`](crate::reconcile) asks for, as S3 requests.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use aws_sdk_s3::types::{Tag, Tagging};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::change::ObjectKey;
use crate::error::{Failure, Kind};
use crate::object::Object;
use crate::reconcile::{Comparison, Store, Unsettled, Written};
use crate::s3::{TagCounts, head, head_bucket, write};
use crate::site::Bucket;
use crate::transfer::{self, Job, Limits, Turn};

/// Targets that let a request of this invocation wait in vain: nobody waits for them twice, or one
/// that hangs would use up the time of all keys, and of the other targets.
#[derive(Debug, Default)]
pub struct Silent(Mutex<Vec<Bucket>>);

impl Silent {
    fn check(&self, bucket: &Bucket, key: &ObjectKey) -> Result<(), Failure> {
        if self.buckets().contains(bucket) {
            let place = bucket.place(Some(key));
            return Err(Failure::new(
                Kind::Retryable,
                "waiting",
                place,
                SilentBefore,
            ));
        }
        Ok(())
    }

    fn note<T>(&self, bucket: &Bucket, result: &Result<T, Failure>) {
        // A read of the master may have failed a write of the target.
        let is_silent = result.as_ref().is_err_and(|failure| {
            failure.kind == Kind::NoAnswer
                && failure.place == bucket.place(failure.place.key.as_ref())
        });
        if is_silent && !self.buckets().contains(bucket) {
            self.buckets().push(bucket.clone());
        }
    }

    fn buckets(&self) -> MutexGuard<'_, Vec<Bucket>> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

/// The target has not answered another request.
#[derive(Debug, thiserror::Error)]
#[error("not tried, the bucket gave no answer earlier in this invocation")]
struct SilentBefore;

/// What confirm needs at most, and what has to be aborted before it.
const CONFIRM: Duration = Duration::from_secs(30);

/// One key in a master and its targets, for one invocation.
#[derive(Debug)]
pub struct Key<'a> {
    /// The key.
    pub key: &'a ObjectKey,
    /// The master bucket.
    pub master: &'a Bucket,
    /// The target buckets.
    pub targets: &'a [Bucket],
    /// What the process knows of tag counts.
    pub tag_counts: &'a TagCounts,
    /// What the process moves at once.
    pub limits: &'a Limits,
    /// The key's place among those in work.
    pub turn: &'a Turn<'a>,
    /// Whether the master's bucket exists: asked once an invocation.
    pub master_exists: &'a OnceCell<()>,
    /// Targets that nobody waits for any more.
    pub silent: &'a Silent,
    /// Nothing is started after it, and what is unfinished by then has failed.
    pub deadline: Instant,
}

impl Key<'_> {
    /// When looking at a target ends: a third of the time left, so that one that hangs leaves the
    /// others theirs.
    fn look_until(&self) -> Instant {
        let now = Instant::now();
        now + self.deadline.saturating_duration_since(now) / 3
    }

    /// When writing to targets ends: a quarter of the time left, half a minute at most, is for
    /// confirm.
    fn write_until(&self) -> Instant {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.deadline - (left / 4).min(CONFIRM)
    }

    fn noted(&self, bucket: &Bucket, written: Written) -> Written {
        self.silent.note(bucket, &written.result);
        written
    }
}

impl Store for Key<'_> {
    async fn master(&self) -> Result<Option<Object>, Failure> {
        head(self.master, self.key, self.tag_counts, self.deadline).await
    }

    async fn master_bucket(&self) -> Result<(), Failure> {
        let exists = || head_bucket(self.master, self.deadline);
        self.master_exists.get_or_try_init(exists).await.copied()
    }

    async fn replica(&self, target: usize) -> Result<Option<Object>, Failure> {
        let bucket = &self.targets[target];
        self.silent.check(bucket, self.key)?;
        let replica = head(bucket, self.key, self.tag_counts, self.look_until()).await;
        self.silent.note(bucket, &replica);
        replica
    }

    async fn compare(
        &self,
        master: &Object,
        target: usize,
        replica: &Object,
    ) -> Result<Comparison, Failure> {
        let target = &self.targets[target];
        transfer::compare(
            self.key,
            (self.master, master),
            (target, replica),
            self.look_until(),
        )
        .await
    }

    async fn copy(&self, master: &Object, targets: &[usize]) -> Vec<Written> {
        let job = Job {
            key: self.key,
            master: self.master,
            object: master,
            limits: self.limits,
            turn: self.turn,
            until: self.write_until(),
            deadline: self.deadline,
        };
        let buckets: Vec<&Bucket> = targets
            .iter()
            .map(|&target| &self.targets[target])
            .collect();
        let written = transfer::copy(job, &buckets).await;
        let noted = buckets.iter().zip(written);
        noted
            .map(|(bucket, written)| self.noted(bucket, written))
            .collect()
    }

    async fn put_tags(&self, master: &Object, target: usize) -> Written {
        let bucket = &self.targets[target];
        let (client, key) = (&bucket.site.client, self.key.as_str());
        if master.tags.is_empty() {
            let request = client.delete_object_tagging().bucket(&bucket.name).key(key);
            let written = write(
                bucket,
                self.key,
                "DeleteObjectTagging",
                self.write_until(),
                |unanswered| request.customize().interceptor(unanswered).send(),
            )
            .await;
            return self.noted(bucket, written);
        }
        let tags = master.tags.iter().map(|(key, value)| {
            Tag::builder()
                .key(key)
                .value(value)
                .build()
                .expect("key and value are set")
        });
        let tagging = Tagging::builder().set_tag_set(Some(tags.collect()));
        let tagging = tagging.build().expect("the tag set is set");
        let request = client
            .put_object_tagging()
            .bucket(&bucket.name)
            .key(key)
            .tagging(tagging);
        let written = write(
            bucket,
            self.key,
            "PutObjectTagging",
            self.write_until(),
            |unanswered| request.customize().interceptor(unanswered).send(),
        )
        .await;
        self.noted(bucket, written)
    }

    async fn delete(&self, target: usize) -> Written {
        let bucket = &self.targets[target];
        let request = bucket
            .site
            .client
            .delete_object()
            .bucket(&bucket.name)
            .key(self.key.as_str());
        let mut written = write(
            bucket,
            self.key,
            "DeleteObject",
            self.write_until(),
            |unanswered| request.customize().interceptor(unanswered).send(),
        )
        .await;
        // Where there is no bucket, there is no replica.
        if written
            .result
            .as_ref()
            .is_err_and(|failure| failure.kind == Kind::NoSuchBucket)
        {
            written.result = Ok(());
        }
        self.noted(bucket, written)
    }

    fn failure(&self, target: usize, unsettled: Unsettled) -> Failure {
        let place = self.targets[target].place(Some(self.key));
        Failure::new(Kind::Retryable, "reconcile", place, unsettled)
    }
}
