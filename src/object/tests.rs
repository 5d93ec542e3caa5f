use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

const MD5: &str = "5d41402abc4b2a76b9719d911017c592";

fn object(etag: &str, checksums: &[(&'static str, &str)]) -> Object {
    Object {
        etag: etag.to_owned(),
        etag_proves_content: true,
        size: 5,
        checksums: Checksums {
            values: checksums
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            composite: false,
        },
        ..Object::default()
    }
}

fn encrypted(mut object: Object) -> Object {
    object.etag_proves_content = false;
    object
}

fn composite(mut object: Object) -> Object {
    object.checksums.composite = true;
    object
}

#[rstest]
#[case::same_plain_etag(object(MD5, &[]), object(MD5, &[]), Content::Same)]
#[case::other_plain_etag(object(MD5, &[]), object("00", &[]), Content::Different)]
#[case::same_multipart_etag(object("00-2", &[]), object("00-2", &[]), Content::Same)]
#[case::multipart_against_plain(object("00-2", &[]), object(MD5, &[]), Content::Unproven)]
#[case::other_multipart_etag(object("00-2", &[]), object("11-2", &[]), Content::Unproven)]
#[case::encrypted_same_etag(encrypted(object(MD5, &[])), object(MD5, &[]), Content::Unproven)]
#[case::encrypted_same_checksum(
    encrypted(object("x", &[("crc32", "a")])), object("y", &[("crc32", "a")]), Content::Same)]
#[case::encrypted_other_checksum(
    encrypted(object("x", &[("crc32", "a")])), object("y", &[("crc32", "b")]), Content::Different)]
#[case::no_common_algorithm(
    encrypted(object("x", &[("crc32", "a")])), object("y", &[("sha1", "a")]), Content::Unproven)]
#[case::composite_same_parts_same_value(
    composite(encrypted(object("x-2", &[("crc32", "a")]))),
    composite(object("y-2", &[("crc32", "a")])), Content::Same)]
#[case::composite_same_parts_other_value(
    composite(encrypted(object("x-2", &[("crc32", "a")]))),
    composite(object("y-2", &[("crc32", "b")])), Content::Unproven)]
#[case::composite_other_part_count(
    composite(encrypted(object("x-2", &[("crc32", "a")]))),
    composite(object("y-3", &[("crc32", "a")])), Content::Unproven)]
#[case::composite_against_full(
    composite(encrypted(object("x-2", &[("crc32", "a")]))),
    object("y-2", &[("crc32", "a")]), Content::Unproven)]
fn content_is_proven_or_not(
    #[case] master: Object,
    #[case] replica: Object,
    #[case] expected: Content,
) {
    assert_eq!(content(&master, &replica), expected);
}

#[rstest]
#[case::equal(|_: &mut Object| (), Difference::None)]
#[case::size(|o: &mut Object| o.size = 6, Difference::Object("size"))]
#[case::metadata(
    |o: &mut Object| { o.metadata.insert("owner".into(), "y".into()); },
    Difference::Object("metadata"))]
#[case::expires_is_text(
    |o: &mut Object| o.headers.expires = Some("never".into()), Difference::Object("expires"))]
#[case::redirect(
    |o: &mut Object| o.headers.website_redirect = Some("/x".into()),
    Difference::Object("x-amz-website-redirect-location"))]
#[case::type_that_is_the_default(
    |o: &mut Object| o.headers.content_type = Some("binary/octet-stream".into()),
    Difference::None)]
#[case::other_type(
    |o: &mut Object| o.headers.content_type = Some("text/plain".into()),
    Difference::Object("content-type"))]
#[case::tags(|o: &mut Object| { o.tags.insert("k".into(), "v".into()); }, Difference::Tags)]
#[case::content_before_tags(
    |o: &mut Object| { o.etag = "00".into(); o.tags.insert("k".into(), "v".into()); },
    Difference::Object("content"))]
#[case::storage_class_is_not_compared(
    |o: &mut Object| o.storage_class = NotCompared(Some("GLACIER".into())), Difference::None)]
#[case::times_and_versions_are_not_compared(
    |o: &mut Object| { o.last_modified = 9; o.version_id = Some("v".into()); },
    Difference::None)]
#[case::unproven_with_tags(
    |o: &mut Object| { o.etag_proves_content = false; o.tags.insert("k".into(), "v".into()); },
    Difference::Unproven { tags: true })]
fn a_difference_is_named(#[case] change: fn(&mut Object), #[case] expected: Difference) {
    let master = object(MD5, &[]);
    let mut replica = master.clone();
    change(&mut replica);
    assert_eq!(difference(&master, &replica), expected);
}

/// Objects drawn from so few values that equal ones are common.
fn any_object() -> impl Strategy<Value = Object> {
    let map = proptest::collection::btree_map("[ab]", "[xy]", 0..2);
    let etag = proptest::sample::select(vec![MD5, "00", "00-2", "11-2"]);
    let sums = proptest::collection::btree_map(
        proptest::sample::select(vec!["crc32", "sha1"]),
        "[pq]",
        0..2,
    );
    (
        map.clone(),
        map,
        etag,
        any::<bool>(),
        0..2_u64,
        sums,
        any::<bool>(),
    )
        .prop_map(
            |(metadata, tags, etag, proves, size, values, composite)| Object {
                etag: etag.to_owned(),
                etag_proves_content: proves,
                size,
                metadata,
                tags,
                checksums: Checksums { values, composite },
                ..Object::default()
            },
        )
}

proptest! {
    #[test]
    fn equality_is_symmetric(a in any_object(), b in any_object()) {
        prop_assert_eq!(content(&a, &b), content(&b, &a));
        prop_assert_eq!(difference(&a, &b), difference(&b, &a));
    }

    #[test]
    fn nothing_is_ever_proven_different_from_itself(a in any_object()) {
        let found = difference(&a, &a);
        let unproven = Difference::Unproven { tags: false };
        prop_assert!(found == Difference::None || found == unproven);
    }

    #[test]
    fn objects_proven_equal_agree_in_all_that_is_carried(a in any_object(), b in any_object()) {
        if difference(&a, &b) == Difference::None {
            prop_assert_eq!(a.size, b.size);
            prop_assert_eq!(BTreeMap::clone(&a.metadata), b.metadata);
            prop_assert_eq!(a.tags, b.tags);
        }
    }
}
