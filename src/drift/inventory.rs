//! S3 Inventory as a source of keys: `manifest.json`, and the CSV files with gzip that it names.
//!
//! An inventory is a day old and in no order, so it names keys and no more; what they are now is
//! asked of the buckets. Every file is read whole and held against its MD5 before a key of it is
//! used: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html>

use std::fs::File;
use std::io::{Seek, Write};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use md5::{Digest, Md5};
use serde::Deserialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use crate::change::{InvalidKey, ObjectKey};
use crate::error::{Failure, Kind};
use crate::s3::send;
use crate::site::Bucket;

/// How long a file may take to come.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Keys that are read ahead.
const AHEAD: usize = 1000;

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not what S3 writes.
    #[error("it is no manifest of S3 Inventory")]
    Malformed(#[source] serde_json::Error),
    /// It is not what its checksum says.
    #[error(
        "its MD5 is not what manifest.checksum beside it says, so it is corrupt or half written"
    )]
    Checksum,
    /// The files are in a format that is not read.
    #[error(
        "its files are in the format {0}, and only CSV is read: set the output format of the \
         bucket's inventory configuration to CSV"
    )]
    Format(String),
    /// The files don't say what is needed.
    #[error("its fileSchema `{0}` has no column {1}, which every CSV inventory has")]
    NoColumn(String, &'static str),
}

/// What is wrong with a file of an inventory.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("its MD5 is {found}, and the manifest says {expected}, so it is corrupt")]
    Checksum { found: String, expected: String },
    #[error("could not keep it in a temporary file")]
    Temporary(#[source] std::io::Error),
    #[error("it could not be read as CSV with gzip")]
    Csv(#[source] csv::Error),
    #[error("line {line} has {found} columns, and the manifest's fileSchema {expected}")]
    Columns {
        line: u64,
        found: usize,
        expected: usize,
    },
    #[error("line {line} is about another bucket")]
    OtherBucket { line: u64 },
    #[error("line {line} names no key")]
    Key {
        line: u64,
        #[source]
        invalid: InvalidKey,
    },
}

/// `manifest.json`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The bucket that the inventory is of.
    pub source: String,
    /// Where its files are.
    pub destination: String,
    columns: Columns,
    files: Vec<FileOf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Columns {
    count: usize,
    bucket: usize,
    key: usize,
    /// Only where the inventory is of all versions.
    is_latest: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct FileOf {
    key: String,
    #[serde(rename = "MD5checksum")]
    md5: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Json {
    source_bucket: String,
    destination_bucket: String,
    file_format: String,
    file_schema: String,
    files: Vec<FileOf>,
}

impl Manifest {
    /// Reads `manifest.json`.
    pub fn parse(text: &[u8]) -> Result<Self, ManifestError> {
        let json: Json = serde_json::from_slice(text).map_err(ManifestError::Malformed)?;
        // In another format, the schema is written in another way, too.
        if json.file_format != "CSV" {
            return Err(ManifestError::Format(json.file_format));
        }
        let names: Vec<&str> = json.file_schema.split(',').map(str::trim).collect();
        let position = |wanted: &str| names.iter().position(|name| *name == wanted);
        let column = |wanted| {
            let found = position(wanted);
            found.ok_or_else(|| ManifestError::NoColumn(json.file_schema.clone(), wanted))
        };
        let columns = Columns {
            count: names.len(),
            bucket: column("Bucket")?,
            key: column("Key")?,
            is_latest: position("IsLatest"),
        };
        let destination = &json.destination_bucket;
        let destination = destination.rsplit(':').next().unwrap_or(destination);
        Ok(Self {
            destination: destination.to_owned(),
            source: json.source_bucket,
            columns,
            files: json.files,
        })
    }
}

/// Why an inventory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It could not be read.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// It is not what is expected.
    #[error("the inventory s3://{bucket}/{key} cannot be used")]
    Manifest {
        /// The bucket.
        bucket: String,
        /// The manifest's key.
        key: ObjectKey,
        /// Why.
        #[source]
        source: ManifestError,
    },
}

/// An inventory that is read.
#[derive(Debug)]
pub struct Inventory {
    /// The bucket that it is of.
    pub source: String,
    keys: Receiver<Result<ObjectKey, Failure>>,
}

impl Inventory {
    /// Reads the manifest at `key`, and begins with the files.
    pub async fn open(bucket: Bucket, key: &ObjectKey) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Manifest {
            bucket: bucket.name.clone(),
            key: key.clone(),
            source,
        };
        let text = small_file(&bucket, key).await?;
        let checksum = key.as_str().strip_suffix("manifest.json");
        let checksum = checksum.map(|folder| format!("{folder}manifest.checksum"));
        let checksum = checksum.and_then(|key| ObjectKey::new(key).ok());
        let expected = match checksum {
            Some(checksum) => match small_file(&bucket, &checksum).await {
                Ok(expected) => Some(expected),
                // There is no such key: a copy of a manifest may have none.
                Err(failure) if failure.kind == Kind::Raced => None,
                Err(failure) => return Err(failure.into()),
            },
            None => None,
        };
        if let Some(expected) = expected
            && hexadecimal(&Md5::digest(&text)) != String::from_utf8_lossy(&expected).trim()
        {
            return Err(unusable(ManifestError::Checksum));
        }
        let manifest = Manifest::parse(&text).map_err(unusable)?;
        let (sender, keys) = channel(AHEAD);
        let source = manifest.source.clone();
        let files = Bucket {
            name: manifest.destination.clone(),
            site: bucket.site,
        };
        tokio::spawn(async move {
            for file in &manifest.files {
                if let Err(failure) = read(&files, &manifest, file, &sender).await {
                    let _ = sender.send(Err(failure)).await;
                    return;
                }
            }
        });
        Ok(Self { source, keys })
    }

    /// The next key, or why there is no more.
    pub async fn next(&mut self) -> Option<Result<ObjectKey, Failure>> {
        self.keys.recv().await
    }
}

/// A manifest or a checksum.
async fn small_file(bucket: &Bucket, key: &ObjectKey) -> Result<Vec<u8>, Failure> {
    let deadline = Instant::now() + PATIENCE;
    let request = bucket.site.client.get_object().bucket(&bucket.name);
    let request = request.key(key.as_str()).send();
    let answer = send(bucket, Some(key), "GetObject", deadline, request).await?;
    match answer.body.collect().await {
        Ok(body) => Ok(body.to_vec()),
        Err(error) => {
            let place = bucket.place(Some(key));
            Err(Failure::new(Kind::Retryable, "GetObject", place, error))
        }
    }
}

/// Fetches one file and sends its keys, until they end or nobody waits for them any more.
async fn read(
    bucket: &Bucket,
    manifest: &Manifest,
    file: &FileOf,
    keys: &Sender<Result<ObjectKey, Failure>>,
) -> Result<(), Failure> {
    let key = ObjectKey::new(file.key.clone());
    let key = key.map_err(|invalid| {
        let place = bucket.place(None);
        Failure::new(Kind::Permanent, "reading the inventory", place, invalid)
    })?;
    let fail = |error: FileError| {
        let place = bucket.place(Some(&key));
        Failure::new(Kind::Permanent, "reading the inventory", place, error)
    };
    let deadline = Instant::now() + PATIENCE;
    let request = bucket.site.client.get_object().bucket(&bucket.name);
    let request = request.key(key.as_str()).send();
    let mut body = send(bucket, Some(&key), "GetObject", deadline, request)
        .await?
        .body;
    let temporary = |error| fail(FileError::Temporary(error));
    let mut kept = tempfile::tempfile().map_err(temporary)?;
    let mut md5 = Md5::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| {
            let place = bucket.place(Some(&key));
            Failure::new(Kind::Retryable, "GetObject", place, error)
        })?;
        md5.update(&chunk);
        kept.write_all(&chunk).map_err(temporary)?;
    }
    let found = hexadecimal(&md5.finalize());
    if !found.eq_ignore_ascii_case(&file.md5) {
        let expected = file.md5.clone();
        return Err(fail(FileError::Checksum { found, expected }));
    }
    kept.rewind().map_err(temporary)?;
    let (manifest, keys) = (manifest.clone(), keys.clone());
    let decoded = tokio::task::spawn_blocking(move || {
        decode(kept, &manifest, |key| keys.blocking_send(Ok(key)).is_ok())
    });
    decoded.await.expect("reading does not panic").map_err(fail)
}

/// Hands out the keys of a file, while they are wanted.
fn decode(
    file: File,
    manifest: &Manifest,
    mut wanted: impl FnMut(ObjectKey) -> bool,
) -> Result<(), FileError> {
    let columns = &manifest.columns;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(MultiGzDecoder::new(file));
    let mut record = csv::StringRecord::new();
    let mut line = 0;
    while reader.read_record(&mut record).map_err(FileError::Csv)? {
        line += 1;
        if record.len() != columns.count {
            return Err(FileError::Columns {
                line,
                found: record.len(),
                expected: columns.count,
            });
        }
        if record[columns.bucket] != manifest.source {
            return Err(FileError::OtherBucket { line });
        }
        if columns.is_latest.is_some_and(|at| &record[at] == "false") {
            continue;
        }
        let key = ObjectKey::from_form_urlencoded(&record[columns.key]);
        let key = key.map_err(|invalid| FileError::Key { line, invalid })?;
        if !wanted(key) {
            break;
        }
    }
    Ok(())
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use rstest::rstest;

    use super::*;
    use crate::error::chain;

    const MANIFEST: &str = r#"{"sourceBucket": "master", "destinationBucket": "arn:aws:s3:::lists",
        "version": "2016-11-30", "creationTimestamp": "1514944800000", "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size",
        "files": [{"key": "inv/data/1.csv.gz", "size": 20, "MD5checksum": "abc"}]}"#;

    fn keys(text: &str) -> Result<Vec<String>, String> {
        let mut file = tempfile::tempfile().expect("a file");
        let mut encoder = GzEncoder::new(&mut file, Compression::fast());
        encoder.write_all(text.as_bytes()).expect("there is room");
        encoder.finish().expect("there is room");
        file.rewind().expect("a file");
        let manifest = Manifest::parse(MANIFEST.as_bytes()).expect("a manifest");
        let mut keys = Vec::new();
        let decoded = decode(file, &manifest, |key| {
            keys.push(key.as_str().to_owned());
            true
        });
        match decoded {
            Ok(()) => Ok(keys),
            Err(error) => Err(chain(&error)),
        }
    }

    #[test]
    fn manifest_says_where_the_files_are() {
        let manifest = Manifest::parse(MANIFEST.as_bytes()).expect("a manifest");
        assert_eq!(manifest.source, "master");
        assert_eq!(manifest.destination, "lists");
        assert_eq!(manifest.files[0].key, "inv/data/1.csv.gz");
    }

    #[rstest]
    #[case::parquet(&MANIFEST.replace("CSV", "Parquet"), "Parquet, and only CSV is read: set")]
    #[case::no_json("<Error/>", "no manifest")]
    #[case::cut_off(&MANIFEST[..300], "no manifest")]
    #[case::no_key(&MANIFEST.replace(" Key,", ""), "no column Key")]
    fn what_is_no_csv_manifest_is_refused(#[case] text: &str, #[case] named: &str) {
        let error = Manifest::parse(text.as_bytes()).expect_err("it is none");
        let error = chain(&error);
        assert!(error.contains(named), "{error}");
    }

    #[test]
    fn keys_are_decoded_and_old_versions_left_out() {
        let text = "\"master\",\"a+b%2Bc\",\"v2\",\"true\",\"false\",\"3\"\n\
                    \"master\",\"a+b%2Bc\",\"v1\",\"false\",\"false\",\"2\"\n\
                    \"master\",\"gone\",\"v1\",\"true\",\"true\",\"\"\n";
        assert_eq!(keys(text), Ok(vec!["a b+c".to_owned(), "gone".to_owned()]));
    }

    #[rstest]
    #[case::other_bucket("\"other\",\"a\",\"\",\"true\",\"false\",\"3\"\n", "line 1 is about")]
    #[case::too_few_columns("\"master\",\"a\"\n", "line 1 has 2 columns")]
    #[case::no_key(
        "\"master\",\"a%\",\"\",\"true\",\"false\",\"3\"\n",
        "line 1 names no key"
    )]
    fn line_that_is_none_is_named(#[case] text: &str, #[case] named: &str) {
        let error = keys(text).expect_err("it is corrupt");
        assert!(error.contains(named), "{error}");
    }

    #[test]
    fn file_that_is_cut_off_is_an_error() {
        let mut file = tempfile::tempfile().expect("a file");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let line = "\"master\",\"a\",\"\",\"true\",\"false\",\"3\"\n";
        encoder.write_all(line.as_bytes()).expect("there is room");
        let whole = encoder.finish().expect("there is room");
        file.write_all(&whole[..whole.len() - 4])
            .expect("there is room");
        file.rewind().expect("a file");
        let manifest = Manifest::parse(MANIFEST.as_bytes()).expect("a manifest");
        let error = decode(file, &manifest, |_| true).expect_err("it is cut off");
        assert!(matches!(error, FileError::Csv(_)));
    }
}
