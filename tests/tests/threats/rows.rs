//! The threats that are one job each: its module, its flags, and how it must end.

use crate::Ended;
use crate::bytes;
use crate::checks::{self, nothing_more};

use stint_tests::Site;

/// What is run.
pub(crate) enum Guest {
    /// One of `tests/jobs`.
    Text(&'static str),
    /// Made here, and its name.
    Bytes(&'static str, fn() -> Vec<u8>),
}

/// How it must end.
#[derive(Debug)]
pub(crate) enum Ends {
    /// For this reason.
    With(&'static str),
    /// With this code.
    Exited(u32),
    /// Not accepted, with these words.
    Refused(&'static str),
}

/// One threat.
pub(crate) struct Row {
    /// Its number in `docs/threats.md`, and what it is in a few words.
    pub(crate) threat: &'static str,
    pub(crate) guest: Guest,
    pub(crate) flags: &'static [&'static str],
    pub(crate) args: &'static [&'static str],
    /// One of these.
    pub(crate) ends: &'static [Ends],
    /// What else must be so.
    pub(crate) then: fn(&Site, &Ended),
}

use Ends::{Exited, Refused, With};
use Guest::{Bytes, Text};

const SHORT: &[&str] = &["--timeout", "400ms"];

/// A guest of `tests/jobs` that ends so.
const fn guest(
    threat: &'static str,
    name: &'static str,
    flags: &'static [&'static str],
    ends: &'static [Ends],
) -> Row {
    Row {
        threat,
        guest: Text(name),
        flags,
        args: &[],
        ends,
        then: nothing_more,
    }
}

/// A module that is not accepted.
const fn refused(
    threat: &'static str,
    name: &'static str,
    make: fn() -> Vec<u8>,
    ends: &'static [Ends],
) -> Row {
    Row {
        threat,
        guest: Bytes(name, make),
        flags: &[],
        args: &[],
        ends,
        then: nothing_more,
    }
}

impl Row {
    const fn then(mut self, check: fn(&Site, &Ended)) -> Self {
        self.then = check;
        self
    }

    const fn args(mut self, args: &'static [&'static str]) -> Self {
        self.args = args;
        self
    }
}

/// A guest that exits with the number it is given.
const fn exits(number: &'static [&'static str], ends: &'static [Ends]) -> Row {
    guest("40 any exit code", "exit-with", &[], ends).args(number)
}

/// Every threat that is one job, in the order of `docs/threats.md`.
pub(crate) const ROWS: &[Row] = &[
    guest("1 endless loop", "spin", SHORT, &[With("deadline")]).then(checks::in_time),
    guest(
        "2 memory.fill for ever",
        "fill",
        &["--timeout", "400ms", "--memory", "300Mi"],
        &[With("deadline")],
    )
    .then(checks::in_time),
    guest(
        "2 table.fill for ever",
        "table-fill",
        SHORT,
        &[With("deadline")],
    )
    .then(checks::in_time),
    guest(
        "3 memory without end",
        "memory-hog",
        &["--memory", "16Mi"],
        &[With("guest-memory-limit")],
    ),
    refused(
        "3 4 GiB from the start",
        "huge",
        bytes::four_gibibytes_from_the_start,
        &[Refused("4294967296 bytes of memory")],
    ),
    guest(
        "4 several memories",
        "memories",
        &["--memory", "16Mi"],
        &[With("guest-memory-limit")],
    )
    .then(checks::peak_within_16_mebi),
    refused(
        "5 a table of billions",
        "table",
        bytes::a_table_of_billions,
        &[Refused("elements in its tables")],
    ),
    guest(
        "5 a table that grows",
        "table-hog",
        &["--memory", "16Mi"],
        &[With("guest-memory-limit")],
    ),
    guest("6 deep recursion", "stack", &[], &[With("trapped")]),
    refused(
        "7 a million functions",
        "functions",
        bytes::a_million_functions,
        &[Refused("1000000 functions")],
    ),
    refused(
        "8 loops in loops",
        "loops-in-loops",
        bytes::loops_in_loops,
        &[Refused("changes of locals in loops")],
    ),
    refused(
        "9 loops after loops",
        "loops-after-loops",
        bytes::loops_after_loops,
        &[Refused("loops and blocks between uses")],
    ),
    refused(
        "10 locals",
        "locals",
        bytes::fifty_thousand_locals,
        &[Refused("50000 locals")],
    ),
    refused(
        "10 a function of 7.6 MB",
        "long",
        bytes::a_function_without_end,
        &[Refused("bytes, at most")],
    ),
    refused(
        "10 globals",
        "globals",
        bytes::too_many_globals,
        &[Refused("60001 globals"), Refused("60000 globals")],
    ),
    refused(
        "10 exports",
        "exports",
        bytes::too_many_exports,
        &[Refused("30001 exports")],
    ),
    refused(
        "10 nested components",
        "nested",
        bytes::a_component_of_components,
        &[Refused("components in each other")],
    ),
    refused(
        "10 components that double",
        "doubling",
        bytes::components_that_double,
        &[Refused("1024 instances")],
    ),
    refused(
        "11 imports that nobody gives",
        "imports",
        bytes::imports_that_nobody_gives,
        &[Refused("env.f9")],
    ),
    refused(
        "13 an empty file",
        "empty",
        bytes::nothing,
        &[Refused("empty")],
    ),
    refused("13 text", "text", bytes::text_format, &[Refused("text")]),
    refused(
        "13 a truncated module",
        "cut",
        bytes::cut_off,
        &[Refused("cut off")],
    ),
    refused(
        "13 a native program",
        "native",
        bytes::native,
        &[Refused("ELF")],
    ),
    refused(
        "14 a precompiled module",
        "compiled",
        bytes::precompiled,
        &[Refused("precompiled")],
    ),
    refused(
        "14 one in disguise",
        "disguised",
        bytes::precompiled_in_disguise,
        &[Refused("malformed"), Refused("cut off")],
    ),
    guest("16 10 GiB of output", "flood", &[], &[With("succeeded")])
        .then(checks::a_flood_is_kept_within_bounds),
    guest(
        "17 output in single bytes",
        "drip",
        &[],
        &[With("succeeded")],
    )
    .then(checks::every_byte_is_kept),
    guest(
        "18 output that is no text",
        "raw-bytes",
        &[],
        &[With("succeeded")],
    )
    .then(checks::bytes_are_as_they_were),
    guest(
        "19 descriptors",
        "fd-hog",
        &[],
        &[Exited(29), Exited(33), Exited(41), With("trapped")],
    ),
    guest("19 renumbering", "renumber", &[], &[With("succeeded")]),
    refused(
        "20 shared memory",
        "shared",
        bytes::shared_memory,
        &[Refused("thread")],
    ),
    Row {
        ends: &[With("compile-failed")],
        ..refused(
            "20 waiting on an atomic",
            "atomic",
            bytes::waits_on_an_atomic,
            &[],
        )
    },
    guest("22, 25 ways out", "escape", &[], &[With("succeeded")]),
    guest(
        "26 a file of a tebibyte",
        "sparse",
        &["--timeout", "20s"],
        &[With("scratch-full")],
    ),
    guest(
        "27 bytes on the disk",
        "disk-fill",
        &["--scratch", "16Mi"],
        &[With("scratch-full")],
    ),
    guest(
        "27 files on the disk",
        "inode-fill",
        &["--scratch", "16Mi"],
        &[With("scratch-full")],
    ),
    guest(
        "28 directories in directories",
        "deep",
        &[],
        &[With("scratch-full")],
    ),
    guest("29 asleep", "sleep-forever", SHORT, &[With("deadline")]).then(checks::in_time),
    guest("29 waiting for input", "stdin", &[], &[With("succeeded")]),
    guest(
        "30 timers and yields",
        "poll-storm",
        &["--timeout", "400ms", "--cpu", "0.5"],
        &[With("deadline")],
    )
    .then(checks::its_share_of_a_core_is_kept),
    guest("34 chance", "random", &[], &[With("trapped")]),
    guest("35 sockets", "sockets", &[], &[With("succeeded")]),
    exits(&["4294967295"], &[Exited(u32::MAX)]),
    exits(&["256"], &[Exited(256)]),
    exits(&["137"], &[Exited(137)]),
    exits(&["10000000000000"], &[Exited(1_316_134_912)]),
    guest(
        "40 an exit before the entry",
        "exit-in-start",
        &[],
        &[Exited(5)],
    ),
    guest(
        "40 a trap before the entry",
        "trap-at-start",
        &[],
        &[With("trapped")],
    ),
    guest(
        "43 memory of the engine",
        "engine-hog",
        &["--memory", "32Mi"],
        &[With("cgroup-oom")],
    ),
    guest(
        "44 memory of the page cache",
        "page-cache",
        &["--memory", "8Mi"],
        &[With("succeeded")],
    ),
];
