//! Compilations under way and waiting, by module: asked for twice, done once.

use std::collections::VecDeque;

use stint_api::id::Digest;
use stint_api::outcome::Outcome;

use super::clock::BootTime;
use super::compile::Compile;
use super::limits::Holding;
use super::process::Process;
use super::protocol::CompileOrder;
use super::slot::Ready;
use super::watch::{Serial, Watch};

/// Compilers at once: each may take a core and a gigabyte from the slots.
const RUNNING_MAX: usize = 2;
/// Compilations that wait; a node prepares few jobs at once, and asks again.
const WAITING_MAX: usize = 256;

/// How a compilation ended.
pub(crate) type Compiled = (Digest, Result<Digest, Outcome>);

/// Compilations under way and waiting.
#[derive(Debug, Default)]
pub(crate) struct Compiles {
    running: Vec<Compile>,
    waiting: VecDeque<CompileOrder>,
}

impl Compiles {
    /// Takes an order; one for a module that waits or runs already changes nothing.
    pub(crate) fn push(&mut self, order: CompileOrder) -> Option<Compiled> {
        let same = |other: &CompileOrder| other.module == order.module;
        if self.waiting.iter().any(same) || self.running.iter().any(|run| same(&run.order)) {
            return None;
        }
        if self.waiting.len() >= WAITING_MAX {
            let step = format!("compile: {WAITING_MAX} modules wait already");
            return Some((order.module, Err(Outcome::StartFailed { step })));
        }
        self.waiting.push_back(order);
        None
    }

    /// Starts what may start; those that could not.
    pub(crate) fn start(
        &mut self,
        holding: &Holding,
        watch: &mut Watch,
        now: BootTime,
    ) -> Vec<Compiled> {
        let mut failed = Vec::new();
        while self.running.len() < RUNNING_MAX
            && let Some(order) = self.waiting.pop_front()
        {
            let module = order.module;
            match Compile::start(order, holding, now) {
                Ok(mut compile) => match watch.adopt(&mut compile.process) {
                    Ok(()) => self.running.push(compile),
                    // Nobody would hear of its end, so it ends here and now.
                    Err(error) => failed.push(compile.abandon(&error)),
                },
                Err(outcome) => failed.push((module, Err(outcome))),
            }
        }
        failed
    }

    /// Something of a compiler is ready; what came of it, if it has ended.
    pub(crate) fn turn(&mut self, serial: Serial, ready: Ready, watch: &Watch) -> Option<Compiled> {
        let named = |compile: &Compile| compile.process.watched.serial == serial;
        let at = self.running.iter().position(named)?;
        let compile = &mut self.running[at];
        compile.turn(ready);
        if ready.ended {
            let compile = self.running.swap_remove(at);
            return Some((compile.order.module, compile.finish()));
        }
        if let Err(error) = watch.listen_to(&mut compile.process) {
            tracing::error!(%error, "a compiler cannot be heard");
            compile.kill();
        }
        None
    }

    /// The compilers that run.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.running.iter().map(|compile| &compile.process)
    }

    /// When it wants [`Compiles::tick`].
    pub(crate) fn wake(&self) -> Option<BootTime> {
        self.running.iter().filter_map(Compile::wake).min()
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: BootTime) {
        for compile in &mut self.running {
            compile.tick(now);
        }
    }

    /// Drops what waits and kills what runs.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
        for compile in &mut self.running {
            compile.kill();
        }
    }

    /// Whether nothing waits or runs.
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }
}
