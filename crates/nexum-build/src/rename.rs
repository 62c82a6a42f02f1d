//! Renames the exports of a component.

use nexum_config::names::ModuleName;
use wasm_encoder::reencode::{ReencodeComponent as _, RoundtripReencoder};
use wasm_encoder::{ComponentExportSection, RawSection};
use wasmparser::{Parser, Payload};

use crate::Error;

/// Gives exports of the outermost component other names. Everything else stays as it is.
pub(crate) fn rename_exports(name: &ModuleName, component: &[u8], names: &[(&str, &str)]) -> Result<Vec<u8>, Error> {
    rename(component, names).map_err(|reason| Error::Encode {
        name: name.clone(),
        reason,
    })
}

fn rename(bytes: &[u8], names: &[(&str, &str)]) -> Result<Vec<u8>, String> {
    let mut component = wasm_encoder::Component::new();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| error.to_string())?;
        match (depth, &payload) {
            (1, Payload::ComponentExportSection(exports)) => {
                component.section(&renamed(exports.clone(), names)?);
            }
            (1, payload) => {
                if let Some((id, range)) = payload.as_section() {
                    let data = bytes.get(range).ok_or("a section is outside of the file")?;
                    component.section(&RawSection { id, data });
                }
            }
            _ => {}
        }
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            _ => {}
        }
    }
    Ok(component.finish())
}

fn renamed(
    exports: wasmparser::ComponentExportSectionReader<'_>,
    names: &[(&str, &str)],
) -> Result<ComponentExportSection, String> {
    let mut section = ComponentExportSection::new();
    for export in exports {
        let mut export = export.map_err(|error| error.to_string())?;
        if let Some((_, new)) = names.iter().find(|(old, _)| *old == export.name.name) {
            export.name.name = new;
        }
        let encoded = RoundtripReencoder.parse_component_export(&mut section, export);
        encoded.map_err(|error| error.to_string())?;
    }
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with an inner one. Both export `init`.
    const TEXT: &str = r#"(component
        (component $inner (core module $m (func (export "f"))) (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f"))) (export "init" (func $f)))
        (instance $i (instantiate $inner))
        (alias export $i "init" (func $f))
        (export "init" (func $f))
        (export "nexum-init" (func $f)))"#;

    #[test]
    fn renames_the_outer_exports_alone() {
        let bytes = wat::parse_str(TEXT).expect("a component");
        let renamed = rename(&bytes, &[("init", "runtime-init"), ("nexum-init", "init")]).expect("a component");
        let expected = TEXT
            .replace("(export \"init\" (func $f))\n", "(export \"runtime-init\" (func $f))\n")
            .replace("nexum-init", "init");
        assert_eq!(renamed, wat::parse_str(expected).expect("a component"));
    }

    #[test]
    fn copies_a_component_without_such_exports() {
        let bytes = wat::parse_str(TEXT).expect("a component");
        assert_eq!(rename(&bytes, &[("absent", "other")]), Ok(bytes));
    }
}
