//! The walk over a module's sections: each is counted, then looked at for what
//! no task may have, then checked for its form. Function bodies are measured,
//! their locals counted and the cost of compiling them guessed; whether their code
//! is right is left to the compiler.

use wasmparser::types::Types;
use wasmparser::{
    Chunk, CompositeInnerType, ExternalKind, FunctionBody, ImportSectionReader, MemoryType, Parser,
    Payload, RefType, TableType, TypeRef, TypeSectionReader, ValType, ValidPayload, Validator,
    WasmFeatures,
};

use crate::cost::Cost;
use crate::entry::Entry;
use crate::facts::{Import, Profile};
use crate::limits::{self, check};
use crate::rejection::IMPORTS_NAMED_MAX;
use crate::signature::{function_signature, kind_name, signature_of};
use crate::{Rejection, host, sections};

/// The export through which host functions see the guest's memory.
const MEMORY: &str = "memory";
/// How the type ends of a function that a constant can answer for.
const CONSTANT_SIGNATURE: &str = "-> (i32)";
/// Longest name that a rejection repeats.
const NAME_CHARS_MAX: usize = 100;
/// Longest message of the parser that a rejection repeats.
const MESSAGE_CHARS_MAX: usize = 300;
/// What every memory of ours is counted in.
const PAGE_BYTES: u64 = 64 << 10;
/// Custom sections that say that a file is not yet a program.
const NOT_LINKED: [(&str, &str); 2] = [
    ("linking", "an object file"),
    ("dylink.0", "a shared library"),
];

/// What the sections said.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) memory_min_bytes: u64,
    pub(crate) imports: Vec<Import>,
    pub(crate) profile: Profile,
    entry: Option<(ExternalKind, u32)>,
    exports_memory: bool,
    tables_min: u64,
    cost: Cost,
}

/// What section headers and bodies may use: all that some engine profile
/// allows, so that the answer does not depend on which one it turns out to be.
pub(crate) fn features() -> WasmFeatures {
    WasmFeatures::WASM3
        .difference(WasmFeatures::MEMORY64)
        .difference(WasmFeatures::THREADS)
        .difference(WasmFeatures::GC)
        .difference(WasmFeatures::FUNCTION_REFERENCES)
}

/// Reads all of `bytes`, which start as a core module does.
pub(crate) fn walk(bytes: &[u8], entry: &Entry<'_>) -> Result<Found, Rejection> {
    let mut parser = Parser::new(0);
    let mut validator = Validator::new_with_features(features());
    let mut found = Found::of(bytes.len() as u64);
    let mut rest = bytes;
    loop {
        // Only at a boundary between sections may a module end: said before it,
        // the parser would call a cut section malformed.
        let chunk = parser.parse(rest, rest.is_empty()).map_err(malformed)?;
        let Chunk::Parsed { consumed, payload } = chunk else {
            return Err(Rejection::Truncated {
                offset: bytes.len() as u64,
            });
        };
        rest = &rest[consumed..];
        check_linked(&payload)?;
        found.look_at(&payload, entry)?;
        // A body's validator is dropped unused: its code is the compiler's business.
        let valid = validator.payload(&payload).map_err(malformed)?;
        if let Payload::ImportSection(section) = payload {
            found.take_imports(section, &validator)?;
        }
        if let ValidPayload::End(types) = valid {
            return found.conclude(&types, entry);
        }
    }
}

/// Refuses what only a linker makes a program of. Linked, it may be part of a component.
fn check_linked(payload: &Payload<'_>) -> Result<(), Rejection> {
    let Payload::CustomSection(section) = payload else {
        return Ok(());
    };
    match NOT_LINKED.iter().find(|(name, _)| section.name() == *name) {
        Some((_, found)) => Err(Rejection::NotLinked {
            found: (*found).to_owned(),
        }),
        None => Ok(()),
    }
}

impl Found {
    /// Of a file of so many bytes, before any of it is looked at.
    pub(crate) fn of(bytes: u64) -> Self {
        Self {
            cost: Cost::of(bytes),
            ..Self::default()
        }
    }

    /// Refuses what is too much or not for tasks, in words of ours rather than the validator's.
    pub(crate) fn look_at(
        &mut self,
        payload: &Payload<'_>,
        entry: &Entry<'_>,
    ) -> Result<(), Rejection> {
        if let Some((what, found, max)) = sections::counted(payload) {
            check("the module", what, found, max)?;
        }
        match payload {
            Payload::TypeSection(section) => self.look_at_types(section)?,
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    match import.map_err(malformed)?.ty {
                        TypeRef::Memory(ty) => look_at_memory(ty)?,
                        TypeRef::Table(ty) => self.look_at_table(ty)?,
                        _ => {}
                    }
                }
            }
            Payload::TableSection(section) => {
                for table in section.clone() {
                    self.look_at_table(table.map_err(malformed)?.ty)?;
                }
            }
            Payload::MemorySection(section) => {
                for memory in section.clone() {
                    self.add_memory(memory.map_err(malformed)?)?;
                }
            }
            Payload::TagSection(section) if section.count() > 0 => {
                self.profile = Profile::Exceptions;
            }
            Payload::ExportSection(section) => {
                for export in section.clone() {
                    let export = export.map_err(malformed)?;
                    if export.name == entry.export {
                        self.entry = Some((export.kind, export.index));
                    } else if export.name == MEMORY && export.kind == ExternalKind::Memory {
                        self.exports_memory = true;
                    }
                }
            }
            Payload::CodeSectionEntry(body) => self.look_at_body(body)?,
            _ => {}
        }
        Ok(())
    }

    fn look_at_types(&mut self, section: &TypeSectionReader<'_>) -> Result<(), Rejection> {
        for group in section.clone() {
            for subtype in group.map_err(malformed)?.types() {
                if let CompositeInnerType::Func(ty) = &subtype.composite_type.inner {
                    for value in ty.params().iter().chain(ty.results()) {
                        self.look_at_value(*value);
                    }
                }
            }
        }
        Ok(())
    }

    fn look_at_value(&mut self, ty: ValType) {
        if matches!(ty, ValType::Ref(RefType::EXNREF | RefType::NULLEXNREF)) {
            self.profile = Profile::Exceptions;
        }
    }

    fn add_memory(&mut self, ty: MemoryType) -> Result<(), Rejection> {
        look_at_memory(ty)?;
        let bytes = ty.initial.saturating_mul(PAGE_BYTES);
        self.memory_min_bytes = self.memory_min_bytes.saturating_add(bytes);
        if self.memory_min_bytes > limits::MEMORY_MIN_BYTES_MAX {
            return Err(Rejection::MemoryMinimum {
                bytes: self.memory_min_bytes,
                max: limits::MEMORY_MIN_BYTES_MAX,
            });
        }
        Ok(())
    }

    fn look_at_table(&mut self, ty: TableType) -> Result<(), Rejection> {
        if ty.shared {
            return Err(Rejection::Threads);
        }
        if ty.table64 {
            return Err(Rejection::Memory64);
        }
        self.look_at_value(ValType::Ref(ty.element_type));
        self.tables_min = self.tables_min.saturating_add(ty.initial);
        check(
            "the module",
            "elements in its tables",
            self.tables_min,
            limits::TABLE_MIN_MAX,
        )
    }

    fn look_at_body(&mut self, body: &FunctionBody<'_>) -> Result<(), Rejection> {
        let bytes = body.as_bytes().len() as u64;
        check("one function", "bytes", bytes, limits::BODY_BYTES_MAX)?;
        let mut locals = 0_u64;
        for local in body.get_locals_reader().map_err(malformed)? {
            let (times, ty) = local.map_err(malformed)?;
            locals = locals.saturating_add(u64::from(times));
            self.look_at_value(ty);
        }
        check("one function", "locals", locals, limits::LOCALS_MAX)?;
        self.cost.add(body, locals)
    }

    /// Imports are read after the validator has seen them: their type indices are then known to be good.
    fn take_imports(
        &mut self,
        section: ImportSectionReader<'_>,
        validator: &Validator,
    ) -> Result<(), Rejection> {
        for import in section.into_imports() {
            let import = import.map_err(malformed)?;
            if matches!(import.ty, TypeRef::Tag(_)) {
                self.profile = Profile::Exceptions;
            }
            // Compact imports may unfold to more than the section said.
            let unfolded = self.imports.len() as u64 + 1;
            check("the module", "imports", unfolded, limits::IMPORTS_MAX)?;
            self.imports.push(Import {
                module: import.module.to_owned(),
                name: import.name.to_owned(),
                signature: signature_of(import.ty, validator),
            });
        }
        Ok(())
    }

    /// Judges the whole, once every section is known to be well-formed.
    fn conclude(self, types: &Types, entry: &Entry<'_>) -> Result<Self, Rejection> {
        let unknown: Vec<&Import> = self
            .imports
            .iter()
            .filter(|import| !is_given(import, entry))
            .collect();
        if !unknown.is_empty() {
            return Err(Rejection::UnknownImport {
                named: unknown
                    .iter()
                    .take(IMPORTS_NAMED_MAX)
                    .map(|it| shown(&it.to_string()))
                    .collect(),
                total: unknown.len() as u64,
            });
        }
        let (kind, index) = self.entry.ok_or_else(|| no_entry(entry))?;
        let found = match kind {
            ExternalKind::Func => function_signature(types.as_ref(), index),
            other => kind_name(other).to_owned(),
        };
        if found != entry.signature() {
            return Err(wrong_entry(entry, found));
        }
        let sees_memory = |import: &Import| {
            import.module == host::HOST_MODULE && host::needs_memory(&import.name)
        };
        if !self.exports_memory && self.imports.iter().any(sees_memory) {
            return Err(Rejection::NoMemory);
        }
        Ok(self)
    }
}

/// Whether somebody stands behind an import, or a constant does.
fn is_given(import: &Import, entry: &Entry<'_>) -> bool {
    let Import {
        module,
        name,
        signature,
    } = import;
    let is_constant = entry.is_stub(module, name) && signature.ends_with(CONSTANT_SIGNATURE);
    is_constant || host::is_host_import(module, name)
}

fn no_entry(entry: &Entry<'_>) -> Rejection {
    if entry.export == Entry::COMMAND.export {
        return Rejection::NoEntry;
    }
    Rejection::NoSuchEntry {
        export: entry.export.to_owned(),
    }
}

fn wrong_entry(entry: &Entry<'_>, found: String) -> Rejection {
    if *entry == Entry::COMMAND {
        return Rejection::WrongEntry { found };
    }
    Rejection::OtherEntry {
        export: entry.export.to_owned(),
        expected: entry.signature().to_owned(),
        found,
    }
}

pub(crate) fn malformed(error: wasmparser::Error) -> Rejection {
    Rejection::Malformed {
        offset: error.offset() as u64,
        message: error.message().chars().take(MESSAGE_CHARS_MAX).collect(),
    }
}

fn look_at_memory(ty: MemoryType) -> Result<(), Rejection> {
    if ty.shared {
        return Err(Rejection::Threads);
    }
    if ty.memory64 {
        return Err(Rejection::Memory64);
    }
    if ty.page_size_log2.is_some() {
        return Err(Rejection::PageSize);
    }
    Ok(())
}

/// An import's name for people: whatever bytes somebody chose, on one line, not too long.
pub(crate) fn shown(name: &str) -> String {
    name.chars()
        .take(NAME_CHARS_MAX)
        .flat_map(char::escape_debug)
        .collect()
}
