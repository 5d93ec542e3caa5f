//! The job of S3 Batch Operations that has the function look at every object that is there.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_CreateJob.html>

use serde_json::{Value, json};

use super::plan::Wanted;
use crate::cli::account::Account;
use crate::cli::arn::{Destination, Function};
use crate::cli::diagnosis::Finding;
use crate::cli::diagnosis::queue::readers;
use crate::error::chain;

/// What the job needs to know beside the set-up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    /// The account that owns the bucket.
    pub(super) account: &'a str,
    /// The role that the job runs as.
    pub(super) role: &'a str,
    /// The function that it invokes.
    pub(super) function: &'a str,
    /// The bucket for the report of objects that failed. Not the master: there it would be
    /// replicated.
    pub(super) report: Option<&'a str>,
    /// `aws` or another.
    pub(super) partition: &'a str,
}

/// The input of `aws s3control create-job`: S3 lists the objects itself.
pub(super) fn definition(wanted: &Wanted, job: Job<'_>) -> Value {
    let bucket = format!("arn:{}:s3:::{}", job.partition, wanted.master);
    let mut names = serde_json::Map::new();
    if !wanted.prefix.is_empty() {
        names.insert("MatchAnyPrefix".to_owned(), json!([wanted.prefix]));
    }
    if !wanted.suffix.is_empty() {
        names.insert("MatchAnySuffix".to_owned(), json!([wanted.suffix]));
    }
    let mut generator = json!({
        "ExpectedBucketOwner": job.account,
        "SourceBucket": bucket,
        "EnableManifestOutput": false,
    });
    if !names.is_empty() {
        generator["Filter"] = json!({ "KeyNameConstraint": names });
    }
    let report = match job.report {
        Some(name) => json!({
            "Enabled": true,
            "Bucket": format!("arn:{}:s3:::{name}", job.partition),
            "Prefix": format!("s3-replicator/{}", wanted.master),
            "Format": "Report_CSV_20180820",
            "ReportScope": "FailedTasksOnly",
        }),
        None => json!({ "Enabled": false }),
    };
    json!({
        "AccountId": job.account,
        "ConfirmationRequired": true,
        "Description": format!("replicate what is in {}", wanted.master),
        "Operation": {
            "LambdaInvoke": { "FunctionArn": job.function, "InvocationSchemaVersion": "2.0" },
        },
        "ManifestGenerator": { "S3JobManifestGenerator": generator },
        "Report": report,
        "Priority": 10,
        "RoleArn": job.role,
    })
}

/// The function that the job is to invoke: the one that was named, or hears of the bucket's events.
///
/// # Errors
/// There is none, or it is not where the job runs: beside the bucket.
pub(super) async fn function_of_job(
    account: &Account,
    named: Option<&Function>,
    wanted: &Wanted,
    region: &str,
) -> Result<Function, Finding> {
    let name_it = "name the function of the job with --batch-function";
    let error = |why: String| Finding::error("batch-job", why, name_it);
    let function = match (named, &wanted.destination) {
        (Some(function), _) | (None, Some(Destination::Function(function))) => function.clone(),
        (None, Some(Destination::Queue(queue))) => {
            let readers = readers(account, queue).await;
            let readers = readers.map_err(|failed| error(chain(&failed)))?;
            let mut functions = readers.into_iter().filter_map(|it| it.function_arn);
            match (functions.next(), functions.next()) {
                (Some(function), None) => function.parse().map_err(error)?,
                _ => {
                    let queue = queue.as_str();
                    return Err(error(format!("not exactly one function reads {queue}")));
                }
            }
        }
        (None, None) => return Err(error("no rule of ours says where events go".to_owned())),
    };
    if function.arn.region == region {
        Ok(function)
    } else {
        let (arn, its) = (function.arn.as_str(), &function.arn.region);
        Err(error(format!(
            "{arn} is in {its} and the bucket in {region}: a job invokes functions of its region"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_looks_at_the_keys_that_the_rule_is_for() {
        let wanted = Wanted {
            master: "master".to_owned(),
            targets: Vec::new(),
            deletes: None,
            destination: None,
            prefix: "in/".to_owned(),
            suffix: String::new(),
            replaces: false,
        };
        let job = Job {
            account: "123456789012",
            role: "arn:aws:iam::123456789012:role/batch",
            function: "arn:aws:lambda:us-east-1:123456789012:function:f",
            report: Some("reports"),
            partition: "aws",
        };
        let definition = definition(&wanted, job);
        let generator = &definition["ManifestGenerator"]["S3JobManifestGenerator"];
        assert_eq!(generator["SourceBucket"], "arn:aws:s3:::master");
        assert_eq!(
            generator["Filter"],
            json!({"KeyNameConstraint": {"MatchAnyPrefix": ["in/"]}})
        );
        let invoke = &definition["Operation"]["LambdaInvoke"];
        assert_eq!(invoke["FunctionArn"], job.function);
        assert_eq!(definition["RoleArn"], job.role);
        assert_eq!(definition["Report"]["Bucket"], "arn:aws:s3:::reports");
    }
}
