//! `--store`: where the buckets are.

use std::str::FromStr;
use std::sync::Arc;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;

use super::CommandError;
use crate::error::chain;
use crate::http_client::http_client;
use crate::local::live::Wiring;
use crate::local::world::{RemotePlace, RemoteStore, Store, StoreError};

/// A store by the name that it has on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StoreName {
    /// The S3 in this program.
    Embedded,
    /// The MinIO that `just up minio` starts.
    Minio,
    /// The LocalStack that `just up localstack` starts.
    LocalStack,
    /// Any other, by its endpoint.
    Url(String),
}

impl FromStr for StoreName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "embedded" => Ok(Self::Embedded),
            "minio" => Ok(Self::Minio),
            "localstack" => Ok(Self::LocalStack),
            url if url.starts_with("http://") => Ok(Self::Url(url.to_owned())),
            url if url.starts_with("https://") => Err(
                "requests pass through this program unencrypted, so the endpoint must be http://"
                    .to_owned(),
            ),
            _ => Err("expected embedded, minio, localstack or http://HOST:PORT".to_owned()),
        }
    }
}

impl StoreName {
    /// Reaches the store.
    pub(super) async fn open(&self) -> Result<Store, CommandError> {
        let Some(place) = self.place(|name| std::env::var(name).ok()).await? else {
            return Ok(Store::Embedded);
        };
        match RemoteStore::connect(place).await {
            Ok(store) => Ok(Store::Remote(Arc::new(store))),
            Err(error @ StoreError::Endpoint(_)) => Err(CommandError::Input(chain(&error))),
            Err(error) => Err(CommandError::Store(error)),
        }
    }

    /// What clients of AWS's services need to reach it; for the embedded S3, what every AWS tool
    /// reaches: AWS itself, or what `AWS_ENDPOINT_URL` says.
    pub(super) async fn aws(&self) -> Result<SdkConfig, CommandError> {
        let aws = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client());
        let place = self.place(|name| std::env::var(name).ok()).await?;
        let aws = match place {
            Some(place) => aws
                .endpoint_url(place.endpoint)
                .credentials_provider(place.credentials)
                .region("us-east-1"),
            None => aws,
        };
        Ok(aws.load().await)
    }

    /// Where a bucket of it sends events that sends none yet; unknown of a store that `just up`
    /// does not start.
    pub(super) fn wiring(&self) -> Option<Wiring> {
        match self {
            Self::Minio => Some(Wiring::minio()),
            Self::LocalStack => Some(Wiring::localstack()),
            Self::Embedded | Self::Url(_) => None,
        }
    }

    /// Whether its keys are no secret.
    pub(super) fn has_well_known_keys(&self) -> bool {
        !matches!(self, Self::Url(_))
    }

    /// Where it is; nowhere if it is in this program.
    async fn place(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<RemotePlace>, CommandError> {
        let url = |named: &str, port: &str, default: &str| {
            variable(named).unwrap_or_else(|| {
                let port = variable(port).unwrap_or_else(|| default.to_owned());
                format!("http://127.0.0.1:{port}")
            })
        };
        let fixed = |key: &str| Credentials::new(key, key, None, None, "default of a local store");
        let (name, endpoint, credentials, advice) = match self {
            Self::Embedded => return Ok(None),
            Self::Minio => (
                "minio",
                url("S3_REPLICATOR_MINIO_URL", "MINIO_PORT", "9100"),
                fixed("minioadmin"),
                "start it with `just up minio`, or say where it is with S3_REPLICATOR_MINIO_URL",
            ),
            Self::LocalStack => (
                "localstack",
                url("S3_REPLICATOR_LOCALSTACK_URL", "LOCALSTACK_PORT", "4566"),
                fixed("test"),
                "start it with `just up localstack`, or say where it is with \
                 S3_REPLICATOR_LOCALSTACK_URL",
            ),
            Self::Url(url) => (
                url.as_str(),
                url.clone(),
                usual_credentials().await?,
                "check the address and the AWS variables or profile",
            ),
        };
        Ok(Some(RemotePlace {
            name: name.to_owned(),
            endpoint,
            credentials,
            advice: advice.to_owned(),
        }))
    }
}

/// What every AWS tool would sign with.
async fn usual_credentials() -> Result<Credentials, CommandError> {
    // Only for profiles that ask a service for their credentials.
    let http_client = aws_smithy_http_client::Builder::new().build_http();
    let shared = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client.clone())
        .region("us-east-1")
        .load()
        .await;
    let configuration = ProviderConfig::default()
        .with_http_client(http_client)
        .with_region(shared.region().cloned());
    let chain_of_providers = DefaultCredentialsChain::builder()
        .configure(configuration)
        .build()
        .await;
    let found = chain_of_providers.provide_credentials().await;
    found.map_err(|error| {
        CommandError::Input(format!(
            "a store given by its URL needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or \
             AWS_PROFILE: {}",
            chain(&error)
        ))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("embedded", StoreName::Embedded)]
    #[case("minio", StoreName::Minio)]
    #[case("localstack", StoreName::LocalStack)]
    #[case("http://localhost:8333", StoreName::Url("http://localhost:8333".to_owned()))]
    fn store_is_named(#[case] text: &str, #[case] expected: StoreName) {
        assert_eq!(text.parse(), Ok(expected));
    }

    #[rstest]
    #[case("floppy", "expected embedded")]
    #[case("https://localhost:8333", "http://")]
    fn mistaken_store_is_explained(#[case] text: &str, #[case] expected: &str) {
        let error = text.parse::<StoreName>().expect_err("it is mistaken");
        assert!(error.contains(expected), "{error}");
    }

    #[rstest]
    #[case::default(&[], "http://127.0.0.1:9100")]
    #[case::port(&[("MINIO_PORT", "9200")], "http://127.0.0.1:9200")]
    #[case::url(
        &[("MINIO_PORT", "9200"), ("S3_REPLICATOR_MINIO_URL", "http://minio:9000")],
        "http://minio:9000"
    )]
    #[tokio::test]
    async fn minio_is_where_the_variables_say(
        #[case] variables: &[(&str, &str)],
        #[case] expected: &str,
    ) {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let place = StoreName::Minio.place(variable).await;
        assert_eq!(
            place
                .expect("no profile is read")
                .map(|it| it.endpoint)
                .as_deref(),
            Some(expected)
        );
    }
}
