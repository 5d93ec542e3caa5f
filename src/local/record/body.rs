//! Bodies: short ones stand in the recording's lines, others are files in a folder beside it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::fs;
use tokio::io::AsyncWriteExt;

use super::RecordError;
use super::observe::ReadError;
use crate::local::recording::Body;

/// The longest body that stands in a line, in bytes.
const INLINE: u64 = 4096;

/// The folder of a recording's bodies; it is made when there is one.
#[derive(Debug)]
pub(super) struct Bodies {
    folder: PathBuf,
    name: String,
}

impl Bodies {
    /// `x.bodies` for `x.jsonl`.
    pub(super) fn beside(recording: &Path) -> Self {
        let folder = recording.with_extension("bodies");
        let name = folder.file_name().unwrap_or_default();
        Self {
            name: name.to_string_lossy().into_owned(),
            folder,
        }
    }

    /// Takes a body of this size in. Equal bodies are kept once.
    pub(super) async fn take(
        &mut self,
        size: u64,
        stream: ByteStream,
    ) -> Result<Body, RecordError> {
        if size <= INLINE {
            let bytes = stream.collect().await.map_err(unread)?.into_bytes();
            return Ok(inline(bytes));
        }
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| RecordError::Write { path, source }
        };
        let folder = fs::create_dir_all(&self.folder).await;
        folder.map_err(failed(&self.folder))?;
        let unfinished = self.folder.join("unfinished");
        let mut file = fs::File::create(&unfinished)
            .await
            .map_err(failed(&unfinished))?;
        let (mut stream, mut hash) = (stream, Sha256::new());
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(unread)?;
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(failed(&unfinished))?;
        }
        file.flush().await.map_err(failed(&unfinished))?;
        let mut name = String::new();
        for byte in &hash.finalize()[..8] {
            write!(name, "{byte:02x}").expect("a string takes all that is written");
        }
        let path = self.folder.join(&name);
        let renamed = fs::rename(&unfinished, &path).await;
        renamed.map_err(failed(&path))?;
        Ok(Body::File {
            name: format!("{}/{name}", self.name),
            path,
            size,
        })
    }
}

/// Text where it is text, so that people can read it.
fn inline(bytes: Bytes) -> Body {
    match std::str::from_utf8(&bytes) {
        Ok(text) => Body::Text(text.to_owned()),
        Err(_) => Body::Base64(bytes),
    }
}

fn unread(error: impl std::error::Error + Send + Sync + 'static) -> RecordError {
    RecordError::Read(ReadError::passing("GetObject", error))
}
