//! Shows component types in the notation of WIT, with resolved names. Two functions match if their
//! texts are equal.

use std::fmt::Write as _;

use wasmtime::component::types::{ComponentFunc, Type};

/// The deepest level of a type that is shown; `..` replaces deeper parts. The contract's deepest
/// type has six levels.
const DEPTH_MAX: usize = 16;

/// Shows a function as `func(name: type, ..) -> type`.
pub(super) fn function(func: &ComponentFunc) -> String {
    let mut text = String::from("func(");
    for (index, (name, ty)) in func.params().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        let _ = write!(text, "{comma}{name}: {}", show(&ty, DEPTH_MAX));
    }
    text.push(')');
    for ty in func.results() {
        let _ = write!(text, " -> {}", show(&ty, DEPTH_MAX));
    }
    text
}

fn show(ty: &Type, depth: usize) -> String {
    let Some(depth) = depth.checked_sub(1) else {
        return "..".to_owned();
    };
    let of = |ty: Option<Type>| ty.map_or_else(|| "_".to_owned(), |ty| show(&ty, depth));
    match ty {
        Type::Bool => "bool".to_owned(),
        Type::S8 => "s8".to_owned(),
        Type::U8 => "u8".to_owned(),
        Type::S16 => "s16".to_owned(),
        Type::U16 => "u16".to_owned(),
        Type::S32 => "s32".to_owned(),
        Type::U32 => "u32".to_owned(),
        Type::S64 => "s64".to_owned(),
        Type::U64 => "u64".to_owned(),
        Type::Float32 => "f32".to_owned(),
        Type::Float64 => "f64".to_owned(),
        Type::Char => "char".to_owned(),
        Type::String => "string".to_owned(),
        Type::List(list) => format!("list<{}>", show(&list.ty(), depth)),
        Type::Option(option) => format!("option<{}>", show(&option.ty(), depth)),
        Type::Result(result) => match (result.ok(), result.err()) {
            (None, None) => "result".to_owned(),
            (Some(ok), None) => format!("result<{}>", show(&ok, depth)),
            (ok, err) => format!("result<{}, {}>", of(ok), of(err)),
        },
        Type::Tuple(tuple) => format!("tuple<{}>", joined(tuple.types().map(|ty| show(&ty, depth)))),
        Type::Record(record) => {
            format!(
                "record {{{}}}",
                joined(
                    record
                        .fields()
                        .map(|field| format!("{}: {}", field.name, show(&field.ty, depth)))
                )
            )
        }
        Type::Variant(variant) => {
            let case = |case: wasmtime::component::types::Case<'_>| match case.ty {
                Some(ty) => format!("{}({})", case.name, show(&ty, depth)),
                None => case.name.to_owned(),
            };
            format!("variant {{{}}}", joined(variant.cases().map(case)))
        }
        Type::Enum(names) => format!("enum {{{}}}", joined(names.names().map(str::to_owned))),
        Type::Flags(names) => format!("flags {{{}}}", joined(names.names().map(str::to_owned))),
        Type::Own(_) => "own<..>".to_owned(),
        Type::Borrow(_) => "borrow<..>".to_owned(),
        other => format!("{other:?}"),
    }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
