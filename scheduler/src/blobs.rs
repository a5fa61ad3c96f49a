//! Modules on disk, by digest. A file is visible under its digest only when all
//! of it is there, is on the disk, has that digest and was scanned.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use stint_api::id::Digest;
use stint_api::kit::{Entry, Returns};
use stint_scan::{ModuleFacts, Rejection};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::files::{Files, Found, KeepError};
use crate::unneeded::Gate;

/// Uploads at once: each holds a file and a connection.
const UPLOADS_MAX: usize = 16;

/// Why a module was not taken, or cannot be given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlobError {
    #[error("the module is larger than {max} bytes, the most that this scheduler takes")]
    TooLarge { max: u64 },
    #[error("the body has the digest {found}, not {expected}")]
    Digest { expected: Digest, found: Digest },
    #[error("{0}")]
    Rejected(Rejection),
    #[error("cannot use {path}")]
    Io {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("the scan of a module broke off")]
    ScanBroke,
    #[error(transparent)]
    Keep(#[from] KeepError),
}

/// The directory of modules.
#[derive(Debug)]
pub(crate) struct Blobs {
    directory: PathBuf,
    bytes_max: u64,
    uploads: Semaphore,
    /// One at a time: a scan holds the whole module in memory.
    scans: Semaphore,
    next: AtomicU64,
    gate: Arc<Gate>,
}

/// A module that is being uploaded; dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Upload<'a> {
    blobs: &'a Blobs,
    _permit: SemaphorePermit<'a>,
    temporary: Arc<Temporary>,
    file: tokio::fs::File,
    hash: Sha256,
    bytes: u64,
}

/// A file that goes when nobody needs it; after a rename there is nothing to remove.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> BlobError + use<> {
    let path = path.to_owned();
    |cause| BlobError::Io { path, cause }
}

impl Blobs {
    /// The modules below `data_dir`; what a killed upload left is swept.
    pub(crate) fn open(data_dir: &Path, bytes_max: u64) -> std::io::Result<Self> {
        let directory = data_dir.join("modules");
        let temporary = directory.join("uploads");
        match std::fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::create_dir_all(&temporary)?;
        // A module that is acknowledged needs the directory that it is in.
        std::fs::File::open(data_dir)?.sync_all()?;
        Ok(Self {
            directory,
            bytes_max: bytes_max.min(stint_scan::limits::MODULE_BYTES_MAX),
            uploads: Semaphore::new(UPLOADS_MAX),
            scans: Semaphore::new(1),
            next: AtomicU64::new(0),
            gate: Arc::default(),
        })
    }

    /// Most bytes of a module.
    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Begins an upload, when its turn has come.
    pub(crate) async fn begin(&self) -> Result<Upload<'_>, BlobError> {
        let permit = self.uploads.acquire().await;
        let permit = permit.map_err(|_| BlobError::ScanBroke)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join("uploads").join(number.to_string());
        let temporary = Arc::new(Temporary(path));
        let file = tokio::fs::File::create_new(&temporary.0).await;
        Ok(Upload {
            blobs: self,
            _permit: permit,
            file: file.map_err(io(&temporary.0))?,
            temporary,
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    /// The file and size of a module, when it is there.
    pub(crate) async fn read(
        &self,
        digest: &Digest,
    ) -> Result<Option<(tokio::fs::File, u64)>, BlobError> {
        let path = self.path(digest);
        let file = match tokio::fs::File::open(&path).await {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(&path)(error)),
        };
        let size = file.metadata().await.map_err(io(&path))?.len();
        Ok(Some((file, size)))
    }

    /// Makes a file that was put the module of a kit, if it could be entered as `entry` says.
    pub(crate) async fn adopt(
        &self,
        file: Found,
        digest: Digest,
        entry: Entry,
    ) -> Result<ModuleFacts, BlobError> {
        let turn = self.scans.acquire().await;
        let _turn = turn.map_err(|_| BlobError::ScanBroke)?;
        let to = self.path(&digest);
        let gate = Arc::clone(&self.gate);
        let adopted = tokio::task::spawn_blocking(move || {
            let facts = adopt(&file, digest, &entry, &to)?;
            // It may have been there for long, for a module that was forgotten.
            gate.touch(&to).map_err(io(&to))?;
            Ok(facts)
        });
        adopted.await.map_err(|_| BlobError::ScanBroke)?
    }

    /// Removes modules that are not `needed` and were not touched after `before`; how
    /// many. Blocks.
    pub(crate) fn sweep(
        &self,
        needed: &BTreeSet<Digest>,
        before: SystemTime,
    ) -> std::io::Result<usize> {
        self.gate.sweep((&self.directory, ".wasm"), needed, before)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(format!("{}.wasm", digest.hex()))
    }
}

impl Upload<'_> {
    /// Takes the next bytes.
    pub(crate) async fn push(&mut self, bytes: &Bytes) -> Result<(), BlobError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.blobs.bytes_max {
            return Err(BlobError::TooLarge {
                max: self.blobs.bytes_max,
            });
        }
        self.hash.update(bytes);
        let written = self.file.write_all(bytes).await;
        written.map_err(io(&self.temporary.0))
    }

    /// Checks the digest; all of it is on the disk then.
    async fn settle(&mut self, expected: Digest) -> Result<(), BlobError> {
        let found = Digest(self.hash.finalize_reset().into());
        if found != expected {
            return Err(BlobError::Digest { expected, found });
        }
        self.file.flush().await.map_err(io(&self.temporary.0))?;
        self.file.sync_all().await.map_err(io(&self.temporary.0))
    }

    /// Checks the digest, and makes the file visible and durable; its size.
    pub(crate) async fn finish_file(
        mut self,
        expected: Digest,
        files: &Arc<Files>,
    ) -> Result<u64, BlobError> {
        self.settle(expected).await?;
        let (from, files, bytes) = (self.temporary, Arc::clone(files), self.bytes);
        let kept = tokio::task::spawn_blocking(move || files.keep(&from.0, &expected));
        kept.await.map_err(|_| BlobError::ScanBroke)??;
        Ok(bytes)
    }

    /// Checks digest and structure, and makes the module visible and durable.
    pub(crate) async fn finish(mut self, expected: Digest) -> Result<ModuleFacts, BlobError> {
        self.settle(expected).await?;
        let turn = self.blobs.scans.acquire().await;
        let _turn = turn.map_err(|_| BlobError::ScanBroke)?;
        let (from, to) = (self.temporary, self.blobs.path(&expected));
        let gate = Arc::clone(&self.blobs.gate);
        // The guard goes along: a request that is given up does not remove the file under the scan.
        let publish = tokio::task::spawn_blocking(move || publish(&from, &to, &gate));
        publish.await.map_err(|_| BlobError::ScanBroke)?
    }
}

fn publish(temporary: &Temporary, to: &Path, gate: &Gate) -> Result<ModuleFacts, BlobError> {
    let from = &temporary.0;
    let bytes = std::fs::read(from).map_err(io(from))?;
    let facts = stint_scan::scan(&bytes).map_err(BlobError::Rejected)?;
    let held = gate.hold();
    std::fs::rename(from, to).map_err(io(to))?;
    drop(held);
    sync_directory(to)?;
    Ok(facts)
}

fn adopt(file: &Found, digest: Digest, entry: &Entry, to: &Path) -> Result<ModuleFacts, BlobError> {
    let bytes = std::fs::read(&file.path).map_err(io(&file.path))?;
    let facts = scan(&bytes, entry).map_err(BlobError::Rejected)?;
    let (expected, found) = (digest, Digest(facts.digest));
    if found != expected {
        return Err(BlobError::Digest { expected, found });
    }
    let linked = if file.is_ours {
        std::fs::hard_link(&file.path, to)
    } else {
        std::os::unix::fs::symlink(&file.path, to)
    };
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(io(to)(error)),
        _ => sync_directory(to).map(|()| facts),
    }
}

fn scan(bytes: &[u8], entry: &Entry) -> Result<ModuleFacts, Rejection> {
    let stubs = entry.stubs.iter().map(|stub| stint_scan::Stub {
        module: &stub.module,
        name: &stub.name,
    });
    let entry = stint_scan::Entry {
        export: &entry.export,
        returns_code: entry.returns == Returns::Code,
        stubs: stubs.collect(),
    };
    stint_scan::scan_for(bytes, &entry)
}

/// Makes a name in the directory of `path` durable.
fn sync_directory(path: &Path) -> Result<(), BlobError> {
    let Some(directory) = path.parent() else {
        return Ok(());
    };
    std::fs::File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(io(directory))
}
