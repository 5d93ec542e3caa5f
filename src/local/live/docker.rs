//! Where a container reaches a listener of this machine.
//!
//! In a container `host.docker.internal` is, with Docker Desktop, this machine's loopback, and on
//! Linux the address of Docker's bridge, where a listener on loopback is not heard. So a listener
//! on loopback gets a twin on the bridge; never one on all interfaces, which the network reaches.

use std::net::{IpAddr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How long Docker may take to say where its bridge is.
const PATIENCE: Duration = Duration::from_secs(5);

/// The address on Docker's bridge that goes with an address on loopback; none for any other
/// address, and none where there is no Docker.
pub async fn beside(address: SocketAddr) -> Option<SocketAddr> {
    if !address.ip().is_loopback() {
        return None;
    }
    let asking = Command::new("docker")
        .args(["network", "inspect", "bridge", "--format"])
        .arg("{{range .IPAM.Config}}{{println .Gateway}}{{end}}")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, asking).await.ok()?.ok()?;
    let gateway = gateway(&String::from_utf8_lossy(&output.stdout))?;
    Some(SocketAddr::new(gateway, address.port()))
}

/// The first IPv4 address; IPv6 is not what `host-gateway` stands for.
fn gateway(lines: &str) -> Option<IpAddr> {
    let addresses = lines.lines().filter_map(|line| line.trim().parse().ok());
    let mut addresses = addresses.filter(|address: &IpAddr| address.is_ipv4());
    addresses.next()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::usual("172.17.0.1\n\n", Some([172, 17, 0, 1]))]
    #[case::both("fd00::1\n172.18.0.1\n", Some([172, 18, 0, 1]))]
    #[case::no_bridge("\n", None)]
    fn gateway_is_the_first_ipv4_address(#[case] lines: &str, #[case] expected: Option<[u8; 4]>) {
        assert_eq!(gateway(lines), expected.map(IpAddr::from));
    }

    #[tokio::test]
    async fn address_that_is_not_loopback_stands_for_itself() {
        assert_eq!(beside(([0, 0, 0, 0], 9180).into()).await, None);
    }
}
