//! What the guest sees of the host: WASI preview 1 over the plan's directories,
//! arguments and environment; real clocks; an empty stdin; no network.

use std::fmt;
use std::io;
use std::path::PathBuf;

use wasmtime::{Caller, Engine, Extern, Linker, Trap};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::bindings::random::random::Host as _;
use wasmtime_wasi::random::WasiRandomView as _;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::limiter::Limiter;
use crate::logs::Log;
use crate::plan::{Access, Plan};

/// Random bytes that the host makes at a time.
const RANDOM_CHUNK_BYTES: usize = 4 << 10;

/// What a store holds for its guest.
pub(crate) struct Host {
    wasi: WasiP1Ctx,
    pub(crate) limiter: Limiter,
}

impl Host {
    /// A host that is asked for types only and never called.
    pub(crate) fn for_types() -> Self {
        Self {
            wasi: WasiCtxBuilder::new().build_p1(),
            limiter: Limiter::new(0),
        }
    }
}

/// The guest called `proc_exit`. wasmtime-wasi's own ends in an error without the code when that is 126 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit(pub(crate) u32);

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit with code {}", self.0)
    }
}

impl std::error::Error for Exit {}

/// A step of the preparation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    #[error("the log {path} cannot be opened: {source}")]
    Log { path: PathBuf, source: io::Error },
    #[error("the directory {host} cannot be opened as {guest}: {message}")]
    Dir {
        host: PathBuf,
        guest: String,
        message: String,
    },
}

/// The functions that a guest may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    // The asynchronous ones, although nothing here runs at the same time: the
    // synchronous ones wait inside a runtime that they find entered, and a
    // runtime of one thread moves its timers only while it is itself waited on.
    // A guest that sleeps until a point in time would sleep for ever.
    p1::add_to_linker_async(&mut linker, |host: &mut Host| &mut host.wasi)?;
    linker.allow_shadowing(true);
    linker.func_wrap(
        stint_scan::HOST_MODULE,
        "proc_exit",
        |_: Caller<'_, Host>, code: u32| -> wasmtime::Result<()> { Err(Exit(code).into()) },
    )?;
    linker.func_wrap(stint_scan::HOST_MODULE, "random_get", random_get)?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// As WASI says, straight into the guest's memory. wasmtime-wasi's own makes all
/// bytes in the host's memory first, 64 MiB of them for a guest that has one
/// page, and ends the guest above that.
fn random_get(mut caller: Caller<'_, Host>, at: u32, len: u32) -> wasmtime::Result<u32> {
    const SUCCESS: u32 = 0;
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(Trap::MemoryOutOfBounds.into());
    };
    let (data, host) = memory.data_and_store_mut(&mut caller);
    let (at, len) = (usize::try_from(at)?, usize::try_from(len)?);
    let place = at
        .checked_add(len)
        .and_then(|end| data.get_mut(at..end))
        .ok_or(Trap::MemoryOutOfBounds)?;
    for chunk in place.chunks_mut(RANDOM_CHUNK_BYTES) {
        let bytes = host.wasi.random().get_random_bytes(chunk.len() as u64)?;
        chunk.copy_from_slice(&bytes);
    }
    Ok(SUCCESS)
}

/// The guest's side of `plan`, with its two logs.
pub(crate) fn host(plan: &Plan) -> Result<(Host, [Log; 2]), PrepareError> {
    let log = |path: &PathBuf| {
        Log::open(path, plan.log_bytes_max).map_err(|source| PrepareError::Log {
            path: path.clone(),
            source,
        })
    };
    let logs = [log(&plan.stdout)?, log(&plan.stderr)?];
    let [stdout, stderr] = logs.clone();
    let mut wasi = WasiCtxBuilder::new();
    // Before the directories, which remember it: file calls block this thread and start no other.
    wasi.allow_blocking_current_thread(true)
        .args(&plan.args)
        .envs(&plan.env)
        .stdout(stdout)
        .stderr(stderr)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    for dir in &plan.dirs {
        let perms = match dir.access {
            Access::Read => FsPerms::ReadOnly,
            Access::Write => FsPerms::ReadWrite,
        };
        wasi.preopened_dir(&dir.host, &dir.guest, perms)
            .map_err(|error| PrepareError::Dir {
                host: dir.host.clone(),
                guest: dir.guest.clone(),
                message: format!("{error:#}"),
            })?;
    }
    let host = Host {
        wasi: wasi.build_p1(),
        limiter: Limiter::new(plan.memory_limit_bytes),
    };
    Ok((host, logs))
}
