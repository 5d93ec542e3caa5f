//! Decide: one master state against one replica state gives one action. Pure.

use crate::object::{Difference, Object, difference};

/// What has to happen to one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is equal, or absent on both sides.
    Nothing,
    /// Write the whole object anew.
    Copy,
    /// Put the master's tags; all else is equal.
    PutTags,
    /// The key is gone from the master.
    Delete,
    /// The key is gone from the master, and deletes are off.
    Keep,
    /// Only the content is unproven: read both, then decide by [`after_reading`].
    Read {
        /// Whether the tags differ as well.
        tags: bool,
    },
}

/// What makes a replica equal to its master; `None` is an absent object.
pub fn decide(master: Option<&Object>, replica: Option<&Object>, deletes: bool) -> Action {
    match (master, replica) {
        (None, None) => Action::Nothing,
        (None, Some(_)) if deletes => Action::Delete,
        (None, Some(_)) => Action::Keep,
        (Some(_), None) => Action::Copy,
        (Some(master), Some(replica)) => match difference(master, replica) {
            Difference::None => Action::Nothing,
            Difference::Tags => Action::PutTags,
            Difference::Object(_) => Action::Copy,
            Difference::Unproven { tags } => Action::Read { tags },
        },
    }
}

/// What follows once the bytes have been read and compared.
pub fn after_reading(same: bool, tags: bool) -> Action {
    match (same, tags) {
        (false, _) => Action::Copy,
        (true, true) => Action::PutTags,
        (true, false) => Action::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn object(etag: &str, tag: Option<&str>) -> Object {
        Object {
            etag: etag.to_owned(),
            etag_proves_content: etag != "opaque",
            size: 1,
            tags: tag
                .iter()
                .map(|value| ("k".to_owned(), (*value).to_owned()))
                .collect(),
            ..Object::default()
        }
    }

    #[rstest]
    #[case::absent_on_both_sides(None, None, true, Action::Nothing)]
    #[case::gone_from_the_master(None, Some(object("a", None)), true, Action::Delete)]
    #[case::gone_but_deletes_are_off(None, Some(object("a", None)), false, Action::Keep)]
    #[case::missing_replica(Some(object("a", None)), None, false, Action::Copy)]
    #[case::equal(
        Some(object("a", None)),
        Some(object("a", None)),
        true,
        Action::Nothing
    )]
    #[case::content(Some(object("a", None)), Some(object("b", None)), true, Action::Copy)]
    #[case::only_tags(
        Some(object("a", Some("1"))),
        Some(object("a", Some("2"))),
        true,
        Action::PutTags
    )]
    #[case::unproven(
        Some(object("opaque", None)), Some(object("a", None)), true, Action::Read { tags: false })]
    fn one_action_follows_from_two_states(
        #[case] master: Option<Object>,
        #[case] replica: Option<Object>,
        #[case] deletes: bool,
        #[case] expected: Action,
    ) {
        assert_eq!(decide(master.as_ref(), replica.as_ref(), deletes), expected);
    }

    #[rstest]
    #[case(false, false, Action::Copy)]
    #[case(false, true, Action::Copy)]
    #[case(true, true, Action::PutTags)]
    #[case(true, false, Action::Nothing)]
    fn bytes_that_were_read_decide(
        #[case] same: bool,
        #[case] tags: bool,
        #[case] expected: Action,
    ) {
        assert_eq!(after_reading(same, tags), expected);
    }
}
