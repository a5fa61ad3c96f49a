//! The heart of a node: every decision about grants, attempts and retries.
//!
//! A synchronous state machine without clock, file, socket or thread. The
//! shell (or a simulation) says what happened through the verbs of
//! [`Supervisor`]; each returns the [`Action`]s that follow. What goes up to
//! the scheduler waits in the supervisor's outbox: take it with
//! [`Supervisor::batch`], and say [`Supervisor::acknowledged`] once the
//! scheduler has answered. Time and the seed of chance are arguments.
//!
//! ```text
//!             orders, welcomed, renewed                  prepared, started,
//!                                                        ended, published, kept
//!  scheduler ───────────────────────────▶ Supervisor ◀─────────────────────── shell
//!            ◀─────────────────────────── (outbox)    ───────────────────────▶
//!             batch, acknowledged                        Action
//! ```
//!
//! - `supervisor.rs` the verbs, `holding.rs` the states of a grant and its tasks,
//! - `orders.rs` what the scheduler wants, `adopt.rs` what the keeper still has,
//! - `run.rs` tasks that run one after another without being asked for,
//! - `returning.rs` what goes back to the scheduler,
//! - `progress.rs` the steps that follow, `restart.rs` whether, where and when a failed task runs again,
//! - `outbox.rs` reports until the scheduler has them.

mod action;
mod adopt;
mod holding;
mod orders;
mod outbox;
mod progress;
mod restart;
mod returning;
mod run;
mod supervisor;

pub use action::{Action, AttemptEnd, Kept, KeptState, Run};
pub use orders::WrongGeneration;
pub use outbox::Batch;
pub use supervisor::{Config, Supervisor};
