//! AWS as `setup` and `doctor` ask it: clients by the usual environment and profiles, and what a
//! failed request says.
//!
//! A request is named by the permission that it needs, so that a refusal names it too.

use std::error::Error;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::http::Response;
use tokio::time::{Instant, timeout};

use super::CommandError;
use crate::error::{Failure, chain};
use crate::http_client::http_client;
use crate::routes::resolve;
use crate::s3::send;
use crate::site::{Bucket, Sites};

/// How long any one request may take, retries included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who asks, and where.
#[derive(Debug)]
pub(super) struct Account {
    /// S3 clients, as the function makes them.
    pub(super) sites: Sites,
}

/// Whose credentials these are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Twelve digits.
    pub(super) account: String,
    /// The user or role.
    pub(super) arn: String,
}

/// A request to another service than S3 that failed.
#[derive(Debug, thiserror::Error)]
#[error("{action} failed for {on}: {why}")]
pub(super) struct CallFailed {
    /// The permission that it needs, `sqs:GetQueueAttributes`.
    action: &'static str,
    on: String,
    why: String,
    /// What the service calls it, where it answered.
    pub(super) code: Option<String>,
}

impl Account {
    /// Reads environment and profiles. No request is sent.
    pub(super) async fn load() -> Result<Self, CommandError> {
        let sites = Sites::load(http_client(), 4).await;
        let sites = sites.map_err(|error| CommandError::Input(chain(&error)))?;
        Ok(Self { sites })
    }

    fn shared(&self, region: &str) -> SdkConfig {
        let shared = self.sites.shared().clone().into_builder();
        shared.region(Region::new(region.to_owned())).build()
    }

    /// SQS in a region.
    pub(super) fn sqs(&self, region: &str) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.shared(region))
    }

    /// Lambda in a region.
    pub(super) fn lambda(&self, region: &str) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(&self.shared(region))
    }

    /// IAM, which has no regions but belongs to a partition.
    pub(super) fn iam(&self, region: &str) -> aws_sdk_iam::Client {
        aws_sdk_iam::Client::new(&self.shared(region))
    }

    /// Who we are where no profile says otherwise.
    pub(super) async fn identity(&self) -> Result<Identity, CallFailed> {
        let client = aws_sdk_sts::Client::new(&self.shared(self.sites.home()));
        let request = client.get_caller_identity().send();
        let answer = call("sts:GetCallerIdentity", "these credentials", request).await?;
        Ok(Identity {
            account: answer.account.unwrap_or_default(),
            arn: answer.arn.unwrap_or_default(),
        })
    }

    /// A bucket at a site that a tag or the command line names.
    pub(super) async fn bucket(&self, name: &str, site: &str) -> Result<Bucket, Failure> {
        resolve(&self.sites, name, site).await
    }
}

/// When a request that starts now must have been answered.
pub(super) fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

/// One request to S3 about a bucket as a whole.
pub(super) async fn ask<T, E>(
    bucket: &Bucket,
    operation: &'static str,
    request: impl Future<Output = Result<T, SdkError<E, Response>>>,
) -> Result<T, Failure>
where
    E: ProvideErrorMetadata
        + aws_sdk_s3::operation::RequestId
        + Error
        + Debug
        + Send
        + Sync
        + 'static,
{
    send(bucket, None, operation, deadline(), request).await
}

/// One request to another service.
pub(super) async fn call<T, E>(
    action: &'static str,
    on: &str,
    request: impl Future<Output = Result<T, SdkError<E, Response>>>,
) -> Result<T, CallFailed>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let failed = |why, code| CallFailed {
        action,
        on: on.to_owned(),
        why,
        code,
    };
    match timeout(PATIENCE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => {
            let code = error.code().map(ToOwned::to_owned);
            Err(failed(described(&error, action), code))
        }
        Err(_) => Err(failed(
            format!("no answer in {} s", PATIENCE.as_secs()),
            None,
        )),
    }
}

fn described<E>(error: &SdkError<E, Response>, action: &str) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(code) = error.code() {
        let message = error.message().unwrap_or_default().trim_end_matches('.');
        return format!("{code}: {message}");
    }
    // Whoever answered so speaks another protocol: a store alone, a proxy.
    if let Some(answer) = error.raw_response() {
        let service = action.split(':').next().unwrap_or(action).to_uppercase();
        return format!(
            "HTTP {}, no answer of {service}: is there one at AWS_ENDPOINT_URL?",
            answer.status().as_u16()
        );
    }
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(cause) = source {
        // What a provider of credentials says may hold secrets.
        if cause.is::<CredentialsError>() {
            return "could not load credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID and so on)"
                .to_owned();
        }
        source = cause.source();
    }
    chain(error)
}

impl CallFailed {
    /// Whether what was asked for does not exist.
    pub(super) fn is_absence(&self) -> bool {
        matches!(
            self.code.as_deref(),
            Some(
                "ResourceNotFoundException"
                    | "QueueDoesNotExist"
                    | "AWS.SimpleQueueService.NonExistentQueue"
            )
        )
    }

    /// Whether we may not ask.
    pub(super) fn is_denial(&self) -> bool {
        let code = self.code.as_deref().unwrap_or_default();
        code.starts_with("AccessDenied") || code == "AuthorizationError"
    }
}
