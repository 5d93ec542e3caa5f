//! What the function's role may do, by IAM's own simulation.
//!
//! Invariant: the actions are those of the requests that the function sends, and no others. AWS's
//! table of operations and actions:
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html>

use aws_sdk_iam::types::PolicyEvaluationDecisionType as Decision;

use super::Finding;
use crate::cli::account::{Account, CallFailed, call};

/// What a role needs, on which resources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Need {
    pub(in crate::cli) actions: &'static [&'static str],
    pub(in crate::cli) resource: String,
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
pub(in crate::cli) fn of_master(partition: &str, bucket: &str, prefix: &str) -> Vec<Need> {
    let bucket = format!("arn:{partition}:s3:::{bucket}");
    needs(bucket, prefix, &MASTER_BUCKET, &MASTER_OBJECTS)
}

/// What is needed of a target, for keys that start so.
pub(in crate::cli) fn of_target(partition: &str, bucket: &str, prefix: &str) -> Vec<Need> {
    let bucket = format!("arn:{partition}:s3:::{bucket}");
    needs(bucket, prefix, &TARGET_BUCKET, &TARGET_OBJECTS)
}

/// What is needed of the master's KMS key.
pub(in crate::cli) fn of_master_key(key: &str) -> Need {
    Need {
        actions: &READ_KEY,
        resource: key.to_owned(),
    }
}

/// What is needed of a target's KMS key: an upload in parts reads it as well.
pub(in crate::cli) fn of_target_key(key: &str) -> Need {
    Need {
        actions: &WRITE_KEY,
        resource: key.to_owned(),
    }
}

/// What is needed of the queue that Lambda reads in the role's name.
pub(in crate::cli) fn of_queue(arn: &str) -> Need {
    Need {
        actions: &READ_QUEUE,
        resource: arn.to_owned(),
    }
}

fn needs(
    bucket: String,
    prefix: &str,
    of_bucket: &'static [&'static str],
    of_objects: &'static [&'static str],
) -> Vec<Need> {
    let need = |actions, resource| Need { actions, resource };
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
    let answer = call("iam:SimulatePrincipalPolicy", role, simulate.send()).await?;
    let results = answer.evaluation_results.unwrap_or_default();
    let allowed = |action: &&&str| {
        results.iter().any(|it| {
            it.eval_action_name.eq_ignore_ascii_case(action)
                && it.eval_decision == Decision::Allowed
        })
    };
    let lacking: Vec<&str> = need
        .actions
        .iter()
        .filter(|it| !allowed(it))
        .copied()
        .collect();
    Ok(judge(role, need, &lacking))
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
        let [bucket, objects] = of_target("aws", "replica", "").try_into().unwrap();
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
        let needs = [of_master("aws", "m", ""), of_target("aws", "t", "in/")].concat();
        let mut actions = needs.iter().flat_map(|it| it.actions);
        assert!(actions.all(|it| *it != "s3:DeleteObjectVersion"));
    }
}
