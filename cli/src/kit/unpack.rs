//! A directory of files by their sha-256: what a kit is made of, as it is kept here
//! and sent.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use stint_api::id::Digest;
use stint_api::kit::{FILE_BYTES_MAX, ManifestFile};
use stint_api::quantity::Bytes;

use crate::failure::hinted;
use crate::random;

/// Bytes read and written at once.
const PIECE_BYTES: usize = 256 << 10;

/// The directory.
#[derive(Clone, Debug)]
pub(crate) struct Unpacked(PathBuf);

impl Unpacked {
    /// The directory at `path`, made where it is missing.
    pub(crate) fn at(path: PathBuf) -> anyhow::Result<Self> {
        crate::places::make(&path).with_context(|| format!("cannot make `{}`", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps all that `source` gives; what it is called and how large it is.
    pub(crate) fn keep(&self, path: &str, source: impl Read) -> anyhow::Result<ManifestFile> {
        let temporary = self.0.join(format!("{}.new", random::hex()?));
        let kept = self.write(&temporary, source);
        if kept.is_err() {
            drop(fs::remove_file(&temporary));
        }
        let (digest, bytes) = kept.with_context(|| format!("cannot unpack `{path}`"))?;
        Ok(ManifestFile {
            path: path.to_owned(),
            digest,
            bytes: Bytes(bytes),
        })
    }

    fn write(&self, temporary: &Path, source: impl Read) -> anyhow::Result<(Digest, u64)> {
        let mut source = source.take(FILE_BYTES_MAX + 1);
        let mut file = File::create(temporary)?;
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let count = match source.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            hash.update(&piece[..count]);
            file.write_all(&piece[..count])?;
            bytes += count as u64;
        }
        if bytes > FILE_BYTES_MAX {
            return Err(hinted(
                format!("it has more than {FILE_BYTES_MAX} bytes"),
                "no file of a kit may be larger",
            ));
        }
        let digest = Digest(hash.finalize().into());
        fs::rename(temporary, self.0.join(digest.hex()))?;
        Ok((digest, bytes))
    }

    /// Every file that is whole, in the order of their names.
    pub(crate) fn names(&self) -> io::Result<Vec<PathBuf>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let path = entry?.path();
            if path.extension().is_none() {
                names.push(path);
            }
        }
        names.sort();
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_kept_under_its_digest_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let files = Unpacked::at(dir.path().join("files")).unwrap();
        for _ in 0..2 {
            let file = files.keep("a/b", b"bytes".as_slice()).unwrap();
            assert_eq!((file.path.as_str(), file.bytes), ("a/b", Bytes(5)));
            assert_eq!(
                files.names().unwrap(),
                [files.path().join(file.digest.hex())]
            );
        }
    }
}
