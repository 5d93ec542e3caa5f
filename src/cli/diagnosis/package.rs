//! Secrets that lie where they can be read: an access key in a profile that is packaged with the
//! function.
//!
//! Invariant: a key is never shown, only where it stands.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::Finding;
use crate::site::Bucket;

/// No configuration is larger; what is larger is not looked at.
const LARGEST: u64 = 1024 * 1024;

/// What would have to be read from the package.
const ADVICE: &str = "give the profile credential_process or role_arn instead of an access key";

/// Whether a package of the function has an access key in it.
pub(in crate::cli) fn package(path: &Path) -> Finding {
    let name = path.display();
    match files_with_keys(path) {
        Ok(files) if files.is_empty() => {
            Finding::ok("keys", format!("{name} has no access key in it"))
        }
        Ok(files) => Finding::error(
            "keys",
            format!(
                "{name} has an access key in {}, for everybody who may read the function",
                files.join(", ")
            ),
            ADVICE,
        ),
        Err(error) => Finding::unknown("keys", format!("{name} could not be read: {error}")),
    }
}

/// Whether the profiles of these targets hold an access key. They are this machine's; what is in
/// the function's package is another matter.
pub(in crate::cli) fn profiles<'a>(targets: impl IntoIterator<Item = &'a Bucket>) -> Vec<Finding> {
    let with_key = targets.into_iter().filter(|it| it.site.has_access_key());
    let mut sites: Vec<&str> = with_key.map(|it| it.site.name.as_str()).collect();
    sites.sort_unstable();
    sites.dedup();
    let found = |site| {
        let found = format!("profile `{site}` holds an access key: do not package it so");
        Finding::warning("keys", found, ADVICE)
    };
    sites.into_iter().map(found).collect()
}

fn files_with_keys(path: &Path) -> io::Result<Vec<String>> {
    let mut archive = zip::ZipArchive::new(File::open(path)?).map_err(io::Error::other)?;
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index).map_err(io::Error::other)?;
        if file.size() > LARGEST {
            continue;
        }
        let name = file.name().to_owned();
        let mut bytes = Vec::new();
        file.take(LARGEST).read_to_end(&mut bytes)?;
        if has_key(&String::from_utf8_lossy(&bytes)) {
            found.push(name);
        }
    }
    Ok(found)
}

/// A line of a shared configuration, or of a file of variables, that gives a secret.
fn has_key(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim().trim_start_matches("export ");
        line.split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("aws_secret_access_key") && !value.trim().is_empty()
        })
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use rstest::rstest;

    use super::super::Status;
    use super::*;

    #[rstest]
    #[case::key("[profile minio]\naws_secret_access_key = x\n", true)]
    #[case::variable("export AWS_SECRET_ACCESS_KEY=x", true)]
    #[case::process(
        "[profile minio]\ncredential_process = /opt/aws_secret_access_key\n",
        false
    )]
    #[case::comment("# aws_secret_access_key = x", false)]
    #[case::nothing("aws_secret_access_key =", false)]
    fn secret_is_recognized(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(has_key(text), expected);
    }

    #[rstest]
    #[case("aws_secret_access_key = hidden\n", Status::Error)]
    #[case("region = us-east-1\n", Status::Ok)]
    fn package_is_searched_and_no_secret_shown(#[case] text: &str, #[case] expected: Status) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("package.zip");
        let mut archive = zip::ZipWriter::new(File::create(&path).unwrap());
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file("aws/config", options).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
        archive.finish().unwrap();
        let found = package(&path);
        assert_eq!(found.status, expected);
        assert!(!found.found.contains("hidden"));
    }
}
