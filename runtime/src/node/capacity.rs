//! What this machine has for slots, when nobody says it.

use std::path::Path;

use stint_api::quantity::{Bytes, Millicores, Resources};

/// Of the machine's memory, what guests may have: the rest is for the engine in
/// each worker, the page cache, and the machine itself.
const MEMORY_PERCENT: u64 = 75;
/// Of the disk that is free, what `/scratch` and `/out` may have: the rest is
/// for staged inputs and compiled modules.
const SCRATCH_PERCENT: u64 = 75;

/// What slots may take together on this machine, with their files in `dir` (or
/// its nearest parent that exists): every core, three quarters of the memory
/// and of the free disk. An amount that cannot be read is zero.
pub fn capacity_detected(dir: &Path) -> Resources {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let millicores = u32::try_from(cores)
        .unwrap_or(u32::MAX)
        .saturating_mul(1000);
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    Resources {
        cpu: Millicores(millicores),
        memory: percent(MEMORY_PERCENT, memory_bytes(&meminfo).unwrap_or(0)),
        scratch: percent(SCRATCH_PERCENT, free_bytes(dir)),
    }
}

fn percent(percent: u64, bytes: u64) -> Bytes {
    // Whole mebibytes: that is how people read it.
    let bytes = bytes / 100 * percent;
    Bytes(bytes >> 20 << 20)
}

/// Reads `MemTotal:       24680084 kB`.
fn memory_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

fn free_bytes(dir: &Path) -> u64 {
    let found = dir.ancestors().find_map(|dir| {
        let dir = if dir.as_os_str().is_empty() {
            Path::new(".")
        } else {
            dir
        };
        rustix::fs::statvfs(dir).ok()
    });
    found.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_machine_is_read_in_bytes() {
        let meminfo = "MemTotal:        2097152 kB\nMemFree:  1 kB\n";
        assert_eq!(memory_bytes(meminfo), Some(2 << 30));
        assert_eq!(memory_bytes("nonsense"), None);
    }

    #[test]
    fn a_directory_that_is_not_there_yet_has_its_parents_disk() {
        let capacity = capacity_detected(Path::new("/tmp/not/there"));
        assert!(capacity.cpu.0 >= 1000);
        assert!(capacity.memory.0 > 0 && capacity.scratch.0 > 0);
    }
}
