//! What the invoker is told, so that exactly what failed comes again.

use aws_lambda_events::sqs::SqsBatchResponse;
use serde::Serialize;

use super::work::Work;
use crate::envelope::{Delivery, Invocation, Invoker, Malformed};
use crate::error::{Failure, chain};

/// How many failures an error message spells out.
const SPELLED_OUT: usize = 5;

/// The invocation failed; an asynchronous invoker retries it as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvocationFailed {
    /// What kind of failure: `MalformedEvent` or `ReplicationFailed`.
    pub kind: &'static str,
    /// What failed, and why.
    pub message: String,
}

impl InvocationFailed {
    pub(super) fn malformed(malformed: &Malformed) -> Self {
        Self {
            kind: "MalformedEvent",
            message: chain(malformed),
        }
    }
}

impl From<InvocationFailed> for lambda_runtime::Diagnostic {
    fn from(failed: InvocationFailed) -> Self {
        Self {
            error_type: failed.kind.to_owned(),
            error_message: failed.message,
        }
    }
}

/// A successful invocation's answer, in the form of its invoker.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Nothing that anyone reads.
    Asynchronous,
    /// The messages that come again.
    Sqs(SqsBatchResponse),
    /// A result for each task.
    BatchOperations(BatchOperationsAnswer),
}

/// The answer to S3 Batch Operations:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html>
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named and documented by AWS")]
pub struct BatchOperationsAnswer {
    pub invocation_schema_version: String,
    pub treat_missing_keys_as: &'static str,
    pub invocation_id: String,
    pub results: Vec<TaskResult>,
}

/// How one task ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "named and documented by AWS")]
pub struct TaskResult {
    pub task_id: String,
    pub result_code: &'static str,
    pub result_string: String,
}

/// Judges an invocation: `failures` has what failed for each key of `work`.
pub(super) fn answer(
    invocation: &Invocation,
    work: &Work<'_>,
    failures: &[Vec<Failure>],
) -> Result<Answer, InvocationFailed> {
    let deliveries = invocation
        .deliveries
        .iter()
        .zip(&work.named)
        .map(|(delivery, named)| {
            let failed = named.iter().flat_map(|&key| &failures[key]).collect();
            Judged { delivery, failed }
        });
    match &invocation.invoker {
        Invoker::Asynchronous => deliveries
            .map(Judged::into_error)
            .find_map(Result::err)
            .map_or(Ok(Answer::Asynchronous), Err),
        Invoker::Sqs => {
            let mut response = SqsBatchResponse::default();
            let failed = deliveries.filter(Judged::is_failed);
            failed.for_each(|judged| response.add_failure(&judged.delivery.id));
            Ok(Answer::Sqs(response))
        }
        Invoker::BatchOperations {
            schema_version,
            invocation_id,
        } => Ok(Answer::BatchOperations(BatchOperationsAnswer {
            invocation_schema_version: schema_version.clone(),
            treat_missing_keys_as: "PermanentFailure",
            invocation_id: invocation_id.clone(),
            results: deliveries.map(Judged::into_task_result).collect(),
        })),
    }
}

/// A delivery with all that failed of it.
struct Judged<'a> {
    delivery: &'a Delivery,
    failed: Vec<&'a Failure>,
}

impl Judged<'_> {
    fn is_failed(&self) -> bool {
        !self.failed.is_empty() || !self.delivery.malformed.is_empty()
    }

    /// Says what failed, each thing once.
    fn message(&self) -> String {
        let malformed = self
            .delivery
            .malformed
            .iter()
            .map(|malformed| chain(malformed));
        let mut messages: Vec<String> = malformed
            .chain(self.failed.iter().map(|failure| failure.chain()))
            .collect();
        let mut seen = std::collections::HashSet::new();
        messages.retain(|message| seen.insert(message.clone()));
        let more = messages.len().saturating_sub(SPELLED_OUT);
        messages.truncate(SPELLED_OUT);
        let mut text = messages.join("; ");
        if more > 0 {
            text.push_str(&format!("; and {more} more"));
        }
        text
    }

    fn into_error(self) -> Result<(), InvocationFailed> {
        if !self.is_failed() {
            return Ok(());
        }
        let kind = if self.failed.is_empty() {
            "MalformedEvent"
        } else {
            "ReplicationFailed"
        };
        Err(InvocationFailed {
            kind,
            message: self.message(),
        })
    }

    /// What can still succeed is tried again, even beside something that cannot.
    fn into_task_result(self) -> TaskResult {
        let result_code = if !self.is_failed() {
            "Succeeded"
        } else if self
            .failed
            .iter()
            .any(|failure| failure.kind.is_retryable())
        {
            "TemporaryFailure"
        } else {
            "PermanentFailure"
        };
        TaskResult {
            task_id: self.delivery.id.clone(),
            result_code,
            result_string: self.message(),
        }
    }
}
