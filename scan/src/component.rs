//! The walk over a component: the modules in it are looked at as if each were alone,
//! and all that it has of anything is summed, because one compiler takes it whole. What
//! it asks of the host and how it is run is told by interface, not by function.

use std::collections::BTreeMap;

use wasmparser::component_types::{ComponentDefinedType, ComponentEntityType, ComponentValType};
use wasmparser::types::{Types, TypesRef};
use wasmparser::{
    Chunk, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Instance, Parser, Payload, TypeBounds, ValidPayload, Validator, WasmFeatures,
};

use crate::entry::Entry;
use crate::facts::Import;
use crate::limits::{self, check};
use crate::rejection::IMPORTS_NAMED_MAX;
use crate::walk::{Found, features, malformed, shown};
use crate::{Rejection, host, sections};

/// The one function of the interface by which a component is run.
const RUN_FUNCTION: &str = "run";

/// Reads all of `bytes`, which start as a component does; with what was found comes the
/// export that is run.
pub(crate) fn walk(bytes: &[u8], entry: &Entry<'_>) -> Result<(Found, String), Rejection> {
    if *entry != Entry::COMMAND {
        return Err(Rejection::KitComponent {
            export: entry.export.to_owned(),
        });
    }
    let mut parser = Parser::new(0);
    let mut outer = Vec::new();
    let with_components = features().union(WasmFeatures::COMPONENT_MODEL);
    let mut validator = Validator::new_with_features(with_components);
    let mut walk = Walk::of(bytes.len() as u64);
    let mut rest = bytes;
    loop {
        // Only between sections of the outermost may the file end.
        let may_end = rest.is_empty() && outer.is_empty();
        let Chunk::Parsed { consumed, payload } = parser.parse(rest, may_end).map_err(malformed)?
        else {
            return Err(Rejection::Truncated {
                offset: bytes.len() as u64,
            });
        };
        rest = &rest[consumed..];
        walk.look_at(&payload)?;
        match validator.payload(&payload).map_err(malformed)? {
            ValidPayload::Parser(inner) => outer.push(std::mem::replace(&mut parser, inner)),
            ValidPayload::End(types) => match outer.pop() {
                Some(around) => {
                    parser = around;
                    walk.leave();
                }
                None => return walk.conclude(&types),
            },
            _ => {}
        }
    }
}

/// What is known of the components around the place where the walk is.
struct Walk {
    found: Found,
    /// Of everything that is counted, how much there is.
    totals: BTreeMap<&'static str, u64>,
    /// Outermost first; the last may be a module.
    frames: Vec<Frame>,
    /// The outermost component's exports that are of the interface by which it is run.
    runs: Vec<String>,
}

/// A component or module that the walk is in.
#[derive(Default)]
struct Frame {
    is_module: bool,
    /// Instances of modules that one instance of it makes.
    instances: u64,
    /// The same of each component that it can make instances of.
    components: Vec<u64>,
}

impl Walk {
    fn of(bytes: u64) -> Self {
        Self {
            found: Found::of(bytes),
            totals: BTreeMap::new(),
            frames: vec![Frame::default()],
            runs: Vec::new(),
        }
    }

    fn look_at(&mut self, payload: &Payload<'_>) -> Result<(), Rejection> {
        if let Some((what, found, max)) = sections::counted_in_component(payload) {
            let total = self.totals.entry(what).or_default();
            *total = total.saturating_add(found);
            check("the component", what, *total, max)?;
        }
        match payload {
            Payload::ModuleSection { .. } => self.frames.push(Frame {
                is_module: true,
                ..Frame::default()
            }),
            Payload::ComponentSection { .. } => {
                self.frames.push(Frame::default());
                let depth = self.frames.len() as u64;
                check(
                    "the component",
                    "components in each other",
                    depth,
                    limits::NESTING_MAX,
                )?;
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    let import = import.map_err(malformed)?;
                    self.import(import.name.name, import.ty)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export.map_err(malformed)?;
                    self.export(export.name.name, export.kind, export.index)?;
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.alias(&alias.map_err(malformed)?)?;
                }
            }
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    if let Instance::Instantiate { .. } = instance.map_err(malformed)? {
                        self.make(1)?;
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    if let ComponentInstance::Instantiate {
                        component_index, ..
                    } = instance.map_err(malformed)?
                    {
                        let instances = self.instances_of(0, component_index);
                        self.make(instances)?;
                    }
                }
            }
            _ => self.found.look_at(payload, &Entry::COMMAND)?,
        }
        Ok(())
    }

    /// The walk is in the outermost component.
    fn is_outermost(&self) -> bool {
        self.frames.len() == 1
    }

    fn frame(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    /// Another component can be made instances of, by the next index.
    fn knows(&mut self, instances: u64) {
        self.frame().components.push(instances);
    }

    /// Instances of modules that one instance makes of the component `index`, as it is
    /// numbered `outward` components further out. Nothing for an index that is none: the
    /// validator refuses it.
    fn instances_of(&self, outward: u32, index: u32) -> u64 {
        let frames = self.frames.iter().rev();
        let frame = usize::try_from(outward)
            .ok()
            .and_then(|n| frames.clone().nth(n));
        let index = usize::try_from(index).ok();
        let known = frame
            .zip(index)
            .and_then(|(frame, at)| frame.components.get(at));
        known.copied().unwrap_or(0)
    }

    /// So many instances of modules are made here.
    fn make(&mut self, instances: u64) -> Result<(), Rejection> {
        let frame = self.frame();
        frame.instances = frame.instances.saturating_add(instances);
        let total = frame.instances;
        check(
            "the component",
            "instances of its modules",
            total,
            limits::INSTANCES_MAX,
        )
    }

    fn leave(&mut self) {
        if let Some(left) = self.frames.pop()
            && !left.is_module
        {
            self.knows(left.instances);
        }
    }

    fn import(&mut self, name: &str, ty: ComponentTypeRef) -> Result<(), Rejection> {
        if let ComponentTypeRef::Component(_) = ty {
            handed()?;
        }
        if self.is_outermost() {
            self.found.imports.push(Import {
                module: name.to_owned(),
                name: String::new(),
                signature: kind_name(ty).to_owned(),
            });
        }
        Ok(())
    }

    fn export(
        &mut self,
        name: &str,
        kind: ComponentExternalKind,
        index: u32,
    ) -> Result<(), Rejection> {
        if kind == ComponentExternalKind::Component {
            // What is exported gets another number too.
            let instances = self.instances_of(0, index);
            self.knows(instances);
        }
        if self.is_outermost() && name.split('@').next() == Some(host::RUN) {
            self.runs.push(name.to_owned());
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<(), Rejection> {
        match *alias {
            ComponentAlias::InstanceExport {
                kind: ComponentExternalKind::Component,
                ..
            } => handed()?,
            ComponentAlias::Outer {
                kind: ComponentOuterAliasKind::Component,
                count,
                index,
            } => {
                let instances = self.instances_of(count, index);
                self.knows(instances);
            }
            _ => {}
        }
        Ok(())
    }

    /// Judges the whole, once every section is known to be well-formed.
    fn conclude(self, types: &Types) -> Result<(Found, String), Rejection> {
        let unknown: Vec<&Import> = self
            .found
            .imports
            .iter()
            .filter(|import| !is_given(import))
            .collect();
        if !unknown.is_empty() {
            let named = unknown.iter().take(IMPORTS_NAMED_MAX);
            return Err(Rejection::UnknownInterface {
                named: named.map(|import| shown(&import.module)).collect(),
                total: unknown.len() as u64,
            });
        }
        let run = self.runs.iter().find(|name| host::of_0_2(name).is_some());
        match run {
            Some(run) if can_be_run(types.as_ref(), run) => Ok((self.found, run.clone())),
            Some(run) => Err(Rejection::NoRun {
                found: format!(
                    " with a function `run` () -> result (`{}` has none)",
                    shown(run)
                ),
            }),
            None => Err(Rejection::NoRun {
                found: match self.runs.first() {
                    Some(other) => format!(" but `{}`", shown(other)),
                    None => String::new(),
                },
            }),
        }
    }
}

/// A component that comes from elsewhere: how many instances it makes cannot be told.
fn handed() -> Result<(), Rejection> {
    check("the component", "components that it is handed", 1, 0)
}

/// Whether the host gives it, or it names what the component has itself.
fn is_given(import: &Import) -> bool {
    match import.signature.as_str() {
        INSTANCE => host::is_host_interface(&import.module),
        other => other == ALIAS,
    }
}

/// An instance of an interface.
const INSTANCE: &str = "instance";
/// A name for a type that is known.
const ALIAS: &str = "type";

fn kind_name(ty: ComponentTypeRef) -> &'static str {
    match ty {
        ComponentTypeRef::Module(_) => "module",
        ComponentTypeRef::Func(_) => "function",
        ComponentTypeRef::Value(_) => "value",
        ComponentTypeRef::Type(TypeBounds::Eq(_)) => ALIAS,
        ComponentTypeRef::Type(TypeBounds::SubResource) => "resource",
        ComponentTypeRef::Instance(_) => INSTANCE,
        ComponentTypeRef::Component(_) => "component",
    }
}

/// Whether the export `name` has the function that a command has.
fn can_be_run(types: TypesRef<'_>, name: &str) -> bool {
    let Some(ComponentEntityType::Instance(instance)) =
        types.component_item_for_export(name).map(|item| item.ty)
    else {
        return false;
    };
    let function = types[instance].exports.get(RUN_FUNCTION);
    let Some(ComponentEntityType::Func(function)) = function.map(|item| item.ty) else {
        return false;
    };
    let function = &types[function];
    let is_result = match function.result {
        Some(ComponentValType::Type(result)) => matches!(
            types[result],
            ComponentDefinedType::Result {
                ok: None,
                err: None,
                ..
            }
        ),
        _ => false,
    };
    function.params.is_empty() && is_result && !function.async_
}
