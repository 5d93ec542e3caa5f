//! One fault: which requests it takes, how many of them, and what becomes of those.

use std::num::NonZeroU32;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::operation::{Named, S3Operation};

/// A fault waiting for requests of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The operation it takes; any where there is none.
    pub on: Option<S3Operation>,
    /// The bucket or site whose requests it takes.
    pub scope: Scope,
    /// The key it takes; any where there is none.
    pub key: Option<String>,
    /// How many matching requests pass before the first is taken.
    pub after: u32,
    /// How many requests are taken; all that come where there is none.
    pub times: Option<NonZeroU32>,
    /// What becomes of a request that is taken.
    pub effect: Effect,
}

/// The bucket or site a fault is bound to. A copy's bucket is the one it writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// Every bucket.
    #[default]
    Anywhere,
    /// One bucket.
    Bucket(String),
    /// Every bucket of one site.
    Site(String),
}

/// What becomes of a request that a fault takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Answered with this status and S3's error body for it (502 and 504: a proxy's page). The
    /// store never sees the request.
    Answer(u16),
    /// The connection ends without an answer.
    Reset(When),
    /// Held back for this many milliseconds, before the store sees it or before its answer.
    Delay(u64, When),
    /// The connection ends after this many bytes of the answer's body, unless it has no more.
    CutAfter(u64),
    /// HTTP 200 with an `<Error>` body; the store never sees the request. Takes only operations
    /// that can fail so, see [`S3Operation::may_fail_in_200`].
    ErrorIn200,
    /// Every connection ends without an answer (`true`), or does so no longer (`false`).
    SiteDown(bool),
    /// The instance that sent the request is killed.
    Kill(When),
}

/// Before the store sees a request, or after the request took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The store never sees the request.
    Before,
    /// The request takes effect, its answer is lost.
    After,
}

impl Fault {
    /// A fault that takes the first request of the function, whichever it is.
    pub fn new(effect: Effect) -> Self {
        let times = match effect {
            Effect::SiteDown(_) => None,
            _ => Some(NonZeroU32::MIN),
        };
        Self {
            on: None,
            scope: Scope::Anywhere,
            key: None,
            after: 0,
            times,
            effect,
        }
    }

    /// Whether a request is of the kind that this fault takes.
    pub(super) fn matches(&self, request: &Named, site: Option<&str>) -> bool {
        let in_scope = match &self.scope {
            Scope::Anywhere => true,
            Scope::Bucket(bucket) => request.bucket.as_ref() == Some(bucket),
            Scope::Site(name) => site == Some(name),
        };
        let suits_effect = self.effect != Effect::ErrorIn200 || request.operation.may_fail_in_200();
        in_scope
            && suits_effect
            && self.on.is_none_or(|on| on == request.operation)
            && self
                .key
                .as_ref()
                .is_none_or(|key| request.key.as_ref() == Some(key))
    }
}

impl When {
    fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// Writes the fault as a recording has it.
impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(on) = self.on {
            map.serialize_entry("on", &on)?;
        }
        match &self.scope {
            Scope::Anywhere => {}
            Scope::Bucket(bucket) => map.serialize_entry("bucket", bucket)?,
            Scope::Site(site) => map.serialize_entry("site", site)?,
        }
        if let Some(key) = &self.key {
            map.serialize_entry("key", key)?;
        }
        if self.after > 0 {
            map.serialize_entry("after", &self.after)?;
        }
        match self.effect {
            Effect::Answer(status) => map.serialize_entry("answer", &status)?,
            Effect::Reset(when) => map.serialize_entry("reset", when.as_str())?,
            Effect::Delay(milliseconds, when) => {
                map.serialize_entry("delay_ms", &milliseconds)?;
                map.serialize_entry("delay", when.as_str())?;
            }
            Effect::CutAfter(bytes) => map.serialize_entry("cut_after", &bytes)?,
            Effect::ErrorIn200 => map.serialize_entry("error_in_200", &true)?,
            Effect::SiteDown(down) => map.serialize_entry("site_down", &down)?,
            Effect::Kill(when) => map.serialize_entry("kill", when.as_str())?,
        }
        if self.times != Self::new(self.effect).times {
            map.serialize_entry("times", &self.times)?;
        }
        map.end()
    }
}
