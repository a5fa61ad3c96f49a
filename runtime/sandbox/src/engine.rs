//! How the engine is set: every feature that a module does not need is off, and
//! what compiles and what runs agree, so that artifacts fit.

use std::num::NonZeroUsize;
use std::sync::Arc;

use stint_scan::Profile;
use wasmtime::{Collector, Config, Engine, WasmBacktraceDetails};

use crate::stack::Stacks;

/// The stack that a guest may fill: what a native program has by default, so
/// that what recurses there recurses here.
const GUEST_STACK_BYTES: usize = 8 << 20;
/// Beside the guest's stack, for the host functions that run above its frames.
const HOST_STACK_BYTES: usize = 2 << 20;
/// Address space of each linear memory: all that a 32-bit address can name, so that
/// it needs no checks and never moves.
pub(crate) const MEMORY_RESERVED_BYTES: usize = 1 << 32;
/// Most frames of a backtrace: enough to see who called, and no more for a recursion.
pub(crate) const BACKTRACE_FRAMES_MAX: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// The engine cannot be made on this machine.
#[derive(Debug, thiserror::Error)]
#[error("the engine cannot be set up for profile `{profile}`")]
pub struct EngineError {
    /// For which profile.
    pub profile: Profile,
    /// What the engine said.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// An engine that compiles.
pub(crate) fn compiling(profile: Profile) -> Result<Engine, EngineError> {
    make(profile, config(profile))
}

/// An engine that runs artifacts of [`compiling`]'s and holds no compiler: a worker never compiles.
pub(crate) fn running(profile: Profile) -> Result<Engine, EngineError> {
    let mut config = config(profile);
    config.enable_compiler(false);
    config.with_host_stack(Arc::new(Stacks::default()));
    make(profile, config)
}

fn make(profile: Profile, config: Config) -> Result<Engine, EngineError> {
    Engine::new(&config).map_err(|error| EngineError {
        profile,
        source: error.into(),
    })
}

fn config(profile: Profile) -> Config {
    let exceptions = match profile {
        Profile::Plain => false,
        Profile::Exceptions => true,
    };
    let mut config = Config::new();
    config
        .wasm_memory64(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        // A way to put core modules together, which gives their code nothing: only a
        // file that is a component has any use of it.
        .wasm_component_model(true)
        .wasm_stack_switching(false)
        .wasm_custom_page_sizes(false)
        .wasm_wide_arithmetic(false)
        .shared_memory(false)
        // Exception objects live in the collector's heap; nothing else may.
        .gc_support(exceptions)
        .wasm_exceptions(exceptions)
        .memory_reservation(MEMORY_RESERVED_BYTES as u64)
        .memory_may_move(false)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(GUEST_STACK_BYTES + HOST_STACK_BYTES)
        .memory_init_cow(true)
        // Names come from the name section. Debug information would be parsed
        // at the trap, in the guest's own memory allowance, and hostile at that.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES_MAX))
        // For other people's debuggers; the engine unwinds by frame pointers.
        .native_unwind_info(false);
    if exceptions {
        config.collector(Collector::DeferredReferenceCounting);
    }
    config
}
