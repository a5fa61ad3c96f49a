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
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use crate::door::Door;

/// Bytes hashed at a time: large enough that the reads do not show.
const CHUNK_BYTES: usize = 256 << 10;

/// Where an artifact says what it is, in four bytes: among the flags of its ELF header.
const FLAGS_AT: u64 = 48;
/// The flag of a component.
const COMPONENT: u32 = 1 << 1;

/// What an artifact is.
pub(crate) enum Code {
    /// Of a core module.
    Module(Module),
    /// Of a component.
    Component(Component),
}

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
///
/// A component is mapped through `door`; without one it is copied, and the copy
/// is this process's own.
pub(crate) fn load(
    engine: &Engine,
    file: File,
    sha256: Option<&[u8; 32]>,
    door: Option<Door>,
) -> Result<Code, LoadError> {
    if let Some(expected) = sha256
        && hash(&file).map_err(LoadError::Read)? != *expected
    {
        return Err(LoadError::Changed);
    }
    let loaded = if is_component(&file).map_err(LoadError::Read)? {
        component(engine, &file, door)
            .map_err(LoadError::Read)?
            .map(Code::Component)
    } else {
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
        unsafe { Module::deserialize_open_file(engine, file) }.map(Code::Module)
    };
    loaded.map_err(|error| LoadError::Refused {
        message: format!("{error:#}"),
    })
}

/// Loads the component that `file` was found to be.
fn component(
    engine: &Engine,
    file: &File,
    door: Option<Door>,
) -> io::Result<wasmtime::Result<Component>> {
    let mapped = door.map(|door| {
        door.at_path(file, |path| {
            // SAFETY: as of a module in `load`, where the bytes of `file` were found to be
            // right. The path leads to that open file and to no other: it is its number, in
            // a directory of the kernel's that shows the open files of this process.
            unsafe { Component::deserialize_file(engine, path) }
        })
    });
    if let Some(mapped) = mapped.transpose()?.and_then(wasmtime::Result::ok) {
        return Ok(Ok(mapped));
    }
    let mut bytes = vec![0; usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut bytes, 0)?;
    // SAFETY: as above; these bytes are a copy of the same file.
    Ok(unsafe { Component::deserialize(engine, bytes) })
}

/// Only tells the two apart: which it is, wasmtime checks as it loads it.
fn is_component(file: &File) -> io::Result<bool> {
    let mut flags = [0; 4];
    match file.read_exact_at(&mut flags, FLAGS_AT) {
        Ok(()) => Ok(u32::from_le_bytes(flags) & COMPONENT != 0),
        // Too short to be either; to be refused as no module.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
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
