//! What a leaf is held to, and the proof that the kernel took it: every value is
//! written through `cgroups-rs` and then read back from its file and compared.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cgroups_rs::fs::cpu::CpuController;
use cgroups_rs::fs::memory::MemController;
use cgroups_rs::fs::pid::PidController;
use cgroups_rs::fs::{Cgroup, MaxValue};

use crate::Version;
use crate::place::{Controller, Place, cause};

/// A multiple of every page size in use, so that what is read back is what was
/// written; the kernel rounds down to pages.
const MEMORY_STEP_BYTES: u64 = 64 * 1024;
/// Long enough that the scheduler's tick does not blur it, short enough that a
/// group which has used its share stands still for milliseconds, not for the
/// kernel's default of up to a tenth of a second (a throttled process cannot
/// take a signal either).
const PERIOD_MICROS: u64 = 20_000;
/// The kernel takes no quota below 1 ms and no period above 1 s.
const MIN_QUOTA_MICROS: u64 = 1_000;
const MAX_PERIOD_MICROS: u64 = 1_000_000;
/// More than any machine has; keeps the arithmetic far from overflow.
const MAX_CPU_MILLICORES: u32 = 100_000_000;
const MILLIS: u64 = 1_000;

/// What one leaf may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// CPU time, in thousandths of one core; held as a quota, and used as the
    /// weight against neighbours.
    pub cpu_millicores: u32,
    /// Memory in bytes, the kernel's for these processes included; no swap beside it.
    /// Held rounded down to 64 KiB.
    pub memory_bytes: u64,
    /// Processes and threads together.
    pub pids: u32,
}

/// Why limits could not be put on a group.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// A limit that the kernel cannot hold.
    #[error("{what} of {value} is out of range")]
    OutOfRange {
        /// Which limit.
        what: &'static str,
        /// What was asked for, in the limit's own unit.
        value: u64,
    },
    /// The kernel refused the value.
    #[error("writing {wrote} to {} failed", file.display())]
    Write {
        /// The file that limits.
        file: PathBuf,
        /// What was written to it.
        wrote: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The value could not be read back.
    #[error("{} could not be read back", file.display())]
    Read {
        /// The file that limits.
        file: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel holds another value than the one written.
    #[error("{} holds {read:?} after {wrote:?} was written", file.display())]
    Differs {
        /// The file that limits.
        file: PathBuf,
        /// What was written to it.
        wrote: String,
        /// What it says now.
        read: String,
    },
    /// The group has no such controller.
    #[error("the group has no {controller} controller")]
    NoController {
        /// Which one.
        controller: &'static str,
    },
}

/// A quota of CPU time in each period, both in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quota {
    quota: u64,
    period: u64,
}

impl Limits {
    fn checked(&self) -> Result<(), LimitError> {
        let range = |what, value: u64, ok: bool| match ok {
            true => Ok(()),
            false => Err(LimitError::OutOfRange { what, value }),
        };
        let cpu = self.cpu_millicores;
        range(
            "a CPU limit in thousandths of a core",
            cpu.into(),
            (1..=MAX_CPU_MILLICORES).contains(&cpu),
        )?;
        let memory = self.memory_bytes;
        range(
            "a memory limit in bytes",
            memory,
            memory >= MEMORY_STEP_BYTES && i64::try_from(memory).is_ok(),
        )?;
        range("a limit of processes", self.pids.into(), self.pids > 0)
    }

    fn quota(&self) -> Quota {
        let cpu = u64::from(self.cpu_millicores.max(1));
        let shortest = (MIN_QUOTA_MICROS * MILLIS).div_ceil(cpu);
        let period = shortest.clamp(PERIOD_MICROS, MAX_PERIOD_MICROS);
        Quota {
            quota: (cpu * period / MILLIS).max(MIN_QUOTA_MICROS),
            period,
        }
    }

    /// A core is the kernel's default weight: 1024 on v1, 100 on v2.
    fn weight(&self, version: Version) -> u64 {
        let cpu = u64::from(self.cpu_millicores);
        match version {
            Version::V1 => (cpu * 1024 / MILLIS).clamp(2, cgroups_rs::CPU_SHARES_V1_MAX),
            Version::V2 => (cpu * 100 / MILLIS).clamp(1, cgroups_rs::CPU_WEIGHT_V2_MAX),
        }
    }

    fn memory(&self) -> i64 {
        let held = self.memory_bytes / MEMORY_STEP_BYTES * MEMORY_STEP_BYTES;
        i64::try_from(held).unwrap_or(i64::MAX)
    }
}

/// Puts `limits` on the group at `place` and proves that they are there. Those
/// that it was held to `before` stand there already, and are not written again.
pub(crate) fn hold(
    group: &Cgroup,
    place: &Place,
    before: Option<&Limits>,
    limits: &Limits,
) -> Result<(), LimitError> {
    limits.checked()?;
    let limiter = Limiter { place };
    if before.map(Limits::memory) != Some(limits.memory()) {
        let memory = controller_of(group, "memory")?;
        let raises = before.is_some_and(|before| before.memory() < limits.memory());
        limiter.memory(memory, limits, raises)?;
    }
    let cpu = before.map(|before| before.cpu_millicores);
    if cpu != Some(limits.cpu_millicores) {
        limiter.cpu(controller_of(group, "cpu")?, limits)?;
    }
    if before.map(|before| before.pids) != Some(limits.pids) {
        limiter.pids(controller_of(group, "pids")?, limits)?;
    }
    Ok(())
}

/// Takes the CPU quota off the group, and gives it the weight of a core.
pub(crate) fn unthrottle(group: &Cgroup, place: &Place) -> Result<(), LimitError> {
    const NO_QUOTA: i64 = -1;
    let core = Limits {
        cpu_millicores: 1_000,
        memory_bytes: 0,
        pids: 0,
    };
    let cpu: &CpuController = controller_of(group, "cpu")?;
    cpu.set_cfs_quota(NO_QUOTA)
        .and_then(|()| cpu.set_shares(core.weight(place.version)))
        .map_err(|error| LimitError::Write {
            file: place.dir(Controller::Cpu).to_owned(),
            wrote: "no CPU quota".to_owned(),
            source: cause(error),
        })
}

fn controller_of<'a, T>(group: &'a Cgroup, controller: &'static str) -> Result<&'a T, LimitError>
where
    &'a T: From<&'a cgroups_rs::fs::Subsystem>,
    T: cgroups_rs::fs::Controller + cgroups_rs::fs::ControllIdentifier,
{
    group
        .controller_of()
        .ok_or(LimitError::NoController { controller })
}

struct Limiter<'a> {
    place: &'a Place,
}

impl Limiter<'_> {
    fn memory(
        &self,
        memory: &MemController,
        limits: &Limits,
        raises: bool,
    ) -> Result<(), LimitError> {
        let bytes = limits.memory();
        let dir = self.place.dir(Controller::Memory);
        match self.place.version {
            Version::V1 => {
                let alone = || {
                    let file = dir.join("memory.limit_in_bytes");
                    took(&file, &bytes.to_string(), || memory.set_limit(bytes))
                };
                // Absent where the kernel was built or started without swap accounting.
                let with_swap = || {
                    let file = dir.join("memory.memsw.limit_in_bytes");
                    if !file.exists() {
                        return Ok(());
                    }
                    took(&file, &bytes.to_string(), || {
                        memory.set_memswap_limit(bytes)
                    })
                };
                // The kernel never lets the second be less than the first.
                if raises {
                    with_swap()?;
                    alone()?;
                } else {
                    alone()?;
                    with_swap()?;
                }
            }
            Version::V2 => {
                let file = dir.join("memory.max");
                took(&file, &bytes.to_string(), || memory.set_limit(bytes))?;
                let file = dir.join("memory.swap.max");
                if file.exists() {
                    took(&file, "0", || memory.set_memswap_limit(0))?;
                }
                // A worker is one thing: no half of it survives. cgroups-rs does not know this file.
                let file = dir.join("memory.oom.group");
                fs::write(&file, "1").map_err(|source| LimitError::Write {
                    file: file.clone(),
                    wrote: "1".to_owned(),
                    source,
                })?;
                same(&file, "1")?;
            }
        }
        Ok(())
    }

    fn cpu(&self, cpu: &CpuController, limits: &Limits) -> Result<(), LimitError> {
        let Quota { quota, period } = limits.quota();
        let weight = limits.weight(self.place.version);
        let dir = self.place.dir(Controller::Cpu);
        let set = || {
            let quota = i64::try_from(quota).unwrap_or(i64::MAX);
            cpu.set_cfs_quota_and_period(Some(quota), Some(period))
        };
        let weight_file = match self.place.version {
            Version::V1 => {
                took(&dir.join("cpu.cfs_quota_us"), &quota.to_string(), set)?;
                same(&dir.join("cpu.cfs_period_us"), &period.to_string())?;
                dir.join("cpu.shares")
            }
            Version::V2 => {
                took(&dir.join("cpu.max"), &format!("{quota} {period}"), set)?;
                dir.join("cpu.weight")
            }
        };
        took(&weight_file, &weight.to_string(), || cpu.set_shares(weight))
    }

    fn pids(&self, pids: &PidController, limits: &Limits) -> Result<(), LimitError> {
        let file = self.place.dir(Controller::Pids).join("pids.max");
        took(&file, &limits.pids.to_string(), || {
            pids.set_pid_max(MaxValue::Value(limits.pids.into()))
        })
    }
}

/// Sets, then reads back.
fn took(
    file: &Path,
    wrote: &str,
    set: impl FnOnce() -> cgroups_rs::fs::error::Result<()>,
) -> Result<(), LimitError> {
    set().map_err(|error| LimitError::Write {
        file: file.to_path_buf(),
        wrote: wrote.to_owned(),
        source: cause(error),
    })?;
    same(file, wrote)
}

fn same(file: &Path, wrote: &str) -> Result<(), LimitError> {
    let read = fs::read_to_string(file).map_err(|source| LimitError::Read {
        file: file.to_path_buf(),
        source,
    })?;
    if read.trim() == wrote {
        return Ok(());
    }
    Err(LimitError::Differs {
        file: file.to_path_buf(),
        wrote: wrote.to_owned(),
        read: read.trim().to_owned(),
    })
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
