//! A manifest for S3 Batch Operations: `bucket,key` lines, for which a job invokes the function.
//!
//! Invariant: a file under the name that was asked for is whole. It is written beside it and takes
//! the name at the end; one that does not come to its end leaves nothing.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::change::ObjectKey;

/// Everything but what no encoding touches, and `/`. A space is `%20` and never `+`, so that it
/// does not matter which of two decodings is in use:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/specify-batchjob-manifest.html>
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'/')
    .remove(b'_');

/// A manifest that is being written.
#[derive(Debug)]
pub struct BatchManifest {
    path: PathBuf,
    partial: PathBuf,
    file: BufWriter<File>,
    keys: u64,
}

impl BatchManifest {
    /// Begins a manifest; a file of this name stays until [`finish`](Self::finish).
    pub fn create(path: PathBuf) -> io::Result<Self> {
        let mut partial = path.clone().into_os_string();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = BufWriter::new(File::create(&partial)?);
        Ok(Self {
            path,
            partial,
            file,
            keys: 0,
        })
    }

    /// Adds a key of the master.
    pub fn add(&mut self, bucket: &str, key: &ObjectKey) -> io::Result<()> {
        self.keys += 1;
        self.file.write_all(line(bucket, key).as_bytes())
    }

    /// Gives it its name; answers how many keys it holds.
    pub fn finish(mut self) -> io::Result<u64> {
        self.file.flush()?;
        std::fs::rename(&self.partial, &self.path)?;
        Ok(self.keys)
    }
}

impl Drop for BatchManifest {
    fn drop(&mut self) {
        // Gone already if it has its name; and who cannot be told may see the file.
        let _ = std::fs::remove_file(&self.partial);
    }
}

fn line(bucket: &str, key: &ObjectKey) -> String {
    let key = utf8_percent_encode(key.as_str(), ENCODED);
    format!("{bucket},{key}\n")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("a/b.txt", "m,a/b.txt\n")]
    #[case::space_and_plus("a b+c", "m,a%20b%2Bc\n")]
    #[case::what_csv_knows("a,\"b\"\nc", "m,a%2C%22b%22%0Ac\n")]
    #[case::wide("é", "m,%C3%A9\n")]
    fn key_is_one_field_and_decodes_to_itself(#[case] key: &str, #[case] expected: &str) {
        let key = ObjectKey::new(key).expect("a key");
        let line = line("m", &key);
        assert_eq!(line, expected);
        let encoded = line.trim_end().strip_prefix("m,").expect("the bucket");
        assert_eq!(ObjectKey::from_form_urlencoded(encoded), Ok(key));
    }

    #[test]
    fn manifest_has_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("manifest.csv");
        let mut manifest = BatchManifest::create(path.clone()).expect("a file");
        let key = ObjectKey::new("k").expect("a key");
        manifest.add("m", &key).expect("there is room");
        assert!(!path.exists());
        assert_eq!(manifest.finish().expect("there is room"), 1);
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "m,k\n");
    }
}
