//! Pushing a module, or putting a file: its digest first, then its bytes as they are
//! read, so that one of any size takes little memory.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::CONTENT_LENGTH;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio_util::io::ReaderStream;

use super::{Client, Error};
use crate::id::{Digest, Namespace};
use crate::kit::FileView;
use crate::view::ModuleView;

/// Longest upload; a connection that is dead is noticed long before.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(3_600);
/// How much is read and sent at once.
const PIECE_BYTES: usize = 64 << 10;
/// Above this size it pays to ask first whether the module is there.
const ASK_FIRST_BYTES: u64 = 256 << 10;

impl Client {
    /// Pushes the module in the file at `path`; one that is there already is not sent again.
    ///
    /// # Errors
    /// When the file cannot be read, the module is refused, or no answer could be had.
    pub async fn push_module(
        &self,
        namespace: &Namespace,
        path: &Path,
    ) -> Result<ModuleView, Error> {
        let (digest, size) = digest_of(path.to_owned()).await?;
        if size > ASK_FIRST_BYTES
            && let Ok(module) = self.module(namespace, &digest).await
        {
            return Ok(module);
        }
        let digest = digest.to_string();
        let query = [("namespace", namespace.as_str()), ("digest", &digest)];
        self.upload("/v1/modules", &query, path, size).await
    }

    /// Puts the file at `path`, a script or a file of a kit; one that is there already
    /// is not sent again.
    ///
    /// # Errors
    /// When the file cannot be read, it is refused, or no answer could be had.
    pub async fn put_file(&self, path: &Path) -> Result<FileView, Error> {
        let (digest, size) = digest_of(path.to_owned()).await?;
        if size > ASK_FIRST_BYTES
            && let Ok(file) = self.file(&digest).await
        {
            return Ok(file);
        }
        let digest = digest.to_string();
        let query = [("digest", digest.as_str())];
        self.upload("/v1/files", &query, path, size).await
    }

    /// What is known about a file.
    ///
    /// # Errors
    /// When there is none of that digest, or no answer could be had.
    pub async fn file(&self, digest: &Digest) -> Result<FileView, Error> {
        let path = format!("/v1/files/{digest}");
        self.fetch(self.request(Method::GET, &path, &[])).await
    }

    async fn upload<T: DeserializeOwned>(
        &self,
        to: &str,
        query: &[(&str, &str)],
        path: &Path,
        size: u64,
    ) -> Result<T, Error> {
        let file = tokio::fs::File::open(path)
            .await
            .map_err(|source| unreadable(path, source))?;
        let pieces = ReaderStream::with_capacity(file, PIECE_BYTES);
        let request = self
            .request(Method::PUT, to, query)
            .header(CONTENT_LENGTH, size)
            .timeout(UPLOAD_TIMEOUT)
            .body(reqwest::Body::wrap_stream(pieces));
        let response = request
            .send()
            .await
            .map_err(|error| Error::transport(self.server(), error))?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        self.decode(response).await
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        path: path.to_owned(),
        source,
    }
}

/// The sha-256 and the size in bytes of a file.
async fn digest_of(path: PathBuf) -> Result<(Digest, u64), Error> {
    let at = path.clone();
    let task = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(&path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; PIECE_BYTES];
        let mut size = 0;
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok((Digest(hash.finalize().into()), size));
            }
            hash.update(&buffer[..read]);
            size += read as u64;
        }
    });
    match task.await {
        Ok(digest) => digest.map_err(|source| unreadable(&at, source)),
        Err(stopped) => Err(unreadable(&at, std::io::Error::other(stopped))),
    }
}
