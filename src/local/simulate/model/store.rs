//! What reconcile may do, as requests in the model's world; retries as the SDK makes them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::task::Poll;

use futures_util::future::{join, join_all};

use super::bucket::Version;
use super::request::{Answer, Call, Tag};
use super::world::World;
use crate::error::{Failure, Kind, Place};
use crate::local::simulate::plan::{Micros, State};
use crate::object::Object;
use crate::reconcile::{Comparison, Store, Unsettled, Written};

/// How often the SDK sends a request.
const ATTEMPTS: u32 = 3;
/// How long it waits before it sends it again, at first.
const BACKOFF: Micros = 100_000;

/// One key in one invocation.
pub(super) struct Key<'w, 'p> {
    pub(super) world: &'w World<'p>,
    pub(super) invocation: u32,
    pub(super) bucket: u8,
    pub(super) key: u8,
    /// Whether the master's bucket exists: asked once an invocation.
    pub(super) master_exists: &'w Cell<Asked>,
    /// The ETag of each bucket's object, as it was last seen.
    pub(super) seen: RefCell<[Option<Tag>; 8]>,
    /// Requests that the SDK sent again.
    pub(super) retries: &'w Cell<u32>,
}

/// A question that whoever comes first asks for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Asked {
    #[default]
    Never,
    Asking,
    Yes,
}

impl Key<'_, '_> {
    fn target(&self, target: usize) -> u8 {
        self.world.plan.targets(self.bucket).start + target as u8
    }

    /// Sends a request up to three times. Tells whether some attempt got no answer.
    pub(super) async fn request(&self, bucket: u8, call: Call) -> (Result<Answer, Kind>, bool) {
        let mut unanswered = false;
        for attempt in 0..ATTEMPTS {
            let wait = if attempt == 0 { 0 } else { BACKOFF << attempt };
            self.retries.set(self.retries.get() + attempt.min(1));
            match self.attempt(wait, bucket, call).await {
                Answer::Status(403) => return (Err(Kind::Permanent), unanswered),
                Answer::Status(_) => {}
                Answer::Reset => unanswered |= call.is_write(),
                Answer::Deadline => return (Err(Kind::Retryable), unanswered),
                Answer::Raced => return (Err(Kind::Raced), unanswered),
                answer => return (Ok(answer), unanswered),
            }
        }
        (Err(Kind::Retryable), unanswered)
    }

    async fn attempt(&self, wait: Micros, bucket: u8, call: Call) -> Answer {
        let world = self.world;
        let Some(flight) = world.send(self.invocation, wait, bucket, self.key, call) else {
            if world.invocation(self.invocation).dies {
                return pending().await;
            }
            return Answer::Deadline;
        };
        let is_bound = matches!(call, Call::Copy { .. } | Call::Put(_) | Call::Delete);
        if world.rules.preconditions && is_bound {
            world.expect(flight, self.seen.borrow()[usize::from(bucket)]);
        }
        let heard = poll_fn(|_| match world.flight(flight, |flight| flight.heard) {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        });
        heard.await
    }

    async fn head(&self, bucket: u8) -> Result<Option<Object>, Failure> {
        let (version, mut state) = match self.request(bucket, Call::Head).await.0 {
            Ok(Answer::Found(version, state)) => (version, state),
            Ok(_) => {
                self.seen.borrow_mut()[usize::from(bucket)] = None;
                return Ok(None);
            }
            Err(kind) => return Err(failure(kind, "HeadObject")),
        };
        self.seen.borrow_mut()[usize::from(bucket)] = Some(self.world.etag(version, state));
        if state.tags > 0 {
            state.tags = match self.request(bucket, Call::GetTags).await.0 {
                Ok(Answer::Found(_, state)) => state.tags,
                Ok(_) => 0,
                Err(kind) => return Err(failure(kind, "GetObjectTagging")),
            };
        }
        let tag = self.world.etag(version, state);
        Ok(Some(object(
            version,
            state,
            tag,
            self.world.plan.shape.encrypted,
        )))
    }

    pub(super) async fn written(&self, target: u8, call: Call, operation: &'static str) -> Written {
        let (result, ambiguous) = self.request(target, call).await;
        Written {
            result: result.map(drop).map_err(|kind| failure(kind, operation)),
            ambiguous,
            resumed: false,
        }
    }

    /// Reads the bytes of an observed object.
    pub(super) async fn get(&self, bucket: u8, object: &Object) -> Result<u8, Kind> {
        match self.request(bucket, Call::Get(tag(object))).await.0? {
            Answer::Found(_, state) => Ok(state.content),
            _ => Err(Kind::Raced),
        }
    }
}

impl Store for Key<'_, '_> {
    async fn master(&self) -> Result<Option<Object>, Failure> {
        self.head(self.bucket).await
    }

    async fn master_bucket(&self) -> Result<(), Failure> {
        let exists = self.master_exists;
        let others = poll_fn(|_| match exists.get() {
            Asked::Asking => Poll::Pending,
            asked => Poll::Ready(asked),
        });
        if others.await == Asked::Yes {
            return Ok(());
        }
        exists.set(Asked::Asking);
        let answer = self.request(self.bucket, Call::HeadBucket).await.0;
        exists.set(if answer.is_ok() {
            Asked::Yes
        } else {
            Asked::Never
        });
        answer.map(drop).map_err(|kind| failure(kind, "HeadBucket"))
    }

    async fn replica(&self, target: usize) -> Result<Option<Object>, Failure> {
        self.head(self.target(target)).await
    }

    async fn compare(
        &self,
        master: &Object,
        target: usize,
        replica: &Object,
    ) -> Result<Comparison, Failure> {
        let (ours, theirs) = join(
            self.get(self.bucket, master),
            self.get(self.target(target), replica),
        )
        .await;
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) if ours == theirs => Ok(Comparison::Same),
            (Ok(_), Ok(_)) => Ok(Comparison::Different),
            (Err(kind), _) | (_, Err(kind)) => Err(failure(kind, "GetObject")),
        }
    }

    async fn copy(&self, master: &Object, targets: &[usize]) -> Vec<Written> {
        let plan = self.world.plan;
        if plan.shape.parts {
            let writes = targets
                .iter()
                .map(|&target| self.by_parts(master, self.target(target)));
            return join_all(writes).await;
        }
        let exact = exact(master);
        let is_far = |target: u8| plan.shape.streams && target == plan.shape.targets;
        let writes = targets.iter().map(async |&target| {
            let target = self.target(target);
            if !is_far(target) {
                let (from, if_match) = (self.bucket, tag(master));
                let copy = Call::Copy {
                    from,
                    if_match,
                    exact,
                };
                return self.written(target, copy, "CopyObject").await;
            }
            match self.get(self.bucket, master).await {
                Ok(content) => {
                    let put = Call::Put(State { content, ..exact });
                    self.written(target, put, "PutObject").await
                }
                Err(kind) => Written::failed(failure(kind, "GetObject")),
            }
        });
        join_all(writes).await
    }

    async fn put_tags(&self, master: &Object, target: usize) -> Written {
        let call = Call::Tag(exact(master).tags);
        self.written(self.target(target), call, "PutObjectTagging")
            .await
    }

    async fn delete(&self, target: usize) -> Written {
        self.written(self.target(target), Call::Delete, "DeleteObject")
            .await
    }

    fn failure(&self, _: usize, unsettled: Unsettled) -> Failure {
        let Failure { place, .. } = failure(Kind::Retryable, "reconcile");
        Failure::new(Kind::Retryable, "reconcile", place, unsettled)
    }
}

pub(super) fn failure(kind: Kind, attempted: &'static str) -> Failure {
    let place = Place {
        bucket: String::new(),
        key: None,
        site: String::new(),
    };
    Failure::new(kind, attempted, place, std::fmt::Error)
}

/// What HEAD says of a version.
fn object(version: Version, state: State, tag: Tag, encrypted: bool) -> Object {
    let one = |value: u8| {
        let entry = (value > 0).then(|| ("k".to_owned(), value.to_string()));
        entry.into_iter().collect::<BTreeMap<_, _>>()
    };
    let mut object = Object {
        etag: tag.0.to_string(),
        etag_proves_content: !encrypted,
        size: 1,
        last_modified: version.modified.into(),
        metadata: one(state.metadata),
        tags: one(state.tags),
        ..Object::default()
    };
    if state.header > 0 {
        object.headers.cache_control = Some(state.header.to_string());
    }
    object
}

pub(super) fn tag(object: &Object) -> Tag {
    Tag(object.etag.parse().expect("the model wrote a number"))
}

/// What an exact write carries; the content comes from where it is read.
pub(super) fn exact(object: &Object) -> State {
    let number = |text: Option<&String>| {
        text.map_or(0, |text| text.parse().expect("the model wrote a number"))
    };
    State {
        content: 0,
        metadata: number(object.metadata.get("k")),
        header: number(object.headers.cache_control.as_ref()),
        tags: number(object.tags.get("k")),
    }
}
