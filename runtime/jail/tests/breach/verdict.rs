//! How an action ended, from what its process said and how it went.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use stint_jail::{EXIT_VIOLATION, call_name};
use syscalls::Errno;

/// What a jailed process says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It got there.
    Reached,
    /// The kernel refused, with this error.
    Refused(i32),
    /// The filter stopped this call.
    Stopped(u32),
}

impl Said {
    pub(crate) fn to_line(self) -> String {
        match self {
            Self::Reached => "reached\n".to_owned(),
            Self::Refused(errno) => format!("refused {errno}\n"),
            Self::Stopped(number) => format!("stopped {number}\n"),
        }
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        match (words.next()?, words.next()) {
            ("reached", None) => Some(Self::Reached),
            ("refused", Some(errno)) => errno.parse().ok().map(Self::Refused),
            ("stopped", Some(number)) => number.parse().ok().map(Self::Stopped),
            _ => None,
        }
    }
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It got there.
    Reached,
    /// The kernel refused.
    Refused(Errno),
    /// The process ended for this call, and said so.
    Stopped(u32),
    /// The kernel ended the process for a call.
    Killed,
    /// The test itself has failed.
    Strange(String),
}

impl Verdict {
    pub(crate) fn of(said: &str, status: ExitStatus) -> Self {
        let strange = || Self::Strange(format!("{said:?}, {status}"));
        match (Said::of_line(said), status.code(), status.signal()) {
            (Some(Said::Reached), Some(0), _) => Self::Reached,
            (Some(Said::Refused(errno)), Some(0), _) => Self::Refused(Errno::new(errno)),
            (Some(Said::Stopped(number)), Some(code), _) if code == i32::from(EXIT_VIOLATION) => {
                Self::Stopped(number)
            }
            (None, _, Some(libc::SIGSYS)) => Self::Killed,
            // Another program has come in its place, and has ended well.
            (None, Some(0), _) if said.is_empty() => Self::Reached,
            _ => strange(),
        }
    }

    pub(crate) fn is_denied(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Stopped(_) | Self::Killed)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reached => f.pad("reached"),
            Self::Refused(errno) => f.pad(errno.name().unwrap_or("an error")),
            Self::Stopped(number) => f.pad(&format!("SIGSYS {}", call_name(*number))),
            Self::Killed => f.pad("SIGSYS"),
            Self::Strange(how) => f.pad(how),
        }
    }
}
