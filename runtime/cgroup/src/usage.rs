//! What a leaf has used, read through `cgroups-rs`. That crate answers zero for
//! a file it cannot read; a zero that is not the kernel's is refused here.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use cgroups_rs::fs::Cgroup;
use cgroups_rs::fs::cpu::CpuController;
use cgroups_rs::fs::cpuacct::CpuAcctController;
use cgroups_rs::fs::memory::MemController;

use crate::Version;
use crate::place::{Controller, Place};

const NANOS_PER_MICRO: u64 = 1_000;

/// What the processes of a leaf have used since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// CPU time in nanoseconds.
    pub cpu_nanos: u64,
    /// The most memory ever held at once, in bytes. Before kernel 5.19 v2 keeps
    /// no such mark; then it is the most that any reading of usage has seen.
    pub peak_memory_bytes: u64,
    /// Time in nanoseconds for which processes stood still because the CPU quota was used up.
    pub throttled_nanos: u64,
    /// Kills by the kernel because the group was out of memory; on v1 since kernel 4.13.
    /// Ask whether it is zero: killing a whole v2 group counts its first victim twice.
    pub oom_kills: u64,
}

/// Why usage could not be read.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// A counter's file is not there or not readable: the group is gone.
    #[error("{} could not be read", file.display())]
    Unreadable {
        /// The file that counts.
        file: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A file is there but lacks a counter that this kernel should have.
    #[error("{} has no counter {counter}", file.display())]
    NoCounter {
        /// The file that counts.
        file: PathBuf,
        /// The line that is missing.
        counter: &'static str,
    },
}

/// Reads every counter of the group at `place`; `peak_seen` remembers between readings.
pub(crate) fn read(
    group: &Cgroup,
    place: &Place,
    peak_seen: &AtomicU64,
) -> Result<Usage, UsageError> {
    let (cpu_nanos, throttled_nanos) = cpu(group, place)?;
    let (peak, oom_kills) = memory(group, place)?;
    let before = peak_seen.fetch_max(peak, Ordering::Relaxed);
    Ok(Usage {
        cpu_nanos,
        peak_memory_bytes: peak.max(before),
        throttled_nanos,
        oom_kills,
    })
}

fn cpu(group: &Cgroup, place: &Place) -> Result<(u64, u64), UsageError> {
    let file = place.dir(Controller::Cpu).join("cpu.stat");
    let stat = group
        .controller_of::<CpuController>()
        .map(|cpu| cpu.cpu().stat)
        .unwrap_or_default();
    if stat.is_empty() {
        return Err(unreadable(file));
    }
    let counter = |name: &'static str| {
        keyed(&stat, name).ok_or_else(|| UsageError::NoCounter {
            file: file.clone(),
            counter: name,
        })
    };
    match place.version {
        Version::V2 => Ok((
            counter("usage_usec")?.saturating_mul(NANOS_PER_MICRO),
            counter("throttled_usec")?.saturating_mul(NANOS_PER_MICRO),
        )),
        Version::V1 => {
            let throttled = counter("throttled_time")?;
            let file = place.dir(Controller::CpuAcct).join("cpuacct.usage");
            let acct = group
                .controller_of::<CpuAcctController>()
                .map(CpuAcctController::cpuacct);
            match acct {
                Some(acct) if !acct.stat.is_empty() => Ok((acct.usage, throttled)),
                _ => Err(unreadable(file)),
            }
        }
    }
}

fn memory(group: &Cgroup, place: &Place) -> Result<(u64, u64), UsageError> {
    let dir = place.dir(Controller::Memory);
    let memory = group
        .controller_of::<MemController>()
        .map(MemController::memory_stat);
    let Some(memory) = memory.filter(|memory| !memory.stat.raw.is_empty()) else {
        return Err(unreadable(dir.join("memory.stat")));
    };
    let peak = memory.max_usage_in_bytes.max(memory.usage_in_bytes);
    if place.version == Version::V1 {
        return Ok((peak, memory.oom_control.oom_kill));
    }
    // cgroups-rs never reads this one.
    let file = dir.join("memory.events");
    let events = fs::read_to_string(&file).map_err(|source| UsageError::Unreadable {
        file: file.clone(),
        source,
    })?;
    let kills = keyed(&events, "oom_kill").ok_or(UsageError::NoCounter {
        file,
        counter: "oom_kill",
    })?;
    Ok((peak, kills))
}

/// The error with the cause that `cgroups-rs` swallowed, by reading once more.
fn unreadable(file: PathBuf) -> UsageError {
    let source = match fs::read_to_string(&file) {
        Err(error) => error,
        Ok(_) => io::Error::from(io::ErrorKind::InvalidData),
    };
    UsageError::Unreadable { file, source }
}

/// The value of `key` in a file of `key value` lines.
fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == key)
        .and_then(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2_fixture(files: &[(&str, &str)]) -> (tempfile::TempDir, Place) {
        let temp = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(temp.path().join(name), text).unwrap();
        }
        let place = Place::v2(temp.path());
        (temp, place)
    }

    const STAT: (&str, &str) = (
        "cpu.stat",
        "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_throttled 3\nthrottled_usec 40\n",
    );

    #[test]
    fn v2_counters_become_nanoseconds_and_bytes() {
        let (_temp, place) = v2_fixture(&[
            STAT,
            ("memory.stat", "anon 4096\n"),
            ("memory.current", "4096\n"),
            ("memory.peak", "8192\n"),
            (
                "memory.events",
                "low 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 1\n",
            ),
        ]);
        let usage = read(&place.group(""), &place, &AtomicU64::new(0)).unwrap();
        let expected = Usage {
            cpu_nanos: 1_500_000,
            peak_memory_bytes: 8_192,
            throttled_nanos: 40_000,
            oom_kills: 1,
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn without_a_peak_file_the_largest_reading_counts() {
        let (temp, place) = v2_fixture(&[
            STAT,
            ("memory.stat", "anon 4096\n"),
            ("memory.current", "9000\n"),
            ("memory.events", "oom_kill 0\n"),
        ]);
        let seen = AtomicU64::new(0);
        let group = place.group("");
        assert_eq!(
            read(&group, &place, &seen).unwrap().peak_memory_bytes,
            9_000
        );
        fs::write(temp.path().join("memory.current"), "10\n").unwrap();
        assert_eq!(
            read(&group, &place, &seen).unwrap().peak_memory_bytes,
            9_000
        );
    }

    #[test]
    fn a_group_that_is_gone_is_an_error_and_not_a_zero() {
        let (_temp, place) = v2_fixture(&[]);
        let error = read(&place.group(""), &place, &AtomicU64::new(0)).unwrap_err();
        assert!(error.to_string().contains("cpu.stat"), "{error}");
    }

    #[test]
    fn a_key_is_matched_whole() {
        assert_eq!(
            keyed("oom_kill_disable 0\noom_kill 7\n", "oom_kill"),
            Some(7)
        );
        assert_eq!(keyed("oom_kill x\n", "oom_kill"), None);
    }
}
