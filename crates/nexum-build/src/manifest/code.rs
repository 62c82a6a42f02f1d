//! The part of a manifest that `nexum-sdk` writes into the component.

use nexum_config::manifest::MANIFEST_BYTES_MAX;
use serde::Deserialize;
use serde_json::{Map, Value};
use wasmparser::{Parser, Payload};

use crate::error::{CodeError, SECTION};

/// A manifest's part that follows from the code, in the form of `nexum.toml`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Code {
    pub(super) capabilities: Lists,
    pub(super) subscription: Vec<Map<String, Value>>,
}

/// The capabilities that the author names in the code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Lists {
    pub(super) required: Vec<String>,
    pub(super) optional: Vec<String>,
}

impl Code {
    /// Reads the section of a component. `None` for a component without the section, as other languages
    /// make it.
    ///
    /// # Errors
    ///
    /// Fails if the component is malformed, or if it has several sections or a faulty one.
    pub fn of(component: &[u8]) -> Result<Option<Self>, CodeError> {
        let mut found = Vec::new();
        // The parser reads nested modules and components in place.
        for payload in Parser::new(0).parse_all(component) {
            if let Payload::CustomSection(section) = payload.map_err(CodeError::Component)?
                && section.name() == SECTION
            {
                found.push(section.data());
            }
        }
        match found[..] {
            [] => Ok(None),
            [section] => Self::parse(section).map(Some),
            _ => Err(CodeError::Several { count: found.len() }),
        }
    }

    fn parse(section: &[u8]) -> Result<Self, CodeError> {
        let bytes = section.len();
        if u64::try_from(bytes).is_ok_and(|bytes| bytes > MANIFEST_BYTES_MAX) {
            return Err(CodeError::TooLarge { bytes });
        }
        // The linker joins the sections of two modules in one crate.
        let modules = serde_json::Deserializer::from_slice(section).into_iter::<Self>();
        let mut modules = modules.collect::<Result<Vec<_>, _>>().map_err(CodeError::Json)?;
        match (modules.len(), modules.pop()) {
            (1, Some(code)) => Ok(code),
            (0, _) => Ok(Self::default()),
            (count, _) => Err(CodeError::Several { count }),
        }
    }
}

#[cfg(test)]
mod tests {
    use nexum_config::causes::Causes;
    use nexum_config::hint::Hint;
    use proptest::prelude::*;

    use super::*;

    /// A component with a core module inside, which has these custom sections.
    pub(super) fn component(sections: &[&str]) -> Vec<u8> {
        let sections: String = sections
            .iter()
            .map(|text| format!("(@custom \"{SECTION}\" \"{}\")", text.replace('"', "\\\"")))
            .collect();
        wat::parse_str(format!("(component (core module {sections}))")).expect("a component")
    }

    fn read(sections: &[&str]) -> Result<Option<Code>, String> {
        Code::of(&component(sections)).map_err(|error| {
            let hint = error.hint().unwrap_or_default();
            format!("{} ({hint})", Causes(&error))
        })
    }

    #[test]
    fn reads_the_section_of_the_nested_module() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["{\"subscription\":[]}"]), Ok(Some(Code::default())));
        let text =
            "{\"capabilities\":{\"optional\":[\"http\"]},\"subscription\":[{\"kind\":\"block\",\"chain_id\":1}]}";
        let code = read(&[text]).expect("a section").expect("a manifest");
        assert_eq!(code.capabilities.optional, ["http"]);
        assert_eq!(code.subscription[0]["chain_id"], 1);
        // A component may have the section itself.
        let itself = wat::parse_str(format!("(component (@custom \"{SECTION}\" \"{{}}\"))")).expect("a component");
        assert_eq!(Code::of(&itself).expect("a section"), Some(Code::default()));
    }

    #[test]
    fn says_what_is_wrong_with_the_section() {
        let several = "the component has the manifests of 2 modules in its section `nexum:manifest` (write \
                       `#[nexum_sdk::module]` once, and move the other modules to crates of their own)";
        assert_eq!(read(&["{}", "{}"]), Err(several.to_owned()));
        assert_eq!(read(&["{}{}"]), Err(several.to_owned()));
        assert_eq!(
            read(&["{\"kind\":1}"]),
            Err(
                "the section `nexum:manifest` is no manifest in JSON: unknown field `kind`, expected `capabilities` or \
                 `subscription` at line 1 column 7 (build with a version of nexum that is as new as nexum-sdk)"
                    .to_owned()
            )
        );
        let large = format!("{{\"subscription\":[]{}}}", " ".repeat(1 << 18));
        assert_eq!(
            read(&[&large]),
            Err("the section `nexum:manifest` has 262163 bytes, and the limit is 262144 ()".to_owned())
        );
    }

    proptest! {
        /// Hostile bytes are an error, never a panic.
        #[test]
        fn reads_any_bytes(at in 0_usize..200, byte in any::<u8>(), section in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Code::of(&section);
            let _ = Code::parse(&section);
            let mut bytes = component(&["{\"subscription\":[{\"kind\":\"block\"}]}"]);
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = Code::of(&bytes);
            let _ = Code::of(&bytes[..at]);
        }
    }
}
