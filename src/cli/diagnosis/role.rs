//! What the function's role may do, by IAM's own simulation.
//!
//! Invariant: the actions are those of the requests that the function sends, and no others. AWS's
//! table of operations and actions:
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use aws_sdk_iam::types::{
    ContextEntry, ContextKeyTypeEnum, PolicyEvaluationDecisionType as Decision,
};

use super::Finding;
use crate::cli::account::{Account, CallFailed, call};

/// What a role needs, on which resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Need {
    pub(in crate::cli) actions: &'static [&'static str],
    pub(in crate::cli) resource: String,
    /// The account that the resource belongs to, where it is known.
    pub(in crate::cli) owner: Option<String>,
}

const MASTER_BUCKET: [&str; 2] = ["s3:GetBucketTagging", "s3:ListBucket"];
const MASTER_OBJECTS: [&str; 3] = [
    "s3:GetObject",
    "s3:GetObjectAttributes",
    "s3:GetObjectTagging",
];
const TARGET_BUCKET: [&str; 3] = [
    "s3:GetBucketTagging",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
];
const TARGET_OBJECTS: [&str; 7] = [
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:GetObjectTagging",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:PutObjectTagging",
];
const READ_KEY: [&str; 1] = ["kms:Decrypt"];
const WRITE_KEY: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];
const READ_QUEUE: [&str; 3] = [
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
];

/// What is needed of the master, for keys that start so.
pub(in crate::cli) fn of_master(
    partition: &str,
    bucket: &str,
    prefix: &str,
    owner: Option<&str>,
) -> Vec<Need> {
    let bucket = format!("arn:{partition}:s3:::{bucket}");
    needs(bucket, prefix, owner, &MASTER_BUCKET, &MASTER_OBJECTS)
}

/// What is needed of a target, for keys that start so.
pub(in crate::cli) fn of_target(
    partition: &str,
    bucket: &str,
    prefix: &str,
    owner: Option<&str>,
) -> Vec<Need> {
    let bucket = format!("arn:{partition}:s3:::{bucket}");
    needs(bucket, prefix, owner, &TARGET_BUCKET, &TARGET_OBJECTS)
}

/// What is needed of the master's KMS key.
pub(in crate::cli) fn of_master_key(key: &str) -> Need {
    Need {
        actions: &READ_KEY,
        resource: key.to_owned(),
        owner: owner_in(key),
    }
}

/// What is needed of a target's KMS key: an upload in parts reads it as well.
pub(in crate::cli) fn of_target_key(key: &str) -> Need {
    Need {
        actions: &WRITE_KEY,
        resource: key.to_owned(),
        owner: owner_in(key),
    }
}

/// What is needed of the queue that Lambda reads in the role's name.
pub(in crate::cli) fn of_queue(arn: &str) -> Need {
    Need {
        actions: &READ_QUEUE,
        resource: arn.to_owned(),
        owner: owner_in(arn),
    }
}

/// The account in an ARN; those of buckets have none.
fn owner_in(arn: &str) -> Option<String> {
    let account = arn.split(':').nth(4)?;
    (!account.is_empty()).then(|| account.to_owned())
}

fn needs(
    bucket: String,
    prefix: &str,
    owner: Option<&str>,
    of_bucket: &'static [&'static str],
    of_objects: &'static [&'static str],
) -> Vec<Need> {
    let need = |actions, resource| Need {
        actions,
        resource,
        owner: owner.map(str::to_owned),
    };
    let objects = format!("{bucket}/{prefix}*");
    vec![need(of_bucket, bucket), need(of_objects, objects)]
}

/// Whether the role may do all that is needed of one resource. Policies of buckets, keys and the
/// organization are not part of it.
pub(in crate::cli) async fn may(
    account: &Account,
    region: &str,
    role: &str,
    need: &Need,
) -> Result<Finding, CallFailed> {
    let actions = need.actions.iter().map(|it| (*it).to_owned());
    let simulate = account
        .iam(region)
        .simulate_principal_policy()
        .policy_source_arn(role)
        .set_action_names(Some(actions.collect()))
        .resource_arns(&need.resource);
    let simulate = match &need.owner {
        Some(owner) => simulate.context_entries(
            ContextEntry::builder()
                .context_key_name("aws:ResourceAccount")
                .context_key_type(ContextKeyTypeEnum::String)
                .context_key_values(owner)
                .build(),
        ),
        None => simulate,
    };
    let answer = call("iam:SimulatePrincipalPolicy", role, simulate.send()).await?;
    let results = answer.evaluation_results.unwrap_or_default();
    let result = |action: &&&str| {
        results
            .iter()
            .find(|it| it.eval_action_name.eq_ignore_ascii_case(action))
    };
    let is_allowed =
        |action: &&&str| result(action).is_some_and(|it| it.eval_decision == Decision::Allowed);
    let is_refused = need.actions.iter().filter(|it| !is_allowed(it));
    // A condition on what the simulation was not told of is not met in it.
    let mut unknown: Vec<&str> = is_refused
        .clone()
        .filter_map(|action| result(&action))
        .flat_map(|it| it.missing_context_values())
        .map(String::as_str)
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    let lacking: Vec<&str> = is_refused.copied().collect();
    Ok(match unknown.as_slice() {
        [] => judge(role, need, &lacking),
        keys => Finding::unknown(
            "role",
            format!(
                "whether {role} may use {} ({}): its policies ask for {}, which the simulation is \
                 not told",
                need.resource,
                lacking.join(", "),
                keys.join(", ")
            ),
        ),
    })
}

fn judge(role: &str, need: &Need, lacking: &[&str]) -> Finding {
    let resource = &need.resource;
    if lacking.is_empty() {
        return Finding::ok("role", format!("{role} may use {resource}"));
    }
    let statement = serde_json::json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": lacking, "Resource": resource }],
    });
    let name = role.rsplit('/').next().unwrap_or(role);
    Finding::error(
        "role",
        format!("{role} lacks {} on {resource}", lacking.join(", ")),
        format!(
            "aws iam put-role-policy --role-name {name} --policy-name s3-replicator-{} \
             --policy-document '{statement}'",
            policy_name(resource)
        ),
    )
}

/// A policy's name for each resource, so that one command does not undo another.
fn policy_name(resource: &str) -> String {
    let last = resource.rsplit(':').next().unwrap_or(resource);
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let name: String = last.chars().filter(|c| is_allowed(*c)).collect();
    match resource.ends_with('*') {
        true => format!("{name}-objects"),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    const ROLE: &str = "arn:aws:iam::123456789012:role/service-role/replicator";

    #[test]
    fn what_is_lacking_comes_with_the_command_that_grants_it() {
        let [bucket, objects] = of_target("aws", "replica", "", None).try_into().unwrap();
        assert_eq!(judge(ROLE, &bucket, &[]).status, Status::Ok);
        let found = judge(ROLE, &objects, &["s3:PutObject"]);
        assert_eq!(found.status, Status::Error);
        let mend = found.mend.unwrap();
        assert!(mend.contains("--role-name replicator "), "{mend}");
        assert!(
            mend.contains("--policy-name s3-replicator-replica-objects "),
            "{mend}"
        );
        assert!(
            mend.contains("\"Resource\":\"arn:aws:s3:::replica/*\""),
            "{mend}"
        );
    }

    #[test]
    fn nothing_is_asked_for_that_would_remove_a_version() {
        let needs = [
            of_master("aws", "m", "", None),
            of_target("aws", "t", "in/", None),
        ]
        .concat();
        let mut actions = needs.iter().flat_map(|it| it.actions);
        assert!(actions.all(|it| *it != "s3:DeleteObjectVersion"));
    }
}
