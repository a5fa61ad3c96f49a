//! Compiled modules on disk. To load one is to run it, so only what this user's
//! keepers compiled counts: the directory is nobody else's to write, and each
//! file's name is the sha-256 of its bytes, which is read again before first use.
//!
//! ```text
//! artifacts/<module>-<profile>-<compatibility>/<sha-256>.cwasm
//! ```

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use stint_api::id::Digest;
use stint_sandbox::{Profile, artifact_key};

use super::cache;
use super::dir::{self, DirError};

/// Most bytes of compiled modules: a hundred of the largest.
const CACHE_BYTES_MAX: u64 = 32 << 30;
/// Suffix of a compiled module.
const SUFFIX: &str = "cwasm";
/// Bytes hashed at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// The directory of compiled modules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactsError {
    /// It cannot be made.
    #[error(transparent)]
    Dir(#[from] DirError),
    /// It cannot be looked at.
    #[error("the directory of compiled modules {}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Somebody else could put code there.
    #[error(
        "{}: other users may write here, so compiled modules in it cannot be trusted; \
         make it yours alone (chmod 700), or name another directory", path.display()
    )]
    Shared {
        /// The directory.
        path: PathBuf,
    },
}

/// A compiled module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// The sha-256 of its bytes.
    pub(crate) sha256: Digest,
    /// The engine profile that it was compiled for.
    pub(crate) profile: Profile,
}

impl Artifact {
    /// Marks it as used now; fails when it was trimmed away.
    pub(crate) fn touch(&self) -> io::Result<()> {
        fs::metadata(&self.path)?;
        cache::touch(self.path.parent().unwrap_or(&self.path))
    }
}

/// The directory of compiled modules.
#[derive(Clone, Debug)]
pub(crate) struct Artifacts {
    root: PathBuf,
}

impl Artifacts {
    /// Makes the directory where it is missing, and checks that it is ours alone.
    pub(crate) fn open(root: &Path) -> Result<Self, ArtifactsError> {
        const WRITABLE_BY_OTHERS: u32 = 0o022;
        dir::make(root)?;
        let look = || {
            let root = root.canonicalize()?;
            let metadata = fs::metadata(&root)?;
            Ok((root, metadata))
        };
        let (root, metadata) = look().map_err(|source| ArtifactsError::Io {
            path: root.to_owned(),
            source,
        })?;
        let ours = metadata.uid() == rustix::process::geteuid().as_raw();
        if !ours || metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(ArtifactsError::Shared { path: root });
        }
        Ok(Self { root })
    }

    /// The compiled form of `module`, if it is there and whole. Blocks on the disk.
    pub(crate) fn find(&self, module: &Digest) -> Option<Artifact> {
        [Profile::Plain, Profile::Exceptions]
            .into_iter()
            .find_map(|profile| self.find_for(module, profile))
    }

    fn find_for(&self, module: &Digest, profile: Profile) -> Option<Artifact> {
        let entry = self.root.join(artifact_key(&module.0, profile));
        for file in fs::read_dir(&entry).ok()? {
            let path = file.ok()?.path();
            let Some(sha256) = named(&path) else {
                continue;
            };
            if hash(&path).is_ok_and(|found| found == sha256) {
                let artifact = Artifact {
                    path,
                    sha256,
                    profile,
                };
                return artifact.touch().ok().map(|()| artifact);
            }
            tracing::warn!(path = %path.display(), "a compiled module is damaged; it will be compiled again");
            drop(fs::remove_file(&path));
        }
        None
    }

    /// Where a compiler shall put the compiled form of `module`; the directory is made.
    pub(crate) fn place(&self, module: &Digest, profile: Profile) -> io::Result<PathBuf> {
        let entry = self.root.join(artifact_key(&module.0, profile));
        fs::create_dir_all(&entry)?;
        Ok(entry.join(format!("{:016x}.new", dir::random()?)))
    }

    /// Keeps what a compiler put at `place`, whose bytes have this sha-256.
    pub(crate) fn keep(
        &self,
        place: &Path,
        sha256: Digest,
        profile: Profile,
    ) -> io::Result<Artifact> {
        let entry = place.parent().unwrap_or(&self.root);
        let path = entry.join(format!("{}.{SUFFIX}", sha256.hex()));
        fs::rename(place, &path)?;
        File::open(entry)?.sync_all()?;
        cache::trim(&self.root, CACHE_BYTES_MAX, entry)?;
        Ok(Artifact {
            path,
            sha256,
            profile,
        })
    }
}

/// The sha-256 that a compiled module's name claims.
fn named(path: &Path) -> Option<Digest> {
    if path.extension()? != SUFFIX {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok()
}

fn hash(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut sha256 = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(Digest(sha256.finalize().into())),
            Ok(count) => sha256.update(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const MODULE: Digest = Digest([1; 32]);

    fn kept(artifacts: &Artifacts, profile: Profile, bytes: &[u8]) -> Artifact {
        let place = artifacts.place(&MODULE, profile).unwrap();
        fs::write(&place, bytes).unwrap();
        let sha256 = Digest(Sha256::digest(bytes).into());
        artifacts.keep(&place, sha256, profile).unwrap()
    }

    #[test]
    fn what_was_compiled_is_found_again_with_its_profile() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(&dir.path().join("a/b")).unwrap();
        assert_eq!(artifacts.find(&MODULE), None);
        let kept = kept(&artifacts, Profile::Exceptions, b"code");
        assert_eq!(artifacts.find(&MODULE), Some(kept));
        assert_eq!(artifacts.find(&Digest([2; 32])), None);
    }

    #[test]
    fn what_was_damaged_since_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(&dir.path().join("a")).unwrap();
        let artifact = kept(&artifacts, Profile::Plain, b"code");
        fs::write(&artifact.path, b"evil").unwrap();
        assert_eq!(artifacts.find(&MODULE), None);
        assert!(artifact.touch().is_err());
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = Artifacts::open(dir.path()).unwrap_err();
        assert!(matches!(error, ArtifactsError::Shared { .. }), "{error}");
    }
}
