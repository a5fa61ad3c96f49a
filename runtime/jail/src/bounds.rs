//! What a worker may take of the kernel that no cgroup counts. Never
//! `RLIMIT_AS`: the engine reserves gigabytes of addresses that it does not use.

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::ledger::{Named as _, Refusal};

/// What a worker never needs any of: core files, locked memory, message queues,
/// real time, more processes. A thread counts as a process, and it has one.
const NONE: [Resource; 6] = [
    Resource::Core,
    Resource::Memlock,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Nproc,
    Resource::Rtprio,
];
/// Signals that may wait for it; it gets one at a time.
const SIGNALS_MAX: u64 = 64;

/// The bounds that hold for every job.
pub(crate) fn set(descriptors_max: u64) -> Result<(), Refusal> {
    for resource in NONE {
        lower(resource, 0)?;
    }
    lower(Resource::Sigpending, SIGNALS_MAX)?;
    lower(Resource::Nofile, descriptors_max)
}

/// Bounds a resource for good.
pub(crate) fn lower(resource: Resource, value: u64) -> Result<(), Refusal> {
    let limit = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    setrlimit(resource, limit).named("set a limit")
}
