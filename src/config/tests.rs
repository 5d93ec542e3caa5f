//! Tables of the environment.

use rstest::rstest;

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    Config::from_lookup(|name| {
        let found = variables.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn defaults() -> Config {
    Config {
        masters: Masters::default(),
        tag_ttl: Duration::from_secs(60),
        concurrency: 16,
        part_size: 8_388_608,
        multipart_threshold: 67_108_864,
        memory: 67_108_864,
        deletes: true,
        logging: Logging {
            format: LogFormat::Text,
            filter: "warn,aws_config=off,s3_replicator=info".to_owned(),
        },
        function: None,
    }
}

#[test]
fn empty_environment_gives_the_defaults() {
    assert_eq!(read(&[]), Ok(defaults()));
}

#[test]
fn variable_set_to_nothing_counts_as_not_set() {
    let names = [
        "S3_REPLICATOR_MASTERS",
        "S3_REPLICATOR_TAG_TTL",
        "S3_REPLICATOR_CONCURRENCY",
        "S3_REPLICATOR_PART_SIZE",
        "S3_REPLICATOR_MULTIPART_THRESHOLD",
        "S3_REPLICATOR_MEMORY",
        "S3_REPLICATOR_DELETES",
        "AWS_LAMBDA_LOG_FORMAT",
        "AWS_LAMBDA_LOG_LEVEL",
        "RUST_LOG",
    ];
    assert_eq!(read(&names.map(|name| (name, ""))), Ok(defaults()));
}

#[rstest]
#[case::ttl("S3_REPLICATOR_TAG_TTL", "5", |c: &mut Config| c.tag_ttl = Duration::from_secs(5))]
#[case::no_cache("S3_REPLICATOR_TAG_TTL", "0", |c: &mut Config| c.tag_ttl = Duration::ZERO)]
#[case::concurrency("S3_REPLICATOR_CONCURRENCY", "1", |c: &mut Config| c.concurrency = 1)]
#[case::smallest_part("S3_REPLICATOR_PART_SIZE", "5MiB", |c: &mut Config| c.part_size = 5_242_880)]
#[case::largest_part("S3_REPLICATOR_PART_SIZE", "5GiB", |c: &mut Config| c.part_size = 5 << 30)]
#[case::threshold("S3_REPLICATOR_MULTIPART_THRESHOLD", "10MB", |c: &mut Config| {
    c.multipart_threshold = 10_000_000;
})]
#[case::memory("S3_REPLICATOR_MEMORY", "64KiB", |c: &mut Config| c.memory = 65_536)]
#[case::no_deletes("S3_REPLICATOR_DELETES", "false", |c: &mut Config| c.deletes = false)]
fn variable_changes_its_setting_alone(
    #[case] variable: &str,
    #[case] value: &str,
    #[case] change: fn(&mut Config),
) {
    let mut expected = defaults();
    change(&mut expected);
    assert_eq!(read(&[(variable, value)]), Ok(expected));
}

#[test]
fn masters_are_read() {
    let config = read(&[("S3_REPLICATOR_MASTERS", "one prod-*")]).unwrap();
    assert!(config.masters.allows("prod-a"));
    assert!(!config.masters.allows("two"));
}

#[rstest]
#[case::masters("S3_REPLICATOR_MASTERS", "one,two")]
#[case::ttl_with_unit("S3_REPLICATOR_TAG_TTL", "60s")]
#[case::ttl_below_zero("S3_REPLICATOR_TAG_TTL", "-1")]
#[case::ttl_with_sign("S3_REPLICATOR_TAG_TTL", "+60")]
#[case::ttl_fraction("S3_REPLICATOR_TAG_TTL", "0.5")]
#[case::ttl_beyond_any_clock("S3_REPLICATOR_TAG_TTL", "18446744073709551615")]
#[case::no_concurrency("S3_REPLICATOR_CONCURRENCY", "0")]
#[case::too_much_concurrency("S3_REPLICATOR_CONCURRENCY", "1025")]
#[case::concurrency_padded("S3_REPLICATOR_CONCURRENCY", " 8")]
#[case::part_too_small("S3_REPLICATOR_PART_SIZE", "5242879")]
#[case::part_too_large("S3_REPLICATOR_PART_SIZE", "5368709121")]
#[case::part_unit("S3_REPLICATOR_PART_SIZE", "8M")]
#[case::threshold_above_one_put("S3_REPLICATOR_MULTIPART_THRESHOLD", "6GiB")]
#[case::memory_for_nothing("S3_REPLICATOR_MEMORY", "65535")]
#[case::deletes_in_capitals("S3_REPLICATOR_DELETES", "TRUE")]
#[case::deletes_as_number("S3_REPLICATOR_DELETES", "0")]
#[case::log_format("AWS_LAMBDA_LOG_FORMAT", "xml")]
#[case::log_level("AWS_LAMBDA_LOG_LEVEL", "loud")]
#[case::log_filter("RUST_LOG", "s3_replicator=loud")]
fn bad_value_is_named_with_its_variable(#[case] variable: &str, #[case] value: &str) {
    let errors = read(&[(variable, value)]).unwrap_err();
    let named: Vec<_> = errors
        .iter()
        .map(|error| (error.variable, error.value.as_str()))
        .collect();
    assert_eq!(named, [(variable, value)]);
}

#[test]
fn all_problems_are_reported_at_once() {
    let errors = read(&[
        ("RUST_LOG", "a=b=c"),
        ("S3_REPLICATOR_TAG_TTL", "a\nminute"),
        ("S3_REPLICATOR_DELETES", "false"),
        ("S3_REPLICATOR_PART_SIZE", "1MiB"),
    ])
    .unwrap_err();
    assert_eq!(
        errors.to_string(),
        "environment is not understood: \
         expected a whole number of seconds, at most 4294967295 in S3_REPLICATOR_TAG_TTL, found `a\\nminute`; \
         expected a size from 5MiB to 5GiB, such as `8MiB` in S3_REPLICATOR_PART_SIZE, found `1MiB`; \
         expected filter directives, such as `info` or `warn,s3_replicator=debug` in RUST_LOG, found `a=b=c`"
    );
}

#[rstest]
#[case::on_lambda(&[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001")], LogFormat::Json)]
#[case::text_on_lambda(
    &[("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"), ("AWS_LAMBDA_LOG_FORMAT", "Text")],
    LogFormat::Text
)]
#[case::json_elsewhere(&[("AWS_LAMBDA_LOG_FORMAT", "JSON")], LogFormat::Json)]
#[case::any_case(&[("AWS_LAMBDA_LOG_FORMAT", "jSoN")], LogFormat::Json)]
fn log_format_follows_lambda(#[case] variables: &[(&str, &str)], #[case] expected: LogFormat) {
    assert_eq!(read(variables).unwrap().logging.format, expected);
}

#[rstest]
#[case::trace(&[("AWS_LAMBDA_LOG_LEVEL", "TRACE")], "warn,aws_config=off,s3_replicator=trace")]
#[case::debug(&[("AWS_LAMBDA_LOG_LEVEL", "debug")], "warn,aws_config=off,s3_replicator=debug")]
#[case::info(&[("AWS_LAMBDA_LOG_LEVEL", "INFO")], "warn,aws_config=off,s3_replicator=info")]
#[case::warn(&[("AWS_LAMBDA_LOG_LEVEL", "WARN")], "warn,aws_config=off")]
#[case::error(&[("AWS_LAMBDA_LOG_LEVEL", "ERROR")], "error,aws_config=off")]
#[case::fatal(&[("AWS_LAMBDA_LOG_LEVEL", "FATAL")], "error,aws_config=off")]
#[case::rust_log_wins(&[("AWS_LAMBDA_LOG_LEVEL", "DEBUG"), ("RUST_LOG", "hyper=trace")], "hyper=trace")]
fn log_filter_keeps_dependencies_quiet(#[case] variables: &[(&str, &str)], #[case] expected: &str) {
    let filter = read(variables).unwrap().logging.filter;
    assert_eq!(filter, expected);
    filter.parse::<Targets>().unwrap();
}
