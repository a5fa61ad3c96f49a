//! Guests: the WebAssembly text files of `tests/jobs`, assembled on the way in.

use std::path::{Path, PathBuf};

/// Where the guests are.
pub fn jobs_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs")
}

/// Assembles `tests/jobs/NAME.wat` into `dir/NAME.wasm` and returns its path.
///
/// # Panics
/// When there is no such guest, or it is not WebAssembly text.
pub fn assemble(name: &str, dir: &Path) -> PathBuf {
    let source = jobs_dir().join(format!("{name}.wat"));
    let bytes = wat::parse_file(&source)
        .unwrap_or_else(|error| panic!("{} does not assemble: {error}", source.display()));
    let path = dir.join(format!("{name}.wasm"));
    std::fs::write(&path, bytes)
        .unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
    path
}
