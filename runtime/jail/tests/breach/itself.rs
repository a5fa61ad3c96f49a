//! Reaching for more of the own process: code, limits, the jail's own machinery.

use stint_jail::Layer::{DetachedTrees, SmallFilter, WideFilter, WriteXorExecute};
use syscalls::Sysno;

use crate::action::Arg::{Held as Fd, N, Result as Got, Room, Text, Words};
use crate::action::Held::Scratch;
use crate::action::{Action, Bare, FILTERS, How, Reach, Step, step};

const READ_WRITE: i64 = (libc::PROT_READ | libc::PROT_WRITE) as i64;
const READ_EXECUTE: i64 = (libc::PROT_READ | libc::PROT_EXEC) as i64;
const ALL: i64 = READ_WRITE | READ_EXECUTE;
const PRIVATE: i64 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as i64;
const PAGE: Step = step(
    Sysno::mmap,
    &[N(0), N(4096), N(READ_WRITE), N(PRIVATE), N(-1), N(0)],
);

/// A program of another calling convention of the same processor.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

pub(crate) const ACTIONS: &[Action] = &[
    Action::within(
        "map memory to write and execute",
        &[SmallFilter, WriteXorExecute],
        &[step(
            Sysno::mmap,
            &[N(0), N(4096), N(ALL), N(PRIVATE), N(-1), N(0)],
        )],
    ),
    Action::within(
        "make written memory executable",
        &[SmallFilter, WriteXorExecute],
        &[
            PAGE,
            step(Sysno::mprotect, &[Got(0), N(4096), N(READ_EXECUTE)]),
        ],
    ),
    Action::within(
        "make it executable by a key",
        &[WideFilter, SmallFilter, WriteXorExecute],
        &[
            PAGE,
            step(
                Sysno::pkey_mprotect,
                &[Got(0), N(4096), N(READ_EXECUTE), N(-1)],
            ),
        ],
    )
    .maybe(),
    Action::within(
        "map code from scratch",
        &[SmallFilter, DetachedTrees],
        &[
            step(
                Sysno::openat2,
                &[Fd(Scratch), Text(c"tool"), Words(&[0, 0, 0]), N(24)],
            ),
            step(
                Sysno::mmap,
                &[
                    N(0),
                    N(4096),
                    N(READ_EXECUTE),
                    N(libc::MAP_PRIVATE as i64),
                    Got(0),
                    N(0),
                ],
            ),
        ],
    ),
    Action::within(
        "handle stopped calls itself",
        &[SmallFilter],
        &[step(
            Sysno::rt_sigaction,
            &[N(libc::SIGSYS as i64), Words(&[0, 0, 0, 0]), N(0), N(8)],
        )],
    ),
    Action::within(
        "add a filter",
        FILTERS,
        &[step(
            Sysno::prctl,
            // The strictest there is: this process would have to end.
            &[N(libc::PR_SET_SECCOMP as i64), N(99), N(0)],
        )],
    )
    .or(&[syscalls::Errno::EINVAL]),
    Action::within(
        "filter by asking a listener",
        FILTERS,
        &[step(Sysno::seccomp, &[N(1), N(8), Words(&[0, 0])])],
    )
    .or(&[syscalls::Errno::EINVAL]),
    Action::within(
        "be dumpable",
        FILTERS,
        &[step(
            Sysno::prctl,
            &[N(libc::PR_SET_DUMPABLE as i64), N(1), N(0), N(0), N(0)],
        )],
    ),
    Action::within(
        "outlive the parent",
        FILTERS,
        &[step(
            Sysno::prctl,
            &[N(libc::PR_SET_PDEATHSIG as i64), N(0), N(0), N(0), N(0)],
        )],
    ),
    Action::within(
        "handle page faults",
        FILTERS,
        &[step(
            Sysno::userfaultfd,
            // For itself only.
            &[N(1)],
        )],
    )
    .maybe(),
    Action::within(
        "hide memory from the kernel",
        FILTERS,
        &[step(Sysno::memfd_secret, &[N(0)])],
    )
    .maybe(),
    Action::within(
        "lock memory",
        FILTERS,
        &[step(Sysno::mlockall, &[N(libc::MCL_CURRENT as i64)])],
    ),
    Action::within(
        "change limits",
        &[SmallFilter],
        &[step(
            Sysno::prlimit64,
            &[N(0), N(libc::RLIMIT_CORE as i64), N(0), Room(16)],
        )],
    ),
    Action::within(
        "write code segments",
        FILTERS,
        &[
            #[cfg(target_arch = "x86_64")]
            step(Sysno::modify_ldt, &[N(0), Room(16), N(16)]),
            #[cfg(target_arch = "aarch64")]
            step(Sysno::setsid, &[]),
        ],
    )
    .maybe(),
    #[cfg(target_arch = "x86_64")]
    Action {
        how: How::Calls(&[Step {
            number: Sysno::getpid as u32 | X32,
            args: &[],
        }]),
        ..Action::within("call as x32 programs do", FILTERS, &[]).maybe()
    },
    #[cfg(target_arch = "x86_64")]
    Action {
        name: "call as 32-bit programs do",
        reach: Reach::Itself,
        how: How::Compat,
        past: &[],
        by: FILTERS,
        bare: Bare::Depends,
    },
];
