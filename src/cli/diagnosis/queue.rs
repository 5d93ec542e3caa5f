//! The queue that a master's events wait in.

use std::collections::HashMap;

use aws_sdk_lambda::types::{EventSourceMappingConfiguration, FunctionResponseType};
use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use serde_json::Value;

use super::Finding;
use crate::cli::account::{Account, CallFailed, call};
use crate::cli::arn::Arn;

/// A queue as SQS tells of it.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Queue {
    pub(in crate::cli) url: String,
    attributes: HashMap<Attribute, String>,
}

/// Who reads a queue, as Lambda tells it.
pub(in crate::cli) type Mapping = EventSourceMappingConfiguration;

impl Queue {
    /// Asks for all that is known of a queue.
    pub(in crate::cli) async fn read(account: &Account, arn: &Arn) -> Result<Self, CallFailed> {
        let client = account.sqs(&arn.region);
        let get = client.get_queue_url().queue_name(&arn.resource);
        let get = get.queue_owner_aws_account_id(&arn.account).send();
        let answer = call("sqs:GetQueueUrl", arn.as_str(), get).await?;
        let url = answer.queue_url.unwrap_or_default();
        let get = client.get_queue_attributes().queue_url(&url);
        let get = get.attribute_names(Attribute::All).send();
        let answer = call("sqs:GetQueueAttributes", arn.as_str(), get).await?;
        Ok(Self {
            url,
            attributes: answer.attributes.unwrap_or_default(),
        })
    }

    /// Its policy, if it has one.
    pub(in crate::cli) fn policy(&self) -> Option<Value> {
        let text = self.attributes.get(&Attribute::Policy)?;
        serde_json::from_str(text).ok()
    }

    fn seconds(&self, name: &Attribute) -> Option<u64> {
        self.attributes.get(name)?.parse().ok()
    }

    /// Whether S3 can send to it at all, and what becomes of messages that nobody manages.
    pub(in crate::cli) fn findings(&self, arn: &Arn) -> Vec<Finding> {
        let name = arn.as_str();
        let mut findings = vec![Finding::ok("queue", format!("{name} is there"))];
        let set = |attributes: &str| {
            format!(
                "aws sqs set-queue-attributes --queue-url {} --region {} --attributes {attributes}",
                self.url, arn.region
            )
        };
        match self
            .attributes
            .get(&Attribute::KmsMasterKeyId)
            .map(String::as_str)
        {
            None | Some("") => {}
            Some(key) if key.ends_with("alias/aws/sqs") => findings.push(Finding::error(
                "queue",
                format!("{name} is encrypted with AWS's own key for SQS, which S3 may not use"),
                set("KmsMasterKeyId=,SqsManagedSseEnabled=true"),
            )),
            Some(key) => findings.push(Finding::unknown(
                "queue",
                format!(
                    "{name} is encrypted with {key}: whether that key's policy lets \
                     s3.amazonaws.com use kms:GenerateDataKey and kms:Decrypt is not looked at"
                ),
            )),
        }
        if !self.attributes.contains_key(&Attribute::RedrivePolicy) {
            findings.push(Finding::warning(
                "queue",
                format!(
                    "{name} has no dead-letter queue: what keeps failing is dropped in the end"
                ),
                set(
                    "'{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"DEAD_LETTER_QUEUE_ARN\
                     \\\",\\\"maxReceiveCount\\\":\\\"20\\\"}\"}'",
                ),
            ));
        }
        findings
    }

    /// Whether messages stay hidden until a killed function's requests must have died: for six
    /// timeouts, and as long as a batch is gathered before.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>
    pub(in crate::cli) fn visibility(&self, arn: &Arn, timeout: u64, window: u64) -> Finding {
        let (name, needed) = (arn.as_str(), 6 * timeout + window);
        let gathered = match window {
            0 => String::new(),
            window => format!(" and the {window} s that a batch is gathered"),
        };
        match self.seconds(&Attribute::VisibilityTimeout) {
            Some(hidden) if hidden >= needed => Finding::ok(
                "visibility",
                format!(
                    "{name} hides messages for {hidden} s, the function takes {timeout} s at most"
                ),
            ),
            Some(hidden) => Finding::error(
                "visibility",
                format!(
                    "{name} hides messages for {hidden} s, less than six times the function's \
                     {timeout} s{gathered}: a late request could undo what its redelivery did"
                ),
                format!(
                    "aws sqs set-queue-attributes --queue-url {} --region {} \
                     --attributes VisibilityTimeout={needed}",
                    self.url, arn.region
                ),
            ),
            None => Finding::unknown(
                "visibility",
                format!("{name} does not tell how long it hides messages"),
            ),
        }
    }
}

/// Which functions read a queue.
pub(in crate::cli) async fn readers(
    account: &Account,
    queue: &Arn,
) -> Result<Vec<Mapping>, CallFailed> {
    let client = account.lambda(&queue.region);
    let list = client.list_event_source_mappings();
    let list = list.event_source_arn(queue.as_str()).send();
    let answer = call("lambda:ListEventSourceMappings", queue.as_str(), list).await?;
    Ok(answer.event_source_mappings.unwrap_or_default())
}

/// Whether a function reads the queue, message by message.
pub(in crate::cli) fn mapping(queue: &Arn, mappings: &[Mapping]) -> Vec<Finding> {
    if mappings.is_empty() {
        return vec![Finding::error(
            "mapping",
            format!(
                "no function reads {}: events wait there and nothing is replicated",
                queue.as_str()
            ),
            format!(
                "aws lambda create-event-source-mapping --region {} --event-source-arn {} \
                 --function-name FUNCTION --function-response-types ReportBatchItemFailures",
                queue.region,
                queue.as_str()
            ),
        )];
    }
    mappings
        .iter()
        .map(|mapping| judge(queue, mapping))
        .collect()
}

/// How long a batch is gathered at most before a function is invoked, in seconds.
pub(in crate::cli) fn window(mappings: &[Mapping]) -> u64 {
    let windows = mappings
        .iter()
        .filter_map(|it| it.maximum_batching_window_in_seconds);
    windows
        .max()
        .and_then(|it| it.try_into().ok())
        .unwrap_or_default()
}

fn judge(queue: &Arn, mapping: &Mapping) -> Finding {
    let function = mapping.function_arn.as_deref().unwrap_or("a function");
    let update = |with: &str| {
        format!(
            "aws lambda update-event-source-mapping --region {} --uuid {} {with}",
            queue.region,
            mapping.uuid.as_deref().unwrap_or("UUID")
        )
    };
    let reports = FunctionResponseType::ReportBatchItemFailures;
    let state = mapping.state.as_deref().unwrap_or_default();
    if matches!(state, "Disabled" | "Disabling" | "Deleting") {
        Finding::error(
            "mapping",
            format!(
                "{function} does not read {}: its mapping is {state}",
                queue.as_str()
            ),
            update("--enabled"),
        )
    } else if !mapping.function_response_types().contains(&reports) {
        Finding::error(
            "mapping",
            format!(
                "the mapping of {} to {function} lacks ReportBatchItemFailures: a batch of which \
                 one message fails counts as done, and that message is lost",
                queue.as_str()
            ),
            update("--function-response-types ReportBatchItemFailures"),
        )
    } else {
        Finding::ok("mapping", format!("{function} reads {}", queue.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Status;
    use super::*;

    const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:events";

    fn statuses(findings: &[Finding]) -> Vec<Status> {
        findings.iter().map(|it| it.status).collect()
    }

    #[rstest]
    #[case::all_well(&[("RedrivePolicy", "{}")], &[Status::Ok])]
    #[case::aws_key(
        &[("RedrivePolicy", "{}"), ("KmsMasterKeyId", "alias/aws/sqs")],
        &[Status::Ok, Status::Error]
    )]
    #[case::own_key(
        &[("RedrivePolicy", "{}"), ("KmsMasterKeyId", "alias/mine")],
        &[Status::Ok, Status::Unknown]
    )]
    #[case::no_dead_letters(&[("KmsMasterKeyId", "")], &[Status::Ok, Status::Warning])]
    fn queue_is_judged(#[case] attributes: &[(&str, &str)], #[case] expected: &[Status]) {
        let attributes = attributes
            .iter()
            .map(|(k, v)| (Attribute::from(*k), v.to_string()));
        let queue = Queue {
            url: "http://q".to_owned(),
            attributes: attributes.collect(),
        };
        assert_eq!(statuses(&queue.findings(&QUEUE.parse().unwrap())), expected);
    }

    #[rstest]
    #[case(180, 0, Status::Ok)]
    #[case(179, 0, Status::Error)]
    #[case::gathered(200, 20, Status::Ok)]
    #[case::gathered_too_long(199, 20, Status::Error)]
    fn messages_stay_hidden_for_six_timeouts(
        #[case] hidden: u64,
        #[case] window: u64,
        #[case] expected: Status,
    ) {
        let queue = Queue {
            url: "http://q".to_owned(),
            attributes: [(Attribute::VisibilityTimeout, hidden.to_string())].into(),
        };
        assert_eq!(
            queue.visibility(&QUEUE.parse().unwrap(), 30, window).status,
            expected
        );
    }

    #[rstest]
    #[case::all_well("Enabled", true, Status::Ok)]
    #[case::off("Disabled", true, Status::Error)]
    #[case::whole_batches("Enabled", false, Status::Error)]
    fn mapping_is_judged(#[case] state: &str, #[case] reports: bool, #[case] expected: Status) {
        let mut mapping = Mapping::builder().state(state).function_arn("f");
        if reports {
            mapping =
                mapping.function_response_types(FunctionResponseType::ReportBatchItemFailures);
        }
        let found = super::mapping(&QUEUE.parse().unwrap(), &[mapping.build()]);
        assert_eq!(statuses(&found), [expected]);
    }

    #[test]
    fn queue_that_nobody_reads_is_an_error() {
        let found = mapping(&QUEUE.parse().unwrap(), &[]);
        assert_eq!(statuses(&found), [Status::Error]);
    }
}
