//! A module's bytes, from the scheduler to the node's disk: there whole and with
//! the right digest, or not there.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use stint_api::client::{self, Client};
use stint_api::id::Digest;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

use super::{cache, dir};

/// Times that a module is asked for: a scheduler that restarts is back sooner.
const TRIES: u32 = 6;
/// Wait before asking again; doubles.
const AGAIN: Duration = Duration::from_millis(100);
/// Most bytes of fetched modules: a few of the largest. A compiled module is not
/// fetched again.
const CACHE_BYTES_MAX: u64 = 4 << 30;

/// A module could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the scheduler does not give it")]
    Link(#[from] client::Error),
    #[error("its bytes have another digest: {found}")]
    Digest { found: Digest },
    #[error("it has more than {} bytes", stint_scan::limits::MODULE_BYTES_MAX)]
    TooLarge,
    #[error("write {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Fetches `module` to a file in `modules`, unless it is there.
pub(crate) async fn fetch(
    client: &Client,
    modules: &Path,
    module: &Digest,
) -> Result<PathBuf, FetchError> {
    let path = modules.join(format!("{}.wasm", module.hex()));
    let failed = |source| FetchError::Io {
        path: path.clone(),
        source,
    };
    if fs::try_exists(&path).await.map_err(failed)? {
        return Ok(path);
    }
    let number = dir::random().map_err(failed)?;
    let temporary = path.with_added_extension(format!("{number:016x}.new"));
    let mut wait = AGAIN;
    for try_number in 1.. {
        match download(client, module, &temporary).await {
            Ok(()) => break,
            Err(FetchError::Link(error)) if error.is_transient() && try_number < TRIES => {
                tracing::debug!(%module, %error, "a module cannot be fetched yet");
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
    let (keep, modules) = (path.clone(), modules.to_owned());
    let trimmed =
        tokio::task::spawn_blocking(move || cache::trim(&modules, CACHE_BYTES_MAX, &keep));
    if let Ok(Err(error)) = trimmed.await {
        tracing::warn!(%error, "fetched modules cannot be trimmed");
    }
    Ok(path)
}

async fn download(client: &Client, module: &Digest, to: &Path) -> Result<(), FetchError> {
    let failed = |source| FetchError::Io {
        path: to.to_owned(),
        source,
    };
    let mut bytes = client.module_bytes(module).await?;
    let mut file = File::create(to).await.map_err(failed)?;
    let mut sha256 = Sha256::new();
    let mut size: u64 = 0;
    while let Some(chunk) = bytes.next().await? {
        size += chunk.len() as u64;
        if size > stint_scan::limits::MODULE_BYTES_MAX {
            return Err(FetchError::TooLarge);
        }
        sha256.update(&chunk);
        file.write_all(&chunk).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    let found = Digest(sha256.finalize().into());
    if found == *module {
        Ok(())
    } else {
        Err(FetchError::Digest { found })
    }
}
