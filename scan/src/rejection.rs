//! Why a module is refused. Each says what is wrong and what to do next: whoever
//! submitted it reads this sentence and nothing else.

use serde::{Deserialize, Serialize};

/// Most unknown imports that one rejection names.
pub(crate) const IMPORTS_NAMED_MAX: usize = 10;

/// Why no node could run the module.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Rejection {
    /// No bytes at all.
    #[error("the file is empty; submit a .wasm file built for wasm32-wasip1")]
    Empty,
    /// The text format.
    #[error("this is WebAssembly text; compile it with `wat2wasm` and submit the .wasm")]
    TextFormat,
    /// A native program or library.
    #[error("this is a native program (ELF); build it for wasm32-wasip1 instead")]
    Elf,
    /// What an engine compiled: running it would be running native code that nobody checked.
    #[error("this is a precompiled module (.cwasm); submit the .wasm it was compiled from")]
    Precompiled,
    /// A component, where a kit enters a core module.
    #[error(
        "this is a component, its kit enters the function `{export}` of a core module; build it for wasm32-wasip1"
    )]
    KitComponent {
        /// What the kit enters.
        export: String,
    },
    /// An object file or shared library, not yet a program.
    #[error("this is {found}, not a program; link it with `wasm-ld` or build an executable")]
    NotLinked {
        /// Which of them.
        found: String,
    },
    /// Anything else that is not WebAssembly.
    #[error("this is not WebAssembly but {found}; {next}")]
    NotWasm {
        /// What it looks like.
        found: String,
        /// What to do.
        next: String,
    },
    /// The file ends inside a section.
    #[error("the module is cut off at byte {offset}; build or copy it again")]
    Truncated {
        /// Bytes that are there.
        offset: u64,
    },
    /// A section is not well-formed.
    #[error(
        "the module is malformed at byte {offset}: {message}; build it again, and check it with `wasm-validate`"
    )]
    Malformed {
        /// Where.
        offset: u64,
        /// What is wrong there.
        message: String,
    },
    /// More of something than a module may have.
    #[error("{what}, at most {max} are allowed; split the program or strip what it does not use")]
    TooLarge {
        /// What there is too much of, with how much.
        what: String,
        /// The most that is allowed.
        max: u64,
    },
    /// More memory at the start than any job should take untouched.
    #[error(
        "the module starts with {bytes} bytes of memory, at most {max} are allowed; declare less and let it grow"
    )]
    MemoryMinimum {
        /// What its memories have together.
        bytes: u64,
        /// The most that is allowed.
        max: u64,
    },
    /// Imports that the host does not give.
    #[error("the host does not give {}{}; build for wasm32-wasip1, without JavaScript or Emscripten glue", quoted(named), more(*total, named.len()))]
    UnknownImport {
        /// The first ten of them, as `module.name`.
        named: Vec<String>,
        /// How many there are.
        total: u64,
    },
    /// Imports of a component that the host does not give.
    #[error("the host does not give {}{}; it gives the world `wasi:cli/command` of WASI 0.2, build for that (wasm32-wasip2)", quoted(named), more(*total, named.len()))]
    UnknownInterface {
        /// The first ten of them.
        named: Vec<String>,
        /// How many there are.
        total: u64,
    },
    /// A component without a program.
    #[error(
        "the component does not export `wasi:cli/run` of WASI 0.2{found}; build a command (world `wasi:cli/command`), not a library"
    )]
    NoRun {
        /// What it exports instead, as the end of a sentence.
        found: String,
    },
    /// Nothing to call.
    #[error("the module exports no function `_start`; build a program (a `main`), not a library")]
    NoEntry,
    /// The entry takes or returns something.
    #[error(
        "`_start` is {found}, it must be a function () -> (); build a program with a WASI toolchain"
    )]
    WrongEntry {
        /// What it is.
        found: String,
    },
    /// Nothing to call by the name that its kit says.
    #[error(
        "the module exports no function `{export}`, by which its kit enters it; the kit is not for this module"
    )]
    NoSuchEntry {
        /// What was looked for.
        export: String,
    },
    /// The kit's entry has another type than the kit says.
    #[error("`{export}` is {found}, its kit says {expected}; the kit is not for this module")]
    OtherEntry {
        /// The export.
        export: String,
        /// What the kit says.
        expected: String,
        /// What it is.
        found: String,
    },
    /// It calls the host, which could not see its memory.
    #[error(
        "the module calls the host but exports no memory named `memory`, where the host reads and writes; export it"
    )]
    NoMemory,
    /// Shared memory or atomics.
    #[error(
        "the module uses threads (a shared memory), which no task has; build it without `-pthread` or the `atomics` feature"
    )]
    Threads,
    /// 64-bit memories or tables.
    #[error("the module uses memory64, which is not supported; build it for wasm32")]
    Memory64,
    /// Pages that are not 64 KiB.
    #[error(
        "the module uses pages of another size than 64 KiB, which is not supported; build it without custom page sizes"
    )]
    PageSize,
}

fn quoted(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

fn more(total: u64, named: usize) -> String {
    match total.saturating_sub(named as u64) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    }
}
