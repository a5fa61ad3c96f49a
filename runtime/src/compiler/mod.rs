//! A compiler: the process that turns one module into an artifact, and nothing
//! else. Compiling is the cheapest way to hurt a node, so the process holds
//! itself to a budget, beside what its leaf cgroup holds it to.

pub(crate) mod protocol;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;

use rustix::process::{Pid, Resource};
use sha2::{Digest as _, Sha256};
use stint_api::id::Digest;
use stint_api::outcome::Outcome;
use stint_jail::{ArmError, LayerSet};
use stint_sandbox::compile_for;

use crate::child::{self, ChildError};
use crate::hearing::Ear;
use crate::jail::Cell;
use protocol::{Compilation, FromCompiler, SPEECH};

/// Seconds between the signal that says the CPU time is over, which ends the
/// process and tells the keeper why, and the kill of a process that does not die of it.
const CPU_GRACE_SECONDS: u64 = 1;

/// Compiles the one module that the keeper, whose process id is the first of `args`, tells of.
pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    child::exit(work(args))
}

fn work(mut args: impl Iterator<Item = OsString>) -> Result<(), ChildError> {
    let keeper = child::keeper(args.next())?;
    child::bind(keeper)?;
    child::confess_panics(SPEECH, |message| FromCompiler::Fault { message });
    let heard = Ear::new(SPEECH).hear()?.ok_or(ChildError::Orphan)?;
    let task: Compilation = heard.message;
    confine(&task)?;
    let made = Files::open(&task).and_then(|files| {
        let _cell = jailed(&task, &files, keeper)?;
        make(&task, files)
    });
    let answer = match made {
        Ok(sha256) => FromCompiler::Compiled { sha256 },
        // Not a word about the module.
        Err(Outcome::EngineFault { message }) => FromCompiler::Fault { message },
        Err(outcome) => FromCompiler::Refused { outcome },
    };
    child::say(SPEECH, &answer)
}

/// Closes the jail around this process, with nothing in it but the two files.
fn jailed(task: &Compilation, files: &Files, keeper: Pid) -> Result<Cell, Outcome> {
    let kept = [files.wasm.as_fd(), files.artifact.as_fd()];
    let violation = FromCompiler::Violation { call: u32::MAX };
    let jail = |error: ArmError| Outcome::StartFailed {
        step: format!("compile: {error}"),
    };
    let entered = task
        .jail
        .enter(keeper, LayerSet::NONE, &kept, SPEECH, &violation);
    let mut cell = entered.map_err(jail)?;
    cell.close(Vec::new(), false).map_err(jail)?;
    Ok(cell)
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

/// What a compiler reads and writes.
struct Files {
    wasm: File,
    artifact: File,
}

impl Files {
    fn open(task: &Compilation) -> Result<Self, Outcome> {
        Ok(Self {
            wasm: File::open(&task.wasm).map_err(failed("read", &task.wasm))?,
            artifact: File::create(&task.artifact).map_err(failed("write", &task.artifact))?,
        })
    }
}

/// The artifact's sha-256, once it is in its place, on the disk for good.
fn make(task: &Compilation, mut files: Files) -> Result<Digest, Outcome> {
    let wasm = read(files.wasm).map_err(failed("read", &task.wasm))?;
    let artifact = compile_for(&wasm, &task.entry)?;
    // Before any of it is written: hashed later it could be another's bytes.
    let sha256 = Digest(Sha256::digest(&artifact).into());
    let written = files.artifact.write_all(&artifact);
    let written = written.and_then(|()| files.artifact.sync_all());
    written.map_err(failed("write", &task.artifact))?;
    Ok(sha256)
}

/// All of a module; of a file too large to be one, just enough for the scan to say so.
fn read(file: File) -> io::Result<Vec<u8>> {
    let mut wasm = Vec::new();
    file.take(stint_scan::limits::MODULE_BYTES_MAX + 1)
        .read_to_end(&mut wasm)?;
    Ok(wasm)
}

fn failed(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Outcome {
    let what = format!("compile: {what} {}", path.display());
    move |error| Outcome::StartFailed {
        step: format!("{what}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use stint_jail::LayerSet;

    use super::*;
    use crate::jail::Jail;

    /// A task in `dir`, with this module.
    fn task(dir: &Path, wasm: &[u8]) -> Compilation {
        let task = Compilation {
            wasm: dir.join("module"),
            entry: stint_api::kit::Entry::default(),
            artifact: dir.join("artifact"),
            cpu_seconds: 1,
            output_bytes: 1,
            data_bytes: None,
            jail: Jail {
                need: LayerSet::NONE,
                identity: None,
            },
        };
        fs::write(&task.wasm, wasm).unwrap();
        task
    }

    fn made(task: &Compilation) -> Result<Digest, Outcome> {
        Files::open(task).and_then(|files| make(task, files))
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
        fs::write(dir.path().join("artifact"), "half").unwrap();
        let sha256 = made(&task).unwrap();
        let artifact = fs::read(&task.artifact).unwrap();
        assert_eq!(sha256.0, <[u8; 32]>::from(Sha256::digest(&artifact)));
        assert_eq!(names(dir.path()), ["artifact", "module"]);
        assert_eq!(made(&task).unwrap(), sha256, "compiling is deterministic");
    }

    #[test]
    fn a_module_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let task = task(dir.path(), b"hello");
        let outcome = made(&task).unwrap_err();
        assert_eq!(outcome.reason(), "module-rejected");
    }

    #[test]
    fn what_the_disk_refuses_is_no_fault_of_the_module() {
        let dir = tempfile::tempdir().unwrap();
        let wasm = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
        let mut task = task(dir.path(), &wasm);
        task.artifact = dir.path().join("missing/artifact");
        let outcome = made(&task).unwrap_err();
        assert_eq!(outcome.reason(), "start-failed");
        assert!(outcome.to_string().contains("missing"), "{outcome}");
        task.wasm = dir.path().join("gone");
        let outcome = made(&task).unwrap_err();
        assert_eq!(outcome.reason(), "start-failed");
        assert!(outcome.to_string().contains("gone"), "{outcome}");
    }
}
