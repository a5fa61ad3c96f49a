//! How many bytes the attempt read and wrote, as the kernel counts them for this
//! thread: an attempt is all that happens on it between two readings.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::FileExt as _;

/// The kernel's account of this thread.
const ACCOUNT: &str = "/proc/thread-self/io";
/// Longer than the account is.
const ACCOUNT_BYTES_MAX: usize = 512;

/// Bytes through read and write calls, cached or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) read: u64,
    pub(crate) written: u64,
}

/// The account of the thread that opened it.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Nothing where the kernel does not tell.
    file: Option<File>,
}

impl Account {
    /// This thread's. Opened once, before a jail hides the path.
    pub(crate) fn open() -> Self {
        Self {
            file: File::open(ACCOUNT).ok(),
        }
    }

    /// The file, if there is one.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(File::as_fd)
    }

    /// What it shows, and how long that is.
    fn look(&self) -> Option<(Moved, u64)> {
        let mut text = [0; ACCOUNT_BYTES_MAX];
        let count = self.file.as_ref()?.read_at(&mut text, 0).ok()?;
        let moved = parse(std::str::from_utf8(&text[..count]).ok()?);
        Some((moved, count as u64))
    }
}

/// Counts from when it was started.
#[derive(Debug)]
pub(crate) struct Meter<'a> {
    account: &'a Account,
    start: Option<Moved>,
}

impl<'a> Meter<'a> {
    pub(crate) fn start(account: &'a Account) -> Self {
        let start = account.look().map(|(mut moved, bytes)| {
            // The kernel counts this reading too, after it has told.
            moved.read = moved.read.saturating_add(bytes);
            moved
        });
        Self { account, start }
    }

    /// Since the start; zero where the kernel does not tell.
    pub(crate) fn stop(self) -> Moved {
        let (Some(start), Some((end, _))) = (self.start, self.account.look()) else {
            return Moved::default();
        };
        Moved {
            read: end.read.saturating_sub(start.read),
            written: end.written.saturating_sub(start.written),
        }
    }
}

fn parse(text: &str) -> Moved {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            .unwrap_or(0)
    };
    Moved {
        read: field("rchar:"),
        written: field("wchar:"),
    }
}
