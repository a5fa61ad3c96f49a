//! Reaching for files: the machine's, another job's, and what its own may be made into.

use stint_jail::Layer::{
    self, Capabilities, ClosedDescriptors, DetachedTrees, EmptyRoot, Identity, LandlockFiles,
    LandlockKinds, MountNamespace, SmallFilter, WideFilter,
};
use syscalls::Sysno;

use crate::action::Arg::{Held as Fd, N, Place as Path, Result as Got, Room, Shared, Text, Words};
use crate::action::Held::{Inputs, Leaked, Scratch};
use crate::action::Place::{Cgroup, Dir, EnvironmentOf, MemoryOf, Secret};
use crate::action::Who::{Parent, Sibling};
use crate::action::{Action, Arg, FILTERS, PRIVILEGED, Step, step};

/// What a path of the machine meets that anybody may read.
const PUBLIC: &[Layer] = &[MountNamespace, EmptyRoot, LandlockFiles];
/// What a path of the machine meets that only root may read.
const PRIVATE: &[Layer] = &[MountNamespace, EmptyRoot, LandlockFiles, Identity];
/// What a name beside the job's directory meets.
const BESIDE: &[Layer] = &[DetachedTrees, LandlockFiles, Identity];

const HERE: Arg = N(libc::AT_FDCWD as i64);
/// `struct open_how`: to read; to write; to make.
const READ: Arg = Words(&[0, 0, 0]);
const WRITE: Arg = Words(&[libc::O_WRONLY as u64, 0, 0]);
const MAKE: Arg = Words(&[(libc::O_WRONLY | libc::O_CREAT) as u64, 0o644, 0]);
const HOW: Arg = N(24);

const fn open(by: &'static [Layer], name: &'static str, steps: &'static [Step]) -> Action {
    Action::out(name, by, steps)
}

pub(crate) const ACTIONS: &[Action] = &[
    open(
        PUBLIC,
        "read a file that all may read",
        &[step(
            Sysno::openat2,
            &[HERE, Text(c"/etc/passwd"), READ, HOW],
        )],
    ),
    open(
        PRIVATE,
        "read a secret by its path",
        &[step(Sysno::openat2, &[HERE, Path(Secret), READ, HOW])],
    ),
    open(
        &[
            MountNamespace,
            EmptyRoot,
            LandlockFiles,
            Identity,
            SmallFilter,
        ],
        "read a secret by openat",
        &[step(Sysno::openat, &[HERE, Path(Secret), N(0), N(0)])],
    ),
    #[cfg(target_arch = "x86_64")]
    open(
        &[
            MountNamespace,
            EmptyRoot,
            LandlockFiles,
            Identity,
            SmallFilter,
            WideFilter,
        ],
        "read a secret by open",
        &[step(Sysno::open, &[Path(Secret), N(0), N(0)])],
    ),
    open(
        PRIVATE,
        "overwrite a secret",
        &[step(Sysno::openat2, &[HERE, Path(Secret), WRITE, HOW])],
    ),
    open(
        PUBLIC,
        "make a file where all may",
        &[step(
            Sysno::openat2,
            &[HERE, Text(c"/dev/shm/stint-breach"), MAKE, HOW],
        )],
    ),
    open(
        BESIDE,
        "climb out of the inputs",
        &[step(
            Sysno::openat2,
            &[Fd(Inputs), Text(c"../secret"), READ, HOW],
        )],
    ),
    open(
        BESIDE,
        "climb out of scratch to the top",
        &[step(
            Sysno::openat2,
            &[
                Fd(Scratch),
                Text(c"../../../../../../etc/passwd"),
                READ,
                HOW,
            ],
        )],
    ),
    open(
        PRIVATE,
        "follow a planted link",
        &[
            step(
                Sysno::symlinkat,
                &[Path(Secret), Fd(Scratch), Text(c"link")],
            ),
            step(Sysno::openat2, &[Fd(Scratch), Text(c"link"), READ, HOW]),
        ],
    ),
    open(
        &[
            MountNamespace,
            EmptyRoot,
            LandlockFiles,
            Identity,
            DetachedTrees,
        ],
        "link a secret into scratch",
        &[step(
            Sysno::linkat,
            &[HERE, Path(Secret), Fd(Scratch), Text(c"stolen"), N(0)],
        )],
    ),
    open(
        &[
            MountNamespace,
            EmptyRoot,
            LandlockFiles,
            Identity,
            DetachedTrees,
        ],
        "rename a secret into scratch",
        &[step(
            Sysno::renameat2,
            &[HERE, Path(Secret), Fd(Scratch), Text(c"stolen"), N(0)],
        )],
    ),
    open(
        PRIVATE,
        "remove a file of others",
        &[step(Sysno::unlinkat, &[HERE, Path(Secret), N(0)])],
    ),
    open(
        &[MountNamespace, EmptyRoot, Identity],
        "look at a file of others",
        &[step(
            Sysno::statx,
            &[HERE, Path(Secret), N(0), N(0x7ff), Room(256)],
        )],
    ),
    open(
        &[DetachedTrees, Identity],
        "look at a file beside the inputs",
        &[step(
            Sysno::statx,
            &[Fd(Inputs), Text(c"../secret"), N(0), N(0x7ff), Room(256)],
        )],
    ),
    open(
        &[MountNamespace, EmptyRoot, Identity],
        "change the times of a file of others",
        &[step(Sysno::utimensat, &[HERE, Path(Secret), N(0), N(0)])],
    ),
    open(
        BESIDE,
        "write to an input",
        &[step(
            Sysno::openat2,
            &[Fd(Inputs), Text(c"data"), WRITE, HOW],
        )],
    ),
    open(
        BESIDE,
        "add an input",
        &[step(
            Sysno::openat2,
            &[Fd(Inputs), Text(c"more"), MAKE, HOW],
        )],
    ),
    open(
        BESIDE,
        "remove an input",
        &[step(Sysno::unlinkat, &[Fd(Inputs), Text(c"data"), N(0)])],
    ),
    open(
        PUBLIC,
        "read the own memory as a file",
        &[step(
            Sysno::openat2,
            &[HERE, Text(c"/proc/self/mem"), WRITE, HOW],
        )],
    ),
    open(
        PRIVATE,
        "read the memory of the parent",
        &[step(
            Sysno::openat2,
            &[HERE, Path(MemoryOf(Parent)), READ, HOW],
        )],
    ),
    open(
        PRIVATE,
        "read the environment of a sibling",
        &[step(
            Sysno::openat2,
            &[HERE, Path(EnvironmentOf(Sibling)), READ, HOW],
        )],
    ),
    open(
        PRIVATE,
        "leave the cgroup",
        &[step(Sysno::openat2, &[HERE, Path(Cgroup), WRITE, HOW])],
    ),
    open(
        PRIVATE,
        "set the kernel's parameters",
        &[step(
            Sysno::openat2,
            &[HERE, Text(c"/proc/sys/kernel/core_pattern"), WRITE, HOW],
        )],
    ),
    open(
        PUBLIC,
        "read the kernel's log",
        &[step(Sysno::openat2, &[HERE, Text(c"/dev/kmsg"), READ, HOW])],
    )
    .maybe(),
    open(
        &[ClosedDescriptors],
        "read what was left open",
        &[step(Sysno::read, &[Fd(Leaked), Room(16), N(16)])],
    ),
    open(
        &[
            WideFilter,
            SmallFilter,
            Capabilities,
            Identity,
            LandlockKinds,
        ],
        "make a device",
        &[step(
            Sysno::mknodat,
            &[
                Fd(Scratch),
                Text(c"disk"),
                N(libc::S_IFBLK as i64 | 0o600),
                N(0x0fe00),
            ],
        )],
    ),
    open(
        &[WideFilter, SmallFilter, LandlockKinds],
        "make a pipe that others would open",
        &[step(
            Sysno::mknodat,
            &[
                Fd(Scratch),
                Text(c"pipe"),
                N(libc::S_IFIFO as i64 | 0o666),
                N(0),
            ],
        )],
    ),
    open(
        FILTERS,
        "make a file run as its owner",
        &[step(
            Sysno::fchmodat,
            &[Fd(Scratch), Text(c"tool"), N(0o4755)],
        )],
    ),
    open(
        PRIVILEGED,
        "give a file to root",
        &[step(
            Sysno::fchownat,
            &[Fd(Scratch), Text(c"tool"), N(0), N(0), N(0)],
        )],
    ),
    open(
        &[WideFilter, SmallFilter, MountNamespace, EmptyRoot, Identity],
        "mark a file of others",
        &[step(
            Sysno::setxattr,
            &[Path(Secret), Text(c"trusted.breach"), Room(1), N(1), N(0)],
        )],
    ),
    open(
        PRIVILEGED,
        "open a file by its handle",
        &[
            step(
                Sysno::name_to_handle_at,
                &[
                    Fd(Inputs),
                    Text(c""),
                    Shared,
                    Room(8),
                    N(libc::AT_EMPTY_PATH as i64),
                ],
            ),
            step(Sysno::open_by_handle_at, &[Fd(Inputs), Shared, N(0)]),
        ],
    )
    .maybe(),
    open(
        &[WideFilter, SmallFilter, MountNamespace, EmptyRoot, Identity],
        "watch a directory of others",
        &[
            step(Sysno::inotify_init1, &[N(0)]),
            step(Sysno::inotify_add_watch, &[Got(0), Path(Dir), N(0xfff)]),
        ],
    ),
    open(
        PRIVILEGED,
        "watch the whole file system",
        &[step(
            Sysno::fanotify_init,
            &[N(libc::FAN_CLASS_CONTENT as i64), N(0)],
        )],
    )
    .maybe(),
];
