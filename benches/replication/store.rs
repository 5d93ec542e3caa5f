//! The store that all are measured on: MinIO as a plain process on a loopback port.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier, Tag,
    Tagging,
};
use aws_sdk_s3::{Client, Config};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::runtime::Runtime;

use super::{Fallible, pause};

/// Who we are at the store.
pub(crate) const KEYS: (&str, &str) = ("benchmark", "benchmark-secret");

/// Requests of ours at once.
const AT_ONCE: usize = 16;

/// A store with a folder of its own; both go when it is dropped.
pub(crate) struct Minio {
    child: Child,
    folder: PathBuf,
    pub(crate) address: String,
    client: Client,
    runtime: Runtime,
}

/// Where MinIO's binary is: `MINIO`, or what continuous integration has built.
pub(crate) fn find(cache: &Path) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("MINIO") {
        return Some(PathBuf::from(path)).filter(|path| path.is_file());
    }
    let folders = fs::read_dir(cache).ok()?.flatten();
    let binaries = folders
        .filter(|folder| folder.file_name().to_string_lossy().starts_with("minio-"))
        .map(|folder| folder.path().join("minio"));
    binaries.filter(|path| path.is_file()).max()
}

impl Minio {
    /// Starts the binary with these buckets in a new folder; with `certificates`, a folder as MinIO
    /// wants it, over TLS.
    pub(crate) fn start(
        binary: &Path,
        folder: &Path,
        certificates: Option<&Path>,
        buckets: &[&str],
    ) -> Fallible<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        let data = folder.join("data");
        fs::create_dir_all(&data)?;
        for bucket in buckets {
            fs::create_dir(data.join(bucket))?;
        }
        // Free a moment ago; MinIO cannot be told to choose one itself and say which.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let log = File::create(folder.join("log"))?;
        let mut command = Command::new(binary);
        command.args(["server", "--quiet", "--address", &address]);
        if let Some(certificates) = certificates {
            command.arg("--certs-dir").arg(certificates);
        }
        let child = command
            .arg(data)
            .env("MINIO_ROOT_USER", KEYS.0)
            .env("MINIO_ROOT_PASSWORD", KEYS.1)
            .env("MINIO_BROWSER", "off")
            .env("MINIO_PROMETHEUS_AUTH_TYPE", "public")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .credentials_provider(Credentials::new(KEYS.0, KEYS.1, None, None, "benchmark"))
            .region(Region::from_static("us-east-1"))
            .endpoint_url(format!("http://{address}"))
            .force_path_style(true);
        let minio = Self {
            child,
            folder: folder.to_owned(),
            address,
            client: Client::from_conf(config.build()),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        };
        match certificates {
            Some(_) => minio.wait(|minio| TcpStream::connect(&minio.address).is_ok())?,
            None => minio.wait(|minio| {
                let buckets = minio.client.list_buckets().send();
                minio.runtime.block_on(buckets).is_ok()
            })?,
        }
        Ok(minio)
    }

    fn wait(&self, is_ready: impl Fn(&Self) -> bool) -> Fallible<()> {
        let give_up = Instant::now() + Duration::from_secs(60);
        while !is_ready(self) {
            if Instant::now() > give_up {
                let said = fs::read_to_string(self.folder.join("log"))?;
                return Err(format!("MinIO does not answer: {said}").into());
            }
            pause(Duration::from_millis(50));
        }
        Ok(())
    }

    pub(crate) fn create_bucket(&self, bucket: &str) -> Fallible<()> {
        let request = self.client.create_bucket().bucket(bucket);
        self.runtime.block_on(request.send())?;
        Ok(())
    }

    /// Tags a master with its targets.
    pub(crate) fn set_targets(&self, master: &str, targets: &[String]) -> Fallible<()> {
        let tag = Tag::builder()
            .key("ReplicatedTargetBuckets")
            .value(targets.join(" "));
        let tagging = Tagging::builder().tag_set(tag.build()?).build()?;
        let request = self.client.put_bucket_tagging().bucket(master);
        self.runtime.block_on(request.tagging(tagging).send())?;
        Ok(())
    }

    /// Puts a small object at each key, every one with bytes of its own.
    pub(crate) fn put_all(&self, bucket: &str, keys: &[String], tags: &str) -> Fallible<()> {
        let puts = keys.iter().enumerate().map(|(number, key)| {
            let body: Vec<u8> = noise(number as u64 + 1).take(1024).collect();
            let request = self.client.put_object().bucket(bucket).key(key);
            let request = request.body(ByteStream::from(body));
            let request = request.metadata("owner", "benchmark");
            let request = request.checksum_algorithm(ChecksumAlgorithm::Crc32);
            let tags = Some(tags.to_owned()).filter(|tags| !tags.is_empty());
            request.set_tagging(tags).send()
        });
        let puts = stream::iter(puts).buffer_unordered(AT_ONCE);
        let done = puts.try_for_each(|_| async { Ok(()) });
        Ok(self.runtime.block_on(done)?)
    }

    /// Uploads an object of equal parts: with checksums, as today's AWS tools do, or without.
    pub(crate) fn put_parts(
        &self,
        bucket: &str,
        key: &str,
        part: usize,
        count: i32,
        checksum: Option<ChecksumAlgorithm>,
    ) -> Fallible<()> {
        let block: Vec<u8> = noise(7).take(1024 * 1024).collect();
        let body = Bytes::from(block.repeat(part / block.len()));
        let (client, body) = (&self.client, &body);
        let calculation = &Config::builder().request_checksum_calculation(match checksum {
            Some(_) => RequestChecksumCalculation::WhenSupported,
            None => RequestChecksumCalculation::WhenRequired,
        });
        self.runtime.block_on(async {
            let upload = client.create_multipart_upload().bucket(bucket).key(key);
            let upload = upload.set_checksum_algorithm(checksum.clone());
            let upload = upload.send().await?;
            let id = upload.upload_id().ok_or("an upload without an id")?;
            let parts = stream::iter(1..=count).map(async |number| {
                let request = client.upload_part().bucket(bucket).key(key).upload_id(id);
                let request = request
                    .part_number(number)
                    .set_checksum_algorithm(checksum.clone());
                let request = request.body(ByteStream::from(body.clone())).customize();
                let done = request.config_override(calculation.clone()).send().await?;
                let part = CompletedPart::builder().part_number(number);
                let part = part.set_e_tag(done.e_tag().map(ToOwned::to_owned));
                let part = part.set_checksum_crc32(done.checksum_crc32().map(ToOwned::to_owned));
                Fallible::Ok(part.build())
            });
            let parts = parts.buffered(2).try_collect::<Vec<_>>().await?;
            let parts = CompletedMultipartUpload::builder().set_parts(Some(parts));
            let complete = client.complete_multipart_upload().bucket(bucket).key(key);
            let complete = complete.upload_id(id).multipart_upload(parts.build());
            complete.send().await?;
            Ok(())
        })
    }

    /// Deletes every object of a bucket, from the disk too.
    pub(crate) fn empty(&self, bucket: &str) -> Fallible<()> {
        while self.delete_page(bucket)? > 0 {}
        // MinIO keeps what was deleted for minutes; the disk would be full by then.
        let trash = fs::read_dir(self.folder.join("data/.minio.sys/tmp/.trash"));
        for deleted in trash.into_iter().flatten().flatten() {
            // It may be at it itself.
            let _ = fs::remove_dir_all(deleted.path());
        }
        Ok(())
    }

    /// Deletes as many objects as one listing names; tells how many.
    fn delete_page(&self, bucket: &str) -> Fallible<usize> {
        self.runtime.block_on(async {
            let request = self.client.list_objects_v2().bucket(bucket);
            let listed = request.send().await?;
            let keys = listed.contents().iter().filter_map(|object| object.key());
            let objects = keys.map(|key| ObjectIdentifier::builder().key(key).build());
            let objects = objects.collect::<Result<Vec<_>, _>>()?;
            let count = objects.len();
            if count > 0 {
                let delete = Delete::builder().set_objects(Some(objects)).quiet(true);
                let request = self.client.delete_objects().bucket(bucket);
                request.delete(delete.build()?).send().await?;
            }
            Ok(count)
        })
    }

    /// How many objects a bucket has, and their bytes.
    pub(crate) fn content(&self, bucket: &str) -> Fallible<(usize, i64)> {
        let pages = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .into_paginator();
        self.runtime.block_on(async {
            let (mut pages, mut count, mut bytes) = (pages.send(), 0, 0);
            while let Some(page) = pages.next().await {
                for object in page?.contents() {
                    count += 1;
                    bytes += object.size().unwrap_or_default();
                }
            }
            Ok((count, bytes))
        })
    }

    /// How many requests the store has answered so far, by their names.
    pub(crate) fn requests(&self) -> Fallible<BTreeMap<String, u64>> {
        let metrics = self.metrics("api/requests")?;
        let lines = metrics.lines().filter_map(|line| {
            let line = line.strip_prefix("minio_api_requests_total{name=\"")?;
            let (name, rest) = line.split_once('"')?;
            Some((name.to_owned(), value(rest)?))
        });
        Ok(lines.collect())
    }

    /// How many bytes the store has sent in answers so far. It tells this of a bucket as well, but
    /// not always in time.
    pub(crate) fn sent(&self) -> Fallible<u64> {
        let metrics = self.metrics("api/requests")?;
        let mut lines = metrics.lines();
        let sent = lines.find(|line| line.starts_with("minio_api_requests_traffic_sent_bytes"));
        Ok(sent.and_then(value).unwrap_or(0))
    }

    fn metrics(&self, of: &str) -> Fallible<String> {
        let mut connection = TcpStream::connect(&self.address)?;
        write!(
            connection,
            "GET /minio/metrics/v3/{of} HTTP/1.0\r\nhost: {}\r\n\r\n",
            self.address
        )?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        Ok(answer)
    }
}

impl Drop for Minio {
    fn drop(&mut self) {
        // Whatever is left here is removed by the next start.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The figure at the end of a line of metrics.
fn value(line: &str) -> Option<u64> {
    let value: f64 = line.rsplit(' ').next()?.parse().ok()?;
    // Counters are whole, if written as floats.
    Some(value.round().max(0.0) as u64)
}

/// Bytes that do not compress, the same for the same seed.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let next = |state: &u64| {
        Some(
            state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    };
    std::iter::successors(Some(seed), next)
        .skip(1)
        .map(|state| (state >> 56) as u8)
}
