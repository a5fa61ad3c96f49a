//! wasmtime: compile a module, run one attempt under limits.

mod plan;

pub use plan::{Access, Dir, Plan};
