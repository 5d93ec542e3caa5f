//! A plan: everything that happens to a world, as data.
//!
//! Running a plan draws no randomness. Lines refer to each other by id, so removing one leaves the
//! rest as it was. Times are microseconds of virtual time.

use std::fmt;

/// Microseconds.
pub type Micros = u64;

/// One second.
pub(super) const SECOND: Micros = 1_000_000;

/// How long a request without a line of its own takes on its way, at work and on its way back.
pub(super) const USUAL: Delays = Delays {
    way_in: 10_000,
    work: 5_000,
    way_back: 10_000,
};

/// What may differ from world to world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// How many targets the master has; in a chain, each is the target of the one before.
    pub targets: u8,
    /// Whether every target is the target of the one before.
    pub chain: bool,
    /// Whether the last target is another service, so that copies to it are a GET and a PUT.
    pub streams: bool,
    /// Whether the master is versioned.
    pub versioned_master: bool,
    /// Whether the targets are versioned.
    pub versioned_targets: bool,
    /// Whether ETags say nothing of the content, and change with every write.
    pub encrypted: bool,
    /// Whether users upload in parts, so that replicas are made of parts too.
    pub parts: bool,
    /// How deliveries are acknowledged.
    pub acknowledged: Acknowledged,
}

/// How deliveries are acknowledged, and come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// The invocation as a whole, three attempts: Lambda's asynchronous events.
    Whole,
    /// Each message by itself, five attempts; a message that is delivered twice is two messages.
    EachMessage,
    /// Each message by itself; the deliveries of one message share its acknowledgement, so that
    /// the first success deletes it for all.
    Shared,
}

impl Acknowledged {
    /// How often a delivery is attempted before its events go to the queue of failures.
    pub fn attempts(self) -> u8 {
        match self {
            Self::Whole => 3,
            Self::EachMessage | Self::Shared => 5,
        }
    }
}

/// An object as the oracle compares it; every field is a number that stands for a value, and 0 in
/// all but `content` for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    /// The bytes.
    pub content: u8,
    /// User metadata.
    pub metadata: u8,
    /// A system header.
    pub header: u8,
    /// Tags.
    pub tags: u8,
}

/// What a user does to the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Writes an object.
    Put(State),
    /// Replaces the tags, if the object is there.
    Tag(u8),
    /// Deletes the object; leaves a marker in a versioned bucket.
    Delete,
    /// Deletes the version or marker that the operation of this id made.
    DeleteVersion(u16),
}

/// One operation on the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// By which deliveries refer to it.
    pub id: u16,
    /// When it takes effect.
    pub at: Micros,
    /// Which key.
    pub key: u8,
    /// What is done.
    pub what: What,
}

/// Events that reach the function in one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// By which disturbances refer to it.
    pub id: u16,
    /// When the first attempt starts.
    pub at: Micros,
    /// The operations whose events are in it.
    pub events: Vec<u16>,
    /// Whether nobody was told anything: a `sync` looks at the keys of these operations. One that
    /// fails or dies is started again.
    pub is_sync: bool,
}

/// How long a request takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delays {
    /// Until it reaches the store.
    pub way_in: Micros,
    /// A copy, between its read and its write.
    pub work: Micros,
    /// Until the answer is heard.
    pub way_back: Micros,
}

/// Something that happens to one request, or to the invocation when it sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disturbance {
    /// Which delivery.
    pub delivery: u16,
    /// Which attempt of it, from 0.
    pub attempt: u8,
    /// Which of the attempt's requests, in the order of sending, from 0.
    pub request: u16,
    /// What happens.
    pub effect: Effect,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is slow.
    Slow(Delays),
    /// It is answered with this status and has no effect; 200 stands for an error in a 200. All
    /// but 403 are tried again by the SDK.
    Answer(u16),
    /// The connection ends without an answer after this time. With `takes_effect`, the request
    /// takes effect all the same, after `way_in`.
    Reset {
        /// Until the sender notices.
        noticed: Micros,
        /// Whether the request takes effect.
        takes_effect: bool,
        /// Until it does.
        way_in: Micros,
    },
    /// It takes effect after this time, and nobody ever hears of it.
    Silence {
        /// Until it takes effect.
        way_in: Micros,
    },
    /// The invocation dies once it has sent the request (`sent`), or in its place.
    Kill {
        /// Whether the request is on its way.
        sent: bool,
        /// Until it takes effect.
        way_in: Micros,
    },
    /// The invocation stands still for this time after sending the request.
    Freeze(Micros),
}

impl Effect {
    /// Whether it may fail the change that it happens to.
    pub fn is_fault(&self) -> bool {
        !matches!(self, Self::Slow(_))
    }
}

/// A time in which a bucket's requests end without an answer, and without effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// Which bucket; the master is 0.
    pub bucket: u8,
    /// From here on.
    pub from: Micros,
    /// Until here.
    pub until: Micros,
}

/// Everything that happens to a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The name of the configuration that it was drawn from.
    pub configuration: &'static str,
    /// The seed that it was drawn from.
    pub seed: u64,
    /// The world.
    pub shape: Shape,
    /// What users do, in order of time.
    pub operations: Vec<Operation>,
    /// What the function is told.
    pub deliveries: Vec<Delivery>,
    /// What goes wrong, or slowly.
    pub disturbances: Vec<Disturbance>,
    /// When a bucket cannot be reached.
    pub outages: Vec<Outage>,
    /// In a chain: how long the events of the replicas take, in turn.
    pub echoes: Vec<Micros>,
}

impl Plan {
    /// How many buckets there are, the master included.
    pub fn buckets(&self) -> usize {
        usize::from(self.shape.targets) + 1
    }

    /// How many keys the operations name.
    pub fn keys(&self) -> usize {
        let keys = self.operations.iter().map(|operation| operation.key);
        usize::from(keys.max().unwrap_or_default()) + 1
    }

    /// The targets of a bucket, as a range of buckets.
    pub fn targets(&self, bucket: u8) -> std::ops::Range<u8> {
        if self.shape.chain {
            bucket + 1..(bucket + 2).min(self.shape.targets + 1)
        } else if bucket == 0 {
            1..self.shape.targets + 1
        } else {
            0..0
        }
    }

    /// The operation of this id.
    pub fn operation(&self, id: u16) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id == id)
    }

    /// Whether anything in it may fail a change.
    pub fn has_faults(&self) -> bool {
        !self.outages.is_empty() || self.disturbances.iter().any(|line| line.effect.is_fault())
    }

    /// How many lines it has.
    pub fn lines(&self) -> usize {
        self.operations.len() + self.deliveries.len() + self.disturbances.len() + self.outages.len()
    }

    /// What happens to the request, if there is a line for it.
    pub fn effect(&self, delivery: u16, attempt: u8, request: u16) -> Option<Effect> {
        let line = self.disturbances.iter().find(|line| {
            (line.delivery, line.attempt, line.request) == (delivery, attempt, request)
        });
        line.map(|line| line.effect)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "content {}", self.content)?;
        let rest = [
            ("metadata", self.metadata),
            ("header", self.header),
            ("tags", self.tags),
        ];
        for (name, value) in rest.into_iter().filter(|(_, value)| *value > 0) {
            write!(f, ", {name} {value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(state) => write!(f, "put {state}"),
            Self::Tag(tags) => write!(f, "tags {tags}"),
            Self::Delete => f.write_str("delete"),
            Self::DeleteVersion(of) => write!(f, "delete the version made by p{of}"),
        }
    }
}
