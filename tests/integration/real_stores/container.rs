//! MinIO and LocalStack in containers, by testcontainers.

use std::net::Ipv4Addr;

use testcontainers::bollard::models::PortBinding;
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};
use uuid::Uuid;

use super::keeper::Keeper;

/// How a container is started.
pub(crate) struct Recipe {
    /// The variable that names another image, as for `docker compose`.
    pub(crate) variable: &'static str,
    /// The pinned public image.
    pub(crate) image: &'static str,
    /// The port inside.
    pub(crate) port: u16,
    pub(crate) environment: &'static [(&'static str, &'static str)],
    pub(crate) command: &'static [&'static str],
}

/// A running container. It is removed when it is dropped, or else by its keeper.
pub(crate) struct Container {
    pub(crate) name: String,
    /// The port on loopback.
    pub(crate) port: u16,
    _container: ContainerAsync<GenericImage>,
    _keeper: Keeper,
}

impl Container {
    /// Starts a container with a port of Docker's choice, or with the one that it is to have after
    /// a restart as well, and more variables than the recipe's.
    pub(crate) async fn start(
        recipe: &Recipe,
        fixed_port: Option<u16>,
        environment: &[(&str, &str)],
    ) -> Result<Self, String> {
        let image = std::env::var(recipe.variable).unwrap_or_else(|_| recipe.image.to_owned());
        let (repository, tag) = image
            .rsplit_once(':')
            .ok_or_else(|| format!("{} is {image:?}, expected NAME:TAG", recipe.variable))?;
        let name = format!("s3-replicator-test-{}", Uuid::new_v4().simple());
        // First, so that there is no moment without one.
        let keeper = Keeper::of_container(&name);
        let inside = format!("{}/tcp", recipe.port);
        let mut request = GenericImage::new(repository, tag)
            .with_exposed_port(recipe.port.tcp())
            .with_cmd(recipe.command.iter().copied())
            .with_container_name(&name)
            .with_host_config_modifier(move |host| {
                let binding = PortBinding {
                    host_ip: Some(Ipv4Addr::LOCALHOST.to_string()),
                    host_port: fixed_port.map(|port| port.to_string()),
                };
                host.publish_all_ports = None;
                host.port_bindings = Some([(inside.clone(), Some(vec![binding]))].into());
                // Where the servers' own notifications go.
                host.extra_hosts = Some(vec!["host.docker.internal:host-gateway".to_owned()]);
            });
        for (variable, value) in recipe.environment.iter().chain(environment) {
            request = request.with_env_var(*variable, *value);
        }
        let failed = |error| {
            format!(
                "a container of {image} could not be started, is Docker running? {error:?}; \
                 {} names another image",
                recipe.variable
            )
        };
        let container = request.start().await.map_err(failed)?;
        let port = container.get_host_port_ipv4(recipe.port.tcp()).await;
        Ok(Self {
            name,
            port: port.map_err(failed)?,
            _container: container,
            _keeper: keeper,
        })
    }
}
