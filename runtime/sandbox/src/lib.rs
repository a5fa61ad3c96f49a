//! wasmtime: compile a module, run one attempt under limits.
