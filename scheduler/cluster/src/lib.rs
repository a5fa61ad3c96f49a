//! Heart of the scheduler: every decision about the cluster, and no I/O.
//!
//! [`Cluster`] is a synchronous state machine. Each verb takes the time and
//! what happened and returns [`Effects`]: records to commit, orders to nodes,
//! events to tell. The driver commits the changes *in their order*, and only
//! then releases the answer, the orders and the events; whatever it could not
//! commit it must not tell, and the heart must then be thrown away and
//! restored, because it already believes it.
//!
//! | verb | file |
//! |---|---|
//! | `restore` | `restore.rs` |
//! | `submit`, `module_pushed` | `submit.rs` |
//! | `kit_added` | `kit.rs` |
//! | `submit_batch` | `batch.rs` |
//! | `cancel` | `cancel.rs` |
//! | `suspend`, `resume` | `suspend.rs` |
//! | `rerun` | `rerun.rs` |
//! | `hello`, `full` | `hello.rs` |
//! | `report` | `report.rs`, which asks `verdict.rs` what an outcome costs |
//! | `cordon`, `uncordon`, `drain` | `duty.rs` |
//! | `set_namespace` | `account.rs` |
//! | `tick`, `next_wake` | `lease.rs` |
//! | what is forgotten, in `tick` | `history.rs`; modules: `library.rs`, with `module_wanted` |
//! | placement, after any of them | `turns.rs` says whose turn it is, `placement.rs` picks, `place.rs` grants, `preempt.rs` makes room: `victims.rs` says whose, `reserve.rs` keeps it |
//! | views | `view.rs`, `task_runs.rs`, `waiting.rs`, `census.rs` |
//!
//! Durable are job, chunk, page, node, module, namespace and meta records
//! (`record.rs`); a pending or finished task is one bit of a chunk, nothing more.

mod account;
mod batch;
mod bitmap;
mod cancel;
mod capacity;
mod census;
mod chunk;
mod classes;
mod cluster;
mod debts;
mod draft;
mod duty;
mod effects;
mod ending;
mod goodbye;
mod grants;
mod hello;
mod history;
mod job;
mod key;
mod kit;
mod lease;
mod library;

mod node;
mod page;
mod place;
mod placement;
mod preempt;
mod queue;
mod ranks;
mod record;
mod refusal;
mod report;
mod rerun;
mod reserve;
mod restore;
mod seal;
mod settle;
mod shelves;
mod submit;
mod suspend;
mod task_runs;
mod turns;
mod verdict;
mod victims;
mod view;
mod waiting;

pub use account::NamespaceError;
pub use batch::BatchError;
pub use cancel::CancelError;
pub use census::Census;
pub use cluster::{Cluster, Config};
pub use duty::UnknownNode;
pub use effects::{Change, Effects};
pub use hello::HelloError;
pub use history::Keep;
pub use key::{ParseKeyError, RecordKey};
pub use kit::KitError;
pub use library::Roots;
pub use page::{History, PageIndex};
pub use record::RecordError;
pub use refusal::SubmitError;
pub use report::StaleGeneration;
pub use rerun::{Rerun, RerunError};
pub use restore::RestoreError;
pub use submit::{IdempotencyKey, Submission, TooManyModules};
pub use suspend::SuspendError;
pub use task_runs::TaskPage;
pub use view::{JobsError, JobsQuery};
