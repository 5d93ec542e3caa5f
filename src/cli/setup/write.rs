//! Carries a plan out, change by change.
//!
//! Invariant: what is written was planned from what is there. What has changed since the plan was
//! made is not written over; the order is that of the plan, and what was written is told at once.

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::types::{NotificationConfiguration, Tag, Tagging};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::plan::Change;
use super::policy::{statement_of, with_statement, without_statement};
use super::report::Reporter;
use super::rules::{are_equal, rules};
use super::tags::Tags;
use crate::cli::account::{Account, CallFailed, ask, call};
use crate::cli::arn::{Arn, Function};
use crate::cli::diagnosis::buckets::read_tags;
use crate::cli::diagnosis::{function, queue};
use crate::error::Failure;
use crate::site::Bucket;

/// A permission that was given a moment ago may take this long until S3 sees it.
const PROPAGATION: Duration = Duration::from_secs(90);
/// How long to wait before S3 is asked to look again.
const PAUSE: Duration = Duration::from_secs(2);

/// How long somebody else's write that was under way may take to show.
const SETTLING: Duration = Duration::from_secs(1);
/// How often a statement that somebody else's write has taken away is put again.
const ATTEMPTS: u32 = 5;

/// Why a change was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    /// S3 refused, or did not answer.
    #[error(transparent)]
    S3(#[from] Failure),
    /// Another service refused, or did not answer.
    #[error(transparent)]
    Call(#[from] CallFailed),
    /// S3 cannot send to a destination of ours or of somebody else's.
    #[error(
        "S3 cannot send to one of {arns}: it is gone, or its policy does not let S3 in; mend it or \
         take its rule away"
    )]
    Unsendable {
        /// What S3 said.
        #[source]
        failure: Failure,
        /// Where all rules send to.
        arns: String,
    },
    /// Somebody else was here.
    #[error("it was changed by somebody else since it was read; run this again")]
    Changed,
}

/// The notification configuration of a bucket.
pub(in crate::cli) async fn read_notifications(
    bucket: &Bucket,
) -> Result<NotificationConfiguration, Failure> {
    let get = bucket.site.client.get_bucket_notification_configuration();
    let request = get.bucket(&bucket.name).send();
    let answer = ask(bucket, "GetBucketNotificationConfiguration", request).await?;
    Ok(NotificationConfiguration::builder()
        .set_queue_configurations(answer.queue_configurations)
        .set_topic_configurations(answer.topic_configurations)
        .set_lambda_function_configurations(answer.lambda_function_configurations)
        .set_event_bridge_configuration(answer.event_bridge_configuration)
        .build())
}

/// Writes one change.
pub(super) async fn write(
    account: &Account,
    master: &Bucket,
    change: &Change,
    reporter: Reporter,
) -> Result<(), WriteError> {
    match change {
        Change::QueuePolicy {
            queue,
            id,
            before,
            after,
        } => write_policy(account, queue, id, before.as_ref(), after.as_ref()).await,
        Change::Statement {
            function,
            id,
            before,
            after,
        } => {
            let found = function::policy(account, function).await?;
            if statement_of(found.as_ref(), id) != *before {
                return Err(WriteError::Changed);
            }
            if before.is_some() {
                remove_permission(account, function, id).await?;
            }
            match after {
                Some(statement) => add_permission(account, function, statement).await,
                None => Ok(()),
            }
        }
        Change::Notifications { before, after } => {
            if !are_equal(&read_notifications(master).await?, before) {
                return Err(WriteError::Changed);
            }
            write_notifications(master, before, after, reporter).await
        }
        Change::Tags { before, after } => {
            if read_tags(master).await? != *before {
                return Err(WriteError::Changed);
            }
            write_tags(master, after).await
        }
    }
}

/// SQS has no conditional write: of two who write at once the later one takes the earlier one's
/// statement away. So it is looked whether ours has stayed, and put among what is there then.
async fn write_policy(
    account: &Account,
    arn: &Arn,
    id: &str,
    before: Option<&Value>,
    after: Option<&Value>,
) -> Result<(), WriteError> {
    let queue = queue::Queue::read(account, arn).await?;
    if queue.policy().as_ref() != before {
        return Err(WriteError::Changed);
    }
    let (old, wanted) = (statement_of(before, id), statement_of(after, id));
    let mut policy = after.cloned();
    for _ in 0..ATTEMPTS {
        // An empty text takes the policy away.
        let text = policy.as_ref().map(Value::to_string).unwrap_or_default();
        let set = account.sqs(&arn.region).set_queue_attributes();
        let set = set
            .queue_url(&queue.url)
            .attributes(QueueAttributeName::Policy, text);
        call("sqs:SetQueueAttributes", arn.as_str(), set.send()).await?;
        sleep(SETTLING).await;
        let there = queue::Queue::read(account, arn).await?.policy();
        let found = statement_of(there.as_ref(), id);
        if found.is_some() == wanted.is_some() && found != old {
            return Ok(());
        }
        policy = match &wanted {
            Some(statement) => Some(with_statement(there.as_ref(), statement.clone())),
            None => there.and_then(|there| without_statement(&there, id)),
        };
    }
    Err(WriteError::Changed)
}

async fn remove_permission(
    account: &Account,
    function: &Function,
    id: &str,
) -> Result<(), WriteError> {
    let remove = account
        .lambda(&function.arn.region)
        .remove_permission()
        .function_name(&function.name)
        .set_qualifier(function.qualifier.clone())
        .statement_id(id);
    call(
        "lambda:RemovePermission",
        function.arn.as_str(),
        remove.send(),
    )
    .await?;
    Ok(())
}

async fn add_permission(
    account: &Account,
    function: &Function,
    statement: &Value,
) -> Result<(), WriteError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let condition = &statement["Condition"];
    let add = account
        .lambda(&function.arn.region)
        .add_permission()
        .function_name(&function.name)
        .set_qualifier(function.qualifier.clone())
        .set_statement_id(text(&statement["Sid"]))
        .set_action(text(&statement["Action"]))
        .set_principal(text(&statement["Principal"]["Service"]))
        .set_source_arn(text(&condition["ArnLike"]["aws:SourceArn"]))
        .set_source_account(text(&condition["StringEquals"]["aws:SourceAccount"]));
    call("lambda:AddPermission", function.arn.as_str(), add.send()).await?;
    Ok(())
}

/// S3 tries whether it may send before it takes a rule, and permissions take a while to be seen.
/// It tries all rules, so where none is added it is told not to: somebody else's queue may be gone.
async fn write_notifications(
    master: &Bucket,
    before: &NotificationConfiguration,
    after: &NotificationConfiguration,
    reporter: Reporter,
) -> Result<(), WriteError> {
    let (earlier, all) = (rules(before), rules(after));
    let is_added = all.iter().any(|it| !earlier.contains(it));
    let deadline = Instant::now() + PROPAGATION;
    let mut is_told = false;
    loop {
        let put = master.site.client.put_bucket_notification_configuration();
        let put = put
            .bucket(&master.name)
            .set_skip_destination_validation((!is_added).then_some(true))
            .notification_configuration(after.clone());
        let result = ask(master, "PutBucketNotificationConfiguration", put.send()).await;
        match result {
            Ok(_) => return Ok(()),
            Err(failure) if is_not_seen_yet(&failure) => {
                if Instant::now() >= deadline {
                    let mut arns: Vec<&str> = all.iter().map(|it| it.arn.as_str()).collect();
                    arns.sort_unstable();
                    arns.dedup();
                    let arns = arns.join(", ");
                    return Err(WriteError::Unsendable { failure, arns });
                }
                if !is_told {
                    reporter.trying(PROPAGATION.as_secs());
                    is_told = true;
                }
                sleep(PAUSE).await;
            }
            Err(failure) => return Err(failure.into()),
        }
    }
}

/// By its message alone: the code is that of any argument.
fn is_not_seen_yet(failure: &dyn Error) -> bool {
    crate::error::chain(failure).contains("Unable to validate the following destination")
}

async fn write_tags(master: &Bucket, after: &Tags) -> Result<(), WriteError> {
    let client = &master.site.client;
    if after.is_empty() {
        let delete = client.delete_bucket_tagging().bucket(&master.name).send();
        ask(master, "DeleteBucketTagging", delete).await?;
        return Ok(());
    }
    let tag = |(key, value): (&String, &String)| {
        let tag = Tag::builder().key(key).value(value).build();
        tag.expect("key and value are set")
    };
    let tagging = Tagging::builder()
        .set_tag_set(Some(after.iter().map(tag).collect()))
        .build()
        .expect("the tags are set");
    let put = client.put_bucket_tagging().bucket(&master.name);
    ask(master, "PutBucketTagging", put.tagging(tagging).send()).await?;
    Ok(())
}
