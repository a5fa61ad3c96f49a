//! Steps that need logic, one file a verb. Everything else is a plain cargo command.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what these steps do is to tell a person how they go"
)]

mod bench;
mod demo;
mod deny;
mod guests;
mod soak;
mod test;
mod vm;

mod command;
mod layout;
mod product;
mod site;

use std::process::ExitCode;

use bench::Upto;
use layout::Layout;

const USAGE: &str = "\
usage: cargo xtask VERB

  demo     run a real data job, and jobs that misbehave, on a scheduler and two nodes
  test     every check: format, lints, docs, tests, dependency rules
  test-v2  what must hold on cgroups v2, in a virtual machine (part of test)
  test-python  the Python client alone, against the binary that is built (part of test)
  soak     ten thousand starts, kills and crashes, after which nothing may be left
  guests   get a WebAssembly target and build the example programs
  bench    measure starts and throughput against plain processes
  bench node   measure a node alone: starts, deadlines, memory; against crun too
  bench scheduler   measure tasks and jobs a second from end to end; against Ray and Dask too
  bench curve       measure what a task costs as arrays grow; part of bench scheduler
  bench authors   measure kernels, scripts and inputs against the same without us
  deny     check the rules of deny.toml

  --million, after bench scheduler or bench curve: up to a million tasks, which takes minutes
  --debian, after guests or demo: build guests with Debian's packages though rustup could";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let layout = Layout::of_this_checkout();
    let done = match words.as_slice() {
        ["demo", rest @ ..] => {
            guests::Toolchain::asked(rest).and_then(|toolchain| demo::demo(&layout, toolchain))
        }
        ["guests", rest @ ..] => {
            guests::Toolchain::asked(rest).and_then(|toolchain| guests::guests(&layout, toolchain))
        }
        ["test"] => test::test(&layout),
        ["test-v2"] => vm::run(&layout),
        ["test-python"] => test::python(&layout),
        ["soak"] => soak::soak(&layout),
        ["bench"] => bench::bench(&layout),
        ["bench", "authors"] => bench::authors(&layout),
        ["bench", "scheduler"] => bench::scheduler(&layout, Upto::HundredThousand),
        ["bench", "scheduler", "--million"] => bench::scheduler(&layout, Upto::Million),
        ["bench", "curve"] => bench::curve(&layout, Upto::HundredThousand),
        ["bench", "curve", "--million"] => bench::curve(&layout, Upto::Million),
        ["bench", "node"] => bench::node(&layout),
        ["deny"] => deny::deny(&layout),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
