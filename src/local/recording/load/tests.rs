use std::path::Path;

use rstest::rstest;

use super::*;
use crate::local::recording::{Action, Bucket};

/// The example that documents the format.
const EXAMPLE: &str = r#"{"recording": 1, "name": "late delete", "seed": 7, "source": "s3", "master": {"bucket": "master", "region": "us-east-1", "versioning": false, "tags": {"ReplicatedTargetBuckets": "replica-1@ap-southeast-1 replica-2@eu-central-1"}}, "targets": [{"bucket": "replica-1", "region": "ap-southeast-1"}, {"bucket": "replica-2", "region": "eu-central-1", "separate": true}]}
{"id": "p1", "put": {"key": "a b/c.txt", "body": {"text": "hello"}, "metadata": {"owner": "x"}, "headers": {"Cache-Control": "no-store"}, "tags": {"k": "v"}}}
{"id": "d1", "delete": {"key": "a b/c.txt"}, "deliver": "held"}
{"id": "p2", "put": {"key": "a b/c.txt", "body": {"size": 20971520, "seed": 3}, "parts": [5242881, 15728639]}}
{"deliver": ["p2", "d1", "d1"]}
{"fault": {"on": "CopyObject", "bucket": "replica-1", "answer": 503, "times": 2}}
{"invoke": {"Records": ["… a payload exactly as captured, any envelope …"]}}
{"settle": {"within_s": 30}}
{"expect": {"equal": true}}
{"expect": {"target": "replica-1", "key": "a b/c.txt", "absent": true}}
"#;

const HEADER: &str = r#"{"recording": 1, "master": {"bucket": "master"}, "targets": [{"bucket": "replica-1", "region": "ap-southeast-1"}, {"bucket": "gone", "region": "eu-west-1", "create": false}]}"#;

fn parse(text: &str) -> Result<Recording, Problems> {
    Recording::parse(text, Path::new("dir/bad.jsonl"))
}

fn messages(text: &str) -> String {
    parse(text)
        .expect_err("the text is no recording")
        .to_string()
}

#[test]
fn documented_example_loads_and_is_written_as_it_stands() {
    let recording = parse(EXAMPLE).unwrap();
    assert_eq!(recording.steps.len(), 9);
    // All but the header, of which what goes without saying is left out.
    let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&recording.to_json_lines()), lines(EXAMPLE));
}

#[test]
fn header_has_defaults() {
    let recording = parse(&format!("{HEADER}\n{{\"expect\": {{\"equal\": true}}}}"));
    let header = recording.unwrap().header;
    let mut expected = Header::new("bad", Bucket::new("master", "us-east-1"));
    expected.targets = header.targets.clone();
    assert_eq!(header, expected);
    assert_eq!(
        (header.targets[0].separate, header.targets[0].create),
        (false, true)
    );
}

#[test]
fn blank_lines_and_line_ends_of_any_kind_are_no_steps() {
    let recording = parse(&format!(
        "\n{HEADER}\r\n\r\n  \n{{\"settle\": {{\"within_s\": 0.5}}}}\r\n"
    ));
    assert_eq!(recording.unwrap().steps[0].line, 5);
}

#[test]
fn payload_stays_as_it_stands() {
    let payload = r#"{"b":1, "a" : 1.0,"a":"\u00e9"}"#;
    let recording = parse(&format!("{HEADER}\n{{\"invoke\": {payload} }}")).unwrap();
    let Action::Invoke(kept) = &recording.steps[0].action else {
        panic!("{recording:?}")
    };
    assert_eq!(kept.as_str(), payload);
    assert!(recording.to_json_lines().contains(payload));
}

#[test]
fn all_problems_of_a_file_are_reported_in_order() {
    let text = [
        HEADER,
        r#"{"put": {"key": "", "body": {"text": 1}, "colour": "red"}}"#,
        "",
        r#"{"deliver": ["x"]}"#,
        "oops",
    ];
    assert_eq!(
        messages(&text.join("\n")),
        r#"dir/bad.jsonl:2: put.key: expected a key of 1 to 1024 bytes, found ""
dir/bad.jsonl:2: put.body.text: expected text, found 1
dir/bad.jsonl:2: put.colour: expected no other fields than key, body, metadata, headers, tags, parts, checksum, found "red"
dir/bad.jsonl:4: deliver[0]: expected the id of an earlier step, found "x", which no step has
dir/bad.jsonl:5: whole line: expected a JSON object (expected value at column 1), found oops"#
    );
}

#[test]
fn references_to_a_broken_step_are_not_reported_too() {
    let text = [
        HEADER,
        r#"{"id": "p", "put": {"key": "k"}}"#,
        r#"{"deliver": ["p"]}"#,
    ];
    let expected = "dir/bad.jsonl:2: put.body: expected this field, found nothing";
    assert_eq!(messages(&text.join("\n")), expected);
}

#[test]
fn bytes_that_are_no_text_are_reported_with_their_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bytes.jsonl");
    std::fs::write(&path, [HEADER.as_bytes(), b"\n{\"\xff\"}"].concat()).unwrap();
    let message = Recording::load(&path).unwrap_err().to_string();
    let expected = ":2: whole line: expected text in UTF-8, found the byte 0xff";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn missing_file_is_named() {
    let error = Recording::load("no/such.jsonl").unwrap_err();
    assert_eq!(error.to_string(), "cannot read recording no/such.jsonl");
}

#[test]
fn body_file_is_relative_to_the_recording() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recording.jsonl");
    std::fs::write(directory.path().join("body.bin"), b"12345").unwrap();
    let step = r#"{"put": {"key": "k", "body": {"file": "body.bin"}, "parts": [5]}}"#;
    std::fs::write(&path, format!("{HEADER}\n{step}\n")).unwrap();
    let recording = Recording::load(&path).unwrap();
    assert_eq!(recording.steps[0].to_json_line(), step);
    assert_eq!(
        Recording::parse(&recording.to_json_lines(), &path).unwrap(),
        recording
    );
}

#[rstest]
#[case::empty("", "1: whole file: expected a header and steps, found nothing")]
#[case::no_steps(
    HEADER,
    "1: whole file: expected at least one step, found only a header"
)]
#[case::no_header(
    r#"{"deliver": "x"}"#,
    r#"1: whole line: expected the header, {"recording": 1, "master": {…}}, found {"deliver": "x"}
1: deliver: expected a list of ids, at least one, found "x""#
)]
#[case::other_version(
    r#"{"recording": 2, "new": 1}"#,
    "1: recording: expected 1, the version of the format that is supported, found 2"
)]
#[case::no_master(r#"{"recording": 1}"#, "1: master: expected this field, found nothing")]
#[case::unknown_field(
    r#"{"recording": 1, "master": {"bucket": "abc", "colour": 1}}"#,
    "1: master.colour: expected no other fields than bucket, region, versioning, tags, found 1"
)]
#[case::bad_bucket(
    r#"{"recording": 1, "master": {"bucket": "A"}}"#,
    r#"1: master.bucket: expected a bucket name by S3's naming rules, found "A""#
)]
#[case::bad_region(
    r#"{"recording": 1, "master": {"bucket": "abc", "region": "moon"}}"#,
    r#"1: master.region: expected a region like ap-southeast-1, found "moon""#
)]
#[case::bad_source(
    r#"{"recording": 1, "source": "S3", "master": {"bucket": "abc"}}"#,
    r#"1: source: expected one of s3, sns, sqs, sns-sqs, eventbridge, minio, found "S3""#
)]
#[case::negative_seed(
    r#"{"recording": 1, "seed": -1, "master": {"bucket": "abc"}}"#,
    "1: seed: expected a whole number from 0 on, found -1"
)]
#[case::long_tag(&format!(r#"{{"recording": 1, "master": {{"bucket": "abc", "tags": {{"a b": "{}"}}}}}}"#, "x".repeat(257)), &format!(r#"1: master.tags["a b"]: expected a tag value of at most 256 characters, found "{}…"#, "x".repeat(62)))]
#[case::bucket_twice(
    r#"{"recording": 1, "master": {"bucket": "abc"}, "targets": [{"bucket": "abc"}]}"#,
    r#"1: targets: expected buckets of different names, found "abc" again"#
)]
#[case::half_separate(r#"{"recording": 1, "master": {"bucket": "abc"}, "targets": [{"bucket": "def", "separate": true}]}"#, r#"1: targets: expected all buckets of one region to be separate or none, found "def" apart from others in us-east-1"#)]
#[case::batch_without_queue(
    r#"{"recording": 1, "master": {"bucket": "abc"}, "batch": {"size": 2}}"#,
    "1: batch: expected this only with the source sqs or sns-sqs, found the source s3"
)]
#[case::too_many_retries(
    r#"{"recording": 1, "master": {"bucket": "abc"}, "retries": 3}"#,
    "1: retries: expected a whole number from 0 to 2, found 3"
)]
#[case::reserved_variable(r#"{"recording": 1, "master": {"bucket": "abc"}, "function": {"environment": {"_HANDLER": "x"}}}"#, r#"1: function.environment._HANDLER: expected an environment variable that Lambda lets one set, found "x""#)]
fn bad_header_is_reported(#[case] text: &str, #[case] expected: &str) {
    let messages = messages(text);
    let messages: Vec<_> = messages
        .lines()
        .map(|line| line.strip_prefix("dir/bad.jsonl:").unwrap())
        .collect();
    assert_eq!(messages.join("\n"), expected);
}

#[rstest]
#[case::comment(
    "# later",
    "whole line: expected a JSON object (JSON has no comments), found # later"
)]
#[case::no_object("[1]", "whole line: expected a JSON object, found [1]")]
#[case::no_step(
    r#"{"id": "x"}"#,
    "whole line: expected exactly one of put, copy, delete, tag, untag, versioning, bucket_tags, deliver, fault, invoke, settle, pause, expect, found none"
)]
#[case::two_steps(
    r#"{"put": {}, "delete": {}}"#,
    "whole line: expected exactly one of put, copy, delete, tag, untag, versioning, bucket_tags, deliver, fault, invoke, settle, pause, expect, found put and delete"
)]
#[case::header_again(
    r#"{"recording": 1}"#,
    "recording: expected the header on the first line only, found another"
)]
#[case::field_twice(
    r#"{"settle": {"within_s": 1, "within_s": 2}}"#,
    "settle.within_s: expected each field once, found 2"
)]
#[case::empty_id(
    r#"{"id": "", "versioning": true}"#,
    r#"id: expected a name that is not empty, found """#
)]
#[case::deliver_other_than_held(
    r#"{"put": {"key": "k", "body": {"text": ""}}, "deliver": "later"}"#,
    r#"deliver: expected "held", or nothing for at once, found "later""#
)]
#[case::id_twice(
    "{\"id\": \"a\", \"versioning\": true}\n{\"id\": \"a\", \"versioning\": true}",
    r#"id: expected an id of its own, found "a", which line 2 has"#
)]
#[case::unknown_target(
    r#"{"untag": {"key": "k"}, "target": "other"}"#,
    r#"target: expected a target of the header that is created, found "other""#
)]
#[case::missing_target(
    r#"{"untag": {"key": "k"}, "target": "gone"}"#,
    r#"target: expected a target of the header that is created, found "gone""#
)]
#[case::held_without_event(
    r#"{"versioning": true, "deliver": "held"}"#,
    "deliver: expected this only on an operation whose event reaches the function, found it on versioning of master"
)]
#[case::held_on_replica(
    r#"{"untag": {"key": "k"}, "target": "replica-1", "deliver": "held"}"#,
    "deliver: expected this only on an operation whose event reaches the function, found it on untag of replica-1"
)]
#[case::no_body(
    r#"{"put": {"key": "k"}}"#,
    "put.body: expected this field, found nothing"
)]
#[case::no_body_form(
    r#"{"put": {"key": "k", "body": {}}}"#,
    "put.body: expected exactly one of text, base64, file, size, found none"
)]
#[case::two_body_forms(
    r#"{"put": {"key": "k", "body": {"text": "", "size": 1}}}"#,
    "put.body: expected exactly one of text, base64, file, size, found text and size"
)]
#[case::seed_without_size(
    r#"{"put": {"key": "k", "body": {"text": "", "seed": 1}}}"#,
    "put.body.seed: expected no other fields than text, found 1"
)]
#[case::bad_base64(
    r#"{"put": {"key": "k", "body": {"base64": "YQ"}}}"#,
    r#"put.body.base64: expected base64 with padding, found "YQ""#
)]
#[case::missing_file(r#"{"put": {"key": "k", "body": {"file": "x.bin"}}}"#, r#"put.body.file: expected a file at dir/x.bin (No such file or directory (os error 2)), found "x.bin""#)]
#[case::absolute_file(
    r#"{"put": {"key": "k", "body": {"file": "/x"}}}"#,
    r#"put.body.file: expected a path relative to the recording, found "/x""#
)]
#[case::parts_do_not_add_up(
    r#"{"put": {"key": "k", "body": {"size": 9}, "parts": [8]}}"#,
    "put.parts: expected sizes that add up to the body's 9 bytes, found [8]"
)]
#[case::small_part(
    r#"{"put": {"key": "k", "body": {"size": 9}, "parts": [8, 1]}}"#,
    "put.parts: expected parts of at least 5242880 bytes, the last one excepted, found [8,1]"
)]
#[case::no_parts(
    r#"{"put": {"key": "k", "body": {"size": 0}, "parts": []}}"#,
    "put.parts: expected a list of 1 to 10000 sizes, found []"
)]
#[case::part_of_wrong_type(
    r#"{"put": {"key": "k", "body": {"size": 9}, "parts": [9.5]}}"#,
    "put.parts[0]: expected a whole number from 0 to 5368709120, found 9.5"
)]
#[case::unknown_header(
    r#"{"put": {"key": "k", "body": {"text": ""}, "headers": {"ETag": "x"}}}"#,
    "put.headers.ETag: expected one of the headers Cache-Control, Content-Disposition, Content-Encoding, Content-Language, Content-Type, Expires, x-amz-server-side-encryption, x-amz-server-side-encryption-aws-kms-key-id, x-amz-storage-class, x-amz-website-redirect-location, found \"x\""
)]
#[case::header_twice(
    r#"{"put": {"key": "k", "body": {"text": ""}, "headers": {"expires": "x", "Expires": "y"}}}"#,
    r#"put.headers.Expires: expected each name once, found "y""#
)]
#[case::uppercase_metadata(
    r#"{"put": {"key": "k", "body": {"text": ""}, "metadata": {"Owner": "x"}}}"#,
    r#"put.metadata.Owner: expected metadata whose name is a header name in lowercase, found "x""#
)]
#[case::eleven_tags(r#"{"tag": {"key": "k", "tags": {"a":"","b":"","c":"","d":"","e":"","f":"","g":"","h":"","i":"","j":"","k":""}}}"#, r#"tag.tags: expected an object of at most 10 tags, found {"a":"","b":"","c":"","d":"","e":"","f":"","g":"","h":"","i":""…"#)]
#[case::unknown_checksum(
    r#"{"put": {"key": "k", "body": {"text": ""}, "checksum": "MD5"}}"#,
    r#"put.checksum: expected one of CRC32, CRC32C, CRC64NVME, SHA1, SHA256, found "MD5""#
)]
#[case::copy_onto_itself(r#"{"copy": {"key": "k", "from": "k"}}"#, r#"copy.from: expected another key, or metadata or headers that a copy onto itself changes, found "k""#)]
#[case::tag_without_tags(
    r#"{"tag": {"key": "k"}}"#,
    "tag.tags: expected this field, found nothing"
)]
#[case::versioning_of_wrong_type(
    r#"{"versioning": 1}"#,
    "versioning: expected true or false, found 1"
)]
#[case::versioning_of_other_name(
    r#"{"versioning": "off"}"#,
    r#"versioning: expected true, false or "suspended", found "off""#
)]
#[case::later_version(
    "{\"delete\": {\"key\": \"k\", \"version\": \"p\"}}\n{\"id\": \"p\", \"put\": {\"key\": \"k\", \"body\": {\"text\": \"\"}}}",
    r#"delete.version: expected the id of an earlier step, found "p" of line 3"#
)]
#[case::version_of_other_key("{\"id\": \"p\", \"put\": {\"key\": \"k\", \"body\": {\"text\": \"\"}}}\n{\"delete\": {\"key\": \"j\", \"version\": \"p\"}}", r#"delete.version: expected the id of a step that made a version of master/j, found "p", which is of master/k"#)]
#[case::version_of_other_bucket("{\"id\": \"p\", \"put\": {\"key\": \"k\", \"body\": {\"text\": \"\"}}}\n{\"copy\": {\"key\": \"j\", \"from\": \"k\", \"from_version\": \"p\"}, \"target\": \"replica-1\"}", r#"copy.from_version: expected the id of a step that made a version of replica-1/k, found "p", which is of master/k"#)]
#[case::delete_without_marker("{\"id\": \"d\", \"delete\": {\"key\": \"k\"}}\n{\"delete\": {\"key\": \"k\", \"version\": \"d\"}}", r#"delete.version: expected the id of a step that made a version of master/k, found "d", delete that makes no version"#)]
#[case::deliver_nothing(
    r#"{"deliver": []}"#,
    "deliver: expected a list of ids, at least one, found []"
)]
#[case::deliver_no_event("{\"id\": \"v\", \"versioning\": true}\n{\"deliver\": [\"v\"]}", r#"deliver[0]: expected the id of an operation whose event reaches the function, found "v", versioning of master"#)]
#[case::deliver_of_replica("{\"id\": \"u\", \"untag\": {\"key\": \"k\"}, \"target\": \"replica-1\"}\n{\"deliver\": [\"u\"]}", r#"deliver[0]: expected the id of an operation whose event reaches the function, found "u", untag of replica-1"#)]
#[case::deliver_invocation("{\"id\": \"i\", \"invoke\": {}}\n{\"deliver\": [\"i\"]}", r#"deliver[0]: expected the id of an operation whose event reaches the function, found "i", no operation"#)]
#[case::no_fault(
    r#"{"fault": {"on": "CopyObject"}}"#,
    "fault: expected exactly one of answer, reset, delay_ms, cut_after, error_in_200, site_down, kill, found none"
)]
#[case::two_faults(
    r#"{"fault": {"answer": 503, "kill": true}}"#,
    "fault: expected exactly one of answer, reset, delay_ms, cut_after, error_in_200, site_down, kill, found answer and kill"
)]
#[case::unknown_operation(
    r#"{"fault": {"on": "Copy", "answer": 503}}"#,
    r#"fault.on: expected the name of an S3 operation, like CopyObject, found "Copy""#
)]
#[case::answer_of_success(
    r#"{"fault": {"answer": 200}}"#,
    "fault.answer: expected a whole number from 400 to 599, found 200"
)]
#[case::no_times(
    r#"{"fault": {"answer": 503, "times": 0}}"#,
    "fault.times: expected a whole number from 1 to 4294967295, found 0"
)]
#[case::reset_when(
    r#"{"fault": {"reset": false}}"#,
    r#"fault.reset: expected true, "before" or "after", found false"#
)]
#[case::delay_without_time(
    r#"{"fault": {"delay_ms": 0}}"#,
    "fault.delay_ms: expected a whole number from 1 to 3600000, found 0"
)]
#[case::read_in_200(r#"{"fault": {"on": "GetObject", "error_in_200": true}}"#, r#"fault.on: expected CopyObject, UploadPartCopy or CompleteMultipartUpload, found "GetObject""#)]
#[case::which_site_down(
    r#"{"fault": {"site_down": true}}"#,
    "fault: expected exactly one of bucket, site, found none"
)]
#[case::bucket_and_site(
    r#"{"fault": {"answer": 503, "bucket": "master", "site": "us-east-1"}}"#,
    "fault: expected exactly one of bucket, site, found bucket and site"
)]
#[case::operation_of_site_down(
    r#"{"fault": {"site_down": true, "bucket": "master", "on": "GetObject"}}"#,
    r#"fault.on: expected no other fields than site_down, bucket, site, after, times, found "GetObject""#
)]
#[case::unknown_bucket(
    r#"{"fault": {"answer": 503, "bucket": "other"}}"#,
    r#"fault.bucket: expected a bucket of the header, found "other""#
)]
#[case::unknown_site(
    r#"{"fault": {"answer": 503, "site": "sa-east-1"}}"#,
    r#"fault.site: expected the region of a bucket of the header, found "sa-east-1""#
)]
#[case::no_time(
    r#"{"settle": {"within_s": 0}}"#,
    "settle.within_s: expected a number of seconds from 0.001 to 3600, found 0"
)]
#[case::settle_alone(r#"{"settle": true}"#, "settle: expected a JSON object, found true")]
#[case::expect_nothing(
    r#"{"expect": {"key": "k"}}"#,
    "expect: expected either one of equal, absent, outcome, requests, response, on_failure, dead_letters or some of body, metadata, headers, tags, versions, delete_markers, found none"
)]
#[case::expect_too_much(
    r#"{"expect": {"key": "k", "absent": true, "versions": 1}}"#,
    "expect: expected either one of equal, absent, outcome, requests, response, on_failure, dead_letters or some of body, metadata, headers, tags, versions, delete_markers, found absent and versions"
)]
#[case::expect_different(
    r#"{"expect": {"equal": false}}"#,
    "expect.equal: expected true, found false"
)]
#[case::master_equals_itself(
    r#"{"expect": {"equal": true, "target": "master"}}"#,
    r#"expect.target: expected a target of the header, found "master""#
)]
#[case::absent_where(
    r#"{"expect": {"absent": true, "key": "k", "target": "other"}}"#,
    r#"expect.target: expected a bucket of the header, found "other""#
)]
#[case::absent_what(
    r#"{"expect": {"absent": true}}"#,
    "expect.key: expected this field, found nothing"
)]
#[case::unknown_outcome(r#"{"expect": {"outcome": {"is": "done"}}}"#, r#"expect.outcome.is: expected one of copied, tagged, deleted, equal, unproven, kept, failed, found "done""#)]
#[case::retryable_success(
    r#"{"expect": {"outcome": {"is": "copied", "retryable": true}}}"#,
    "expect.outcome.retryable: expected no other fields than target, key, is, count, found true"
)]
#[case::requests_without_number(
    r#"{"expect": {"requests": {"on": "PutObject"}}}"#,
    "expect.requests: expected exactly one of count, at_most, found none"
)]
#[case::response_of_put(
    "{\"id\": \"p\", \"put\": {\"key\": \"k\", \"body\": {\"text\": \"\"}}}\n{\"expect\": {\"response\": {\"of\": \"p\", \"error\": true}}}",
    r#"expect.response.of: expected the id of an invoke step, found "p""#
)]
fn bad_line_is_reported(#[case] lines: &str, #[case] expected: &str) {
    // The problem is on the last line, the first of a case where it has two being line 2.
    let line = 1 + lines.lines().count() - usize::from(expected.ends_with("of line 3"));
    let expected = format!("dir/bad.jsonl:{line}: {expected}");
    assert_eq!(messages(&format!("{HEADER}\n{lines}")), expected);
}
