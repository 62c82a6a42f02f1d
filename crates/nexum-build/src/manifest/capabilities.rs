//! Completes `[capabilities]`.

use nexum_config::document::Located;
use nexum_config::interface::{capability_named, capability_of};
use toml_edit::{Array, DocumentMut, TableLike, Value};

use super::code::Code;
use super::{Draft, with_table};
use crate::component::is_of_contract;

/// Names to add to the lists of the author's manifest.
#[derive(Debug, Default)]
pub(super) struct Additions {
    required: Vec<String>,
    optional: Vec<String>,
}

impl Draft {
    /// Compares the author's lists with the imports of the component. An import that no list has is
    /// required.
    pub(super) fn capabilities(&mut self, code: Option<&Code>, interfaces: &[String]) -> Additions {
        let requests = self.manifest.capabilities.clone().unwrap_or_default();
        let imported: Vec<_> = imports(interfaces).collect();
        let is_imported = |name: &Located<String>| imported.contains(&meant(&name.value));
        for name in requests.denied.iter().filter(|name| is_imported(name)) {
            let error = name.location.error("is denied, but the code imports it");
            self.errors
                .push(error.with_hint("remove the name from `denied`, or the calls from the code"));
        }
        let wanted = || requests.required.iter().chain(&requests.optional);
        let is_known = |name: &&Located<String>| capability_named(&name.value).is_some();
        for name in wanted().filter(is_known).filter(|name| !is_imported(name)) {
            let remark = name.location.error("is listed, but the code does not import it");
            self.warnings.push(remark.to_string());
        }
        for interface in interfaces.iter().filter(|interface| !is_of_contract(interface)) {
            let remark = format!("the code imports {interface}, which is not in nexum's contract");
            self.warnings.push(remark);
        }

        let listed: Vec<_> = wanted()
            .chain(&requests.denied)
            .map(|name| meant(&name.value))
            .collect();
        let coded = code.map(|code| code.capabilities.clone()).unwrap_or_default();
        let unlisted = |names: &[String]| -> Vec<String> {
            let names = names.iter().map(|name| meant(name));
            names.filter(|name| !listed.contains(name)).map(str::to_owned).collect()
        };
        let (optional, mut required) = (unlisted(&coded.optional), unlisted(&coded.required));
        let needed = imported.iter().filter(|name| !listed.contains(name));
        for name in needed.filter(|name| !optional.iter().any(|optional| optional == *name)) {
            if self.lists_required() {
                let error = self.root.location("capabilities").error(format!(
                    "`required` and `optional` lack `{name}`, but the code imports it"
                ));
                let hint =
                    format!("add \"{name}\" to one of the lists, or remove `required`: `nexum build` then writes it");
                self.errors.push(error.with_hint(hint));
            } else if !required.iter().any(|required| required == name) {
                required.push((*name).to_owned());
            }
        }
        Additions { required, optional }
    }

    /// Whether the author writes the list `required`.
    fn lists_required(&self) -> bool {
        let section = self.root.section("capabilities").ok().flatten();
        section.is_some_and(|section| section.keys().any(|key| key == "required"))
    }
}

impl Additions {
    /// Writes the lists. A table without any list says that the module needs no capability.
    pub(super) fn write(self, document: &mut DocumentMut) {
        with_table(document, "capabilities", |_| {});
        let lists = [("required", self.required), ("optional", self.optional)];
        for (key, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
            with_table(document, "capabilities", |table| extend(table, key, names));
        }
    }
}

/// The capabilities of the contract that a component imports, each once.
pub(super) fn imports(interfaces: &[String]) -> impl Iterator<Item = &'static str> {
    let of = |interface: &String| capability_of(interface);
    let is_first = move |at: usize, name: &str| {
        !interfaces[..at]
            .iter()
            .any(|before| capability_of(before) == Some(name))
    };
    let named = interfaces.iter().map(of).enumerate();
    named.filter_map(move |(at, name)| name.filter(|name| is_first(at, name)))
}

/// The capability that a name in a manifest means.
fn meant(name: &str) -> &str {
    capability_named(name).unwrap_or(name)
}

fn extend(table: &mut dyn TableLike, key: &str, names: Vec<String>) {
    match table.get_mut(key).and_then(|list| list.as_array_mut()) {
        Some(list) => names.into_iter().for_each(|name| list.push(name)),
        None => {
            let list: Array = names.into_iter().collect();
            table.insert(key, Value::from(list).into());
        }
    }
}
