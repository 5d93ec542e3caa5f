//! Tables and properties of the tag grammar.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn parse_tags(tags: &[(&str, &str)]) -> TargetList {
    parse(tags.iter().copied(), |site| site == "minio")
}

fn shown(list: &TargetList) -> Vec<String> {
    list.targets
        .iter()
        .map(|target| format!("{}@{}", target.bucket, target.site))
        .collect()
}

#[rstest]
#[case::as_specified(
    &[("ReplicatedTargetBuckets", "bucket1@ap-southeast-1 bucket2@eu-central-1")],
    &["bucket1@ap-southeast-1", "bucket2@eu-central-1"]
)]
#[case::any_number_of_spaces(
    &[("ReplicatedTargetBuckets", "  aaa@us-east-1    bbb@us-east-1 ")],
    &["aaa@us-east-1", "bbb@us-east-1"]
)]
#[case::profile_as_site(&[("ReplicatedTargetBuckets", "aaa@minio")], &["aaa@minio"])]
#[case::ordered_by_number(
    &[
        ("ReplicatedTargetBuckets.10", "ddd@us-east-1"),
        ("ReplicatedTargetBuckets.2", "bbb@us-east-1"),
        ("ReplicatedTargetBuckets", "aaa@us-east-1"),
        ("ReplicatedTargetBuckets.9", "ccc@us-east-1"),
    ],
    &["aaa@us-east-1", "bbb@us-east-1", "ccc@us-east-1", "ddd@us-east-1"]
)]
#[case::without_the_first(&[("ReplicatedTargetBuckets.3", "aaa@us-east-1")], &["aaa@us-east-1"])]
#[case::number_beyond_any_integer(
    &[("ReplicatedTargetBuckets.99999999999999999999999", "aaa@us-east-1")],
    &["aaa@us-east-1"]
)]
#[case::repeated_entry_counts_once(
    &[
        ("ReplicatedTargetBuckets", "aaa@us-east-1 bbb@us-east-1 aaa@us-east-1"),
        ("ReplicatedTargetBuckets.2", "bbb@us-east-1"),
    ],
    &["aaa@us-east-1", "bbb@us-east-1"]
)]
#[case::other_tags_beside(
    &[("Owner", "me"), ("ReplicatedTargetBuckets", "aaa@us-east-1"), ("replicated", "x")],
    &["aaa@us-east-1"]
)]
fn targets_are_read(#[case] tags: &[(&str, &str)], #[case] expected: &[&str]) {
    let list = parse_tags(tags);
    assert_eq!(list.problems, []);
    assert_eq!(shown(&list), expected);
    assert!(list.configured);
    assert_eq!(list.deletes, None);
}

#[rstest]
#[case::no_tags(&[], false)]
#[case::other_tags(&[("Owner", "me"), ("ReplicatedDeletes", "true")], false)]
#[case::empty(&[("ReplicatedTargetBuckets", "")], false)]
#[case::blank(&[("ReplicatedTargetBuckets", "  "), ("ReplicatedTargetBuckets.2", " ")], false)]
#[case::one_is_not_blank(
    &[("ReplicatedTargetBuckets", ""), ("ReplicatedTargetBuckets.2", "aaa@us-east-1")], true
)]
#[case::nothing_but_mistakes(&[("ReplicatedTargetBuckets", "nonsense")], true)]
#[case::under_a_mistaken_key(&[("ReplicatedTargetBuckets2", "aaa@us-east-1")], true)]
fn bucket_is_configured_by_any_target_tag_that_is_not_blank(
    #[case] tags: &[(&str, &str)],
    #[case] expected: bool,
) {
    assert_eq!(parse_tags(tags).configured, expected);
}

#[rstest]
#[case::no_at("aaa@us-east-1 bbb", "bbb", 2, 14, Expected::OneAt)]
#[case::two_ats(
    "bbb@us-east-1@minio aaa@us-east-1",
    "bbb@us-east-1@minio",
    1,
    0,
    Expected::OneAt
)]
#[case::no_bucket("aaa@us-east-1  @us-east-1", "@us-east-1", 2, 15, Expected::BucketName)]
#[case::bad_bucket(
    "Bbb@us-east-1 aaa@us-east-1",
    "Bbb@us-east-1",
    1,
    0,
    Expected::BucketName
)]
#[case::no_site("aaa@us-east-1 bbb@", "bbb@", 2, 14, Expected::Site)]
#[case::bad_site("bbb@mars aaa@us-east-1", "bbb@mars", 1, 0, Expected::Site)]
#[case::tab_is_no_space("aaa@us-east-1 b\t@minio", "b\t@minio", 2, 14, Expected::BucketName)]
#[case::offset_counts_characters("éé aaa@us-east-1 ü", "ü", 3, 17, Expected::OneAt)]
#[case::second_site(
    "aaa@us-east-1 aaa@minio", "aaa@minio", 2, 14,
    Expected::OneSite { site: "us-east-1".to_owned() }
)]
fn mistaken_entry_is_named_and_the_good_ones_stay(
    #[case] value: &str,
    #[case] entry: &str,
    #[case] number: usize,
    #[case] offset: usize,
    #[case] expected: Expected,
) {
    let list = parse_tags(&[("ReplicatedTargetBuckets.4", value)]);
    assert_eq!(shown(&list), ["aaa@us-east-1"]);
    assert_eq!(
        list.problems.last(),
        Some(&TagProblem {
            tag: "ReplicatedTargetBuckets.4".to_owned(),
            entry: entry.to_owned(),
            position: Some(EntryPosition { number, offset }),
            expected,
        })
    );
}

#[rstest]
#[case::first_by_number("ReplicatedTargetBuckets.1")]
#[case::zero("ReplicatedTargetBuckets.0")]
#[case::leading_zero("ReplicatedTargetBuckets.02")]
#[case::no_digits("ReplicatedTargetBuckets.")]
#[case::letters("ReplicatedTargetBuckets.two")]
#[case::sign("ReplicatedTargetBuckets.+2")]
#[case::other_digits("ReplicatedTargetBuckets.٢")]
#[case::no_dot("ReplicatedTargetBuckets2")]
fn mistaken_tag_key_is_a_problem_and_gives_no_targets(#[case] tag: &str) {
    let list = parse_tags(&[
        (tag, "bbb@us-east-1"),
        ("ReplicatedTargetBuckets", "aaa@minio"),
    ]);
    assert_eq!(shown(&list), ["aaa@minio"]);
    assert_eq!(
        list.problems,
        [TagProblem {
            tag: tag.to_owned(),
            entry: "bbb@us-east-1".to_owned(),
            position: None,
            expected: Expected::Continuation,
        }]
    );
}

#[rstest]
#[case::yes("true", true, 0)]
#[case::no("false", false, 0)]
#[case::capital("True", false, 1)]
#[case::number("1", false, 1)]
#[case::blank("", false, 1)]
#[case::spaces(" true", false, 1)]
fn deletes_are_off_unless_the_tag_surely_says_otherwise(
    #[case] value: &str,
    #[case] deletes: bool,
    #[case] problems: usize,
) {
    let list = parse_tags(&[("ReplicatedDeletes", value)]);
    assert_eq!(list.deletes, Some(deletes));
    assert_eq!(list.problems.len(), problems);
}

#[rstest]
#[case::entry(
    ("ReplicatedTargetBuckets.2", "aaa@us-east-1 bbb@mars"),
    "expected a region or a profile of the AWS shared configuration after `@` \
     in tag `ReplicatedTargetBuckets.2`, entry 2 at offset 14: `bbb@mars`"
)]
#[case::tag_key(
    ("ReplicatedTargetBuckets.1", "aaa@us-east-1"),
    "expected a tag key `ReplicatedTargetBuckets`, optionally followed by `.2`, `.3` and so on \
     in tag `ReplicatedTargetBuckets.1`: `aaa@us-east-1`"
)]
#[case::deletes(
    ("ReplicatedDeletes", "ye\ns"),
    "expected `true` or `false` in tag `ReplicatedDeletes`: `ye\\ns`"
)]
#[case::second_site(
    ("ReplicatedTargetBuckets", "aaa@us-east-1 aaa@minio"),
    "expected one site for each bucket, which is `us-east-1` by an earlier entry \
     in tag `ReplicatedTargetBuckets`, entry 2 at offset 14: `aaa@minio`"
)]
fn problem_says_where_and_what_was_expected(#[case] tag: (&str, &str), #[case] message: &str) {
    assert_eq!(parse_tags(&[tag]).problems[0].to_string(), message);
}

#[rstest]
#[case::shortest("abc", true)]
#[case::digits("123", true)]
#[case::dots_and_hyphens("a.b-c.d", true)]
#[case::longest(&"a".repeat(63), true)]
#[case::five_numbers("1.2.3.4.5", true)]
#[case::reserved_word_elsewhere("my-xn--s3alias-bucket", true)]
#[case::too_short("ab", false)]
#[case::too_long(&"a".repeat(64), false)]
#[case::upper_case("Abc", false)]
#[case::underscore("a_c", false)]
#[case::not_ascii("aéc", false)]
#[case::leading_hyphen("-abc", false)]
#[case::trailing_hyphen("abc-", false)]
#[case::leading_dot(".abc", false)]
#[case::trailing_dot("abc.", false)]
#[case::two_dots("a..c", false)]
#[case::ipv4("192.168.5.4", false)]
#[case::punycode("xn--abc", false)]
#[case::sthree("sthree-abc", false)]
#[case::demo("amzn-s3-demo-bucket", false)]
#[case::access_point_alias("abc-s3alias", false)]
#[case::object_lambda("abc--ol-s3", false)]
#[case::multi_region("abc.mrap", false)]
#[case::directory("abc--use1-az4--x-s3", false)]
#[case::table("abc--table-s3", false)]
fn bucket_names_follow_s3_rules(#[case] name: &str, #[case] expected: bool) {
    assert_eq!(is_bucket_name(name), expected);
}

#[rstest]
#[case::virginia("us-east-1", true)]
#[case::singapore("ap-southeast-1", true)]
#[case::govcloud("us-gov-west-1", true)]
#[case::iso("us-iso-east-1", true)]
#[case::isob("us-isob-east-1", true)]
#[case::isoe("eu-isoe-west-1", true)]
#[case::sovereign("eusc-de-east-1", true)]
#[case::china("cn-northwest-1", true)]
#[case::mexico("mx-central-1", true)]
#[case::two_digits("us-east-10", true)]
#[case::empty("", false)]
#[case::zone("us-east-1a", false)]
#[case::no_number("us-east", false)]
#[case::no_hyphen("us-east1", false)]
#[case::zero("us-east-0", false)]
#[case::leading_zero("us-east-01", false)]
#[case::upper_case("US-EAST-1", false)]
#[case::too_few_parts("us-1", false)]
#[case::too_many_parts("us-a-bb-cc-1", false)]
#[case::empty_part("us--1", false)]
#[case::country("germany-west-1", false)]
#[case::host("us-east-1.example.com", false)]
fn regions_are_known_by_their_form(#[case] name: &str, #[case] expected: bool) {
    assert_eq!(is_region(name), expected);
}

fn any_target() -> impl Strategy<Value = (String, String)> {
    let site = "[a-z]{2}-(gov-)?[a-z]{4,9}-[1-9]|minio";
    ("[a-z0-9][a-z0-9-]{1,20}[a-z0-9]", site)
        .prop_filter("reserved", |(bucket, _)| is_bucket_name(bucket))
}

proptest! {
    #[test]
    fn valid_list_round_trips(targets in prop::collection::vec(any_target(), 0..20), spaces in 1..4_usize) {
        let mut distinct: Vec<(String, String)> = Vec::new();
        for target in targets {
            if distinct.iter().all(|other| other.0 != target.0) {
                distinct.push(target);
            }
        }
        let values: Vec<String> = distinct
            .chunks(3)
            .map(|chunk| {
                let entries: Vec<String> =
                    chunk.iter().map(|(bucket, site)| format!("{bucket}@{site}")).collect();
                entries.join(&" ".repeat(spaces))
            })
            .collect();
        let keys: Vec<String> = (1..=values.len())
            .map(|n| if n == 1 { TARGETS_TAG.to_owned() } else { format!("{TARGETS_TAG}.{n}") })
            .collect();
        let tags = keys.iter().map(String::as_str).zip(values.iter().map(String::as_str)).rev();
        let list = parse(tags, |site| site == "minio");
        prop_assert_eq!(list.problems, []);
        let named: Vec<_> =
            list.targets.into_iter().map(|target| (target.bucket, target.site)).collect();
        prop_assert_eq!(named, distinct);
    }

    #[test]
    fn any_value_is_read_and_problems_point_at_their_entries(value in "[a-c@. é\t-]{0,60}|.*") {
        let list = parse([(TARGETS_TAG, value.as_str())], |_| false);
        for problem in list.problems {
            let offset = problem.position.unwrap().offset;
            let there: String = value.chars().skip(offset).take_while(|&c| c != ' ').collect();
            prop_assert_eq!(there, problem.entry);
        }
    }

    #[test]
    fn any_tag_key_is_read(suffix in ".*") {
        let key = format!("{TARGETS_TAG}{suffix}");
        let list = parse([(key.as_str(), "aaa@us-east-1")], |_| false);
        prop_assert_eq!(list.targets.len() + list.problems.len(), 1);
    }
}
