//! The scheduler's shell: HTTP over one listener, node links, and the driver
//! that owns the heart and the store. Whoever starts one gives it a listener
//! and a signal to stop; it reads no environment and no command line.
//!
//! ```text
//!  connections ──▶ http ──▶ driver::Handle ──▶ the driver's thread: heart, then store
//!                   │ ▲                              │
//!                   │ └── events, orders streams ◀───┘
//!                   └──▶ blobs (modules), files, logs: files of their own
//! ```

mod blobs;
mod clock;
mod driver;
mod events;
mod files;
mod http;
mod listen;
mod logs;
mod metrics;
mod said;
mod scheduler;
mod sweep;
mod unneeded;

pub use driver::{DriverError, RestoreError};
pub use scheduler::{Config, RunError, Scheduler, StartError};
pub use stint_cluster::Keep;
