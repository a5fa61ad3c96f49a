//! One attempt, from its plan to its end, on the thread that calls.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use stint_api::outcome::Outcome;
use stint_api::quantity::Bytes;
use wasmtime::{Module, Store};

use crate::artifact;
use crate::interrupt::Interrupt;
use crate::io::{Meter, Moved};
use crate::limiter::Limiter;
use crate::logs::Log;
use crate::outcome::{NotEntered, classify};
use crate::plan::Plan;
use crate::wasi::{self, Host};

/// What the guest is entered by; the scan has seen that it is there and of the right type.
const ENTRY: &str = "_start";
/// Epochs until a guest is interrupted: the next one, since only an [`Interrupt`] moves it.
const EPOCHS: u64 = 1;
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
    /// Ended before the guest was there.
    fn not_started(outcome: Outcome) -> Self {
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

/// Runs one attempt to its end. Blocks; starts no thread; must not be called from an asynchronous task.
pub fn run(plan: &Plan, interrupt: &Interrupt) -> Ran {
    let attempt = catch_unwind(AssertUnwindSafe(|| attempt(plan, interrupt)));
    attempt.unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Ran::not_started(Outcome::EngineFault {
            message: format!("the host panicked: {}", said.unwrap_or("without a word")),
        })
    })
}

fn attempt(plan: &Plan, interrupt: &Interrupt) -> Ran {
    let prepared = match prepare(plan, interrupt) {
        Ok(prepared) => prepared,
        Err(outcome) => return Ran::not_started(outcome),
    };
    let Prepared {
        module,
        host,
        logs,
        runtime,
    } = prepared;
    let mut store = Store::new(interrupt.engine(), host);
    store.limiter(|host| &mut host.limiter);
    store.set_epoch_deadline(EPOCHS);
    // A guest's buffer is never larger than its memory, which may pass the
    // engine's default; and what the host copies for it stays within as much again.
    let hostcall = plan.memory_limit_bytes.max(HOSTCALL_BYTES_MIN);
    store.set_hostcall_fuel(usize::try_from(hostcall).unwrap_or(usize::MAX));
    let meter = Meter::start();
    let ended = if interrupt.is_raised() {
        // Before the deadline was set, so that the guest would not have noticed.
        Err(wasmtime::Trap::Interrupt.into())
    } else {
        runtime.block_on(enter(&mut store, &module))
    };
    let moved = meter.stop();
    finish(ended, &store.data().limiter, moved, &logs)
}

/// What a guest needs before its first instruction.
struct Prepared {
    module: Module,
    host: Host,
    logs: [Log; 2],
    runtime: tokio::runtime::Runtime,
}

fn prepare(plan: &Plan, interrupt: &Interrupt) -> Result<Prepared, Outcome> {
    let failed = |step: String| Outcome::StartFailed { step };
    if plan.profile != interrupt.profile() {
        return Err(failed(format!(
            "the plan is for engine profile `{}`, the worker for `{}`",
            plan.profile,
            interrupt.profile()
        )));
    }
    let (host, logs) = wasi::host(plan).map_err(|error| failed(error.to_string()))?;
    let module = artifact::load(interrupt.engine(), &plan.artifact, &plan.artifact_sha256)
        .map_err(|error| failed(error.to_string()))?;
    // Timers only: no socket is ever opened, so there is nothing to poll for.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| failed(format!("the timer cannot be set up: {error}")))?;
    Ok(Prepared {
        module,
        host,
        logs,
        runtime,
    })
}

/// Instantiates and calls. On a stack of its own, as asynchronous calls are, yet always on this thread.
async fn enter(store: &mut Store<Host>, module: &Module) -> wasmtime::Result<()> {
    let linker = wasi::linker(store.engine())?;
    let instance = linker
        .instantiate_async(&mut *store, module)
        .await
        .map_err(|error| error.context(NotEntered))?;
    let entry = instance.get_typed_func::<(), ()>(&mut *store, ENTRY)?;
    entry.call_async(store, ()).await
}

fn finish(ended: wasmtime::Result<()>, limiter: &Limiter, moved: Moved, logs: &[Log; 2]) -> Ran {
    Ran {
        outcome: classify(ended, limiter),
        peak_guest_memory: Bytes(limiter.peak()),
        refused_growth: Bytes(limiter.refused_max()),
        read: Bytes(moved.read),
        written: Bytes(moved.written),
        logs_dropped_bytes: logs.iter().map(Log::dropped).sum(),
    }
}
