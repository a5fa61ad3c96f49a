//! The programs that are run. One that tells the time appends eight bytes to its
//! standard output: nanoseconds of the wall clock.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::Fault;

/// What every guest that tells the time begins with: the clock is asked as the first
/// thing that it does.
const STAMP: &str = r#"
  (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (func $stamp
    (drop (call $now (i32.const 0) (i64.const 1) (i32.const 16)))
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 8))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
"#;

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Does nothing.
    NoOp,
    /// Tells the time.
    Stamp,
    /// Tells the time, and exits with a code that is a failure.
    Fail,
    /// Computes for ever.
    Spin,
    /// Computes in its memory for ever.
    Compute,
    /// Fills 256 MiB for ever, in one instruction each time.
    Bulk,
    /// Sleeps for ever in a host call.
    Sleep,
    /// Tells the time, asks for more memory than it may have, and traps.
    Grow,
    /// Touches memory until there is none, and tells the time every 256 KiB.
    Touch,
}

impl Program {
    const fn name(self) -> &'static str {
        match self {
            Self::NoOp => "no-op",
            Self::Stamp => "stamp",
            Self::Fail => "fail",
            Self::Spin => "spin",
            Self::Compute => "compute",
            Self::Bulk => "bulk",
            Self::Sleep => "sleep",
            Self::Grow => "grow",
            Self::Touch => "touch",
        }
    }

    fn text(self) -> String {
        let (stamps, pages, body) = match self {
            Self::NoOp => {
                return r#"(module (memory (export "memory") 1) (func (export "_start")))"#
                    .to_owned();
            }
            Self::Sleep => return include_str!("../../../tests/jobs/sleep-forever.wat").to_owned(),
            Self::Spin => return include_str!("../../../tests/jobs/spin.wat").to_owned(),
            Self::Compute => return include_str!("../../../tests/jobs/compute.wat").to_owned(),
            Self::Stamp => (true, 1, "call $stamp"),
            Self::Fail => (true, 1, "call $stamp unreachable"),
            Self::Bulk => (
                false,
                4096,
                "(loop $again (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x10000000)) (br $again))",
            ),
            Self::Grow => (
                true,
                1,
                "call $stamp (drop (memory.grow (i32.const 1024))) unreachable",
            ),
            Self::Touch => (
                true,
                4096,
                "(local $at i32) (local.set $at (i32.const 65536))
                 (loop $again
                   (if (i32.eqz (i32.and (local.get $at) (i32.const 0x3ffff))) (then (call $stamp)))
                   (i32.store (local.get $at) (i32.const 1))
                   (local.set $at (i32.add (local.get $at) (i32.const 4096)))
                   (br_if $again (i32.lt_u (local.get $at) (i32.const 0x10000000))))",
            ),
        };
        let stamp = if stamps { STAMP } else { "" };
        format!(
            r#"(module {stamp} (memory (export "memory") {pages}) (func (export "_start") {body}))"#
        )
    }
}

/// A program, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Artifact {
    pub(crate) path: PathBuf,
    pub(crate) sha256: [u8; 32],
}

/// Its module.
pub(crate) fn module(program: Program) -> Result<Vec<u8>, Fault> {
    Ok(wat::parse_str(program.text())?)
}

/// Its artifact in `dir`, made where it is missing.
pub(crate) fn artifact(dir: &Path, program: Program) -> Result<Artifact, Fault> {
    let path = dir.join(program.name());
    if !path.exists() {
        fs::write(&path, stint_sandbox::compile(&module(program)?)?)?;
    }
    let sha256 = Sha256::digest(fs::read(&path)?).into();
    Ok(Artifact { path, sha256 })
}

/// The artifact of a module that tells the time, and that nobody has seen before: of
/// each `number` it is another.
pub(crate) fn unseen(dir: &Path, number: u32) -> Result<Artifact, Fault> {
    let text = Program::Stamp.text().replacen(
        "(memory",
        &format!("(global i32 (i32.const {number})) (memory"),
        1,
    );
    let compiled = stint_sandbox::compile(&wat::parse_str(text)?)?;
    let path = dir.join(format!("unseen-{number}"));
    fs::write(&path, &compiled)?;
    let sha256 = Sha256::digest(&compiled).into();
    Ok(Artifact { path, sha256 })
}

/// The last time that a guest told, since the epoch.
pub(crate) fn last_stamp(stdout: &Path) -> Result<Duration, Fault> {
    let text = fs::read(stdout)?;
    let (_, stamp) = text.split_last_chunk::<8>().ok_or("it told no time")?;
    Ok(Duration::from_nanos(u64::from_le_bytes(*stamp)))
}
