//! What the host gives a core module: the functions of WASI preview 1, by name.

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

/// Functions that touch no memory of the guest, so that a module without one may call them.
const WITHOUT_MEMORY: [&str; 1] = ["proc_exit"];

/// Whether the host gives `module.name`.
pub fn is_host_import(module: &str, name: &str) -> bool {
    module == HOST_MODULE && FUNCTIONS.binary_search(&name).is_ok()
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
    }

    #[test]
    fn only_preview_1_is_given() {
        assert!(is_host_import(HOST_MODULE, "fd_write"));
        assert!(!is_host_import(HOST_MODULE, "fd_wrote"));
        assert!(!is_host_import("wasi_unstable", "fd_write"));
        assert!(!is_host_import("env", "memory"));
    }
}
