//! Loading what a compiler process made. The one place with `unsafe`: an
//! artifact is machine code, and to load it is to trust it.

#![allow(
    unsafe_code,
    reason = "machine code cannot be checked, only its origin can; see `load`"
)]

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::{Engine, Module};

/// Bytes hashed at a time: large enough that the reads do not show.
const CHUNK_BYTES: usize = 256 << 10;

/// Why an artifact was not loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("the artifact {path} cannot be read: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("the artifact {path} is not the one that was compiled: its sha-256 is another")]
    Changed { path: PathBuf },
    #[error("the artifact {path} does not fit this engine: {message}")]
    Refused { path: PathBuf, message: String },
}

/// Loads the artifact at `path`, if its bytes are those that were hashed when it was compiled.
pub(crate) fn load(engine: &Engine, path: &Path, sha256: &[u8; 32]) -> Result<Module, LoadError> {
    let read = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(read)?;
    if hash(&mut file).map_err(read)? != *sha256 {
        return Err(LoadError::Changed {
            path: path.to_owned(),
        });
    }
    // SAFETY: the bytes must be those of `Engine::precompile_module` of this
    // version, and must not change while mapped. They are: the plan's hash was
    // taken by the keeper from the bytes that `compile` handed it, from no other
    // source, and `file` was just found to have that hash. The hash was read
    // through the same open file that is mapped here, so no other file can have
    // taken its place; and nobody writes to it, because artifacts stand in a
    // directory that only the node may write, under names of their content,
    // made once by rename and never opened for writing again. That the engine
    // is of the same version, profile and CPU is checked by wasmtime itself.
    let module = unsafe { Module::deserialize_open_file(engine, file) };
    module.map_err(|error| LoadError::Refused {
        path: path.to_owned(),
        message: format!("{error:#}"),
    })
}

fn hash(file: &mut File) -> io::Result<[u8; 32]> {
    let mut sha256 = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(sha256.finalize().into()),
            Ok(n) => sha256.update(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
