//! One attempt, from its first instruction to its end, on the thread that calls.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use stint_api::kit::{Entry, Returns};
use stint_api::outcome::Outcome;
use stint_api::quantity::Bytes;
use wasmtime::{Instance, Store, Trap};

use crate::berth::{Berth, Linked, Loaded};
use crate::component;
use crate::interrupt::Interrupt;
use crate::io::{Meter, Moved};
use crate::limiter::Limiter;
use crate::logs::Log;
use crate::outcome::{NotEntered, classify};
use crate::wasi::{Exit, Host};

/// Least that one host call may take in from a guest, however small its memory is said to be.
const HOSTCALL_BYTES_MIN: u64 = 1 << 20;

/// How an attempt ended and what it used, as seen from inside the worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// How it ended.
    pub outcome: Outcome,
    /// The most that the guest's memories and tables had together.
    pub peak_guest_memory: Bytes,
    /// The largest size that a refused growth would have made; 0 when none was refused.
    pub refused_growth: Bytes,
    /// Bytes read from files while the guest ran; 0 where `/proc` is not to be had.
    pub read: Bytes,
    /// Bytes written to files and logs while the guest ran; 0 where `/proc` is not to be had.
    pub written: Bytes,
    /// Bytes of stdout and stderr together that were not kept.
    pub logs_dropped_bytes: u64,
}

impl Ran {
    /// Ended so, and nothing was counted.
    pub fn unknown(outcome: Outcome) -> Self {
        Self {
            outcome,
            peak_guest_memory: Bytes(0),
            refused_growth: Bytes(0),
            read: Bytes(0),
            written: Bytes(0),
            logs_dropped_bytes: 0,
        }
    }
}

/// One attempt, all of whose files are open and whose module is loaded.
pub struct Attempt<'a> {
    pub(crate) berth: &'a Berth<'a>,
    pub(crate) loaded: &'a Loaded,
    pub(crate) host: Host,
    pub(crate) logs: [Log; 2],
    pub(crate) memory_limit_bytes: u64,
}

impl std::fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").finish_non_exhaustive()
    }
}

impl Attempt<'_> {
    /// Runs it to its end. Blocks; starts no thread; must not be called from an asynchronous task.
    pub fn run(self) -> Ran {
        let ran = catch_unwind(AssertUnwindSafe(|| self.enter()));
        ran.unwrap_or_else(|panic| {
            let said = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            Ran::unknown(Outcome::EngineFault {
                message: format!("the host panicked: {}", said.unwrap_or("without a word")),
            })
        })
    }

    fn enter(self) -> Ran {
        let Self {
            berth,
            loaded,
            host,
            logs,
            memory_limit_bytes,
        } = self;
        let interrupt = berth.interrupt;
        let mut store = Store::new(interrupt.engine(), host);
        store.limiter(|host| &mut host.limiter);
        // A guest's buffer is never larger than its memory, which may pass the
        // engine's default; and what the host copies for it stays within as much again.
        let hostcall = memory_limit_bytes.max(HOSTCALL_BYTES_MIN);
        store.set_hostcall_fuel(usize::try_from(hostcall).unwrap_or(usize::MAX));
        let meter = Meter::start(&berth.account);
        let ended = berth.runtime.block_on(call(&mut store, loaded, interrupt));
        let moved = meter.stop();
        finish(ended, &store.data().limiter, moved, &logs)
    }
}

/// Instantiates and calls. On a stack of its own, as asynchronous calls are, yet always on this thread.
async fn call(
    store: &mut Store<Host>,
    loaded: &Loaded,
    interrupt: &Interrupt,
) -> wasmtime::Result<()> {
    if interrupt.is_raised() {
        return Err(Trap::Interrupt.into());
    }
    let (linked, entry) = match &loaded.0 {
        Linked::Module { instance, entry } => (instance, entry),
        Linked::Component(linked) => return component::call(store, linked).await,
    };
    let instance = linked
        .instantiate_async(&mut *store)
        .await
        .map_err(|error| error.context(NotEntered))?;
    let _held = interrupt.hold(store, &instance);
    let entered = enter(store, entry, &instance, interrupt).await;
    entered.map_err(|error| match error.downcast_ref() {
        // What it touched was taken away, or nearly was.
        Some(Trap::MemoryOutOfBounds) if interrupt.is_raised() => Trap::Interrupt.into(),
        _ => error,
    })
}

async fn enter(
    store: &mut Store<Host>,
    entry: &Entry,
    instance: &Instance,
    interrupt: &Interrupt,
) -> wasmtime::Result<()> {
    if interrupt.is_raised() {
        // Before there was a memory to withdraw, so that the guest would not notice.
        return Err(Trap::Interrupt.into());
    }
    // The scan has seen that it is there and of the right type.
    match entry.returns {
        Returns::Nothing => {
            let entry = instance.get_typed_func::<(), ()>(&mut *store, &entry.export)?;
            entry.call_async(store, ()).await
        }
        Returns::Code => {
            let entry = instance.get_typed_func::<(), u32>(&mut *store, &entry.export)?;
            match entry.call_async(store, ()).await? {
                0 => Ok(()),
                code => Err(Exit(code).into()),
            }
        }
    }
}

fn finish(ended: wasmtime::Result<()>, limiter: &Limiter, moved: Moved, logs: &[Log; 2]) -> Ran {
    Ran {
        outcome: classify(ended, limiter),
        peak_guest_memory: Bytes(limiter.peak()),
        refused_growth: Bytes(limiter.refused_max()),
        read: Bytes(moved.read),
        written: Bytes(moved.written),
        logs_dropped_bytes: logs.iter().map(Log::finish).sum(),
    }
}
