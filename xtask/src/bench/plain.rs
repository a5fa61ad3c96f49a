//! The other side: `true`, started and waited for by the cheapest means there is.
//! The standard library starts a plain program by `posix_spawn`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::figures::{Figures, Rate};
use crate::command::ask;
use crate::site::Site;

/// Does what `true` does, without a library to find first.
const SOURCE: &str = "int main(void) { return 0; }\n";
/// As every distribution has it.
const DYNAMIC: &str = "/bin/true";

/// A program that does nothing.
pub(super) struct Plain {
    what: &'static str,
    program: PathBuf,
}

impl Plain {
    /// The machine's own `true` first, and one linked statically where a C compiler makes it.
    pub(super) fn all(dir: &Path) -> Vec<Self> {
        let mut all = vec![Self {
            what: "posix_spawn and wait: `true`, dynamic",
            program: DYNAMIC.into(),
        }];
        match build_static(dir) {
            Some(program) => all.push(Self {
                what: "posix_spawn and wait: `true`, static",
                program,
            }),
            None => println!("bench: no C compiler makes a static `true` here; it is left out"),
        }
        all
    }

    pub(super) fn figures(&self) -> Figures {
        Figures::new(self.what)
    }

    /// Starts it `count` times, one after the other.
    ///
    /// # Errors
    /// It cannot be started, or fails.
    pub(super) fn spawn_in_a_row(&self, count: usize, figures: &mut Figures) -> Result<()> {
        let cpu = Site::cpu(&[std::process::id()]);
        for _ in 0..count {
            let start = Instant::now();
            spawn(&self.program)?;
            figures.add(start.elapsed());
        }
        figures.add_cpu(Site::cpu(&[std::process::id()]).saturating_sub(cpu));
        Ok(())
    }

    /// Starts the machine's own `true` `count` times in all, as many at once as there are cores.
    ///
    /// # Errors
    /// It cannot be started, or fails.
    pub(super) fn spawn_on_every_core(count: usize, rate: &mut Rate) -> Result<()> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cpu = Site::cpu(&[std::process::id()]);
        let start = Instant::now();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..cores)
                .map(|core| {
                    let share = count / cores + usize::from(core < count % cores);
                    scope.spawn(move || (0..share).try_for_each(|_| spawn(Path::new(DYNAMIC))))
                })
                .collect();
            threads.into_iter().try_for_each(|thread| {
                let ended = thread.join();
                ended.unwrap_or_else(|_| anyhow::bail!("a thread panicked"))
            })
        })?;
        let took = start.elapsed();
        let cpu = Site::cpu(&[std::process::id()]).saturating_sub(cpu);
        rate.add(count, took, cpu);
        Ok(())
    }
}

fn spawn(program: &Path) -> Result<()> {
    let status = Command::new(program)
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", program.display()))?;
    ensure!(status.success(), "{} failed ({status})", program.display());
    Ok(())
}

fn build_static(dir: &Path) -> Option<PathBuf> {
    let source = dir.join("true.c");
    let program = dir.join("true");
    std::fs::write(&source, SOURCE).ok()?;
    let mut compile = Command::new("cc");
    compile
        .args(["-static", "-O1", "-o"])
        .args([&program, &source]);
    ask(&mut compile)?;
    Some(program)
}
