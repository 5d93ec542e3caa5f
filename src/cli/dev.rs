//! `dev`: a world that stays up, around the embedded S3 or a real store.

pub(super) mod arguments;
pub(super) mod live;
pub(super) mod place;

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tokio::net::TcpListener;

use self::arguments::WorldArguments;
use self::place::Place;
use super::spectator::{json, line, show_outcome};
use super::{CommandError, Ended, told_to_end};
use crate::local::http::serve;
use crate::local::lambda::Program;
use crate::local::recording::Header;
use crate::local::s3::{Credentials, EmbeddedS3, Options};
use crate::local::world::{Keys, RemoteStore, Store, World, WorldError, WorldOptions};

pub(super) const EXAMPLES: &str = "\
Examples:
  s3-replicator dev --master artifacts@us-east-1 --target copy-1@ap-southeast-1 \\
      --target copy-2@eu-central-1
  s3-replicator dev --listen 127.0.0.1:9000        # a plain embedded S3
  s3-replicator dev --store minio                  # after `just up minio`
  s3-replicator dev --store localstack --master a@us-east-1 --target b@eu-central-1
  s3-replicator dev --store http://127.0.0.1:9000  # with AWS_ACCESS_KEY_ID and so on";

#[derive(Debug, Args)]
pub(super) struct Dev {
    #[command(flatten)]
    world: WorldArguments,
}

impl Dev {
    pub(super) async fn run(self) -> Result<Ended, CommandError> {
        let function = self.world.function.program()?;
        match (self.world.function.store.open().await?, &self.world.master) {
            (Store::Remote(store), _) => self.live(&store, &function.program).await,
            (Store::Embedded, Some(master)) => self.replicate(master, &function.program).await,
            (Store::Embedded, None) => self.plain().await,
        }
    }

    async fn live(
        &self,
        store: &Arc<RemoteStore>,
        program: &Program,
    ) -> Result<Ended, CommandError> {
        let mut end = std::pin::pin!(told_to_end());
        let starting = async {
            let heard = live::hear(&self.world, store).await?;
            live::listen(&self.world, store, &heard, program, None).await
        };
        let world = tokio::select! {
            world = starting => world?,
            () = &mut end => return Ok(Ended::Interrupted),
        };
        end.await;
        Ok(live::finish(world).await)
    }

    async fn replicate(&self, master: &Place, program: &Program) -> Result<Ended, CommandError> {
        let header = self.world.header("dev", master)?;
        let mut world = start(&self.world, header, program).await?;
        let mut end = std::pin::pin!(told_to_end());
        greet(&self.world, world.address());
        loop {
            tokio::select! {
                () = world.forward_next() => {}
                () = &mut end => break,
            }
        }
        world.stop().await;
        Ok(Ended::Well)
    }

    async fn plain(&self) -> Result<Ended, CommandError> {
        let Keys {
            access_key,
            secret_key,
        } = self.world.keys();
        let service = EmbeddedS3::new(Options {
            credentials: vec![Credentials {
                access_key,
                secret_key,
            }],
            ..Options::default()
        });
        let address = self.world.listen();
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| WorldError::Listen { address, source })?;
        let server = serve(listener, Arc::new(service)).await;
        let end = told_to_end();
        greet(&self.world, server.address());
        end.await;
        server.stop().await;
        Ok(Ended::Well)
    }
}

/// Starts an embedded world that shows its outcomes.
pub(super) async fn start(
    arguments: &WorldArguments,
    mut header: Header,
    program: &Program,
) -> Result<World, CommandError> {
    // Any bucket that is tagged and notifies us is served, as a user would try it on AWS.
    let masters = ("S3_REPLICATOR_MASTERS".to_owned(), String::new());
    header.function.environment.extend([masters]);
    let is_json = arguments.json;
    let options = WorldOptions {
        notifying: vec![header.master.name.clone()],
        header,
        program: program.clone(),
        listen: arguments.listen(),
        keys: arguments.keys(),
        store: Store::Embedded,
        temporary: false,
    };
    let world = World::start(options, move |_, outcome| match outcome {
        Some(outcome) if is_json => json(outcome),
        Some(outcome) => show_outcome(&[], outcome),
        None => {}
    });
    Ok(world.await?)
}

/// Says what is there, and how to try it.
pub(super) fn greet(arguments: &WorldArguments, address: SocketAddr) {
    #[derive(Serialize)]
    struct Ready<'a> {
        ready: bool,
        endpoint: &'a str,
        access_key: &'a str,
        secret_key: &'a str,
    }

    let endpoint = format!("http://{address}");
    let keys = arguments.keys();
    let (access_key, secret_key) = (&keys.access_key, &keys.secret_key);
    if arguments.json {
        return json(&Ready {
            ready: true,
            endpoint: &endpoint,
            access_key,
            secret_key,
        });
    }
    let master = arguments.master.as_ref();
    let bucket = master.map_or("my-bucket", |master| &master.bucket);
    let region = master.map_or("us-east-1", |master| &master.region);
    line(format_args!("S3 at {endpoint}, Ctrl-C ends it"));
    line(format_args!(""));
    line(format_args!(
        "  export AWS_ENDPOINT_URL={endpoint} AWS_REGION={region}"
    ));
    line(format_args!(
        "  export AWS_ACCESS_KEY_ID={access_key} AWS_SECRET_ACCESS_KEY={secret_key}"
    ));
    if master.is_none() {
        line(format_args!("  aws s3 mb s3://{bucket}"));
    }
    line(format_args!(
        "  echo hello | aws s3 cp - s3://{bucket}/hello.txt"
    ));
    let listed = arguments
        .targets
        .first()
        .map_or(bucket, |target| &target.bucket);
    line(format_args!("  aws s3 ls s3://{listed}"));
    line(format_args!(""));
}
