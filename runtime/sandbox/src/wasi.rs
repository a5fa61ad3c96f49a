//! What a core module sees of the host: WASI preview 1 over the plan's directories,
//! arguments and environment; real clocks; an empty stdin; no network.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use wasmtime::{Caller, Engine, Extern, Linker, Trap};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, WasiView as _};

use crate::given::{Entered, Given};
use crate::here::Here;
use crate::limiter::Limiter;
use crate::logs::Log;
use crate::plan::{Access, Guest};
use crate::pulse::Pulse;

/// Random bytes that the host makes at a time.
const RANDOM_CHUNK_BYTES: usize = 4 << 10;

/// What a store holds for its guest.
pub(crate) struct Host {
    wasi: WasiP1Ctx,
    pub(crate) limiter: Limiter,
    pulse: Option<Pulse>,
}

impl Host {
    /// A host that is asked for types only and never called.
    pub(crate) fn for_types() -> Self {
        Self {
            wasi: WasiCtxBuilder::new().build_p1(),
            limiter: Limiter::new(0),
            pulse: None,
        }
    }

    /// What the guest calls: every call of its host comes through here.
    pub(crate) fn called(&mut self) -> &mut WasiP1Ctx {
        if let Some(pulse) = &mut self.pulse {
            pulse.beat();
        }
        &mut self.wasi
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
    #[error("the working directory cannot be kept: {0}")]
    Here(io::Error),
    #[error("{guest} cannot be entered: {message}")]
    Dir { guest: String, message: String },
}

/// The functions that a guest may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    // The asynchronous ones, although nothing here runs at the same time: the
    // synchronous ones wait inside a runtime that they find entered, and a
    // runtime of one thread moves its timers only while it is itself waited on.
    // A guest that sleeps until a point in time would sleep for ever.
    p1::add_to_linker_async(&mut linker, Host::called)?;
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
/// page, and ends the guest above that. And its generator would be copied by a
/// fork: the kernel's gives no two workers the same.
fn random_get(mut caller: Caller<'_, Host>, at: u32, len: u32) -> wasmtime::Result<u32> {
    const SUCCESS: u32 = 0;
    caller.data_mut().called();
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(Trap::MemoryOutOfBounds.into());
    };
    let (at, len) = (usize::try_from(at)?, usize::try_from(len)?);
    let place = at
        .checked_add(len)
        .and_then(|end| memory.data_mut(&mut caller).get_mut(at..end))
        .ok_or(Trap::MemoryOutOfBounds)?;
    for chunk in place.chunks_mut(RANDOM_CHUNK_BYTES) {
        getrandom::fill(chunk)?;
    }
    Ok(SUCCESS)
}

/// From the kernel.
pub(crate) fn random_u64() -> wasmtime::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// The guest's side of an attempt, with its two logs.
pub(crate) fn host(guest: &Guest, given: &Given) -> Result<(Host, [Log; 2]), PrepareError> {
    let logs = given.logs.clone();
    let [stdout, stderr] = logs.clone();
    let mut wasi = WasiCtxBuilder::new();
    // Before the directories, which remember it: file calls block this thread and start no other.
    wasi.allow_blocking_current_thread(true)
        .args(&guest.args)
        .envs(&guest.env)
        .stdout(stdout)
        .stderr(stderr)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    let entered = given.entered.get();
    if entered.is_none() {
        enter(&mut wasi, guest, &given.dirs)?;
    }
    let mut wasi = wasi.build_p1();
    let filesystem = wasi.ctx().ctx.filesystem();
    match entered {
        Some(entered) => filesystem.clone_from(&entered.0),
        None => drop(given.entered.set(Entered(filesystem.clone()))),
    }
    let host = Host {
        wasi,
        limiter: Limiter::new(guest.memory_limit_bytes),
        pulse: given.pulse,
    };
    Ok((host, logs))
}

/// Lets the guest see `dirs`. The engine takes paths only, so each directory is
/// entered, and opened as the one that we are in.
fn enter(wasi: &mut WasiCtxBuilder, guest: &Guest, dirs: &[OwnedFd]) -> Result<(), PrepareError> {
    if dirs.is_empty() {
        return Ok(());
    }
    let here = Here::keep().map_err(PrepareError::Here)?;
    let entered = guest.dirs.iter().zip(dirs).try_for_each(|(seen, dir)| {
        let failed = |message| PrepareError::Dir {
            guest: seen.guest.clone(),
            message,
        };
        let perms = match seen.access {
            Access::Read => FsPerms::ReadOnly,
            Access::Write => FsPerms::ReadWrite,
        };
        here.go(dir).map_err(|error| failed(error.to_string()))?;
        wasi.preopened_dir(".", &seen.guest, perms)
            .map(drop)
            .map_err(|error| failed(format!("{error:#}")))
    });
    here.back().map_err(PrepareError::Here)?;
    entered
}
