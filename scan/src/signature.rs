//! Types in the words of the text format: what a rejection shows, and what a node
//! compares with the host's.

use wasmparser::types::{CoreTypeId, TypesRef};
use wasmparser::{CompositeInnerType, ExternalKind, TypeRef, ValType, Validator};

pub(crate) fn signature_of(ty: TypeRef, validator: &Validator) -> String {
    match ty {
        TypeRef::Func(index) | TypeRef::FuncExact(index) => match validator.types(0) {
            Some(types) => signature(types, types.core_type_at_in_module(index)),
            None => "function".to_owned(),
        },
        TypeRef::Table(_) => "table".to_owned(),
        TypeRef::Memory(_) => "memory".to_owned(),
        TypeRef::Global(_) => "global".to_owned(),
        TypeRef::Tag(_) => "tag".to_owned(),
    }
}

pub(crate) fn function_signature(types: TypesRef<'_>, index: u32) -> String {
    signature(types, types.core_function_at(index))
}

fn signature(types: TypesRef<'_>, id: CoreTypeId) -> String {
    let list = |values: &[ValType]| {
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        values.join(", ")
    };
    match &types[id].composite_type.inner {
        CompositeInnerType::Func(ty) => {
            format!("({}) -> ({})", list(ty.params()), list(ty.results()))
        }
        _ => "not a function type".to_owned(),
    }
}

pub(crate) fn kind_name(kind: ExternalKind) -> &'static str {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => "a function",
        ExternalKind::Table => "a table",
        ExternalKind::Memory => "a memory",
        ExternalKind::Global => "a global",
        ExternalKind::Tag => "a tag",
    }
}
