//! What an action is: the calls that whoever owns the process makes, what they
//! reach for, and the layers each of which stops them alone.

use std::ffi::CStr;

use stint_jail::Layer;
use syscalls::{Errno, Sysno};

/// Something that is tried from inside of the jail.
#[derive(Debug)]
pub(crate) struct Action {
    /// What it is, in a few words.
    pub(crate) name: &'static str,
    /// What it would reach.
    pub(crate) reach: Reach,
    /// How it is done.
    pub(crate) how: How,
    /// Errors that come only after every guard was passed: as good as done.
    pub(crate) past: &'static [Errno],
    /// The layers that stop it, each of them alone.
    pub(crate) by: &'static [Layer],
    /// Whether a process without a jail gets there, on any machine with root.
    pub(crate) bare: Bare,
}

/// How far an action would get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Out of the process: two layers at least.
    Outside,
    /// The process itself, which is given up already.
    Itself,
}

/// What happens to it without a jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// It succeeds: so it is the jail that stops it.
    Succeeds,
    /// It depends on how the kernel was built and set up.
    Depends,
}

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// By system calls, one after the other.
    Calls(&'static [Step]),
    /// By a system call of 32-bit programs.
    #[cfg(target_arch = "x86_64")]
    Compat,
}

/// One system call.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) number: u32,
    pub(crate) args: &'static [Arg],
}

/// An argument of a call.
#[derive(Debug)]
pub(crate) enum Arg {
    N(i64),
    /// What an earlier step returned.
    Result(usize),
    Held(Held),
    Pid(Who),
    /// Of a shared memory segment outside.
    Key,
    Text(&'static CStr),
    Place(Place),
    Words(&'static [u64]),
    /// Zeros, so many bytes.
    Room(usize),
    /// A buffer for all steps.
    Shared,
    Tcp,
    Udp,
    AnyPort,
    Unix,
    Abstract,
    /// One byte of this process's memory, which another has elsewhere.
    Iovec,
}

/// What the process has open.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Held {
    /// The socket to whoever started it.
    Control,
    /// The job's directory to read.
    Inputs,
    /// The job's directory to write.
    Scratch,
    /// Nothing that it should have.
    Leaked,
}

/// Another process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Who {
    Parent,
    Sibling,
    Itself,
}

/// A path outside.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// A file that only root may read, beside the job's directories.
    Secret,
    /// The directory that it is in.
    Dir,
    MemoryOf(Who),
    EnvironmentOf(Who),
    /// Where a process is moved out of its cgroup.
    Cgroup,
}

/// Both filters, and nothing else.
pub(crate) const FILTERS: &[Layer] = &[Layer::WideFilter, Layer::SmallFilter];
/// Both filters, and the privilege that it takes.
pub(crate) const PRIVILEGED: &[Layer] = &[
    Layer::WideFilter,
    Layer::SmallFilter,
    Layer::Capabilities,
    Layer::Identity,
];

/// One call.
pub(crate) const fn step(call: Sysno, args: &'static [Arg]) -> Step {
    Step {
        number: call as u32,
        args,
    }
}

impl Action {
    /// One that reaches out of the process, and does so if there is no jail.
    pub(crate) const fn out(
        name: &'static str,
        by: &'static [Layer],
        steps: &'static [Step],
    ) -> Self {
        Self {
            name,
            reach: Reach::Outside,
            how: How::Calls(steps),
            past: &[],
            by,
            bare: Bare::Succeeds,
        }
    }

    /// One that stays in the process.
    pub(crate) const fn within(
        name: &'static str,
        by: &'static [Layer],
        steps: &'static [Step],
    ) -> Self {
        Self {
            reach: Reach::Itself,
            ..Self::out(name, by, steps)
        }
    }

    /// The same, which errors of `past` do not keep from having got through.
    pub(crate) const fn or(self, past: &'static [Errno]) -> Self {
        Self { past, ..self }
    }

    /// The same, which not every kernel has or lets root do.
    pub(crate) const fn maybe(self) -> Self {
        Self {
            bare: Bare::Depends,
            ..self
        }
    }
}
