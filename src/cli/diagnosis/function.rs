//! The function that replicates.

use std::collections::HashMap;

use aws_sdk_lambda::types::State;
use serde_json::Value;

use super::Finding;
use crate::cli::account::{Account, CallFailed, call};
use crate::cli::arn::Function;
use crate::config::Config;

/// A function as Lambda tells of it.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct Deployed {
    /// The role that it runs as.
    pub(in crate::cli) role: Option<String>,
    /// In seconds.
    pub(in crate::cli) timeout: u64,
    /// Why it does not run, if it does not.
    trouble: Option<(State, String)>,
    environment: HashMap<String, String>,
}

impl Deployed {
    /// Asks for what is known of a function.
    pub(in crate::cli) async fn read(
        account: &Account,
        function: &Function,
    ) -> Result<Self, CallFailed> {
        let client = account.lambda(&function.arn.region);
        let get = client
            .get_function_configuration()
            .function_name(&function.name)
            .set_qualifier(function.qualifier.clone());
        let on = function.arn.as_str();
        let found = call("lambda:GetFunctionConfiguration", on, get.send()).await?;
        let trouble = match &found.state {
            Some(state @ (State::Failed | State::Inactive)) => {
                let reason = found.state_reason.as_deref().unwrap_or("no reason given");
                Some((state.clone(), format!("{}: {reason}", state.as_str())))
            }
            _ => None,
        };
        let environment = found.environment.and_then(|it| it.variables);
        Ok(Self {
            role: found.role,
            timeout: found.timeout.and_then(|it| it.try_into().ok()).unwrap_or(3),
            trouble,
            environment: environment.unwrap_or_default(),
        })
    }

    /// Whether it runs, and serves this master.
    pub(in crate::cli) fn findings(&self, function: &Function, master: &str) -> Vec<Finding> {
        let name = function.arn.as_str();
        let configure = |what: &str| {
            format!(
                "aws lambda update-function-configuration --region {} --function-name {} {what}",
                function.arn.region, function.name
            )
        };
        let state = match &self.trouble {
            None => Finding::ok("function", format!("{name} is there")),
            // Lambda has put aside what was not invoked for weeks.
            Some((State::Inactive, why)) => Finding::warning(
                "function",
                format!("{name} is {why}"),
                "invoke it once: it is refused that time, and runs some minutes later",
            ),
            Some((_, why)) => {
                Finding::error("function", format!("{name} is {why}"), "deploy it again")
            }
        };
        let mend = configure("--environment Variables={…}: it replaces all variables");
        let served = match Config::from_lookup(|name| self.environment.get(name).cloned()) {
            Err(errors) => {
                Finding::error("function", format!("{name} does not start: {errors}"), mend)
            }
            Ok(config) if !config.masters.allows(master) => Finding::error(
                "function",
                format!("{name} refuses events of s3://{master}: S3_REPLICATOR_MASTERS lacks it"),
                mend,
            ),
            Ok(config) if config.masters.is_any() => Finding::warning(
                "function",
                format!(
                    "{name} serves any bucket: whoever may tag one that notifies it says where \
                     its objects go (S3_REPLICATOR_MASTERS)"
                ),
                mend,
            ),
            Ok(_) => Finding::ok("function", format!("{name} serves s3://{master}")),
        };
        vec![state, served]
    }
}

/// The function's policy; none is no error.
pub(in crate::cli) async fn policy(
    account: &Account,
    function: &Function,
) -> Result<Option<Value>, CallFailed> {
    let client = account.lambda(&function.arn.region);
    let get = client
        .get_policy()
        .function_name(&function.name)
        .set_qualifier(function.qualifier.clone());
    match call("lambda:GetPolicy", function.arn.as_str(), get.send()).await {
        Ok(answer) => Ok(answer
            .policy
            .and_then(|text| serde_json::from_str(&text).ok())),
        Err(error) if error.is_absence() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an event that failed three times is kept: S3 sends it to nobody else.
pub(in crate::cli) async fn on_failure(
    account: &Account,
    function: &Function,
) -> Result<Finding, CallFailed> {
    let client = account.lambda(&function.arn.region);
    let name = function.arn.as_str();
    let get = client
        .get_function_event_invoke_config()
        .function_name(&function.name)
        .set_qualifier(function.qualifier.clone());
    let (destination, verb) =
        match call("lambda:GetFunctionEventInvokeConfig", name, get.send()).await {
            Ok(answer) => {
                let destination = answer
                    .destination_config
                    .and_then(|it| it.on_failure)
                    .and_then(|it| it.destination)
                    .filter(|it| !it.is_empty());
                // To put it anew would set its other values back.
                (destination, "update")
            }
            Err(error) if error.is_absence() => {
                // That may be the function itself.
                Deployed::read(account, function).await?;
                (None, "put")
            }
            Err(error) => return Err(error),
        };
    let qualifier = match &function.qualifier {
        Some(qualifier) => format!(" --qualifier {qualifier}"),
        None => String::new(),
    };
    Ok(match destination {
        Some(destination) => Finding::ok(
            "on-failure",
            format!("{name} sends events that failed to {destination}"),
        ),
        None => Finding::error(
            "on-failure",
            format!(
                "{name} has no on-failure destination: an event that fails three times is lost"
            ),
            format!(
                "aws lambda {verb}-function-event-invoke-config --region {} --function-name {}{qualifier} \
                 --destination-config '{{\"OnFailure\":{{\"Destination\":\"QUEUE_ARN\"}}}}'",
                function.arn.region, function.name
            ),
        ),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::Status;
    use super::*;

    #[rstest]
    #[case::served("a-* master", Status::Ok)]
    #[case::any("", Status::Warning)]
    #[case::others("a-*", Status::Error)]
    #[case::not_understood("a/b", Status::Error)]
    fn function_is_told_which_masters_it_serves(#[case] masters: &str, #[case] expected: Status) {
        let variable = ("S3_REPLICATOR_MASTERS".to_owned(), masters.to_owned());
        let deployed = Deployed {
            environment: [variable].into(),
            ..Deployed::default()
        };
        let function = "arn:aws:lambda:us-east-1:123456789012:function:f"
            .parse()
            .unwrap();
        let found = deployed.findings(&function, "master");
        assert_eq!(found[1].status, expected, "{found:?}");
    }

    #[rstest]
    #[case::idle(State::Inactive, Status::Warning)]
    #[case::broken(State::Failed, Status::Error)]
    fn function_that_does_not_run_is_told(#[case] state: State, #[case] expected: Status) {
        let deployed = Deployed {
            trouble: Some((state, "why".to_owned())),
            ..Deployed::default()
        };
        let function = "arn:aws:lambda:us-east-1:123456789012:function:f"
            .parse()
            .unwrap();
        let found = deployed.findings(&function, "master");
        assert_eq!(found[0].status, expected, "{found:?}");
    }
}
