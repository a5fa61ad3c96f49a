//! Ports for processes that a test starts, stops and starts again on the same one.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below what the kernel hands out to whoever asks for any port (32768 on, by default),
/// so that no connection of another test sits on a port that was free a moment ago.
const FIRST: u32 = 10_000;
const COUNT: u32 = 22_000;
/// Far apart for processes with neighbouring ids, and prime to the number of ports.
const STRIDE: u32 = 7_919;

/// A port of this machine that nobody listens on, and that this process has not had yet.
///
/// # Panics
/// When every port is taken.
pub fn free() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(STRIDE) % COUNT;
    (0..COUNT)
        .map(|_| FIRST + (start + TAKEN.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}
