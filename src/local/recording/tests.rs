use crate::local::lambda::{Route, Source};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::local::faults::{Effect, Fault, Scope, When};

const RECORDINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/recordings");

#[test]
fn every_kept_recording_loads_and_ends_with_an_expectation_after_settling() {
    let mut count = 0;
    let captured = format!("{RECORDINGS}/captured");
    let folders = [RECORDINGS, &captured].map(|folder| std::fs::read_dir(folder).unwrap());
    for entry in folders.into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let recording = Recording::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let settled = recording
            .steps
            .iter()
            .rposition(|step| matches!(step.action, Action::Settle(_)))
            .unwrap_or_else(|| panic!("{} never settles", path.display()));
        let rest = &recording.steps[settled + 1..];
        let only_expects = rest
            .iter()
            .all(|step| matches!(step.action, Action::Expect(_)));
        assert!(!rest.is_empty() && only_expects, "{}", path.display());
        let again = Recording::parse(&recording.to_json_lines(), &path).unwrap();
        assert_eq!(again, recording);
        count += 1;
    }
    assert!(count > 30, "only {count} recordings in {RECORDINGS}");
}

#[test]
fn targets_with_targets_of_their_own_notify_too() {
    let text = r#"{"recording": 1, "master": {"bucket": "master"}, "targets": [{"bucket": "at-start", "tags": {"ReplicatedTargetBuckets.2": "x@us-east-1"}}, {"bucket": "never", "tags": {"ReplicatedTargetBuckets": "", "ReplicatedDeletes": "true"}}, {"bucket": "later"}]}
{"bucket_tags": {"ReplicatedTargetBuckets": "x@us-east-1"}, "target": "later"}"#;
    let recording = Recording::parse(text, Path::new("x.jsonl")).unwrap();
    assert_eq!(recording.notifying(), ["master", "at-start", "later"]);
}

#[test]
fn payload_of_a_queue_or_of_batch_operations_is_answered() {
    let is_answered = |json| Payload::new(json).unwrap().is_answered();
    assert!(is_answered(r#"{"Records": [{"eventSource": "aws:sqs"}]}"#));
    assert!(is_answered(r#"{"invocationSchemaVersion": "1.0"}"#));
    assert!(!is_answered(r#"{"Records": [{"eventSource": "aws:s3"}]}"#));
    assert!(!is_answered("null"));
}

#[test]
fn payload_is_put_on_one_line() {
    let payload = Payload::new("{\n  \"a\": \"b\\n\"\r\n}\n").unwrap();
    assert_eq!(payload.as_str(), r#"{   "a": "b\n"  }"#);
    assert!(Payload::new("{").is_err());
}

fn map() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map("[a-z][a-z0-9-]{0,8}", "[ -~é☂]{0,12}", 0..4)
}

fn headers() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(
        select(HEADERS.as_slice()).prop_map(str::to_owned),
        "[ -~é]{1,12}",
        0..3,
    )
}

fn key() -> impl Strategy<Value = String> {
    any::<String>().prop_filter("a key has 1 to 1024 bytes", |key| {
        (1..=1024).contains(&key.len())
    })
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        any::<String>().prop_map(Body::Text),
        vec(any::<u8>(), 0..20).prop_map(|bytes| Body::Base64(bytes.into())),
        (0..1_u64 << 40, any::<u64>()).prop_map(|(size, seed)| Body::Generated { size, seed }),
    ]
}

fn put() -> impl Strategy<Value = Put> {
    let checksum = option::of(select(Checksum::ALL.as_slice()));
    let extras = (headers(), map(), checksum, any::<bool>());
    (key(), body(), map(), extras).prop_map(|(key, body, metadata, extras)| {
        let (headers, tags, checksum, in_parts) = extras;
        let in_parts = in_parts && body.size() < 1 << 30;
        let parts = if in_parts {
            vec![body.size()]
        } else {
            Vec::new()
        };
        Put {
            key,
            body,
            metadata,
            headers,
            tags,
            parts,
            checksum,
        }
    })
}

fn kind() -> impl Strategy<Value = OperationKind> {
    let copied = (option::of(map()), option::of(headers()), option::of(map()));
    let copy = (key(), key(), copied).prop_map(|(key, from, (metadata, headers, tags))| Copy {
        key: format!("{}-", key.chars().take(100).collect::<String>()),
        from: format!("{}+", from.chars().take(100).collect::<String>()),
        from_version: None,
        metadata,
        headers,
        tags,
    });
    prop_oneof![
        put().prop_map(OperationKind::Put),
        copy.prop_map(OperationKind::Copy),
        key().prop_map(|key| OperationKind::Delete(Delete { key, version: None })),
        (key(), map()).prop_map(|(key, tags)| OperationKind::Tag(Tag { key, tags })),
        key().prop_map(|key| OperationKind::Untag(Untag { key })),
        any::<bool>().prop_map(OperationKind::Versioning),
        map().prop_map(OperationKind::BucketTags),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let when = || select(&[When::Before, When::After][..]);
    let effect = prop_oneof![
        (400_u16..600).prop_map(Effect::Answer),
        when().prop_map(Effect::Reset),
        (1_u64..3_600_000, when())
            .prop_map(|(milliseconds, when)| Effect::Delay(milliseconds, when)),
        any::<u64>().prop_map(Effect::CutAfter),
        when().prop_map(Effect::Kill),
    ];
    let on = option::of(select(&["CopyObject", "HeadObject"][..]));
    let scope = select(vec![
        Scope::Anywhere,
        Scope::Bucket("master".to_owned()),
        Scope::Site("eu-central-1".to_owned()),
    ]);
    (
        effect,
        on,
        scope,
        option::of(key()),
        any::<u32>(),
        any::<u32>(),
    )
        .prop_map(|(effect, on, scope, key, after, times)| Fault {
            on: on.map(|name| name.parse().unwrap()),
            scope,
            key,
            after,
            times: NonZeroU32::new(times),
            effect,
        })
}

fn expect() -> impl Strategy<Value = Expect> {
    let bucket = || option::of(select(&["replica-1", "replica-2"][..]).prop_map(str::to_owned));
    let amount = prop_oneof![
        any::<u64>().prop_map(Amount::Exactly),
        any::<u64>().prop_map(Amount::AtMost)
    ];
    let of_object = (
        body(),
        option::of(map()),
        option::of(headers()),
        option::of(any::<u64>()),
    );
    prop_oneof![
        (bucket(), option::of(key())).prop_map(|(target, key)| Expect::Equal { target, key }),
        (bucket(), key()).prop_map(|(target, key)| Expect::Absent { target, key }),
        (bucket(), key(), of_object).prop_map(|(target, key, (body, map, headers, number))| {
            Expect::Object(ExpectedObject {
                target,
                key,
                body: Some(body),
                metadata: map.clone(),
                headers,
                tags: map,
                versions: number,
                delete_markers: number,
            })
        }),
        (
            bucket(),
            option::of(key()),
            select(OutcomeName::ALL.as_slice()),
            any::<bool>()
        )
            .prop_map(|(target, key, is, retryable)| Expect::Outcome {
                target,
                key,
                is,
                retryable: (is == OutcomeName::Failed).then_some(retryable),
                count: retryable.then_some(3),
            }),
        (bucket(), option::of(key()), amount).prop_map(|(bucket, key, amount)| {
            Expect::Requests {
                on: "PutObject".parse().ok(),
                bucket,
                key,
                amount,
            }
        }),
        any::<u64>().prop_map(Expect::OnFailure),
        any::<u64>().prop_map(Expect::DeadLetters),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let target = option::of(select(&["replica-1", "replica-2"][..]).prop_map(str::to_owned));
    let operation = (target, any::<bool>(), kind()).prop_map(|(target, held, kind)| {
        let held = held && target.is_none() && kind.key().is_some();
        Action::Operation(Operation { target, held, kind })
    });
    prop_oneof![
        4 => operation,
        1 => fault().prop_map(Action::Fault),
        1 => any::<String>().prop_map(|text| {
            let json = serde_json::json!({"any": [1.5, text]}).to_string();
            Action::Invoke(Payload::new(&json).unwrap())
        }),
        1 => (1_u64..3_600_000).prop_map(|milliseconds| {
            Action::Settle(Settle { within: Duration::from_millis(milliseconds) })
        }),
        2 => expect().prop_map(Action::Expect),
    ]
}

/// A recording whose every third step has an id, and which refers to those at its end.
fn recording() -> impl Strategy<Value = Recording> {
    let settings = (
        any::<u64>(),
        select(Source::ALL.as_slice()),
        map(),
        1_u64..900_000,
        0..3_u8,
    );
    (any::<String>(), settings, vec(action(), 1..12)).prop_map(|(name, settings, actions)| {
        let (seed, source, tags, timeout, retries) = settings;
        let target = |name: &str, region: &str| TargetBucket {
            bucket: Bucket {
                versioning: seed.is_multiple_of(3),
                ..Bucket::new(name, region)
            },
            separate: seed.is_multiple_of(2),
            create: true,
        };
        let master = Bucket {
            tags,
            ..Bucket::new("master", "us-east-1")
        };
        let name = if name.is_empty() {
            "nameless".to_owned()
        } else {
            name
        };
        let mut header = Header {
            seed,
            source,
            retries,
            ..Header::new(name, master)
        };
        header.targets = vec![
            target("replica-1", "ap-southeast-1"),
            target("replica-2", "eu-central-1"),
        ];
        header.function.timeout = Duration::from_millis(timeout);
        if source.route() == Route::Queue {
            header.batch = Batch {
                size: 3,
                window: Duration::from_millis(timeout % 300),
                max_receives: 2,
            };
        }
        let mut steps: Vec<Step> = Vec::new();
        let mut deliver = Vec::new();
        for (index, action) in actions.into_iter().enumerate() {
            let id = index.is_multiple_of(3).then(|| format!("step {index}"));
            if let (
                Some(id),
                Action::Operation(Operation {
                    target: None, kind, ..
                }),
            ) = (&id, &action)
                && kind.key().is_some()
            {
                deliver.push(id.clone());
            }
            steps.push(Step {
                line: index + 2,
                id,
                action,
            });
        }
        if !deliver.is_empty() {
            steps.push(Step {
                line: steps.len() + 2,
                id: None,
                action: Action::Deliver(deliver),
            });
        }
        Recording {
            path: "dir/any.jsonl".into(),
            header,
            steps,
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_loads_unchanged(recording in recording()) {
        let text = recording.to_json_lines();
        let loaded = Recording::parse(&text, &recording.path);
        prop_assert_eq!(loaded.map_err(|problems| problems.to_string()), Ok(recording));
    }

    #[test]
    fn no_text_makes_loading_panic(lines in vec(".{0,60}", 0..4)) {
        let _ = Recording::parse(&lines.join("\n"), Path::new("x.jsonl"));
    }
}
