//! Reaching for other processes, for new ones, and for what processes share.

use stint_jail::Layer::{
    self, Capabilities, DetachedTrees, EmptyRoot, Identity, IpcNamespace, LandlockFiles,
    LandlockKinds, LandlockNetwork, LandlockScope, MountNamespace, ResourceLimits, SmallFilter,
    WideFilter,
};
use syscalls::{Errno, Sysno};

use crate::action::Arg::{Held as Fd, Iovec, Key, N, Pid, Result as Got, Room, Text, Words};
use crate::action::Held::Scratch;
use crate::action::Who::{Itself, Parent, Sibling};
use crate::action::{Action, FILTERS, PRIVILEGED, step};

/// What a signal meets.
const SIGNALLED: &[Layer] = &[WideFilter, SmallFilter, Identity, LandlockScope];
/// What meets whoever looks into another process.
const TRACED: &[Layer] = &[
    WideFilter,
    SmallFilter,
    Identity,
    LandlockFiles,
    LandlockKinds,
    LandlockNetwork,
    LandlockScope,
];
const OTHERS: &[Layer] = &[WideFilter, SmallFilter, Identity];

const SEIZE: i64 = libc::PTRACE_SEIZE as i64;

pub(crate) const ACTIONS: &[Action] = &[
    Action::out(
        "signal the parent",
        SIGNALLED,
        &[step(Sysno::kill, &[Pid(Parent), N(0)])],
    ),
    Action::out(
        "signal a sibling",
        SIGNALLED,
        &[step(Sysno::kill, &[Pid(Sibling), N(0)])],
    ),
    Action::out(
        "signal the parent's thread",
        SIGNALLED,
        &[step(Sysno::tgkill, &[Pid(Parent), Pid(Parent), N(0)])],
    ),
    Action::out(
        "signal a thread of any process",
        SIGNALLED,
        &[step(Sysno::tkill, &[Pid(Parent), N(0)])],
    ),
    Action::out(
        "queue a signal to a sibling",
        SIGNALLED,
        &[
            step(Sysno::pidfd_open, &[Pid(Sibling), N(0)]),
            step(Sysno::pidfd_send_signal, &[Got(0), N(0), N(0), N(0)]),
        ],
    ),
    Action::out(
        "trace the parent",
        TRACED,
        &[step(Sysno::ptrace, &[N(SEIZE), Pid(Parent), N(0), N(0)])],
    ),
    Action::out(
        "trace a sibling",
        TRACED,
        &[step(Sysno::ptrace, &[N(SEIZE), Pid(Sibling), N(0), N(0)])],
    ),
    Action::out(
        "read the parent's memory",
        TRACED,
        &[step(
            Sysno::process_vm_readv,
            &[Pid(Parent), Iovec, N(1), Iovec, N(1), N(0)],
        )],
    )
    .or(&[Errno::EFAULT]),
    Action::out(
        "write a sibling's memory",
        TRACED,
        &[step(
            Sysno::process_vm_writev,
            &[Pid(Sibling), Iovec, N(1), Iovec, N(1), N(0)],
        )],
    )
    .or(&[Errno::EFAULT]),
    Action::out(
        "take a descriptor of the parent",
        TRACED,
        &[
            step(Sysno::pidfd_open, &[Pid(Parent), N(0)]),
            step(Sysno::pidfd_getfd, &[Got(0), N(1), N(0)]),
        ],
    ),
    Action::out(
        "compare with the parent",
        TRACED,
        &[step(
            Sysno::kcmp,
            &[Pid(Itself), Pid(Parent), N(1), N(0), N(0)],
        )],
    )
    .maybe(),
    Action::out(
        "join the parent's namespaces",
        TRACED,
        &[
            step(Sysno::pidfd_open, &[Pid(Parent), N(0)]),
            step(Sysno::setns, &[Got(0), N(libc::CLONE_NEWNET as i64)]),
        ],
    ),
    Action::out(
        "move a sibling's pages",
        OTHERS,
        &[step(
            Sysno::move_pages,
            &[Pid(Sibling), N(0), N(0), N(0), N(0), N(0)],
        )],
    )
    .maybe(),
    Action::out(
        "raise the parent's limits",
        OTHERS,
        &[step(
            Sysno::prlimit64,
            &[Pid(Parent), N(libc::RLIMIT_CORE as i64), N(0), Room(16)],
        )],
    ),
    Action::out(
        "slow the parent down",
        OTHERS,
        &[step(
            Sysno::setpriority,
            &[N(libc::PRIO_PROCESS as i64), Pid(Parent), N(0)],
        )],
    ),
    Action::out(
        "pin a sibling to one core",
        OTHERS,
        &[step(
            Sysno::sched_setaffinity,
            &[Pid(Sibling), N(8), Words(&[u64::MAX])],
        )],
    ),
    Action::out(
        "take turns before all others",
        &[WideFilter, SmallFilter, Capabilities, Identity],
        &[step(
            Sysno::sched_setscheduler,
            &[N(0), N(libc::SCHED_FIFO as i64), Words(&[1])],
        )],
    )
    .maybe(),
    Action::out(
        "read before all others",
        FILTERS,
        &[step(
            Sysno::ioprio_set,
            // The parent, at the best of the ordinary ranks.
            &[N(1), Pid(Parent), N(0x4000)],
        )],
    ),
    Action::out(
        "fork",
        FILTERS,
        &[step(
            Sysno::clone,
            &[N(libc::SIGCHLD as i64), N(0), N(0), N(0), N(0)],
        )],
    ),
    #[cfg(target_arch = "x86_64")]
    Action::out("fork as of old", FILTERS, &[step(Sysno::fork, &[])]),
    Action::out(
        "fork by structure",
        FILTERS,
        &[step(
            Sysno::clone3,
            &[
                // `struct clone_args`: only the signal at the end.
                Words(&[0, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0]),
                N(64),
            ],
        )],
    ),
    Action::out(
        "make a thread",
        FILTERS,
        &[step(
            Sysno::clone,
            &[
                N((libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_VFORK) as i64),
                N(0),
                N(0),
                N(0),
                N(0),
            ],
        )],
    ),
    Action::out(
        "execute a program of the machine",
        &[
            WideFilter,
            SmallFilter,
            MountNamespace,
            EmptyRoot,
            LandlockFiles,
            LandlockKinds,
        ],
        &[step(
            Sysno::execve,
            &[Text(c"/bin/true"), Words(&[0]), Words(&[0])],
        )],
    ),
    Action::out(
        "execute a program from scratch",
        &[WideFilter, SmallFilter, DetachedTrees, LandlockKinds],
        &[step(
            Sysno::execveat,
            &[Fd(Scratch), Text(c"tool"), Words(&[0]), Words(&[0]), N(0)],
        )],
    ),
    Action::out(
        "execute a program from memory",
        FILTERS,
        &[
            step(Sysno::memfd_create, &[Text(c"tool"), N(0)]),
            step(
                Sysno::execveat,
                &[
                    Got(0),
                    Text(c""),
                    Words(&[0]),
                    Words(&[0]),
                    N(libc::AT_EMPTY_PATH as i64),
                ],
            ),
        ],
    )
    .or(&[Errno::ENOEXEC]),
    Action::out(
        "attach to memory of others",
        &[WideFilter, SmallFilter, IpcNamespace, Identity],
        &[step(Sysno::shmget, &[Key, N(0), N(0o600)])],
    ),
    Action::out(
        "leave memory behind",
        FILTERS,
        &[step(
            Sysno::shmget,
            &[N(libc::IPC_PRIVATE as i64), N(4096), N(0o600)],
        )],
    ),
    Action::out(
        "leave a queue behind",
        FILTERS,
        &[step(
            Sysno::msgget,
            &[N(libc::IPC_PRIVATE as i64), N(0o600)],
        )],
    ),
    Action::out(
        "leave semaphores behind",
        FILTERS,
        &[step(
            Sysno::semget,
            &[N(libc::IPC_PRIVATE as i64), N(1), N(0o600)],
        )],
    ),
    Action::out(
        "make a message queue",
        &[WideFilter, SmallFilter, ResourceLimits],
        &[step(
            Sysno::mq_open,
            &[
                Text(c"stint-breach"),
                N((libc::O_CREAT | libc::O_RDWR) as i64),
                N(0o600),
                N(0),
            ],
        )],
    )
    .maybe(),
    Action::out(
        "read keys",
        FILTERS,
        &[step(
            Sysno::keyctl,
            // The keyring of the session.
            &[N(0), N(-3), N(1)],
        )],
    )
    .maybe(),
    Action::out(
        "leave a key behind",
        FILTERS,
        &[step(
            Sysno::add_key,
            // In the keyring of the process, which goes with it.
            &[
                Text(c"user"),
                Text(c"stint-breach"),
                Text(c"x"),
                N(1),
                N(-2),
            ],
        )],
    )
    .maybe(),
    Action::out(
        "ask for a key",
        FILTERS,
        &[step(
            Sysno::request_key,
            &[Text(c"user"), Text(c"stint-breach"), N(0), N(0)],
        )],
    )
    .or(&[Errno::ENOKEY])
    .maybe(),
    Action::out(
        "be root",
        &[WideFilter, SmallFilter, Identity],
        &[step(Sysno::setresuid, &[N(0), N(0), N(0)])],
    ),
    Action::out(
        "join a group",
        PRIVILEGED,
        &[step(Sysno::setgroups, &[N(1), Words(&[0])])],
    ),
    Action::out(
        "regain capabilities",
        PRIVILEGED,
        &[step(
            Sysno::capset,
            // Version 3, this process; the right to override file permissions.
            &[Words(&[0x2008_0522]), Words(&[0x0000_0002_0000_0002, 2, 0])],
        )],
    ),
    Action::out(
        "become another kind of process",
        FILTERS,
        &[step(
            Sysno::personality,
            &[N(libc::ADDR_NO_RANDOMIZE as i64)],
        )],
    ),
];
