//! What the host gives: to a core module the functions of WASI preview 1, to a
//! component the interfaces of WASI 0.2, by name.

/// The one module that host functions are imported from.
pub const HOST_MODULE: &str = "wasi_snapshot_preview1";

/// Sorted, so that a search may halve it.
const FUNCTIONS: [&str; 46] = [
    "args_get",
    "args_sizes_get",
    "clock_res_get",
    "clock_time_get",
    "environ_get",
    "environ_sizes_get",
    "fd_advise",
    "fd_allocate",
    "fd_close",
    "fd_datasync",
    "fd_fdstat_get",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_get",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pread",
    "fd_prestat_dir_name",
    "fd_prestat_get",
    "fd_pwrite",
    "fd_read",
    "fd_readdir",
    "fd_renumber",
    "fd_seek",
    "fd_sync",
    "fd_tell",
    "fd_write",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_open",
    "path_readlink",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
    "proc_exit",
    "proc_raise",
    "random_get",
    "sched_yield",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// The interfaces of the world `wasi:cli/command`, sorted.
const INTERFACES: [&str; 27] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];
/// The interface by which a component is run.
pub(crate) const RUN: &str = "wasi:cli/run";
/// How all versions of WASI 0.2 begin; each gives what those before it gave.
const VERSION: &str = "0.2.";

/// Functions that touch no memory of the guest, so that a module without one may call them.
const WITHOUT_MEMORY: [&str; 1] = ["proc_exit"];

/// Whether the host gives `module.name`.
pub fn is_host_import(module: &str, name: &str) -> bool {
    module == HOST_MODULE && FUNCTIONS.binary_search(&name).is_ok()
}

/// The interfaces that the host gives to components, without their version.
pub fn interfaces() -> &'static [&'static str] {
    &INTERFACES
}

/// Whether the host gives the interface `name`, for example `wasi:cli/stdout@0.2.6`.
pub fn is_host_interface(name: &str) -> bool {
    of_0_2(name).is_some_and(|interface| INTERFACES.binary_search(&interface).is_ok())
}

/// The interface of a name that is of WASI 0.2, without its version.
pub(crate) fn of_0_2(name: &str) -> Option<&str> {
    let (interface, version) = name.split_once('@')?;
    let patch = version.strip_prefix(VERSION)?;
    let is_number = !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(interface)
}

/// Whether the host function `name` reads or writes the guest's exported memory.
pub(crate) fn needs_memory(name: &str) -> bool {
    !WITHOUT_MEMORY.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_without_doubles() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a < b));
        assert!(INTERFACES.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn only_preview_1_is_given() {
        assert!(is_host_import(HOST_MODULE, "fd_write"));
        assert!(!is_host_import(HOST_MODULE, "fd_wrote"));
        assert!(!is_host_import("wasi_unstable", "fd_write"));
        assert!(!is_host_import("env", "memory"));
    }

    #[test]
    fn only_wasi_0_2_is_given_to_components() {
        for given in ["wasi:cli/stdout@0.2.0", "wasi:io/streams@0.2.12"] {
            assert!(is_host_interface(given), "{given}");
        }
        for other in [
            "wasi:cli/stdout",
            "wasi:cli/stdout@0.2",
            "wasi:cli/stdout@0.2.",
            "wasi:cli/stdout@0.3.0",
            "wasi:cli/stdout@0.2.0-rc-2023-11-10",
            "wasi:http/types@0.2.0",
        ] {
            assert!(!is_host_interface(other), "{other}");
        }
    }
}
