//! The names of functions, which backtraces show.

use rustc_demangle::demangle;
use wasm_encoder::{NameMap, NameSection, RawSection};
use wasmparser::{BinaryReaderError, KnownCustom, Name, Parser, Payload};

/// The most bytes of a name. The beginning of a name says which function it is; generic types make some
/// a thousand bytes long.
const NAME_BYTES_MAX: usize = 64;

/// A component with short names in its core modules: those of functions alone, as their authors wrote
/// them. The compiler's own are a tenth of a component.
pub(super) fn shorten(component: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let mut short = wasm_encoder::Component::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        if let (1, Some((id, range))) = (depth, payload.as_section()) {
            let data = component.get(range).unwrap_or_default();
            match payload {
                Payload::ModuleSection { .. } => short.section(&RawSection {
                    id,
                    data: &module(data)?,
                }),
                _ => short.section(&RawSection { id, data }),
            };
        }
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            _ => {}
        }
    }
    Ok(short.finish())
}

fn module(bytes: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        if let Payload::CustomSection(section) = &payload
            && let KnownCustom::Name(names) = section.as_known()
        {
            module.section(&functions(names)?);
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            let data = bytes.get(range).unwrap_or_default();
            module.section(&RawSection { id, data });
        }
    }
    Ok(module.finish())
}

fn functions(sections: wasmparser::NameSectionReader<'_>) -> Result<NameSection, BinaryReaderError> {
    let mut short = NameMap::new();
    for section in sections {
        let Name::Function(names) = section? else { continue };
        for naming in names {
            let naming = naming?;
            let name = format!("{:#}", demangle(naming.name));
            short.append(naming.index, cut(&name));
        }
    }
    let mut names = NameSection::new();
    names.functions(&short);
    Ok(names)
}

fn cut(name: &str) -> &str {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_functions_are_those_of_their_authors() {
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        let text = format!(
            "(component (core module $m
                (func $_ZN4twap5watch5Round3run28_$u7b$$u7b$closure$u7d$$u7d$17he2eccee005ae980eE (local $a i32))
                (func ${long})
                (func $plain)
                (export \"f\" (func 2))))"
        );
        let bytes = wat::parse_str(text).expect("a component");
        let short = shorten(&bytes).expect("names");
        assert!(short.len() < bytes.len());
        let mut found = Vec::new();
        for payload in Parser::new(0).parse_all(&short) {
            if let Payload::CustomSection(section) = payload.expect("a section")
                && section.name() == "name"
                && let KnownCustom::Name(names) = section.as_known()
            {
                for section in names {
                    let Name::Function(names) = section.expect("names") else {
                        panic!("other names");
                    };
                    found.extend(names.into_iter().map(|naming| naming.expect("a name").name.to_owned()));
                }
            }
        }
        assert_eq!(found, ["twap::watch::Round::run::{{closure}}", &long[1..], "plain"]);
        wasmparser::validate(&short).expect("a valid component");
    }
}
