//! Plans as tables: what is written, in which order, and that taking it away leaves nothing.

use rstest::rstest;

use super::*;

const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:events";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:replicator";
const ACCOUNT: Option<&str> = Some("123456789012");

fn wanted(destination: Option<&str>, targets: &[&str]) -> Wanted {
    let entry = |text: &&str| {
        let (bucket, site) = text.split_once('@').unwrap();
        Entry {
            bucket: bucket.to_owned(),
            site: site.to_owned(),
        }
    };
    Wanted {
        master: "master".to_owned(),
        targets: targets.iter().map(entry).collect(),
        deletes: None,
        destination: destination.map(|arn| arn.parse().unwrap()),
        prefix: String::new(),
        suffix: String::new(),
        replaces: false,
    }
}

/// Somebody else's tag and statement.
fn theirs() -> Found {
    Found {
        tags: [("team".to_owned(), "x".to_owned())].into(),
        notifications: NotificationConfiguration::builder().build(),
        policy: Some(json!({ "Statement": [{ "Sid": "theirs" }] })),
        earlier: None,
    }
}

/// What is there once a plan is carried out.
fn after(mut found: Found, changes: &[Change]) -> Found {
    for change in changes.iter().cloned() {
        match change {
            Change::QueuePolicy { after, .. } => found.policy = after,
            Change::Statement { id, after, .. } => {
                let policy = found.policy.as_ref();
                found.policy = match after {
                    Some(statement) => Some(with_statement(policy, statement)),
                    None => without_statement(policy.unwrap(), &id),
                };
            }
            Change::Notifications { after, .. } => found.notifications = after,
            Change::Tags { after, .. } => found.tags = after,
        }
    }
    found
}

fn names(changes: &[Change]) -> Vec<&'static str> {
    changes.iter().map(Change::name).collect()
}

#[rstest]
fn everything_is_written_once_and_taken_away_in_reverse(
    #[values(QUEUE, FUNCTION)] destination: &str,
) {
    let wanted = wanted(Some(destination), &["replica@eu-west-1"]);
    let changes = plan(&theirs(), &wanted, ACCOUNT, |_| false).unwrap();
    assert_eq!(names(&changes), ["permission", "notification", "tags"]);
    let done = after(theirs(), &changes);
    assert_eq!(plan(&done, &wanted, ACCOUNT, |_| false), Ok(vec![]));

    let undone = undo(&done, &wanted);
    assert_eq!(names(&undone), ["tags", "notification", "permission"]);
    let left = after(done, &undone);
    assert_eq!(left.tags, theirs().tags);
    assert_eq!(left.policy, theirs().policy);
    assert!(are_equal(&left.notifications, &theirs().notifications));
    assert_eq!(undo(&left, &wanted), vec![]);
}

#[rstest]
fn earlier_destination_is_shut_at_the_end(
    #[values((QUEUE, FUNCTION), (FUNCTION, QUEUE))] (first, second): (&str, &str),
) {
    let one = wanted(Some(first), &["replica@eu-west-1"]);
    let changes = plan(&theirs(), &one, ACCOUNT, |_| false).unwrap();
    let done = after(theirs(), &changes);
    let moved = Found {
        policy: None,
        earlier: Some((first.parse().unwrap(), done.policy.clone())),
        ..done
    };
    let two = wanted(Some(second), &["replica@eu-west-1"]);
    let changes = plan(&moved, &two, ACCOUNT, |_| false).unwrap();
    assert_eq!(
        names(&changes),
        ["permission", "notification", "permission"]
    );
    assert!(
        changes[2].place("master").ends_with(first),
        "{:?}",
        changes[2]
    );
    let undone = undo(&moved, &two);
    assert_eq!(names(&undone), ["tags", "notification", "permission"]);
    assert!(
        undone[2].place("master").ends_with(first),
        "{:?}",
        undone[2]
    );
}

#[test]
fn what_somebody_denies_is_not_written_again_and_again() {
    let wanted = wanted(Some(QUEUE), &["replica@eu-west-1"]);
    let denial = json!({"Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "*",
                        "Resource": "*"});
    let mut found = theirs();
    found.policy = Some(json!({ "Statement": [denial] }));
    let changes = plan(&found, &wanted, ACCOUNT, |_| false).unwrap();
    let done = after(found, &changes);
    assert_eq!(plan(&done, &wanted, ACCOUNT, |_| false), Ok(vec![]));
}

#[test]
fn target_that_is_one_of_several_takes_only_itself_away() {
    let both = wanted(Some(QUEUE), &["one@eu-west-1", "two@eu-west-1"]);
    let done = plan(&theirs(), &both, ACCOUNT, |_| false).unwrap();
    let done = after(theirs(), &done);
    let one = wanted(Some(QUEUE), &["one@eu-west-1"]);
    let undone = undo(&done, &one);
    assert_eq!(names(&undone), ["tags"]);
    let left = after(done, &undone);
    let last = wanted(Some(QUEUE), &["two@eu-west-1"]);
    assert_eq!(
        names(&undo(&left, &last)),
        ["tags", "notification", "permission"]
    );
}

#[test]
fn every_conflict_is_named_at_once() {
    let mut found = theirs();
    found
        .tags
        .insert("ReplicatedTargetBuckets".to_owned(), "a b".to_owned());
    let foreign = wanted(Some(FUNCTION), &["x-1@eu-west-1"]);
    let changes = plan(&theirs(), &foreign, ACCOUNT, |_| false).unwrap();
    let mut configuration = after(theirs(), &changes).notifications;
    for it in configuration
        .lambda_function_configurations
        .iter_mut()
        .flatten()
    {
        it.id = Some("theirs".to_owned());
    }
    found.notifications = configuration;
    let conflicts = plan(&found, &wanted(Some(QUEUE), &["c-1@mars"]), ACCOUNT, |_| {
        false
    });
    let conflicts = conflicts.unwrap_err();
    assert!(matches!(&conflicts[0], Conflict::Rule(rule) if rule.id == "theirs"));
    assert_eq!(conflicts.len(), 4, "{conflicts:?}");
}

#[test]
fn difference_is_shown_line_by_line() {
    let change = Change::Tags {
        before: [("team".to_owned(), "x".to_owned())].into(),
        after: [
            (
                "ReplicatedTargetBuckets".to_owned(),
                "a@eu-west-1".to_owned(),
            ),
            ("team".to_owned(), "x".to_owned()),
        ]
        .into(),
    };
    let diff = anstream::adapter::strip_str(&change.diff("master")).to_string();
    let expected = "\
--- tags of s3://master
+++ tags of s3://master
@@ -1,3 +1,4 @@
 {
+  \"ReplicatedTargetBuckets\": \"a@eu-west-1\",
   \"team\": \"x\"
 }
";
    assert_eq!(diff, expected);
}
