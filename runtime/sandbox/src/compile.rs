//! A module becomes an artifact. Called in a compiler process only, which has a
//! budget and dies with what hostile input can do to a compiler.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};
use stint_api::kit::Entry;
use stint_api::outcome::Outcome;
use stint_scan::{Kind, ModuleFacts, Profile, Rejection};
use wasmtime::{Engine, Extern, FuncType, Store, ValType};

use crate::engine::{self, EngineError};
use crate::stubs;
use crate::wasi::{self, Host};

/// Longest message of the compiler that is passed on.
const MESSAGE_CHARS_MAX: usize = 4_000;

/// Why there is no artifact.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The module's structure is not one that a node can run.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The host gives the function, with another type.
    #[error(
        "the module imports `{import}` as {found}, the host gives {expected}; build it with a WASI preview 1 toolchain"
    )]
    WrongImport {
        /// The import, as `module.name`.
        import: String,
        /// The type that the host gives.
        expected: String,
        /// The type that the module wants.
        found: String,
    },
    /// The module does not compile: its code is not valid, or uses what its profile has not.
    #[error("{message}")]
    Failed {
        /// What the compiler said.
        message: String,
    },
    /// The compiler itself could not be set up.
    #[error("the compiler cannot start: {message}")]
    Engine {
        /// What the engine said.
        message: String,
    },
}

impl From<EngineError> for CompileError {
    fn from(error: EngineError) -> Self {
        let source = &error.source;
        Self::Engine {
            message: format!("{error}: {source}"),
        }
    }
}

impl From<CompileError> for Outcome {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Rejected(_) | CompileError::WrongImport { .. } => Self::ModuleRejected {
                what: error.to_string(),
            },
            CompileError::Failed { message } => Self::CompileFailed { message },
            CompileError::Engine { .. } => Self::EngineFault {
                message: error.to_string(),
            },
        }
    }
}

/// Compiles a command for this machine and the profile that it needs.
///
/// # Errors
/// Why it cannot be; the outcome of every attempt at it.
pub fn compile(wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
    compile_for(wasm, &Entry::default())
}

/// The same of a module that is entered as `entry` says.
///
/// # Errors
/// Why it cannot be; the outcome of every attempt at it.
pub fn compile_for(wasm: &[u8], entry: &Entry) -> Result<Vec<u8>, CompileError> {
    let facts = stubs::scan(wasm, entry)?;
    let engine = engine::compiling(facts.profile)?;
    let compiled = match facts.kind {
        Kind::Core => {
            check_imports(&engine, &facts, entry)?;
            engine.precompile_module(wasm)
        }
        // Whether the interfaces have the host's types is seen when it is linked.
        Kind::Component => engine.precompile_component(wasm),
    };
    compiled.map_err(|error| {
        let message = format!("{error:#}");
        CompileError::Failed {
            message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
        }
    })
}

/// Compares the signatures of all imports with the host's, before time is spent on code.
fn check_imports(engine: &Engine, facts: &ModuleFacts, entry: &Entry) -> Result<(), CompileError> {
    let failed = |error: wasmtime::Error| CompileError::Engine {
        message: format!("{error:#}"),
    };
    let linker = wasi::linker(engine).map_err(failed)?;
    let mut store = Store::new(engine, Host::for_types());
    for import in &facts.imports {
        if stubs::is_stub(entry, &import.module, &import.name) {
            continue;
        }
        let expected = match linker.get(&mut store, &import.module, &import.name) {
            Ok(Extern::Func(function)) => signature(&function.ty(&store)),
            // The scan's list of host functions and the linker's are the same; a test holds that.
            _ => "nothing by that name".to_owned(),
        };
        if expected != import.signature {
            return Err(CompileError::WrongImport {
                import: import.to_string(),
                expected,
                found: import.signature.clone(),
            });
        }
    }
    Ok(())
}

/// In the words of [`stint_scan::Import::signature`].
fn signature(ty: &FuncType) -> String {
    let list = |values: &mut dyn Iterator<Item = ValType>| {
        let values: Vec<String> = values.map(|value| value.to_string()).collect();
        values.join(", ")
    };
    format!(
        "({}) -> ({})",
        list(&mut ty.params()),
        list(&mut ty.results())
    )
}

/// The name under which an artifact is kept: a file name.
///
/// It holds the module's digest, the engine profile, and a hash of all that
/// decides whether compiled code fits: target, compiler settings, the features
/// that the CPU has, wasmtime's tunables and Wasm features, and its version
/// (that is what the engine's compatibility hash covers). So a node that was
/// upgraded, moved to another CPU, or set differently compiles anew; and the
/// profile is there in clear too, because two of them never share an artifact.
pub fn artifact_key(digest: &[u8; 32], profile: Profile) -> String {
    format!("{}-{profile}-{:016x}", hex(digest), compatibility(profile))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Of the compatibility hash; the same for as long as the process lives.
fn compatibility(profile: Profile) -> u64 {
    static PLAIN: OnceLock<u64> = OnceLock::new();
    static EXCEPTIONS: OnceLock<u64> = OnceLock::new();
    let hash = match profile {
        Profile::Plain => &PLAIN,
        Profile::Exceptions => &EXCEPTIONS,
    };
    *hash.get_or_init(|| {
        let mut hasher = StableHasher(Sha256::new());
        // Without an engine nothing is compiled, and no artifact has that name.
        if let Ok(engine) = engine::compiling(profile) {
            engine.precompile_compatibility_hash().hash(&mut hasher);
        }
        hasher.finish()
    })
}

/// A hasher that gives the same answer in every build: names on disk outlive the binary.
struct StableHasher(Sha256);

impl Hasher for StableHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        digest
            .iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_file_names_and_differ_by_module_and_profile() {
        let key = artifact_key(&[7; 32], Profile::Plain);
        assert!(key.starts_with(&"07".repeat(32)), "{key}");
        assert!(key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        assert_eq!(key, artifact_key(&[7; 32], Profile::Plain));
        let other = artifact_key(&[7; 32], Profile::Exceptions);
        assert!(other.contains("-exceptions-"));
        assert_ne!(key.rsplit('-').next(), other.rsplit('-').next());
    }

    #[test]
    fn the_linker_gives_exactly_what_the_scan_lets_pass() {
        let engine = engine::compiling(Profile::Plain).unwrap();
        let linker = wasi::linker(&engine).unwrap();
        let mut store = Store::new(&engine, Host::for_types());
        let given: Vec<String> = linker
            .iter(&mut store)
            .map(|(module, name, _)| {
                assert!(stint_scan::is_host_import(module, name), "{module}.{name}");
                name.to_owned()
            })
            .collect();
        assert_eq!(given.len(), 46);
    }
}
