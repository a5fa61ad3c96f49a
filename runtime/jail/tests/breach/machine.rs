//! Reaching for the machine itself: mounts, clocks, modules, what root may do.

use stint_jail::Layer::{
    self, Capabilities, EmptyRoot, Identity, MountNamespace, SmallFilter, WideFilter,
};
use syscalls::{Errno, Sysno};

use crate::action::Arg::{Held as Fd, N, Place as Path, Room, Text, Words};
use crate::action::Held::Scratch;
use crate::action::Place::{Dir, Secret};
use crate::action::{Action, FILTERS, PRIVILEGED, step};

/// What meets whoever needs a privilege, and a path of the machine.
const PRIVILEGED_AT_PATH: &[Layer] = &[
    WideFilter,
    SmallFilter,
    Capabilities,
    Identity,
    MountNamespace,
    EmptyRoot,
];

const CLONE: i64 = libc::OPEN_TREE_CLONE as i64 | libc::AT_EMPTY_PATH as i64;

/// `struct timex`: `ADJ_TICK`, to nothing.
const TICK: &[u64] = &{
    let mut timex = [0; 32];
    timex[0] = 0x4000;
    timex
};

pub(crate) const ACTIONS: &[Action] = &[
    Action::out(
        "change a mount",
        PRIVILEGED,
        &[step(
            Sysno::mount,
            // As it was on every machine where this test may run: nobody else's.
            &[N(0), Text(c"/"), N(0), N(libc::MS_PRIVATE as i64), N(0)],
        )],
    ),
    Action::out(
        "make a file system",
        PRIVILEGED,
        &[step(Sysno::fsopen, &[Text(c"tmpfs"), N(0)])],
    ),
    Action::out(
        "bring a directory",
        PRIVILEGED,
        &[step(Sysno::open_tree, &[Fd(Scratch), Text(c""), N(CLONE)])],
    ),
    Action::out(
        "unmount",
        PRIVILEGED_AT_PATH,
        &[step(Sysno::umount2, &[Path(Secret), N(0)])],
    )
    .or(&[Errno::EINVAL]),
    Action::out(
        "change the root",
        PRIVILEGED,
        &[step(Sysno::pivot_root, &[Path(Secret), Path(Secret)])],
    )
    .or(&[Errno::ENOTDIR, Errno::ENOENT]),
    Action::out(
        "change the own root",
        PRIVILEGED,
        &[step(Sysno::chroot, &[Text(c"/")])],
    ),
    Action::out(
        "make a namespace of mounts",
        PRIVILEGED,
        &[step(Sysno::unshare, &[N(libc::CLONE_NEWNS as i64)])],
    ),
    Action::out(
        "make a namespace of users",
        FILTERS,
        &[step(Sysno::unshare, &[N(libc::CLONE_NEWUSER as i64)])],
    )
    .maybe(),
    Action::out(
        "load a program into the kernel",
        FILTERS,
        &[step(
            Sysno::bpf,
            // `BPF_MAP_CREATE`: an array of one number.
            &[
                N(0),
                Words(&[0x0000_0004_0000_0002, 0x0000_0001_0000_0004, 0, 0]),
                N(32),
            ],
        )],
    )
    .maybe(),
    Action::out(
        "watch the processor",
        FILTERS,
        &[step(
            Sysno::perf_event_open,
            // A software clock of this process.
            &[
                Words(&[0x0000_0040_0000_0001, 0, 0, 0, 0, 0, 0, 0]),
                N(0),
                N(-1),
                N(-1),
                N(0),
            ],
        )],
    )
    .maybe(),
    Action::out(
        "load a module",
        PRIVILEGED,
        &[step(Sysno::init_module, &[Room(64), N(64), Text(c"")])],
    )
    .or(&[Errno::ENOEXEC])
    .maybe(),
    Action::out(
        "load a module from a file",
        PRIVILEGED,
        &[step(Sysno::finit_module, &[Fd(Scratch), Text(c""), N(0)])],
    )
    .or(&[Errno::ENOEXEC, Errno::EINVAL, Errno::EISDIR])
    .maybe(),
    Action::out(
        "unload a module",
        PRIVILEGED,
        &[step(Sysno::delete_module, &[Text(c"stint-breach"), N(0)])],
    )
    .or(&[Errno::ENOENT])
    .maybe(),
    Action::out(
        "load another kernel",
        PRIVILEGED,
        &[step(Sysno::kexec_load, &[N(0), N(0), N(0), N(0)])],
    )
    .maybe(),
    Action::out(
        "restart the machine",
        PRIVILEGED,
        &[step(
            Sysno::reboot,
            // Only what the keys Ctrl, Alt and Del do, to what servers set it to.
            &[
                N(libc::LINUX_REBOOT_MAGIC1 as i64),
                N(libc::LINUX_REBOOT_MAGIC2 as i64),
                N(libc::LINUX_REBOOT_CMD_CAD_OFF as i64),
                N(0),
            ],
        )],
    ),
    Action::out(
        "swap to a file",
        PRIVILEGED_AT_PATH,
        &[step(Sysno::swapon, &[Path(Secret), N(0)])],
    )
    .or(&[Errno::EINVAL])
    .maybe(),
    Action::out(
        "stop swapping",
        PRIVILEGED_AT_PATH,
        &[step(Sysno::swapoff, &[Path(Secret)])],
    )
    .or(&[Errno::EINVAL])
    .maybe(),
    Action::out(
        "write accounts of all processes",
        PRIVILEGED_AT_PATH,
        &[step(Sysno::acct, &[Path(Dir)])],
    )
    .or(&[Errno::EISDIR, Errno::EACCES])
    .maybe(),
    Action::out(
        "set the clock",
        PRIVILEGED,
        &[step(
            Sysno::settimeofday,
            // To nothing; the right to is asked first.
            &[N(0), N(0)],
        )],
    ),
    Action::out(
        "tune the clock",
        PRIVILEGED,
        &[step(
            Sysno::adjtimex,
            // `ADJ_TICK` to what no clock takes, after the right to is asked.
            &[Words(TICK)],
        )],
    )
    .or(&[Errno::EINVAL]),
    Action::out(
        "read the kernel's messages",
        PRIVILEGED,
        &[step(Sysno::syslog, &[N(9), N(0), N(0)])],
    ),
    Action::out(
        "flush every disk",
        FILTERS,
        &[step(
            Sysno::quotactl,
            &[
                // `Q_SYNC` for users, of all file systems.
                N(0x8000_0100),
                N(0),
                N(0),
                N(0),
            ],
        )],
    )
    .maybe(),
    Action::out(
        "name the machine",
        PRIVILEGED,
        &[step(Sysno::sethostname, &[N(0), N(-1)])],
    )
    .or(&[Errno::EINVAL]),
    #[cfg(target_arch = "x86_64")]
    Action::out(
        "use ports of devices",
        PRIVILEGED,
        &[step(Sysno::iopl, &[N(3)])],
    )
    .maybe(),
    #[cfg(target_arch = "x86_64")]
    Action::out(
        "use a port of a device",
        PRIVILEGED,
        &[step(Sysno::ioperm, &[N(0x80), N(1), N(1)])],
    )
    .maybe(),
];
