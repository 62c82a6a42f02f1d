//! An ABI for a module in Rust, whose types `sol!` makes: the names and types that it compiles.

use std::collections::BTreeSet;

use alloy_json_abi::{EventParam, InternalType, JsonAbi, Param};

use super::TAKEN;
use super::event::{Fault, topics_fault, type_fault};
use crate::template::name::KEYWORDS;

/// The keywords of Rust that `sol!` writes as `r#name`. It writes the others as they are, and the code does not
/// compile.
const RAW: [&str; 22] = [
    "async", "await", "become", "box", "const", "dyn", "extern", "fn", "impl", "loop", "mod", "move", "mut", "priv",
    "pub", "ref", "trait", "unsafe", "unsized", "use", "where", "yield",
];

/// Words that `sol!` reads as a part of the type when they are the name of a parameter.
const OF_TYPE: [&str; 5] = ["calldata", "indexed", "memory", "payable", "storage"];

/// The longest array with `Default` in Rust.
const DEFAULT_ARRAY_MAX: usize = 32;

/// The most members of a tuple with `Debug` and `Default` in Rust.
const TUPLE_MAX: usize = 12;

/// An event as the code names it.
#[derive(Debug)]
pub(in crate::template) struct RustEvent {
    /// The name in Rust, which an overloaded event has with a number.
    pub(in crate::template) name: String,
    /// The name in a path: `r#move` for `move`.
    pub(in crate::template) path: String,
}

impl RustEvent {
    /// The event with this name and signature.
    pub(super) fn of(abi: &JsonAbi, name: &str, signature: &str) -> Self {
        let signatures = signatures(abi, name);
        // `sol!` finds the number by the signature, and a later item overwrites it.
        let number = signatures.iter().rposition(|other| other == signature);
        let name = match number {
            Some(number) if signatures.len() > 1 => format!("{name}_{number}"),
            _ => name.to_owned(),
        };
        let raw = if RAW.contains(&name.as_str()) { "r#" } else { "" };
        Self {
            path: format!("{raw}{name}"),
            name,
        }
    }
}

/// Makes an ABI one that `sol!` compiles: removes items that are there twice, and gives a parameter another name if
/// Rust cannot have its own. A name of a parameter is in no signature. Fails for an item that needs another name or
/// type.
pub(super) fn prepare(abi: &mut JsonAbi) -> Result<(), Fault> {
    remove_doubles(abi);
    check(abi)?;
    let constructor = abi.constructor.iter_mut().map(|item| &mut item.inputs);
    let errors = abi.errors.values_mut().flatten().map(|item| &mut item.inputs);
    let functions = abi.functions.values_mut().flatten();
    let functions = functions.flat_map(|item| [&mut item.inputs, &mut item.outputs]);
    for params in constructor.chain(errors).chain(functions) {
        rename(params.iter_mut().map(|param| &mut param.name), false);
        params.iter_mut().for_each(prepare_param);
    }
    for event in abi.events.values_mut().flatten() {
        rename(event.inputs.iter_mut().map(|param| &mut param.name), false);
        for EventParam {
            ty,
            internal_type,
            components,
            ..
        } in &mut event.inputs
        {
            prepare_type(ty, internal_type, components);
        }
    }
    Ok(())
}

/// Whether the test of a template can make a value of the event, and its handler can log it.
pub(super) fn has_traits(inputs: &[EventParam]) -> bool {
    let has = |param: &EventParam| type_has_traits(&param.ty, param.internal_type.as_ref(), &param.components);
    inputs.iter().all(has)
}

fn type_has_traits(ty: &str, internal: Option<&InternalType>, components: &[Param]) -> bool {
    let (element, counts) = ty.split_once('[').unwrap_or((ty, ""));
    let mut counts = counts.split(['[', ']']).filter_map(|count| count.parse().ok());
    let is_long = counts.any(|count: usize| count > DEFAULT_ARRAY_MAX);
    let is_struct = matches!(internal, Some(InternalType::Struct { .. }));
    let is_wide = element == "tuple" && !is_struct && components.len() > TUPLE_MAX;
    let has = |param: &Param| type_has_traits(&param.ty, param.internal_type.as_ref(), &param.components);
    !is_long && !is_wide && components.iter().all(has)
}

fn remove_doubles(abi: &mut JsonAbi) {
    fn remove<T>(items: &mut Vec<T>, signature: impl Fn(&T) -> String) {
        let mut seen = BTreeSet::new();
        items.retain(|item| seen.insert(signature(item)));
    }
    let JsonAbi {
        functions,
        errors,
        events,
        ..
    } = abi;
    functions
        .values_mut()
        .for_each(|items| remove(items, |item| item.signature()));
    errors
        .values_mut()
        .for_each(|items| remove(items, |item| item.signature()));
    events
        .values_mut()
        .for_each(|items| remove(items, |item| item.signature()));
}

/// The signatures of all items with a name, in the order in which `sol!` numbers them.
fn signatures(abi: &JsonAbi, name: &str) -> Vec<String> {
    let errors = abi.errors.get(name).into_iter().flatten().map(|item| item.signature());
    let events = abi.events.get(name).into_iter().flatten().map(|item| item.signature());
    let functions = abi.functions.get(name).into_iter().flatten();
    errors
        .chain(events)
        .chain(functions.map(|item| item.signature()))
        .collect()
}

/// Checks the names of the items, and the types of their parameters.
fn check(abi: &JsonAbi) -> Result<(), Fault> {
    let constructor = abi.constructor().map(|item| ("constructor", None, types(&item.inputs)));
    let errors = abi
        .errors()
        .map(|item| ("error", Some(&item.name), types(&item.inputs)));
    let events = abi.events().map(|item| {
        let types = item
            .inputs
            .iter()
            .map(|param| (param.ty.as_str(), &param.components[..]));
        ("event", Some(&item.name), types.collect())
    });
    let functions = abi.functions().map(|item| {
        let types = [types(&item.inputs), types(&item.outputs)].concat();
        ("function", Some(&item.name), types)
    });
    for (kind, name, types) in constructor.into_iter().chain(errors).chain(events).chain(functions) {
        let of_name = name.and_then(|name| match is_name(name) {
            true => overload_fault(abi, name),
            false => Some("has a name that Rust does not permit".into()),
        });
        let of_topics = || {
            if kind == "event" {
                abi.events.get(name?)?.iter().find_map(topics_fault)
            } else {
                None
            }
        };
        let of_type = || {
            types
                .iter()
                .find_map(|(ty, components)| type_fault(ty, components, true))
        };
        if let Some(reason) = of_name.or_else(of_topics).or_else(of_type) {
            let item = [kind].into_iter().chain(name.map(String::as_str));
            let item = item.collect::<Vec<_>>().join(" ");
            return Err(Fault { item, reason });
        }
    }
    Ok(())
}

fn types(params: &[Param]) -> Vec<(&str, &[Param])> {
    let types = params.iter().map(|param| (param.ty.as_str(), &param.components[..]));
    types.collect()
}

/// The reason why `sol!` cannot number items that share a name.
fn overload_fault(abi: &JsonAbi, name: &str) -> Option<String> {
    let signatures = signatures(abi, name);
    if signatures.len() < 2 {
        return None;
    }
    let is_taken = |name: &String| {
        let has = [
            abi.errors.contains_key(name),
            abi.events.contains_key(name),
            abi.functions.contains_key(name),
        ];
        has.contains(&true)
    };
    let mut numbered = (0..signatures.len()).map(|number| format!("{name}_{number}"));
    if let Some(taken) = numbered.find(is_taken) {
        return Some(format!(
            "is overloaded, and Rust needs the name {taken}, which another item has"
        ));
    }
    let errors = abi.errors.get(name).into_iter().flatten();
    let signature = errors.map(|error| error.signature()).find(|signature| {
        let events = abi.events.get(name).into_iter().flatten();
        events.map(|event| event.signature()).any(|other| other == *signature)
    });
    signature.map(|signature| format!("has the signature {signature}, which is also that of an error"))
}

fn prepare_param(param: &mut Param) {
    prepare_type(&param.ty, &mut param.internal_type, &mut param.components);
}

fn prepare_type(ty: &str, internal: &mut Option<InternalType>, components: &mut [Param]) {
    // The type without its name in Solidity is complete.
    if internal.as_ref().is_some_and(|internal| !has_rust_name(internal, ty)) {
        *internal = None;
    }
    rename(components.iter_mut().map(|param| &mut param.name), true);
    components.iter_mut().for_each(prepare_param);
}

/// Whether Rust can have the name of a type in Solidity.
fn has_rust_name(internal: &InternalType, ty: &str) -> bool {
    let is_struct = matches!(internal, InternalType::Struct { .. });
    match internal {
        InternalType::Struct { contract, ty: name }
        | InternalType::Enum { contract, ty: name }
        | InternalType::Other { contract, ty: name } => {
            let name = name.split('[').next().unwrap_or_default();
            let is_contract = |contract: &String| is_name(contract) && !TAKEN.contains(&contract.as_str());
            is_struct == ty.starts_with("tuple")
                && !name.split('.').any(|name| !is_name(name))
                && contract.as_ref().is_none_or(is_contract)
        }
        InternalType::AddressPayable(_) | InternalType::Contract(_) => true,
    }
}

/// Whether `sol!` can write a name.
fn is_name(name: &str) -> bool {
    let is_keyword = name == "Self" || (KEYWORDS.contains(&name) && !RAW.contains(&name));
    !(name.is_empty() || name == "_" || name.contains('$') || is_keyword)
}

/// Renames parameters to `arg0` and so on if `sol!` cannot write their names, or if two have one name. The members of
/// a structure all need a name.
fn rename<'a>(names: impl Iterator<Item = &'a mut String>, is_structure: bool) {
    let names: Vec<_> = names.collect();
    let mut taken: BTreeSet<String> = names.iter().map(|name| folded(name)).collect();
    let mut seen = BTreeSet::new();
    for (at, name) in names.into_iter().enumerate() {
        let is_kept = match name.is_empty() {
            // `sol!` calls it `_0` and so on.
            true => !is_structure,
            false => is_parameter(name) && seen.insert(folded(name)),
        };
        if !is_kept {
            let mut new = format!("arg{at}");
            while !taken.insert(new.clone()) {
                new.push('x');
            }
            *name = new;
        }
    }
}

/// The letters and digits of a name in lower case. `sol!` also writes each name in snake case, where `toUser` and
/// `to_user` are one name.
fn folded(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}

fn is_parameter(name: &str) -> bool {
    let is_number = |digits: &str| digits.chars().all(|c| c.is_ascii_digit());
    let is_path = ["crate", "self", "super"].contains(&folded(name).as_str());
    is_name(name) && !is_path && !OF_TYPE.contains(&name) && !name.strip_prefix('_').is_some_and(is_number)
}
