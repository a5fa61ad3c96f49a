//! Components: what they see of the host is WASI 0.2 over the same directories, logs,
//! arguments and limits as a core module's; how they are linked, entered and left.

use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};
use wasmtime::{Engine, Store, StoreContextMut};
use wasmtime_wasi::{WasiCtxView, WasiView, p2};

use crate::outcome::{InComponent, NotEntered};
use crate::wasi::{self, Exit, Host};

/// The interface by which a component is run; any version of WASI 0.2 is found by this one.
const RUN: &str = "wasi:cli/run@0.2.0";
/// The one function in it.
const RUN_FUNCTION: &str = "run";
/// The interfaces of chance, as the engine's own names are.
const RANDOM: &str = "wasi:random/random@0.2.12";
const INSECURE: &str = "wasi:random/insecure@0.2.12";
const INSECURE_SEED: &str = "wasi:random/insecure-seed@0.2.12";
/// Most random bytes of one call: the host makes them beside the guest's memory, and
/// a seed is a few.
const RANDOM_BYTES_MAX: u64 = 4 << 20;
/// What a program ends with that says no more than that it failed.
const FAILED: u32 = 1;

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.called().ctx()
    }
}

/// A guest asked for more random bytes than are made at once.
#[derive(Debug, thiserror::Error)]
#[error("{len} random bytes at once, at most {RANDOM_BYTES_MAX} are made; ask more often")]
struct TooManyBytes {
    len: u64,
}

/// A component that is linked, with the function that runs it.
pub(crate) struct Linked {
    instance: InstancePre<Host>,
    run: ComponentExportIndex,
}

/// The interfaces that a component may import.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Host>> {
    let mut linker = Linker::new(engine);
    // Asynchronous for the reason that those of core modules are.
    p2::add_to_linker_async(&mut linker)?;
    // The generators behind the engine's own would be copied by a fork.
    linker.allow_shadowing(true);
    let mut random = linker.instance(RANDOM)?;
    random.func_wrap("get-random-bytes", random_bytes)?;
    random.func_wrap("get-random-u64", random_number)?;
    let mut insecure = linker.instance(INSECURE)?;
    insecure.func_wrap("get-insecure-random-bytes", random_bytes)?;
    insecure.func_wrap("get-insecure-random-u64", random_number)?;
    let mut seed = linker.instance(INSECURE_SEED)?;
    seed.func_wrap("insecure-seed", |_: StoreContextMut<'_, Host>, (): ()| {
        Ok(((wasi::random_u64()?, wasi::random_u64()?),))
    })?;
    linker.allow_shadowing(false);
    Ok(linker)
}

fn random_bytes(
    mut store: StoreContextMut<'_, Host>,
    (len,): (u64,),
) -> wasmtime::Result<(Vec<u8>,)> {
    store.data_mut().called();
    if len > RANDOM_BYTES_MAX {
        return Err(TooManyBytes { len }.into());
    }
    let mut bytes = vec![0; usize::try_from(len)?];
    getrandom::fill(&mut bytes)?;
    Ok((bytes,))
}

fn random_number(mut store: StoreContextMut<'_, Host>, (): ()) -> wasmtime::Result<(u64,)> {
    store.data_mut().called();
    Ok((wasi::random_u64()?,))
}

/// Links `component`, or says what it asks for that the host has otherwise.
pub(crate) fn link(linker: &Linker<Host>, component: &Component) -> wasmtime::Result<Linked> {
    let missing = || wasmtime::Error::msg(format!("the component has no `{RUN}`"));
    let interface = component.get_export_index(None, RUN).ok_or_else(missing)?;
    let run = component.get_export_index(Some(&interface), RUN_FUNCTION);
    Ok(Linked {
        instance: linker.instantiate_pre(component)?,
        run: run.ok_or_else(missing)?,
    })
}

/// Instantiates and runs; what it returns is its exit code.
pub(crate) async fn call(store: &mut Store<Host>, linked: &Linked) -> wasmtime::Result<()> {
    let instance = linked.instance.instantiate_async(&mut *store).await;
    let instance = instance.map_err(|error| error.context(InComponent).context(NotEntered))?;
    let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, &linked.run)?;
    let ran = run.call_async(store, ()).await;
    match ran.map_err(|error| error.context(InComponent))? {
        (Ok(()),) => Ok(()),
        (Err(()),) => Err(Exit(FAILED).into()),
    }
}
