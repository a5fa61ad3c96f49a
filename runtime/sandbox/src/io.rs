//! How many bytes the attempt read and wrote, as the kernel counts them for this
//! thread: an attempt is all that happens on it between two readings.

use std::fs;

/// The kernel's account of this thread.
const ACCOUNT: &str = "/proc/thread-self/io";

/// Bytes through read and write calls, cached or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) read: u64,
    pub(crate) written: u64,
}

/// Counts from when it was started.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Nothing where the kernel does not tell, as in a jail without `/proc`.
    start: Option<Moved>,
}

impl Meter {
    pub(crate) fn start() -> Self {
        let start = fs::read_to_string(ACCOUNT).ok().map(|text| {
            let mut moved = parse(&text);
            // The kernel counts this reading too, after it has told.
            moved.read = moved.read.saturating_add(text.len() as u64);
            moved
        });
        Self { start }
    }

    /// Since the start; zero where the kernel does not tell.
    pub(crate) fn stop(self) -> Moved {
        let (Some(start), Ok(text)) = (self.start, fs::read_to_string(ACCOUNT)) else {
            return Moved::default();
        };
        let end = parse(&text);
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
