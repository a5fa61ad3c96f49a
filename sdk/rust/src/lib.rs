//! What a job's program sees of Stint: which task it is, its inputs and its
//! result. All of it is files and environment variables, so the same program
//! runs under Stint, under any WASI runtime and natively; where a variable is
//! absent the function falls back or says what to do.
//!
//! ```no_run
//! // Counts the lines of the input `log`; `stint run --input log=file:///var/log/syslog hello.wasm`
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let text = std::fs::read_to_string(stint_sdk::input("log")?)?;
//!     let (task, tasks) = (stint_sdk::task_index() as usize, stint_sdk::task_count() as usize);
//!     let mine = text.lines().skip(task).step_by(tasks).count();
//!     stint_sdk::result(format!(r#"{{"task": {task}, "lines": {mine}}}"#))?;
//!     Ok(())
//! }
//! ```
//!
//! | variable | read by | when absent |
//! |---|---|---|
//! | `STINT_TASK_INDEX` | [`task_index`] | 0 |
//! | `STINT_TASK_COUNT` | [`task_count`] | 1 |
//! | `STINT_TRY` | [`try_number`] | 1 |
//! | `STINT_IN` | [`input`] | `/in` |
//! | `STINT_EVENTS` | [`progress`], [`metric`] | nothing is said |
//! | `STINT_CHECKPOINT` | [`checkpoint`] | nothing is saved or found |
//! | `STINT_OUT` | [`result()`], [`output`] | `/out` if it is there, else standard output |

mod task;

mod input;
mod result;
mod say;

pub mod checkpoint;

pub use input::{InputError, input};
pub use result::{ResultError, output, result};
pub use say::{metric, progress};
pub use task::{task_count, task_index, try_number};
