//! What a keeper says to people: on its standard error, which is `keeper.log` in
//! the node's directory. A keeper may live for months, so the log has an end.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// Longest log. A keeper says a line when something is wrong with a slot; this
/// is some fifty thousand of them, and whoever reads it wants the first.
const LOG_BYTES_MAX: u64 = 8 << 20;

/// Starts the log; `RUST_LOG` says how much of it.
pub(crate) fn start() {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(Bounded::default());
    // Another log, if the binary has started one already, will do.
    drop(log.try_init());
}

/// Standard error until so much was written.
#[derive(Debug, Default)]
struct Bounded {
    written: AtomicU64,
}

impl<'a> MakeWriter<'a> for Bounded {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Bounded {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let bytes = line.len() as u64;
        let before = self.written.fetch_add(bytes, Ordering::Relaxed);
        if before <= LOG_BYTES_MAX {
            io::stderr().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
