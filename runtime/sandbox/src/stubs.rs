//! Imports that nobody stands behind: a kit names them with the constant that they
//! return, which is how its module learns that there is no such host.

use stint_api::kit::Entry;
use stint_scan::{ModuleFacts, Rejection};
use wasmtime::{Error, ExternType, Linker, Module, Val};

use crate::wasi::Host;

/// Reads the structure of a module that is to be entered as `entry` says.
///
/// # Errors
/// Why no node could run it.
pub fn scan(wasm: &[u8], entry: &Entry) -> Result<ModuleFacts, Rejection> {
    let stubs = entry.stubs.iter().map(|stub| stint_scan::Stub {
        module: &stub.module,
        name: &stub.name,
    });
    let expected = stint_scan::Entry {
        export: &entry.export,
        returns_code: entry.returns == stint_api::kit::Returns::Code,
        stubs: stubs.collect(),
    };
    stint_scan::scan_for(wasm, &expected)
}

/// Whether the import `module.name` is answered with a constant.
pub(crate) fn is_stub(entry: &Entry, module: &str, name: &str) -> bool {
    let mut stubs = entry.stubs.iter();
    stubs.any(|stub| stub.module == module && stub.name == name)
}

/// `linker`, with a constant behind each import of `module` that `entry` names. The
/// types are the module's own; the scan has seen that each ends in an `i32`.
pub(crate) fn linker(
    linker: &Linker<Host>,
    module: &Module,
    entry: &Entry,
) -> wasmtime::Result<Linker<Host>> {
    let mut linker = linker.clone();
    for import in module.imports() {
        let named = |stub: &&stint_api::kit::Stub| {
            stub.module == import.module() && stub.name == import.name()
        };
        let Some(stub) = entry.stubs.iter().find(named) else {
            continue;
        };
        let ExternType::Func(ty) = import.ty() else {
            return Err(Error::msg(format!(
                "`{}.{}` is not a function",
                stub.module, stub.name
            )));
        };
        let answer = Val::I32(stub.result);
        linker.func_new(&stub.module, &stub.name, ty, move |_, _, results| {
            results.fill(answer);
            Ok(())
        })?;
    }
    Ok(linker)
}
