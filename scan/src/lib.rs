//! Structural scan of a module, without compiling it.
