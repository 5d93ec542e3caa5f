//! The role's policy against every request that the function makes in all recordings: nothing is
//! missing, and nothing is unused.

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures_util::stream::{self, StreamExt};
use s3_replicator::local::recording::Recording;
use s3_replicator::local::world::{Store, WorldOptions, replay};
use serde_json::Value;
use tokio::sync::mpsc;

use super::needs::{key_of, needs};
use super::policy::{Call, Statement};
use super::template::Template;
use crate::support::bootstrap;

/// What one recording makes the function call, and who may.
struct Run {
    calls: BTreeSet<Call>,
    statements: Vec<Statement>,
}

/// A grant: an action of a statement.
type Grant = (String, String);

async fn run(file: PathBuf) -> Run {
    let recording = Recording::load(&file).unwrap();
    let options = WorldOptions::of(&recording, bootstrap(), Store::Embedded);
    let (spectator, _) = mpsc::unbounded_channel();
    let (_, world) = replay(&recording, options, spectator).await.unwrap();
    let calls = world.requests().iter().flat_map(needs).collect();
    world.stop().await;
    let targets = recording.header.targets.iter();
    let targets = targets.map(|target| target.bucket.name.as_str());
    Run {
        calls,
        statements: statements(&recording.notifying(), &targets.collect::<Vec<_>>()),
    }
}

/// What the template allows to a function of these masters and targets.
fn statements(masters: &[&str], targets: &[&str]) -> Vec<Statement> {
    let keys = |buckets: &[&str]| {
        buckets
            .iter()
            .map(|bucket| key_of(bucket))
            .collect::<Vec<_>>()
    };
    let template = Template::with(&[
        ("MasterBuckets", &masters.join(",")),
        ("TargetBuckets", &targets.join(",")),
        ("MasterKeys", &keys(masters).join(",")),
        ("TargetKeys", &keys(targets).join(",")),
    ]);
    let policies = template.properties("Role")["Policies"].clone();
    let policies = policies.as_array().unwrap();
    let of_s3 = policies.iter().find(|it| it["PolicyName"] == "replicates");
    Statement::all(&of_s3.unwrap()["PolicyDocument"])
}

async fn all_runs() -> Vec<Run> {
    let folders = ["fixtures/recordings", "fixtures/recordings/captured"];
    let files = folders
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files = files.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "jsonl"));
    let files: Vec<PathBuf> = files.collect();
    stream::iter(files)
        .map(run)
        .buffer_unordered(4)
        .collect()
        .await
}

/// Calls that nothing allows.
fn missing(runs: &[Run]) -> BTreeSet<&Call> {
    let missing = runs.iter().flat_map(|run| {
        let allowed = |call: &&Call| run.statements.iter().any(|it| it.allows(call).is_some());
        run.calls.iter().filter(move |call| !allowed(call))
    });
    missing.collect()
}

/// Grants that no call needs.
fn unused(runs: &[Run]) -> BTreeSet<Grant> {
    let mut unused: BTreeSet<Grant> = BTreeSet::new();
    let statements = runs.iter().flat_map(|run| &run.statements);
    for statement in statements {
        let grants = statement.actions.iter();
        unused.extend(grants.map(|action| (statement.sid.clone(), action.clone())));
    }
    for run in runs {
        for (call, statement) in run.calls.iter().flat_map(|call| {
            run.statements
                .iter()
                .map(move |statement| (call, statement))
        }) {
            if let Some(action) = statement.allows(call) {
                unused.remove(&(statement.sid.clone(), action.to_owned()));
            }
        }
    }
    unused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn role_allows_what_the_function_does_and_no_more() {
    let mut runs = all_runs().await;
    assert!(runs.iter().map(|run| run.calls.len()).sum::<usize>() > 500);
    assert_eq!(missing(&runs), BTreeSet::new(), "missing in the role");
    assert_eq!(unused(&runs), BTreeSet::new(), "unused in the role");

    // The test itself: each grant is missed when it is taken away, and one too many is found.
    let grants: BTreeSet<Grant> = runs
        .iter()
        .flat_map(|run| &run.statements)
        .flat_map(|it| {
            it.actions
                .iter()
                .map(|action| (it.sid.clone(), action.clone()))
        })
        .collect();
    assert_eq!(grants.len(), 19);
    for (sid, action) in &grants {
        let is_it = |statement: &&mut Statement| statement.sid == *sid;
        for run in &mut runs {
            for statement in run.statements.iter_mut().filter(is_it) {
                statement.actions.retain(|kept| kept != action);
            }
        }
        assert!(
            !missing(&runs).is_empty(),
            "{action} of {sid} is not missed"
        );
        for run in &mut runs {
            for statement in run.statements.iter_mut().filter(is_it) {
                statement.actions.push(action.clone());
            }
        }
    }
    for statement in runs.iter_mut().flat_map(|run| &mut run.statements) {
        if statement.sid == "WritesReplicas" {
            statement.actions.push("s3:DeleteObjectVersion".to_owned());
        }
    }
    let found = unused(&runs);
    assert_eq!(found.iter().next().unwrap().1, "s3:DeleteObjectVersion");
}

/// Whoever may call us is bounded to this account and to what sends the events.
#[test]
fn senders_are_bounded_by_their_account_and_their_arn() {
    for (via, sender, arns) in [
        (
            "Queue",
            "s3.amazonaws.com",
            vec!["arn:*:s3:::a", "arn:*:s3:::b"],
        ),
        ("Topic", "sns.amazonaws.com", vec!["Topic"]),
        ("EventBridge", "events.amazonaws.com", vec!["Rule.Arn"]),
    ] {
        let template = Template::with(&[
            ("MasterBuckets", "a,b"),
            ("TargetBuckets", "c"),
            ("Via", via),
        ]);
        let statement =
            template.properties("QueuePolicy")["PolicyDocument"]["Statement"][0].clone();
        assert_eq!(statement["Principal"]["Service"], sender);
        assert_eq!(statement["Action"], "sqs:SendMessage");
        let conditions = &statement["Condition"];
        assert_eq!(
            conditions["StringEquals"]["aws:SourceAccount"],
            super::template::ACCOUNT
        );
        let found = &conditions["ArnLike"]["aws:SourceArn"];
        let found = match found {
            Value::Array(found) => found.clone(),
            one => vec![one.clone()],
        };
        assert_eq!(found, arns, "{via}");
    }
}

/// Without keys there is nothing about keys, and targets may be of other accounts.
#[test]
fn parameters_that_are_empty_grant_nothing() {
    let names = [("MasterBuckets", "a"), ("TargetBuckets", "c")];
    let sids = |template: &Template| {
        let policies = template.properties("Role")["Policies"].clone();
        let document = &policies[1]["PolicyDocument"];
        let sids = Statement::all(document).into_iter().map(|it| it.sid);
        (sids.collect::<Vec<_>>(), document.to_string())
    };
    let (without, _) = sids(&Template::with(&names));
    assert!(
        !without
            .iter()
            .any(|sid| sid == "DecryptsMasters" || sid == "EncryptsReplicas")
    );
    let elsewhere = [names[0], names[1], ("TargetAccounts", "111122223333")];
    let (_, text) = sids(&Template::with(&elsewhere));
    assert_eq!(text.matches("111122223333").count(), 2, "{text}");
}
