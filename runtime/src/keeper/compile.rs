//! One compilation: a compiler process in its own leaf cgroup, held to a budget
//! that grows with the module. A module of 25 KB can ask for a minute and
//! gigabytes, so the step is governed like a guest.

use std::fs;
use std::io;

use rustix::process::Signal;
use stint_api::id::Digest;
use stint_api::outcome::Outcome;
use stint_api::quantity::Bytes;
use stint_api::time::Span;
use stint_cgroup::Limits;

use super::clock::BootTime;
use super::limits::{Holding, PIDS_MAX, chain};
use super::process::{self, Death, Process};
use super::protocol::CompileOrder;
use super::slot::Ready;
use super::wire::{Flow, WireError};
use crate::COMPILER_VERB;
use crate::compiler::protocol::{Compilation, FromCompiler, SPEECH};

const MEBI: u64 = 1 << 20;
const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// A compiler is one thread.
const CPU_MILLICORES: u32 = 1_000;
/// Wall time for each second of CPU time: compilers share the machine with full slots.
const WALL_FACTOR: u64 = 6;
/// Wall time on top: a compiler that waits for the disk uses no CPU.
const WALL_EXTRA: Span = Span::from_secs(30);
/// Reads of a dead compiler's socket: more than the kernel buffers.
const LAST_READS_MAX: usize = 64;

/// What compiling a module may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// CPU seconds: 10, and 3 for each MiB of module, unless the order says otherwise.
    cpu_seconds: u64,
    /// Memory: 1 GiB, and 32 MiB for each MiB of module.
    memory: Bytes,
    /// Artifact: 64 MiB, and 8 times the module.
    output: Bytes,
    /// Backstop for what neither computes nor ends.
    wall: Span,
}

impl Budget {
    /// What the order names, else what the module's size gives.
    fn of_order(order: &CompileOrder) -> Self {
        match order.budget {
            None => Self::of(order.module_bytes),
            Some(budget) => Self::new(
                budget.cpu.as_nanos().div_ceil(NANOS_PER_SECOND),
                budget.memory,
                budget.output,
            ),
        }
    }

    fn of(module: Bytes) -> Self {
        let mebis = module.0.div_ceil(MEBI);
        Self::new(
            mebis.saturating_mul(3).saturating_add(10),
            Bytes(mebis.saturating_mul(32 * MEBI).saturating_add(1024 * MEBI)),
            Bytes(module.0.saturating_mul(8).saturating_add(64 * MEBI)),
        )
    }

    fn new(cpu_seconds: u64, memory: Bytes, output: Bytes) -> Self {
        Self {
            cpu_seconds,
            memory,
            output,
            wall: Span::from_secs(cpu_seconds.saturating_mul(WALL_FACTOR)) + WALL_EXTRA,
        }
    }
}

/// A compiler that was not yet reaped.
#[derive(Debug)]
pub(crate) struct Compile {
    /// What it compiles.
    pub(crate) order: CompileOrder,
    /// Public to the poll loop, which waits on its descriptors.
    pub(crate) process: Process,
    budget: Budget,
    /// When it is killed; absent once it was.
    until: Option<BootTime>,
    /// What the keeper decided; the first decision stays.
    decided: Option<Outcome>,
    said: Option<FromCompiler>,
}

impl Compile {
    /// Starts a compiler in its leaf and tells it what to do.
    ///
    /// # Errors
    /// Why it could not be started.
    pub(crate) fn start(
        order: CompileOrder,
        holding: &Holding,
        now: BootTime,
    ) -> Result<Self, Outcome> {
        let step = |step: String| Outcome::StartFailed { step };
        let budget = Budget::of_order(&order);
        let limits = Limits {
            cpu_millicores: CPU_MILLICORES,
            memory_bytes: budget.memory.0,
            pids: PIDS_MAX,
        };
        let leaf = holding
            .leaf(&format!("compile-{}", order.module.hex()), limits)
            .map_err(|error| step(format!("cgroup: {}", chain(&error))))?;
        let who = holding.jails.somebody();
        let compilation = Compilation {
            wasm: order.wasm.clone(),
            entry: order.entry.clone(),
            artifact: order.artifact.clone(),
            cpu_seconds: budget.cpu_seconds,
            output_bytes: budget.output.0,
            data_bytes: leaf.is_none().then_some(budget.memory.0),
            jail: holding.jails.of(&who),
        };
        let process = Process::spawn(&[COMPILER_VERB], SPEECH, leaf, who)
            .map_err(|error| step(format!("compiler: {}", chain(&error))))?;
        let mut compile = Self {
            order,
            process,
            budget,
            until: Some(now.after(budget.wall)),
            decided: None,
            said: None,
        };
        match compile.process.wire.send(&compilation) {
            Ok(()) => {}
            // It is gone already; how it died says more than that it does not listen.
            Err(WireError::Socket(_)) => compile.die(),
            Err(error) => compile.decide(step(format!("compiler: {}", chain(&error)))),
        }
        Ok(compile)
    }

    /// When it wants [`Compile::tick`].
    pub(crate) fn wake(&self) -> Option<BootTime> {
        self.until
    }

    /// Takes what is ready.
    pub(crate) fn turn(&mut self, ready: Ready) {
        if ready.ended {
            for _ in 0..LAST_READS_MAX {
                if self.listen() != Flow::Came {
                    break;
                }
            }
        } else if ready.wire && self.listen() == Flow::Ended && self.said.is_none() {
            self.die();
        }
        if ready.memory && self.process.ran_out_of_memory() && self.said.is_none() {
            self.decide(self.over_memory());
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: BootTime) {
        if self.until.is_some_and(|until| now >= until) {
            self.decide(Outcome::CompileLimit {
                what: format!("time: {}", self.budget.wall),
            });
        }
    }

    /// It is no longer wanted.
    pub(crate) fn kill(&mut self) {
        self.decide(Outcome::Drained);
    }

    /// Ends it at once, as it cannot be watched.
    pub(crate) fn abandon(mut self, error: &io::Error) -> (Digest, Result<Digest, Outcome>) {
        self.decide(Outcome::StartFailed {
            step: format!("keeper: watch the compiler: {error}"),
        });
        (self.order.module, self.finish())
    }

    /// Reaps the compiler, which has ended: the artifact's sha-256, or why there is none.
    pub(crate) fn finish(self) -> Result<Digest, Outcome> {
        let place = self.order.artifact.clone();
        let made = self.made();
        if made.is_err()
            && let Err(error) = fs::remove_file(&place)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %place.display(), %error, "half an artifact stays");
        }
        made
    }

    fn made(self) -> Result<Digest, Outcome> {
        let over_memory = self.over_memory();
        let (budget, confined) = (self.budget, self.process.leaf.is_some());
        let fault = |message| Err(Outcome::EngineFault { message });
        let death = match self.process.reap() {
            Ok((death, leaf)) => {
                if let Some(leaf) = leaf {
                    process::delete(&leaf);
                }
                death
            }
            Err(error) => return fault(format!("the compiler cannot be waited for: {error}")),
        };
        match (self.decided, self.said) {
            (Some(decided), _) => return Err(decided),
            (None, Some(FromCompiler::Compiled { sha256 })) => return Ok(sha256),
            (None, Some(FromCompiler::Refused { outcome })) => return Err(allowed(outcome)),
            (None, Some(FromCompiler::Violation { call })) => {
                return Err(Outcome::SandboxViolation {
                    syscall: stint_jail::call_name(call),
                });
            }
            (None, Some(FromCompiler::Fault { message })) => return fault(message),
            (None, None) => {}
        }
        if death.out_of_memory() {
            return Err(over_memory);
        }
        let limit = |what| Err(Outcome::CompileLimit { what });
        match Death::signal(&death).and_then(Signal::from_named_raw) {
            Some(Signal::XCPU) => limit(format!("{} s of CPU time", budget.cpu_seconds)),
            Some(Signal::XFSZ) => limit(format!("output: {}", budget.output)),
            // An allocation that RLIMIT_DATA refuses aborts the process.
            Some(Signal::ABORT) if !confined => Err(over_memory),
            _ => fault(format!(
                "the compiler ended without a word: {}",
                death.status
            )),
        }
    }

    fn over_memory(&self) -> Outcome {
        Outcome::CompileLimit {
            what: format!("memory: {}", self.budget.memory),
        }
    }

    /// Reads once from the compiler.
    fn listen(&mut self) -> Flow {
        if let Err(error) = self.process.wire.flush() {
            tracing::debug!(%error, "a compiler does not take its task");
        }
        let flow = self.process.wire.fill();
        loop {
            let how = match self.process.wire.take() {
                Ok(Some(message)) if self.said.is_none() => {
                    self.said = Some(message);
                    continue;
                }
                Ok(Some(_)) => "it spoke after its last word".to_owned(),
                Ok(None) => return flow,
                Err(error) => chain(&error),
            };
            tracing::warn!(module = %self.order.module, how, "a compiler broke the protocol");
            self.process.wire.close();
            self.decide(Outcome::EngineFault {
                message: format!("the compiler broke the protocol: {how}"),
            });
            return Flow::Idle;
        }
    }

    fn decide(&mut self, outcome: Outcome) {
        self.decided.get_or_insert(outcome);
        self.die();
    }

    fn die(&mut self) {
        if self.until.take().is_some() {
            self.process.signal(Signal::KILL);
        }
    }
}

/// A compiler may say what is wrong with the module; all else is not its to say.
fn allowed(said: Outcome) -> Outcome {
    match said {
        Outcome::ModuleRejected { .. }
        | Outcome::CompileFailed { .. }
        | Outcome::CompileLimit { .. }
        | Outcome::StartFailed { .. } => said,
        other => Outcome::EngineFault {
            message: format!("the compiler claims `{}`", other.reason()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_grows_with_the_module() {
        let small = Budget::of(Bytes(100));
        assert_eq!(small.cpu_seconds, 13);
        assert_eq!(small.memory, Bytes::mebi(1024 + 32));
        let large = Budget::of(Bytes::mebi(100));
        assert_eq!(large.cpu_seconds, 310);
        assert_eq!(large.memory, Bytes::mebi(1024 + 3200));
        assert_eq!(large.output, Bytes::mebi(64 + 800));
    }
    #[test]
    fn a_budget_that_an_administrator_set_is_the_budget() {
        let order = CompileOrder {
            module: Digest([1; 32]),
            wasm: "/nothing".into(),
            artifact: "/nothing".into(),
            module_bytes: Bytes(100),
            entry: stint_api::kit::Entry::default(),
            budget: Some(stint_api::kit::CompileBudget {
                cpu: Span::from_millis(1_500),
                memory: Bytes::mebi(1),
                output: Bytes::mebi(2),
            }),
        };
        let budget = Budget::of_order(&order);
        assert_eq!(budget, Budget::new(2, Bytes::mebi(1), Bytes::mebi(2)));
    }
}
