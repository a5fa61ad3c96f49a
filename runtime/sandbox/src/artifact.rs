//! Loading what a compiler process made. The one place with `unsafe`: an
//! artifact is machine code, and to load it is to trust it.

#![allow(
    unsafe_code,
    reason = "machine code cannot be checked, only its origin can; see `load`"
)]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use sha2::{Digest, Sha256};
use wasmtime::{Engine, Module};

/// Bytes hashed at a time: large enough that the reads do not show.
const CHUNK_BYTES: usize = 256 << 10;

/// Why an artifact was not loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("the artifact cannot be read: {0}")]
    Read(io::Error),
    #[error("the artifact is not the one that was compiled: its sha-256 is another")]
    Changed,
    #[error("the artifact does not fit this engine: {message}")]
    Refused { message: String },
}

/// Loads the artifact in `file`, if its bytes are those that were hashed when it
/// was compiled. Without a hash to compare it was compared before, by another
/// reader of the same open file: a large artifact takes longer to hash than to run.
pub(crate) fn load(
    engine: &Engine,
    file: File,
    sha256: Option<&[u8; 32]>,
) -> Result<Module, LoadError> {
    if let Some(expected) = sha256
        && hash(&file).map_err(LoadError::Read)? != *expected
    {
        return Err(LoadError::Changed);
    }
    // SAFETY: the bytes must be those of `Engine::precompile_module` of this
    // version, and must not change while mapped. They are: the hash was taken by
    // the keeper from the bytes that `compile` handed it, from no other source,
    // and `file` was found to have that hash, now or when the keeper first gave
    // it to a worker. It was read through the same open file that is mapped here,
    // so no other file can have taken its place; and nobody writes to it, because
    // artifacts stand in a directory that only the node may write, under names of
    // their content, made once by rename and never opened for writing again. The
    // one other caller, warming up, gives what this process or its zygote compiled,
    // in memory that was sealed against writing then. That the engine is of the same version,
    // profile and CPU is checked by wasmtime itself.
    let module = unsafe { Module::deserialize_open_file(engine, file) };
    module.map_err(|error| LoadError::Refused {
        message: format!("{error:#}"),
    })
}

/// Reads by position: the place in an open file is one for all who were given it.
fn hash(file: &File) -> io::Result<[u8; 32]> {
    let mut sha256 = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = 0;
    loop {
        match file.read_at(&mut chunk, at) {
            Ok(0) => return Ok(sha256.finalize().into()),
            Ok(count) => {
                sha256.update(&chunk[..count]);
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
