//! How large a module may be. Each limit is far below what the engine would
//! take, because the engine's own are there to keep it correct, not to keep a
//! scheduler and a compiler affordable.

use crate::Rejection;

/// Bytes of the whole module: several times the largest scientific Python.
pub const MODULE_BYTES_MAX: u64 = 512 << 20;
/// Types. A program has one per distinct signature: hundreds.
pub const TYPES_MAX: u64 = 20_000;
/// Imports. WASI has 46, a large program perhaps as many again.
pub const IMPORTS_MAX: u64 = 1_000;
/// Functions.
pub const FUNCTIONS_MAX: u64 = 100_000;
/// Tables. Compilers make one or two.
pub const TABLES_MAX: u64 = 16;
/// Memories. Compilers make one.
pub const MEMORIES_MAX: u64 = 8;
/// Exception tags. A compiler makes one for each language.
pub const TAGS_MAX: u64 = 1_000;
/// Globals. Position-independent code has one per symbol.
pub const GLOBALS_MAX: u64 = 50_000;
/// Exports.
pub const EXPORTS_MAX: u64 = 20_000;
/// Element segments.
pub const ELEMENTS_MAX: u64 = 20_000;
/// Data segments. A snapshot of a running program has one per touched region.
pub const DATA_MAX: u64 = 50_000;
/// Bytes of one function: interpreters' main loops reach a few hundred thousand.
pub const BODY_BYTES_MAX: u64 = 4 << 20;
/// Locals of one function.
pub const LOCALS_MAX: u64 = 20_000;
/// Bytes that the memories have at the start; a program that needs more grows into it.
pub const MEMORY_MIN_BYTES_MAX: u64 = 2 << 30;
/// Elements that the tables have at the start.
pub const TABLE_MIN_MAX: u64 = 1_000_000;

/// How many times as much as one module a component's modules may have together: its
/// program, what it is linked with at run time, and adapters, of which only the first is large.
pub const MODULES_IN_ONE: u64 = 10;
/// Modules and components in a component: a Python program with native packages has some hundred.
pub const PARTS_MAX: u64 = 1_000;
/// How deep components may stand in each other. Tools make two levels, their composition a few more.
pub const NESTING_MAX: u64 = 8;
/// Instances that a component makes of modules, those of its inner components counted each
/// time that these are made. Few are made twice.
pub const INSTANCES_MAX: u64 = 1_000;
/// Aliases in a component: one for each function that its modules have of each other.
pub const ALIASES_MAX: u64 = 100_000;
/// Functions that a component lifts and lowers: WASI has some two hundred.
pub const CANONICALS_MAX: u64 = 20_000;

/// Refuses more than `max` of `what`.
pub(crate) fn check(of: &str, what: &str, found: u64, max: u64) -> Result<(), Rejection> {
    if found <= max {
        Ok(())
    } else {
        Err(Rejection::TooLarge {
            what: format!("{of} has {found} {what}"),
            max,
        })
    }
}
