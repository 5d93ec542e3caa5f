//! Sites: what stands after `@` in a tag is a region, or a profile of the AWS shared configuration.
//!
//! What a profile says wins over the environment; what it leaves out comes from there. The SDK's
//! own order is the reverse, so a profile's values are read here and set explicitly.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{
    ProfileFileCredentialsProvider, ProfileFileLoadError, ProfileFileRegionProvider, ProfileSet,
};
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_runtime::env_config::get_service_env_config;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::interceptors::FinalizerInterceptorContextRef;
use aws_sdk_s3::config::retry::RetryPartition;
use aws_sdk_s3::config::{
    Builder, ConfigBag, Intercept, RequestChecksumCalculation, ResponseChecksumValidation,
    RuntimeComponents, StalledStreamProtectionConfig,
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::service_config::ServiceConfigKey;
use tokio::sync::Semaphore;

use crate::change::ObjectKey;
use crate::error::Place;
use crate::targets::is_region;

/// One region or profile, with the client for it.
#[derive(Debug)]
pub struct Site {
    /// As the tag or the event names it.
    pub name: String,
    /// Which service answers there, and as whom we ask.
    pub service: Service,
    /// The client.
    pub client: Client,
    /// Bounds the requests under way at this site, so that a site that hangs blocks only itself.
    pub requests: Semaphore,
    /// Attempts that were refused for now, since they were last counted.
    pub throttles: Throttles,
    /// Bounds the part copies under way at this site, so that one that hangs leaves the others
    /// places.
    pub parts: Semaphore,
}

/// Two sites with equal services can copy between each other without a byte passing through us.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Service {
    endpoint: Endpoint,
    credentials: CredentialSource,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Endpoint {
    Aws { partition: &'static str },
    Custom(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum CredentialSource {
    /// The process's own: the environment, or the function's role.
    Ambient,
    AccessKey(String),
    Role(String),
    Profile(String),
}

#[cfg(feature = "cli")]
impl Site {
    /// The region that requests are signed for.
    pub(crate) fn region(&self) -> &str {
        self.client.config().region().map_or("", |it| it.as_ref())
    }

    /// Whether its profile holds an access key, readable for whoever has the file.
    pub(crate) fn has_access_key(&self) -> bool {
        matches!(self.service.credentials, CredentialSource::AccessKey(_))
    }

    /// Whether requests are signed with the process's own credentials.
    pub(crate) fn is_ambient(&self) -> bool {
        self.service.credentials == CredentialSource::Ambient
    }
}

/// Counts the attempts that a store refused because there were too many; the SDK tries them again.
#[derive(Debug, Clone, Default)]
pub struct Throttles(Arc<AtomicU64>);

impl Throttles {
    fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Intercept for Throttles {
    fn name(&self) -> &'static str {
        "Throttles"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), aws_sdk_s3::error::BoxError> {
        // S3 says SlowDown with 503, others Too Many Requests.
        let status = context
            .response()
            .map(|response| response.status().as_u16());
        if matches!(status, Some(429 | 503)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// A bucket at a site.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// The bucket's name.
    pub name: String,
    /// Where it is.
    pub site: Arc<Site>,
}

impl Bucket {
    /// Where a request went, for errors.
    pub fn place(&self, key: Option<&ObjectKey>) -> Place {
        Place {
            bucket: self.name.clone(),
            key: key.cloned(),
            site: self.site.name.clone(),
        }
    }
}

impl PartialEq for Bucket {
    /// Buckets are the same by name and by where they are, whoever asks.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.site.service.endpoint == other.site.service.endpoint
    }
}

/// A site as [`Sites::from_parts`] takes it.
#[derive(Debug)]
pub struct SitePart {
    /// The region that tags and events name.
    pub name: String,
    /// Where it answers.
    pub endpoint: String,
    /// How its client connects, signs and retries.
    pub client: Builder,
}

/// The shared configuration could not be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "could not load the AWS shared configuration (AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE)"
)]
pub struct SharedConfigError(#[source] ProfileFileLoadError);

/// All sites that were asked for so far.
#[derive(Debug)]
pub struct Sites {
    shared: SdkConfig,
    profiles: ProfileSet,
    home: String,
    places: usize,
    known: Mutex<HashMap<String, Arc<Site>>>,
}

impl Sites {
    /// Reads the environment and the shared configuration once. No request is sent.
    pub async fn load(
        http_client: SharedHttpClient,
        places: usize,
    ) -> Result<Self, SharedConfigError> {
        let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client);
        Self::load_with(loader, places).await
    }

    /// The same, with what `loader` is set to.
    pub async fn load_with(loader: ConfigLoader, places: usize) -> Result<Self, SharedConfigError> {
        // A missing region must not send anyone to the instance metadata service.
        let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
            .or_else(ProfileFileRegionProvider::new())
            .or_else(Region::from_static("us-east-1"));
        let shared = loader.region(region).load().await;
        let profiles = load_profiles(None).await.map_err(SharedConfigError)?;
        let home = shared.region().expect("a default was given").to_string();
        Ok(Self {
            shared,
            profiles,
            home,
            places,
            known: Mutex::default(),
        })
    }

    /// Sites that are given one by one, whatever the environment says; there are no others.
    ///
    /// The first is where events come from that name no region. Sites with one endpoint are the
    /// same service.
    pub fn from_parts(parts: impl IntoIterator<Item = SitePart>, places: usize) -> Self {
        let mut home = String::new();
        let mut known = HashMap::new();
        for SitePart {
            name,
            endpoint,
            client,
        } in parts
        {
            if known.is_empty() {
                home.clone_from(&name);
            }
            let service = Service {
                endpoint: Endpoint::Custom(endpoint.clone()),
                credentials: CredentialSource::Ambient,
            };
            let client = client
                .endpoint_url(endpoint)
                .region(Region::new(name.clone()));
            let throttles = Throttles::default();
            let client = of_ours(client, &throttles).force_path_style(true);
            let site = Site {
                name: name.clone(),
                service,
                client: Client::from_conf(client.build()),
                throttles,
                requests: Semaphore::new(requests_per_site(places)),
                parts: Semaphore::new(parts_per_site(places)),
            };
            known.insert(name, Arc::new(site));
        }
        Self {
            shared: SdkConfig::builder().build(),
            profiles: ProfileSet::default(),
            home,
            places,
            known: Mutex::new(known),
        }
    }

    /// What the environment says of every service, where no profile says otherwise.
    #[cfg(feature = "cli")]
    pub(crate) fn shared(&self) -> &SdkConfig {
        &self.shared
    }

    /// The process's own region, where events come from that name none.
    pub fn home(&self) -> &str {
        &self.home
    }

    /// Every site that has refused attempts for now, and how many, since this was last asked.
    pub fn throttled(&self) -> Vec<(String, u64)> {
        let known = self.known();
        let sites = known
            .values()
            .map(|site| (site.name.clone(), site.throttles.take()));
        sites.filter(|(_, count)| *count > 0).collect()
    }

    /// Whether the shared configuration has a profile of this very name.
    pub fn is_profile(&self, name: &str) -> bool {
        self.profiles.get_profile(name).is_some()
    }

    /// The site of this name.
    pub async fn get(&self, name: &str) -> Result<Arc<Site>, SharedConfigError> {
        if let Some(site) = self.known().get(name) {
            return Ok(Arc::clone(site));
        }
        let site = Arc::new(if self.is_profile(name) {
            let profile = load_profiles(Some(name)).await.map_err(SharedConfigError)?;
            self.profile_site(name, &profile).await
        } else {
            self.region_site(name)
        });
        Ok(Arc::clone(
            self.known().entry(name.to_owned()).or_insert(site),
        ))
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Site>>> {
        self.known.lock().expect("no holder of this lock panics")
    }

    fn region_site(&self, name: &str) -> Site {
        let endpoint = configured_endpoint(&self.shared);
        let config = Builder::from(&self.shared).region(Region::new(name.to_owned()));
        self.build(name, name, endpoint, CredentialSource::Ambient, config)
    }

    async fn profile_site(&self, name: &str, profile: &ProfileSet) -> Site {
        let own_name = Some(name).filter(|name| is_region(name));
        let region = profile
            .get("region")
            .or(own_name)
            .unwrap_or(&self.home)
            .to_owned();
        let endpoint = profile_endpoint(profile).or_else(|| configured_endpoint(&self.shared));
        let mut config = Builder::from(&self.shared).region(Region::new(region.clone()));
        let credentials = credential_source(name, profile);
        if credentials != CredentialSource::Ambient {
            let mut provider_config =
                ProviderConfig::without_region().with_region(Some(Region::new(region.clone())));
            if let Some(http_client) = self.shared.http_client() {
                provider_config = provider_config.with_http_client(http_client);
            }
            config = config.credentials_provider(
                ProfileFileCredentialsProvider::builder()
                    .configure(&provider_config)
                    .profile_name(name)
                    .build(),
            );
        }
        self.build(name, &region, endpoint, credentials, config)
    }

    fn build(
        &self,
        name: &str,
        region: &str,
        endpoint: Option<String>,
        credentials: CredentialSource,
        mut config: Builder,
    ) -> Site {
        config.set_endpoint_url(endpoint.clone());
        let throttles = Throttles::default();
        let config = of_ours(config, &throttles)
            .force_path_style(endpoint.is_some())
            // One site that is down must not use up the retries of the others.
            .retry_partition(RetryPartition::new(name.to_owned()))
            .build();
        let endpoint = match endpoint {
            Some(url) => Endpoint::Custom(url.trim_end_matches('/').to_ascii_lowercase()),
            None => Endpoint::Aws {
                partition: partition(region),
            },
        };
        Site {
            name: name.to_owned(),
            service: Service {
                endpoint,
                credentials,
            },
            client: Client::from_conf(config),
            throttles,
            requests: Semaphore::new(requests_per_site(self.places)),
            parts: Semaphore::new(parts_per_site(self.places)),
        }
    }
}

/// What every client of ours is set to.
fn of_ours(config: Builder, throttles: &Throttles) -> Builder {
    config
        .interceptor(throttles.clone())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // A server-side copy is silent while it works; the deadline ends what never answers.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// One request of each place for each of many targets at one site.
fn requests_per_site(places: usize) -> usize {
    places.saturating_mul(64)
}

/// Half of the places for keys and parts may be one site's.
fn parts_per_site(places: usize) -> usize {
    (places / 2).max(1)
}

async fn load_profiles(selected: Option<&str>) -> Result<ProfileSet, ProfileFileLoadError> {
    let selected = selected.map(|name| name.to_owned().into());
    aws_config::profile::load(
        &Fs::real(),
        &Env::real(),
        &EnvConfigFiles::default(),
        selected,
    )
    .await
}

fn endpoint_key<'a>() -> ServiceConfigKey<'a> {
    ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .expect("all fields are set")
}

/// `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` or the default profile's, in the SDK's own order.
fn configured_endpoint(shared: &SdkConfig) -> Option<String> {
    shared
        .service_config()
        .and_then(|config| config.load_config(endpoint_key()))
        .or_else(|| shared.endpoint_url().map(ToOwned::to_owned))
}

/// What the selected profile itself says, in its `services` section or directly.
fn profile_endpoint(profile: &ProfileSet) -> Option<String> {
    let no_environment = Env::from_slice(&[]);
    let value = get_service_env_config(endpoint_key(), &no_environment, Some(profile), |url| {
        Ok::<_, Infallible>(url.to_owned())
    });
    value.ok().flatten()
}

fn credential_source(name: &str, profile: &ProfileSet) -> CredentialSource {
    const OTHERS: [&str; 6] = [
        "credential_process",
        "credential_source",
        "login_session",
        "sso_session",
        "sso_start_url",
        "web_identity_token_file",
    ];
    if let Some(role) = profile.get("role_arn") {
        CredentialSource::Role(role.to_owned())
    } else if let Some(key) = profile.get("aws_access_key_id") {
        CredentialSource::AccessKey(key.to_owned())
    } else if OTHERS.iter().any(|key| profile.get(key).is_some()) {
        CredentialSource::Profile(name.to_owned())
    } else {
        CredentialSource::Ambient
    }
}

/// The partition of a region, by its prefix:
/// <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>
fn partition(region: &str) -> &'static str {
    const PREFIXES: [(&str, &str); 7] = [
        ("cn-", "aws-cn"),
        ("us-gov-", "aws-us-gov"),
        ("us-iso-", "aws-iso"),
        ("us-isob-", "aws-iso-b"),
        ("us-isof-", "aws-iso-f"),
        ("eu-isoe-", "aws-iso-e"),
        ("eusc-", "aws-eusc"),
    ];
    PREFIXES
        .iter()
        .find_map(|(prefix, partition)| region.starts_with(prefix).then_some(*partition))
        .unwrap_or("aws")
}

#[cfg(test)]
mod tests;
