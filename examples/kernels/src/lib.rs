//! What data jobs spend their time on, in six small kernels. Each makes its own
//! data, the same everywhere, and folds what it found into a number by which two
//! builds of it can be compared.

mod arrays;
mod chance;
mod tables;

pub use chance::Chance;

/// One kernel: its data are made once, and it is run on them as often as wanted.
pub struct Kernel {
    /// Its name on the command line.
    pub name: &'static str,
    /// Makes its data, and returns what runs on them.
    pub prepare: fn() -> Run,
}

/// Runs a kernel on its data, and says what came of it.
pub type Run = Box<dyn FnMut() -> u64>;

/// All of them.
pub const KERNELS: [Kernel; 6] = [
    Kernel {
        name: "csv-group-by",
        prepare: tables::csv_group_by,
    },
    Kernel {
        name: "json-parse",
        prepare: tables::json_parse,
    },
    Kernel {
        name: "sha-256",
        prepare: tables::sha_256,
    },
    Kernel {
        name: "sort",
        prepare: arrays::sort,
    },
    Kernel {
        name: "matmul-512",
        prepare: arrays::matmul,
    },
    Kernel {
        name: "monte-carlo",
        prepare: arrays::monte_carlo,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kernel_says_the_same_again() {
        for kernel in KERNELS {
            let mut run = (kernel.prepare)();
            let first = run();
            assert_ne!(first, 0, "{}", kernel.name);
            assert_eq!(run(), first, "{}", kernel.name);
        }
    }
}
