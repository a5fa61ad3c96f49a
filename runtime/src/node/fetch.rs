//! The bytes of a module, or of a file beside one, from the scheduler to the node's
//! disk: there whole and with the right digest, or not there.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use stint_api::client::{self, BlobBytes, Client};
use stint_api::id::Digest;
use stint_api::kit::FILE_BYTES_MAX;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

use super::cache;

/// Times that bytes are asked for: a scheduler that restarts is back sooner.
const TRIES: u32 = 6;
/// Wait before asking again; doubles.
const AGAIN: Duration = Duration::from_millis(100);
/// Most bytes of fetched modules, and of fetched files: a few of the largest. A
/// compiled module is not fetched again, nor are the files of a kit that is laid out.
const CACHE_BYTES_MAX: u64 = 4 << 30;

/// What is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blob {
    /// A module.
    Module,
    /// A file beside one, or a script.
    File,
}

impl Blob {
    const fn bytes_max(self) -> u64 {
        match self {
            Self::Module => stint_scan::limits::MODULE_BYTES_MAX,
            Self::File => FILE_BYTES_MAX,
        }
    }

    fn path(self, dir: &Path, digest: &Digest) -> PathBuf {
        match self {
            Self::Module => dir.join(format!("{}.wasm", digest.hex())),
            Self::File => dir.join(digest.hex()),
        }
    }

    async fn open(self, client: &Client, digest: &Digest) -> Result<BlobBytes, client::Error> {
        match self {
            Self::Module => client.module_bytes(digest).await,
            Self::File => client.file_bytes(digest).await,
        }
    }
}

/// Bytes could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the scheduler does not give it")]
    Link(#[from] client::Error),
    #[error("its bytes have another digest: {found}")]
    Digest { found: Digest },
    #[error("it has more than {max} bytes")]
    TooLarge { max: u64 },
    #[error("write {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Fetches what has this digest to a file in `dir`, unless it is there.
pub(crate) async fn fetch(
    client: &Client,
    blob: Blob,
    dir: &Path,
    digest: &Digest,
) -> Result<PathBuf, FetchError> {
    let path = blob.path(dir, digest);
    let failed = |source| FetchError::Io {
        path: path.clone(),
        source,
    };
    if fs::try_exists(&path).await.map_err(failed)? {
        return Ok(path);
    }
    let number = super::dir::random().map_err(failed)?;
    let temporary = path.with_added_extension(format!("{number:016x}.new"));
    let mut wait = AGAIN;
    for try_number in 1.. {
        match download(client, blob, digest, &temporary).await {
            Ok(()) => break,
            Err(FetchError::Link(error)) if error.is_transient() && try_number < TRIES => {
                tracing::debug!(%digest, ?blob, %error, "cannot be fetched yet");
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            Err(error) => {
                drop(fs::remove_file(&temporary).await);
                return Err(error);
            }
        }
    }
    fs::rename(&temporary, &path).await.map_err(failed)?;
    let (keep, dir) = (path.clone(), dir.to_owned());
    let trimmed = tokio::task::spawn_blocking(move || cache::trim(&dir, CACHE_BYTES_MAX, &keep));
    if let Ok(Err(error)) = trimmed.await {
        tracing::warn!(%error, "what was fetched cannot be trimmed");
    }
    Ok(path)
}

async fn download(
    client: &Client,
    blob: Blob,
    digest: &Digest,
    to: &Path,
) -> Result<(), FetchError> {
    let failed = |source| FetchError::Io {
        path: to.to_owned(),
        source,
    };
    let mut bytes = blob.open(client, digest).await?;
    let mut file = File::create(to).await.map_err(failed)?;
    let mut sha256 = Sha256::new();
    let mut size: u64 = 0;
    while let Some(chunk) = bytes.next().await? {
        size += chunk.len() as u64;
        let max = blob.bytes_max();
        if size > max {
            return Err(FetchError::TooLarge { max });
        }
        sha256.update(&chunk);
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    let found = Digest(sha256.finalize().into());
    if found == *digest {
        Ok(())
    } else {
        Err(FetchError::Digest { found })
    }
}
