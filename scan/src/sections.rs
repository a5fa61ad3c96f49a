//! How many of what each section has, and the most that one module may have of it.

use wasmparser::Payload;

use crate::limits;

/// What a section of a core module has, how many, and the most that a module may have.
pub(crate) fn counted(payload: &Payload<'_>) -> Option<(&'static str, u64, u64)> {
    let (what, found, max) = match payload {
        Payload::TypeSection(section) => ("types", section.count(), limits::TYPES_MAX),
        Payload::ImportSection(section) => ("imports", section.count(), limits::IMPORTS_MAX),
        Payload::FunctionSection(section) => ("functions", section.count(), limits::FUNCTIONS_MAX),
        Payload::TableSection(section) => ("tables", section.count(), limits::TABLES_MAX),
        Payload::MemorySection(section) => ("memories", section.count(), limits::MEMORIES_MAX),
        Payload::TagSection(section) => ("tags", section.count(), limits::TAGS_MAX),
        Payload::GlobalSection(section) => ("globals", section.count(), limits::GLOBALS_MAX),
        Payload::ExportSection(section) => ("exports", section.count(), limits::EXPORTS_MAX),
        Payload::ElementSection(section) => {
            ("element segments", section.count(), limits::ELEMENTS_MAX)
        }
        Payload::DataSection(section) => ("data segments", section.count(), limits::DATA_MAX),
        _ => return None,
    };
    Some((what, u64::from(found), max))
}

/// What a section of a component has, how many, and the most that a component may have.
pub(crate) fn counted_in_component(payload: &Payload<'_>) -> Option<(&'static str, u64, u64)> {
    let (what, found, max) = match payload {
        Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
            ("modules and components", 1, limits::PARTS_MAX)
        }
        Payload::InstanceSection(section) => ("instances", section.count(), limits::INSTANCES_MAX),
        Payload::ComponentInstanceSection(section) => {
            ("instances", section.count(), limits::INSTANCES_MAX)
        }
        Payload::CoreTypeSection(section) => {
            ("types of its own", section.count(), limits::TYPES_MAX)
        }
        Payload::ComponentTypeSection(section) => {
            ("types of its own", section.count(), limits::TYPES_MAX)
        }
        Payload::ComponentAliasSection(section) => {
            ("aliases", section.count(), limits::ALIASES_MAX)
        }
        Payload::ComponentCanonicalSection(section) => (
            "canonical functions",
            section.count(),
            limits::CANONICALS_MAX,
        ),
        Payload::ComponentImportSection(section) => {
            ("imports of its own", section.count(), limits::IMPORTS_MAX)
        }
        Payload::ComponentExportSection(section) => {
            ("exports of its own", section.count(), limits::EXPORTS_MAX)
        }
        other => {
            // Its modules share one compiler.
            let (what, found, max) = counted(other)?;
            return Some((what, found, max.saturating_mul(limits::MODULES_IN_ONE)));
        }
    };
    Some((what, u64::from(found), max))
}
