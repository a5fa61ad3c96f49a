//! A compiler: the process that turns one module into an artifact, and nothing
//! else. Compiling is the cheapest way to hurt a node, so the process holds
//! itself to a budget, beside what its leaf cgroup holds it to.

pub(crate) mod protocol;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use rustix::process::Resource;
use sha2::{Digest as _, Sha256};
use stint_api::id::Digest;
use stint_api::outcome::Outcome;
use stint_sandbox::compile_for;

use crate::child::{self, ChildError};
use crate::hearing::Ear;
use protocol::{Compilation, FromCompiler, SPEECH};

/// Seconds between the signal that says the CPU time is over, which ends the
/// process and tells the keeper why, and the kill of a process that does not die of it.
const CPU_GRACE_SECONDS: u64 = 1;

/// Compiles the one module that the keeper, whose process id is the first of `args`, tells of.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    child::exit(work(args))
}

fn work(mut args: impl Iterator<Item = OsString>) -> Result<(), ChildError> {
    child::bind(child::keeper(args.next())?)?;
    child::confess_panics(SPEECH, |message| FromCompiler::Fault { message });
    let heard = Ear::new(SPEECH).hear()?.ok_or(ChildError::Orphan)?;
    let task: Compilation = heard.message;
    confine(&task)?;
    let answer = match make(&task) {
        Ok(sha256) => FromCompiler::Compiled { sha256 },
        // Not a word about the module.
        Err(Outcome::EngineFault { message }) => FromCompiler::Fault { message },
        Err(outcome) => FromCompiler::Refused { outcome },
    };
    child::say(SPEECH, &answer)
}

/// Puts the budget on this process, before a byte of the module is read.
fn confine(task: &Compilation) -> Result<(), ChildError> {
    let cpu_max = task.cpu_seconds.saturating_add(CPU_GRACE_SECONDS);
    child::limit_between(Resource::Cpu, task.cpu_seconds, cpu_max)?;
    child::limit(Resource::Fsize, task.output_bytes)?;
    if let Some(bytes) = task.data_bytes {
        child::limit(Resource::Data, bytes)?;
    }
    Ok(())
}

/// The artifact's sha-256, once it is in its place.
fn make(task: &Compilation) -> Result<Digest, Outcome> {
    let wasm = read(&task.wasm).map_err(failed("read", &task.wasm))?;
    let artifact = compile_for(&wasm, &task.entry)?;
    // Before any of it is written: hashed later it could be another's bytes.
    let sha256 = Digest(Sha256::digest(&artifact).into());
    write_whole(&task.artifact, &artifact).map_err(failed("write", &task.artifact))?;
    Ok(sha256)
}

/// All of a module; of a file too large to be one, just enough for the scan to say so.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut wasm = Vec::new();
    File::open(path)?
        .take(stint_scan::limits::MODULE_BYTES_MAX + 1)
        .read_to_end(&mut wasm)?;
    Ok(wasm)
}

/// Writes a file so that it is there whole or not at all, on the disk for good.
/// What a compiler that was killed leaves has one name, and the next one writes over it.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_added_extension("partial");
    let mut file = File::create(&partial)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        fs::remove_file(&partial)?;
        return Err(error);
    }
    fs::rename(&partial, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Outcome {
    let what = format!("compile: {what} {}", path.display());
    move |error| Outcome::StartFailed {
        step: format!("{what}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A task in `dir`, with this module.
    fn task(dir: &Path, wasm: &[u8]) -> Compilation {
        let task = Compilation {
            wasm: dir.join("module"),
            entry: stint_api::kit::Entry::default(),
            artifact: dir.join("artifact"),
            cpu_seconds: 1,
            output_bytes: 1,
            data_bytes: None,
        };
        fs::write(&task.wasm, wasm).unwrap();
        task
    }

    fn names(dir: &Path) -> Vec<String> {
        let names = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn an_artifact_is_there_whole_under_the_hash_that_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let wasm = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
        let task = task(dir.path(), &wasm);
        // What a compiler that was killed left.
        fs::write(dir.path().join("artifact.partial"), "half").unwrap();
        let sha256 = make(&task).unwrap();
        let artifact = fs::read(&task.artifact).unwrap();
        assert_eq!(sha256.0, <[u8; 32]>::from(Sha256::digest(&artifact)));
        assert_eq!(names(dir.path()), ["artifact", "module"]);
        assert_eq!(make(&task).unwrap(), sha256, "compiling is deterministic");
    }

    #[test]
    fn a_module_that_is_none_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let task = task(dir.path(), b"hello");
        let outcome = make(&task).unwrap_err();
        assert_eq!(outcome.reason(), "module-rejected");
        assert_eq!(names(dir.path()), ["module"]);
    }

    #[test]
    fn what_the_disk_refuses_is_no_fault_of_the_module() {
        let dir = tempfile::tempdir().unwrap();
        let wasm = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
        let mut task = task(dir.path(), &wasm);
        task.artifact = dir.path().join("missing/artifact");
        let outcome = make(&task).unwrap_err();
        assert_eq!(outcome.reason(), "start-failed");
        assert!(outcome.to_string().contains("missing"), "{outcome}");
        task.wasm = dir.path().join("gone");
        let outcome = make(&task).unwrap_err();
        assert_eq!(outcome.reason(), "start-failed");
        assert!(outcome.to_string().contains("gone"), "{outcome}");
    }
}
