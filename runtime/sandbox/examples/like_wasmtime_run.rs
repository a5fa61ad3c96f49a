//! What `wasmtime run FILE.cwasm` does, without its command line: one process, one
//! engine with the defaults, WASI preview 1, no limit and no jail. The benchmark of
//! the node stands beside it where the command itself is not to be had.
//!
//! ```text
//! like_wasmtime_run compile FILE.wasm FILE.cwasm
//! like_wasmtime_run run FILE.cwasm
//! ```

#![allow(
    unsafe_code,
    reason = "a precompiled module is trusted, as `wasmtime run --allow-precompiled` does"
)]

use std::process::ExitCode;

use wasmtime::{Engine, Error, Linker, Module, Result, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::{self, WasiP1Ctx};

fn main() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["compile", wasm, artifact] => compile(wasm, artifact)?,
        ["run", artifact] => run(artifact)?,
        _ => return Err(Error::msg("compile FILE.wasm FILE.cwasm | run FILE.cwasm")),
    }
    Ok(ExitCode::SUCCESS)
}

fn compile(wasm: &str, artifact: &str) -> Result<()> {
    let compiled = Engine::default().precompile_module(&std::fs::read(wasm)?)?;
    std::fs::write(artifact, compiled)?;
    Ok(())
}

fn run(artifact: &str) -> Result<()> {
    let engine = Engine::default();
    // SAFETY: it is what `compile` has written, and the benchmark is who asked for both.
    let module = unsafe { Module::deserialize_file(&engine, artifact) }?;
    let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |wasi| wasi)?;
    let wasi = WasiCtxBuilder::new()
        .inherit_stdio()
        .arg(artifact)
        .build_p1();
    let mut store = Store::new(&engine, wasi);
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    start.call(&mut store, ())
}
