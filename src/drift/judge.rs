//! What one replica is, beside its master: by what is to be seen, as reconcile would see it. Pure.

use crate::object::{Difference, Object, difference};

use super::merge::Sight;

/// What a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Proven equal.
    Equal,
    /// Absent, as in the master.
    Absent,
    /// Another object; the part that differs is named: `size`, `metadata`, `content`, `tags`, or
    /// the header.
    Differing(&'static str),
    /// Absent, where the master has an object.
    Missing {
        /// Hidden by a delete marker.
        marker: bool,
    },
    /// An object that the master does not have.
    Extra,
    /// The same, where deletes are off: no drift.
    Kept,
    /// All but the content is equal, and only the bytes can prove that.
    Unproven,
    /// Not equal, and the master was being written to.
    InFlight,
}

impl Verdict {
    /// As tables and JSON name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::Absent => "absent",
            Self::Differing(_) => "differing",
            Self::Missing { .. } => "missing",
            Self::Extra => "extra",
            Self::Kept => "kept",
            Self::Unproven => "unproven",
            Self::InFlight => "in flight",
        }
    }

    /// Why, where there is more to say than the verdict itself.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Differing(part) => Some(part),
            Self::Missing { marker: true } => Some("delete marker"),
            _ => None,
        }
    }

    /// Whether `sync` has something to repair.
    pub fn is_drift(self) -> bool {
        matches!(
            self,
            Self::Differing(_) | Self::Missing { .. } | Self::Extra
        )
    }
}

/// What the replica is; `None` is an absent object. `deletes` says whether removals are replicated.
pub fn judge(master: Option<&Object>, replica: Option<&Object>, deletes: bool) -> Verdict {
    match (master, replica) {
        (None, None) => Verdict::Absent,
        (None, Some(_)) if deletes => Verdict::Extra,
        (None, Some(_)) => Verdict::Kept,
        (Some(_), None) => Verdict::Missing { marker: false },
        (Some(master), Some(replica)) => match difference(master, replica) {
            Difference::None => Verdict::Equal,
            Difference::Tags | Difference::Unproven { tags: true } => Verdict::Differing("tags"),
            Difference::Object(part) => Verdict::Differing(part),
            Difference::Unproven { tags: false } => Verdict::Unproven,
        },
    }
}

/// Whether listings alone show no difference: the same size and ETag on both sides, or nothing.
pub fn listed_alike(master: &Sight, replica: &Sight) -> bool {
    match (master, replica) {
        (Sight::Listed(master), Sight::Listed(replica)) => master == replica,
        (Sight::Absent, Sight::Absent) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::plan::{Action, decide};

    fn object(etag: &str, change: impl FnOnce(&mut Object)) -> Option<Object> {
        let mut object = Object {
            etag: etag.to_owned(),
            etag_proves_content: etag != "opaque",
            size: 1,
            ..Object::default()
        };
        change(&mut object);
        Some(object)
    }

    fn plain(etag: &str) -> Option<Object> {
        object(etag, |_| ())
    }

    fn tagged(etag: &str) -> Option<Object> {
        object(etag, |object| {
            object.tags.insert("k".to_owned(), "v".to_owned());
        })
    }

    #[rstest]
    #[case::equal(plain("a"), plain("a"), Verdict::Equal, Action::Nothing)]
    #[case::gone_everywhere(None, None, Verdict::Absent, Action::Nothing)]
    #[case::other_bytes(plain("a"), plain("b"), Verdict::Differing("content"), Action::Copy)]
    #[case::other_size(
        plain("a"), object("a", |object| object.size = 2),
        Verdict::Differing("size"), Action::Copy)]
    #[case::other_metadata(
        plain("a"), object("a", |object| drop(object.metadata.insert("k".into(), "v".into()))),
        Verdict::Differing("metadata"), Action::Copy)]
    #[case::other_header(
        plain("a"), object("a", |object| object.headers.cache_control = Some("no-store".into())),
        Verdict::Differing("cache-control"), Action::Copy)]
    #[case::other_tags(plain("a"), tagged("a"), Verdict::Differing("tags"), Action::PutTags)]
    #[case::missing(plain("a"), None, Verdict::Missing { marker: false }, Action::Copy)]
    #[case::extra(None, plain("a"), Verdict::Extra, Action::Delete)]
    #[case::unproven(plain("opaque"), plain("a"), Verdict::Unproven, Action::Read { tags: false })]
    #[case::tags_whatever_the_content(
        plain("opaque"), tagged("a"), Verdict::Differing("tags"), Action::Read { tags: true })]
    fn verdict_is_what_reconcile_would_act_on(
        #[case] master: Option<Object>,
        #[case] replica: Option<Object>,
        #[case] verdict: Verdict,
        #[case] action: Action,
    ) {
        let (master, replica) = (master.as_ref(), replica.as_ref());
        assert_eq!(judge(master, replica, true), verdict);
        assert_eq!(decide(master, replica, true), action);
        let untouched = matches!(action, Action::Nothing | Action::Read { tags: false });
        assert_eq!(verdict.is_drift(), !untouched);
    }

    #[test]
    fn extra_key_is_no_drift_where_deletes_are_off() {
        let verdict = judge(None, plain("a").as_ref(), false);
        assert_eq!((verdict, verdict.is_drift()), (Verdict::Kept, false));
    }
}
