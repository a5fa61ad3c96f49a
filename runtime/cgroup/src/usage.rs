//! What a leaf has used. Not through `cgroups-rs`, which reads twenty files for
//! these four counters, on the way of every attempt's end, and answers zero for a
//! file that it cannot read; a zero that is not the kernel's is refused here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

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
pub(crate) fn read(place: &Place, peak_seen: &AtomicU64) -> Result<Usage, UsageError> {
    let (cpu_nanos, throttled_nanos) = cpu(place)?;
    let peak = peak(place)?;
    let before = peak_seen.fetch_max(peak, Ordering::Relaxed);
    Ok(Usage {
        cpu_nanos,
        peak_memory_bytes: peak.max(before),
        throttled_nanos,
        oom_kills: oom_kills(place)?,
    })
}

fn cpu(place: &Place) -> Result<(u64, u64), UsageError> {
    let stat = Counters::read(place.dir(Controller::Cpu), "cpu.stat")?;
    match place.version {
        Version::V2 => Ok((
            stat.counter("usage_usec")?.saturating_mul(NANOS_PER_MICRO),
            (stat.counter("throttled_usec")?).saturating_mul(NANOS_PER_MICRO),
        )),
        Version::V1 => {
            let used = Counters::read(place.dir(Controller::CpuAcct), "cpuacct.usage")?;
            Ok((used.only()?, stat.counter("throttled_time")?))
        }
    }
}

fn peak(place: &Place) -> Result<u64, UsageError> {
    let dir = place.dir(Controller::Memory);
    match place.version {
        Version::V1 => Counters::read(dir, "memory.max_usage_in_bytes")?.only(),
        Version::V2 => match Counters::read(dir, "memory.peak") {
            Ok(peak) => peak.only(),
            // A kernel that keeps no such mark.
            Err(_) => Counters::read(dir, "memory.current")?.only(),
        },
    }
}

pub(crate) fn oom_kills(place: &Place) -> Result<u64, UsageError> {
    let file = match place.version {
        Version::V1 => "memory.oom_control",
        Version::V2 => "memory.events",
    };
    Counters::read(place.dir(Controller::Memory), file)?.counter("oom_kill")
}

/// What stands in one file.
struct Counters {
    file: PathBuf,
    text: String,
}

impl Counters {
    fn read(dir: &Path, name: &str) -> Result<Self, UsageError> {
        let file = dir.join(name);
        match fs::read_to_string(&file) {
            Ok(text) => Ok(Self { file, text }),
            Err(source) => Err(UsageError::Unreadable { file, source }),
        }
    }

    /// One of many, each on a line with its name.
    fn counter(&self, counter: &'static str) -> Result<u64, UsageError> {
        keyed(&self.text, counter).ok_or_else(|| UsageError::NoCounter {
            file: self.file.clone(),
            counter,
        })
    }

    /// The only one in the file.
    fn only(&self) -> Result<u64, UsageError> {
        (self.text.trim().parse()).map_err(|_| UsageError::NoCounter {
            file: self.file.clone(),
            counter: "at all",
        })
    }
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
        let usage = read(&place, &AtomicU64::new(0)).unwrap();
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
        assert_eq!(read(&place, &seen).unwrap().peak_memory_bytes, 9_000);
        fs::write(temp.path().join("memory.current"), "10\n").unwrap();
        assert_eq!(read(&place, &seen).unwrap().peak_memory_bytes, 9_000);
    }

    #[test]
    fn a_group_that_is_gone_is_an_error_and_not_a_zero() {
        let (_temp, place) = v2_fixture(&[]);
        let error = read(&place, &AtomicU64::new(0)).unwrap_err();
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
