//! ARNs, as far as where a bucket's events go needs them.

use std::str::FromStr;

/// The six parts of an ARN, `arn:partition:service:region:account:resource`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arn {
    text: String,
    pub(super) partition: String,
    pub(super) service: String,
    pub(super) region: String,
    pub(super) account: String,
    pub(super) resource: String,
}

impl FromStr for Arn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        match parts[..] {
            ["arn", partition, service, region, account, resource]
                if !partition.is_empty() && !service.is_empty() && !resource.is_empty() =>
            {
                Ok(Self {
                    text: text.to_owned(),
                    partition: partition.to_owned(),
                    service: service.to_owned(),
                    region: region.to_owned(),
                    account: account.to_owned(),
                    resource: resource.to_owned(),
                })
            }
            _ => Err("expected an ARN, `arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE`".to_owned()),
        }
    }
}

/// Where a bucket sends its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// An SQS queue.
    Queue(Arn),
    /// A Lambda function.
    Function(Function),
}

/// A Lambda function by its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function {
    pub(super) arn: Arn,
    /// The ARN without version or alias.
    pub(super) name: String,
    /// A version or an alias.
    pub(super) qualifier: Option<String>,
}

impl Destination {
    /// The whole ARN.
    pub(super) fn arn(&self) -> &str {
        &self.place().text
    }

    /// The ARN in its parts.
    pub(super) fn place(&self) -> &Arn {
        match self {
            Self::Queue(arn) => arn,
            Self::Function(function) => &function.arn,
        }
    }

    /// What S3 must be allowed to do there.
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Queue(_) => "sqs:SendMessage",
            Self::Function(_) => "lambda:InvokeFunction",
        }
    }

    /// The option that names it.
    pub(super) fn option(&self) -> String {
        match self {
            Self::Queue(arn) => format!("--queue {}", arn.text),
            Self::Function(function) => format!("--function {}", function.arn.text),
        }
    }

    /// Whether an ARN is a queue's.
    pub(super) fn is_queue(arn: &str) -> bool {
        arn.split(':').nth(2) == Some("sqs")
    }
}

impl Arn {
    /// All of it.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Function {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected a function's ARN, `arn:aws:lambda:REGION:ACCOUNT:function:NAME`";
        let arn: Arn = text.parse().map_err(|_| expected.to_owned())?;
        let parts: Vec<&str> = arn.resource.split(':').collect();
        let qualifier = match parts[..] {
            ["function", name] if !name.is_empty() => None,
            ["function", name, qualifier] if !name.is_empty() && !qualifier.is_empty() => {
                Some(qualifier.to_owned())
            }
            _ => return Err(expected.to_owned()),
        };
        if arn.service != "lambda" || arn.region.is_empty() || arn.account.is_empty() {
            return Err(expected.to_owned());
        }
        let name = match &qualifier {
            Some(qualifier) => text[..text.len() - qualifier.len() - 1].to_owned(),
            None => text.to_owned(),
        };
        Ok(Self {
            arn,
            name,
            qualifier,
        })
    }
}

/// A role's ARN, as `--batch-role` takes it.
pub(super) fn role(text: &str) -> Result<Arn, String> {
    let arn: Option<Arn> = text.parse().ok();
    let is_role = |arn: &Arn| arn.service == "iam" && arn.resource.starts_with("role/");
    arn.filter(is_role)
        .ok_or_else(|| "expected a role's ARN, `arn:aws:iam::ACCOUNT:role/NAME`".to_owned())
}

/// A queue's ARN, as `--queue` takes it.
pub(super) fn queue(text: &str) -> Result<Arn, String> {
    let expected = "expected a queue's ARN, `arn:aws:sqs:REGION:ACCOUNT:NAME`";
    let arn: Arn = text.parse().map_err(|_| expected.to_owned())?;
    let is_queue = arn.service == "sqs" && !arn.region.is_empty() && !arn.account.is_empty();
    if !is_queue || arn.resource.contains(':') {
        return Err(expected.to_owned());
    }
    if arn.resource.ends_with(".fifo") {
        return Err("S3 sends no events to FIFO queues, name a standard queue".to_owned());
    }
    Ok(arn)
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if Self::is_queue(text) {
            queue(text).map(Self::Queue)
        } else {
            text.parse().map(Self::Function)
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:replicator";

    #[rstest]
    #[case::plain(FUNCTION, None)]
    #[case::alias(
        "arn:aws:lambda:us-east-1:123456789012:function:replicator:live",
        Some("live")
    )]
    fn function_is_named_without_its_qualifier(
        #[case] text: &str,
        #[case] qualifier: Option<&str>,
    ) {
        let function: Function = text.parse().unwrap();
        assert_eq!(function.name, FUNCTION);
        assert_eq!(function.qualifier.as_deref(), qualifier);
    }

    #[rstest]
    #[case::name("replicator", "expected a function's ARN")]
    #[case::topic(
        "arn:aws:sns:us-east-1:123456789012:topic",
        "expected a function's ARN"
    )]
    #[case::layer(
        "arn:aws:lambda:us-east-1:123456789012:layer:x:1",
        "expected a function's ARN"
    )]
    #[case::fifo("arn:aws:sqs:us-east-1:123456789012:q.fifo", "FIFO")]
    #[case::no_account("arn:aws:sqs:us-east-1::q", "expected a queue's ARN")]
    fn what_is_no_destination_is_explained(#[case] text: &str, #[case] expected: &str) {
        let error = text.parse::<Destination>().unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
