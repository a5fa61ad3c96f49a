//! What honest guests have done for them: it must work in the whole jail.

use syscalls::Sysno;

use crate::action::Arg::{Held as Fd, N, Pid, Result as Got, Room, Text, Words};
use crate::action::Held::{Control, Inputs, Scratch};
use crate::action::Who::Itself;
use crate::action::{Action, Arg, Step, step};

/// `struct open_how` as the engine has it, beneath the directory: to read; to make; to list.
const READ: Arg = Words(&[0, 0, BENEATH]);
const MAKE: Arg = Words(&[(libc::O_RDWR | libc::O_CREAT) as u64, 0o644, BENEATH]);
const LIST: Arg = Words(&[libc::O_DIRECTORY as u64, 0, BENEATH]);
const BENEATH: u64 = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
const HOW: Arg = N(24);

const READ_WRITE: i64 = (libc::PROT_READ | libc::PROT_WRITE) as i64;
const RESERVE: i64 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as i64;
/// The addresses of one memory of a guest, and its guard.
const MEMORY: i64 = 6 << 30;

const NEW: Step = step(Sysno::openat2, &[Fd(Scratch), Text(c"new"), MAKE, HOW]);

const fn can(name: &'static str, steps: &'static [Step]) -> Action {
    Action::within(name, &[], steps)
}

pub(crate) const ACTIONS: &[Action] = &[
    can(
        "read an input",
        &[
            step(Sysno::openat2, &[Fd(Inputs), Text(c"data"), READ, HOW]),
            step(Sysno::fstat, &[Got(0), Room(256)]),
            step(Sysno::pread64, &[Got(0), Room(16), N(16), N(0)]),
            step(Sysno::mmap, &[N(0), N(4096), N(1), N(2), Got(0), N(0)]),
            step(Sysno::close, &[Got(0)]),
        ],
    ),
    can(
        "write a file",
        &[
            NEW,
            step(Sysno::write, &[Got(0), Text(c"text"), N(4)]),
            step(Sysno::pwrite64, &[Got(0), Text(c"text"), N(4), N(9)]),
            step(Sysno::ftruncate, &[Got(0), N(7)]),
            step(Sysno::lseek, &[Got(0), N(0), N(0)]),
            step(Sysno::fdatasync, &[Got(0)]),
            step(Sysno::utimensat, &[Got(0), N(0), N(0), N(0)]),
            step(
                Sysno::fcntl,
                &[Got(0), N(libc::F_SETFL as i64), N(libc::O_APPEND as i64)],
            ),
        ],
    ),
    can(
        "change names",
        &[
            NEW,
            step(
                Sysno::linkat,
                &[
                    Fd(Scratch),
                    Text(c"new"),
                    Fd(Scratch),
                    Text(c"stolen"),
                    N(0),
                ],
            ),
            step(
                Sysno::renameat2,
                &[Fd(Scratch), Text(c"new"), Fd(Scratch), Text(c"link"), N(0)],
            ),
            step(Sysno::unlinkat, &[Fd(Scratch), Text(c"link"), N(0)]),
            step(
                Sysno::symlinkat,
                &[Text(c"stolen"), Fd(Scratch), Text(c"link")],
            ),
            step(
                Sysno::readlinkat,
                &[Fd(Scratch), Text(c"link"), Room(64), N(64)],
            ),
            step(Sysno::openat2, &[Fd(Scratch), Text(c"link"), READ, HOW]),
            step(
                Sysno::statx,
                &[Fd(Scratch), Text(c"link"), N(0), N(0x7ff), Room(256)],
            ),
        ],
    ),
    can(
        "make, list and remove a directory",
        &[
            step(Sysno::mkdirat, &[Fd(Scratch), Text(c"dir"), N(0o755)]),
            step(Sysno::openat2, &[Fd(Scratch), Text(c"dir"), LIST, HOW]),
            // As libraries do, for a place of their own in the list.
            step(
                Sysno::openat,
                &[Got(1), Text(c"."), N(libc::O_DIRECTORY as i64), N(0)],
            ),
            step(Sysno::getdents64, &[Got(2), Room(4096), N(4096)]),
            step(
                Sysno::unlinkat,
                &[Fd(Scratch), Text(c"dir"), N(libc::AT_REMOVEDIR as i64)],
            ),
        ],
    ),
    can(
        "enter a directory by its own place",
        &[step(
            Sysno::openat,
            &[
                Fd(Inputs),
                Text(c"."),
                // As a library asks for it, which has files of any size in mind.
                N((libc::O_PATH | 0o100_000) as i64),
                N(0),
            ],
        )],
    ),
    can(
        "list the inputs",
        &[
            step(
                Sysno::openat,
                &[Fd(Inputs), Text(c"."), N(libc::O_DIRECTORY as i64), N(0)],
            ),
            step(Sysno::getdents64, &[Got(0), Room(4096), N(4096)]),
        ],
    ),
    can(
        "have memory",
        &[
            step(
                Sysno::mmap,
                &[N(0), N(MEMORY), N(0), N(RESERVE), N(-1), N(0)],
            ),
            step(Sysno::mprotect, &[Got(0), N(1 << 20), N(READ_WRITE)]),
            step(
                Sysno::madvise,
                &[Got(0), N(1 << 20), N(libc::MADV_DONTNEED as i64)],
            ),
            step(Sysno::munmap, &[Got(0), N(MEMORY)]),
            step(Sysno::brk, &[N(0)]),
        ],
    ),
    can(
        "tell the time, wait, and be random",
        &[
            step(Sysno::clock_gettime, &[N(2), Room(16)]),
            step(
                Sysno::clock_nanosleep,
                &[N(1), N(0), Words(&[0, 1000]), N(0)],
            ),
            step(Sysno::ppoll, &[N(0), N(0), Words(&[0, 1000]), N(0), N(8)]),
            step(Sysno::getrandom, &[Room(64), N(64), N(0)]),
            step(Sysno::sched_yield, &[]),
        ],
    ),
    can(
        "handle its own traps",
        &[
            step(
                Sysno::rt_sigaction,
                &[N(libc::SIGUSR2 as i64), N(0), Room(64), N(8)],
            ),
            step(Sysno::sigaltstack, &[N(0), Room(24)]),
            step(Sysno::tgkill, &[Pid(Itself), Pid(Itself), N(0)]),
        ],
    ),
    can(
        "speak to whoever started it",
        &[step(
            Sysno::write,
            // Nothing, so that what it says in the end is understood.
            &[Fd(Control), Text(c""), N(0)],
        )],
    ),
];
