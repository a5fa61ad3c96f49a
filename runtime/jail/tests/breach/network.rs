//! Reaching for the network, and for whoever listens on this machine.

use stint_jail::Layer::{
    EmptyRoot, Identity, LandlockKinds, LandlockNetwork, LandlockScope, MountNamespace,
    NetworkNamespace, SmallFilter, WideFilter,
};
use syscalls::{Errno, Sysno};

use crate::action::Arg::{
    Abstract, AnyPort, Held as Fd, N, Pid, Result as Got, Room, Tcp, Text, Udp, Unix, Words,
};
use crate::action::Held::{Control, Scratch};
use crate::action::Who::Parent;
use crate::action::{Action, Arg, FILTERS, PRIVILEGED, Step, step};

const LOCAL: Arg = N(libc::AF_UNIX as i64);
const STREAM: Arg = N(libc::SOCK_STREAM as i64);
const INTERNET: Step = step(Sysno::socket, &[N(libc::AF_INET as i64), STREAM, N(0)]);

pub(crate) const ACTIONS: &[Action] = &[
    Action::out(
        "connect by TCP",
        &[WideFilter, SmallFilter, NetworkNamespace, LandlockNetwork],
        &[INTERNET, step(Sysno::connect, &[Got(0), Tcp, N(16)])],
    ),
    Action::out(
        "listen by TCP",
        &[WideFilter, SmallFilter, LandlockNetwork],
        &[
            INTERNET,
            step(Sysno::bind, &[Got(0), AnyPort, N(16)]),
            step(Sysno::listen, &[Got(0), N(1)]),
        ],
    ),
    Action::out(
        "send by UDP",
        &[WideFilter, SmallFilter, NetworkNamespace],
        &[
            step(
                Sysno::socket,
                &[N(libc::AF_INET as i64), N(libc::SOCK_DGRAM as i64), N(0)],
            ),
            step(Sysno::sendto, &[Got(0), Room(4), N(4), N(0), Udp, N(16)]),
        ],
    ),
    Action::out(
        "make a raw socket",
        PRIVILEGED,
        &[step(
            Sysno::socket,
            &[
                N(libc::AF_INET as i64),
                N(libc::SOCK_RAW as i64),
                N(libc::IPPROTO_ICMP as i64),
            ],
        )],
    ),
    Action::out(
        "listen to all packets",
        PRIVILEGED,
        &[step(
            Sysno::socket,
            &[N(libc::AF_PACKET as i64), N(libc::SOCK_RAW as i64), N(0)],
        )],
    )
    .maybe(),
    Action::out(
        "ask about interfaces",
        FILTERS,
        &[step(
            Sysno::socket,
            &[N(libc::AF_NETLINK as i64), N(libc::SOCK_RAW as i64), N(0)],
        )],
    ),
    Action::out(
        "use the kernel's ciphers",
        FILTERS,
        &[step(
            Sysno::socket,
            &[N(libc::AF_ALG as i64), N(libc::SOCK_SEQPACKET as i64), N(0)],
        )],
    )
    .maybe(),
    Action::out(
        "speak to the hypervisor",
        FILTERS,
        &[step(
            Sysno::socket,
            &[N(libc::AF_VSOCK as i64), STREAM, N(0)],
        )],
    )
    .maybe(),
    Action::out(
        "connect to a socket in the file system",
        &[WideFilter, SmallFilter, MountNamespace, EmptyRoot, Identity],
        &[
            step(Sysno::socket, &[LOCAL, STREAM, N(0)]),
            step(Sysno::connect, &[Got(0), Unix, N(110)]),
        ],
    ),
    Action::out(
        "connect to an abstract socket",
        &[WideFilter, SmallFilter, NetworkNamespace, LandlockScope],
        &[
            step(Sysno::socket, &[LOCAL, STREAM, N(0)]),
            step(Sysno::connect, &[Got(0), Abstract, N(110)]),
        ],
    ),
    Action::out(
        "put a socket into scratch",
        &[WideFilter, SmallFilter, LandlockKinds],
        &[step(
            Sysno::mknodat,
            &[
                Fd(Scratch),
                Text(c"listener"),
                N(libc::S_IFSOCK as i64 | 0o666),
                N(0),
            ],
        )],
    ),
    Action::out(
        "send more than bytes to the parent",
        FILTERS,
        &[step(
            Sysno::sendmsg,
            // No name, no data, no descriptors: whether it may be called at all.
            &[Fd(Control), Words(&[0, 0, 0, 0, 0, 0, 0]), N(0)],
        )],
    ),
    Action::out(
        "make a pair of sockets",
        FILTERS,
        &[step(Sysno::socketpair, &[LOCAL, STREAM, N(0), Room(8)])],
    ),
    Action::out(
        "have a socket signal the parent",
        FILTERS,
        &[step(
            Sysno::fcntl,
            &[Fd(Control), N(libc::F_SETOWN as i64), Pid(Parent)],
        )],
    ),
    Action::out(
        "type into a terminal",
        FILTERS,
        &[step(
            Sysno::ioctl,
            &[Fd(Control), N(libc::TIOCSTI as i64), Room(1)],
        )],
    )
    .or(&[Errno::ENOTTY]),
    Action::out(
        "queue calls for the kernel",
        FILTERS,
        &[step(Sysno::io_uring_setup, &[N(1), Room(120)])],
    )
    .maybe(),
    Action::out(
        "queue reads for the kernel",
        FILTERS,
        &[step(Sysno::io_setup, &[N(1), Room(8)])],
    )
    .maybe(),
];
