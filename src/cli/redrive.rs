//! `redrive`: gives what was given up another chance.

use clap::Args;
use serde_json::json;

use super::store::StoreName;
use super::{CommandError, Ended};
use crate::envelope;
use crate::local::live::{DeadLetters, Letter, url_of};

pub(super) const EXAMPLES: &str = "\
Examples:
  s3-replicator redrive --from DeadLetters --dry-run    # what is there?
  s3-replicator redrive --from DeadLetters
  s3-replicator redrive --from arn:aws:sqs:eu-central-1:123456789012:on-failure --to changes
  AWS_ENDPOINT_URL=http://127.0.0.1:4566 s3-replicator redrive --from dead

A message is deleted only after it was put back, so it may come twice, but is never lost. The record
that Lambda makes of a failed asynchronous event is opened, and the event in it is put back.
Credentials and region are those of every AWS tool. Mend the cause first: docs/runbook.md.";

#[derive(Debug, Args)]
pub(super) struct Redrive {
    /// The dead-letter queue or on-failure destination: its name, ARN or URL
    #[arg(long, value_name = "QUEUE")]
    from: String,
    /// Where its messages go [default: the one queue whose dead letters these are]
    #[arg(long, value_name = "QUEUE")]
    to: Option<String>,
    /// Shows what would be put back, and leaves it where it is
    #[arg(long)]
    dry_run: bool,
    /// Prints JSON Lines
    #[arg(long)]
    json: bool,
}

impl Redrive {
    pub(super) async fn run(self) -> Result<Ended, CommandError> {
        let client = queues(&StoreName::Embedded, &self.from).await?;
        let mut dead = DeadLetters::open(client.clone(), &self.from).await?;
        let to = self.destination(&client, &dead).await?;
        let (mut count, mut failures) = (0, 0);
        let mut left = Vec::new();
        loop {
            let letters = dead.receive().await?;
            if letters.is_empty() {
                break;
            }
            let failed = match self.dry_run {
                true => Vec::new(),
                false => dead.put_back(&letters, &to).await,
            };
            for letter in &letters {
                let why = failed.iter().find(|(id, _)| *id == letter.message.id);
                let why = why.map(|(_, why)| why.as_str());
                self.show(letter, why);
            }
            count += letters.len();
            failures += failed.len();
            let has_failed =
                |letter: &Letter| failed.iter().any(|(id, _)| *id == letter.message.id);
            let stays = letters
                .into_iter()
                .filter(|letter| self.dry_run || has_failed(letter));
            left.extend(stays);
        }
        dead.release(&left).await;
        let done = if self.dry_run { "would be" } else { "were" };
        let put_back = count - failures;
        anstream::eprintln!(
            "{put_back} messages of {} {done} put back into {to}",
            dead.arn()
        );
        if failures > 0 {
            anstream::eprintln!("error: {failures} messages could not be put back");
            return Ok(Ended::WithDifferences);
        }
        Ok(Ended::Well)
    }

    /// The URL of the queue that messages go to.
    async fn destination(
        &self,
        client: &aws_sdk_sqs::Client,
        dead: &DeadLetters,
    ) -> Result<String, CommandError> {
        if let Some(to) = &self.to {
            return Ok(url_of(client, to).await?);
        }
        let arn = dead.arn();
        match dead.sources().await?.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(CommandError::Input(format!(
                "{arn} is no queue's dead-letter queue; name where its messages go with --to"
            ))),
            several => Err(CommandError::Input(format!(
                "{arn} has the dead letters of {} queues ({}); choose one with --to",
                several.len(),
                several.join(", ")
            ))),
        }
    }

    fn show(&self, letter: &Letter, why: Option<&str>) {
        let id = &letter.message.id;
        let about = about(letter.event());
        if self.json {
            let line = json!({
                "message": id,
                "record": letter.is_record(),
                "about": about,
                "put_back": why.is_none() && !self.dry_run,
                "error": why,
            });
            anstream::println!("{line}");
        } else {
            let about = about.join(", ");
            let why = why.map(|why| format!("  {why}")).unwrap_or_default();
            anstream::println!("{id}  {about}{why}");
        }
    }
}

/// A client for the region that an ARN names, or the usual one.
pub(super) async fn queues(
    store: &StoreName,
    queue: &str,
) -> Result<aws_sdk_sqs::Client, CommandError> {
    let aws = store.aws().await?;
    let region = match queue.strip_prefix("arn:") {
        Some(arn) => arn.split(':').nth(2).map(str::to_owned),
        None => None,
    };
    let region = region.map(aws_sdk_sqs::config::Region::new);
    let region = region.or_else(|| aws.region().cloned());
    if region.is_none() {
        return Err(CommandError::Input(
            "no region: set AWS_REGION, or name the queue by its ARN".to_owned(),
        ));
    }
    let config = aws_sdk_sqs::config::Builder::from(&aws).region(region);
    Ok(aws_sdk_sqs::Client::from_conf(config.build()))
}

/// What a message is about, in a few words for each event.
fn about(event: &str) -> Vec<String> {
    let invocation = match envelope::parse(event) {
        Ok(invocation) => invocation,
        Err(malformed) => return vec![format!("no event: {malformed}")],
    };
    let deliveries = invocation.deliveries.into_iter();
    deliveries
        .flat_map(|delivery| {
            let changes = delivery.changes.into_iter().map(|change| {
                let key = change.key.as_str().escape_debug();
                format!("{} s3://{}/{key}", change.event_name, change.bucket)
            });
            let malformed = delivery.malformed.into_iter();
            let malformed = malformed.map(|malformed| format!("no event: {malformed}"));
            changes
                .chain(malformed)
                .chain(delivery.ignored)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::change(
        r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","awsRegion":"us-east-1",
            "s3":{"bucket":{"name":"master"},"object":{"key":"a+b"}}}]}"#,
        "ObjectCreated:Put s3://master/a b"
    )]
    #[case::test_event(r#"{"Service":"Amazon S3","Event":"s3:TestEvent"}"#, "s3:TestEvent")]
    #[case::poison("x", "no event: ")]
    fn message_is_shown_by_what_it_is_about(#[case] event: &str, #[case] expected: &str) {
        let about = about(event);
        assert!(about[0].starts_with(expected), "{about:?}");
        assert_eq!(about.len(), 1);
    }
}
