//! A process's beginning: until it asks for its first event, and that event.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::events::event;
use super::function::Function;
use super::process::{Cost, run};
use super::report::{Report, median};
use super::store::Minio;
use super::{Bench, Fallible, environment};

pub(crate) const COLD_START: &str = "cold start";
pub(crate) const FIRST_EVENT: &str = "first event, two requests";
pub(crate) const OURS: &str = "s3-replicator";
pub(crate) const HELLO: &str = "hello world";
pub(crate) const PLAIN: &str = "s3-replicator, HTTP";
pub(crate) const TLS: &str = "s3-replicator, TLS";

/// A bucket without tags: they are asked for, and whether it is there, and nothing else.
const UNTAGGED: &str = "untagged";

/// From spawning to asking for an event, in turns with the least that a function can be.
pub(crate) fn starts(bench: &Bench, report: &mut Report) -> Fallible<()> {
    let (mut ours, mut hello) = (Vec::new(), Vec::new());
    for _ in 0..bench.size.cold_starts {
        let start = |program| Function::start(program, &environment(), &bench.log("cold"));
        ours.push(start(&bench.bootstrap)?.cold_start);
        hello.push(start(&bench.hello)?.cold_start);
    }
    add(report, COLD_START, OURS, &ours);
    add(report, COLD_START, HELLO, &hello);
    Ok(())
}

/// The first event of a process: connecting, and two requests, with TLS and without.
pub(crate) fn first_events(bench: &Bench, binary: &Path, report: &mut Report) -> Fallible<()> {
    let folder = bench.folder.join("store");
    let (certificates, authorities) = match certificates(bench) {
        Ok(files) => files,
        Err(error) => {
            report
                .missing
                .push(format!("the first TLS request: {error}"));
            return Ok(());
        }
    };
    // Without TLS there is nothing to read: one authority stands for none.
    let minio = Minio::start(binary, &folder, None, &[UNTAGGED])?;
    let authority = certificates.join("authority.crt").display().to_string();
    let plain = first_event(bench, &minio, "http", &[("SSL_CERT_FILE", &authority)])?;
    drop(minio);
    add(report, FIRST_EVENT, PLAIN, &plain);
    let minio = Minio::start(binary, &folder, Some(&certificates), &[UNTAGGED])?;
    let authorities = authorities.display().to_string();
    let tls = first_event(bench, &minio, "https", &[("SSL_CERT_FILE", &authorities)])?;
    add(report, FIRST_EVENT, TLS, &tls);
    Ok(())
}

fn first_event(
    bench: &Bench,
    minio: &Minio,
    scheme: &str,
    variables: &[(&str, &str)],
) -> Fallible<Vec<Cost>> {
    let endpoint = format!("{scheme}://{}", minio.address);
    let mut variables = variables.to_vec();
    variables.push(("AWS_ENDPOINT_URL_S3", &endpoint));
    let payload = event("ObjectCreated:Put", UNTAGGED, &["key".to_owned()]);
    let costs = (0..bench.size.cold_starts).map(|_| {
        let mut function = bench.start(minio, &variables)?;
        function.invoke(&payload)
    });
    costs.collect()
}

fn add(report: &mut Report, what: &str, who: &str, costs: &[Cost]) {
    let cost = median(costs);
    report.add(
        what,
        who,
        &[
            ("cpu_ms", cost.cpu.as_secs_f64() * 1000.0),
            ("wall_ms", cost.wall.as_secs_f64() * 1000.0),
            ("peak_mib", cost.peak as f64 / 1024.0 / 1024.0),
        ],
    );
}

/// A folder for MinIO with a certificate of its own authority, and the file of all authorities
/// that are trusted: the system's, since reading them costs time, and that one.
fn certificates(bench: &Bench) -> Fallible<(PathBuf, PathBuf)> {
    let folder = bench.folder.join("certificates");
    fs::create_dir_all(&folder)?;
    let openssl = |arguments: &str| -> Fallible<()> {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(&folder);
        run(&mut command, &bench.log("openssl"))?;
        Ok(())
    };
    let new = "req -x509 -newkey rsa:2048 -nodes -days 2";
    openssl(&format!(
        "{new} -subj /CN=authority -keyout authority.key -out authority.crt"
    ))?;
    openssl(&format!(
        "{new} -subj /CN=store -CA authority.crt -CAkey authority.key -keyout private.key \
         -out public.crt -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=CA:FALSE"
    ))?;
    let system = "/etc/ssl/certs/ca-certificates.crt";
    let mut all = fs::read_to_string(system).map_err(|error| format!("{system}: {error}"))?;
    all.push_str(&fs::read_to_string(folder.join("authority.crt"))?);
    let authorities = folder.join("authorities.pem");
    fs::write(&authorities, all)?;
    Ok((folder, authorities))
}
