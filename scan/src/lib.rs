//! Whether a file is a module that a node could run, told from its structure
//! alone: cheap enough for the scheduler, which never compiles, and the same
//! answer on the node before it spends a compiler on it.
//!
//! A module is a core module, or a component of several.
//!
//! What is checked: the header, every section's form and count, imports by
//! name, the entry and the memories, and what the shape of its code says about the
//! cost of compiling it. What is not: the types inside function bodies, which only
//! the compiler looks at (outcome `compile-failed`), and whether imports have the
//! host's signatures, which the node knows (outcome `module-rejected`).

mod component;
mod cost;
mod entry;
mod facts;
mod first_bytes;
mod host;
pub mod limits;
mod rejection;
mod sections;
mod signature;
mod walk;

use sha2::{Digest as _, Sha256};

pub use entry::{Entry, Stub};
pub use facts::{Import, Kind, ModuleFacts, Profile};
pub use host::{HOST_MODULE, interfaces, is_host_import, is_host_interface};
pub use rejection::Rejection;

/// Reads the structure of `bytes`, a command.
///
/// # Errors
/// Why no node could run it, and what to do about that.
pub fn scan(bytes: &[u8]) -> Result<ModuleFacts, Rejection> {
    scan_for(bytes, &Entry::COMMAND)
}

/// Reads the structure of `bytes`, which are to be entered as `entry` says.
///
/// # Errors
/// Why no node could run it, and what to do about that.
pub fn scan_for(bytes: &[u8], entry: &Entry<'_>) -> Result<ModuleFacts, Rejection> {
    limits::check(
        "the module",
        "bytes",
        bytes.len() as u64,
        limits::MODULE_BYTES_MAX,
    )?;
    let kind = first_bytes::check(bytes)?;
    let (found, entry) = match kind {
        Kind::Core => (walk::walk(bytes, entry)?, entry.export.to_owned()),
        Kind::Component => component::walk(bytes, entry)?,
    };
    Ok(ModuleFacts {
        digest: Sha256::digest(bytes).into(),
        size: bytes.len() as u64,
        kind,
        entry,
        memory_min_bytes: found.memory_min_bytes,
        imports: found.imports,
        profile: found.profile,
    })
}

#[cfg(test)]
mod component_tests;
#[cfg(test)]
mod tests;
