//! Reads `[capabilities]`.

use std::collections::BTreeMap;

use super::Reader;
use crate::document::{Located, Section, enough};
use crate::manifest::CapabilityRequests;

/// The lists in `[capabilities]`. Every other key there is the table of a capability.
const LISTS: [&str; 3] = ["required", "optional", "denied"];

/// The capability whose settings can list it: in files for nexum 0.2, `allow` is enough.
const HTTP: &str = "http";
/// The only setting of [`HTTP`].
const HTTP_ALLOW: &str = "allow";

/// The capability whose settings have no effect yet.
const IDENTITY: &str = "identity";
/// The only setting of [`IDENTITY`].
const IDENTITY_METHODS: &str = "methods";
/// The most methods: several times the functions of the interface.
const IDENTITY_METHODS_MAX: usize = 16;

/// The meaning of the table of a capability that no list names.
enum Unlisted {
    /// The capability counts as required. The position is that of the reason.
    Required(Located<String>),
    /// Nothing.
    Ignored,
    /// The author forgot to list the capability.
    Refused,
}

impl Reader {
    pub(super) fn capabilities(&mut self, section: &Section) -> CapabilityRequests {
        let lists = LISTS.map(|list| section.strings(list, &mut self.errors));
        // A faulty list may contain the capability.
        let are_known = !LISTS.iter().any(|list| section.is_faulty(list, &self.errors));
        self.check_listed_once(&lists);
        let [mut required, optional, denied] = lists;
        let mut settings = BTreeMap::new();
        let has = |names: &[Located<String>], name: &str| names.iter().any(|listed| listed.value == name);
        for (name, table) in section.tables().filter(|(name, _)| !LISTS.contains(name)) {
            if enough(&self.errors) {
                break;
            }
            let Ok(table) = table else {
                self.errors.push(section.unknown_key(name, &LISTS));
                continue;
            };
            if name == IDENTITY {
                self.identity(&table);
                continue;
            }
            if are_known && !has(&required, name) && !has(&optional, name) {
                match self.unlisted(name, &table, has(&denied, name)) {
                    Unlisted::Required(name) => required.push(name),
                    Unlisted::Ignored => continue,
                    Unlisted::Refused => {
                        let error = table.error("", "has settings, but is neither required nor optional");
                        self.errors
                            .push(error.with_hint("add the capability to capabilities.required or capabilities.optional, or remove its settings"));
                    }
                }
            }
            settings.insert(name.to_owned(), table);
        }
        CapabilityRequests {
            required,
            optional,
            denied,
            settings,
        }
    }

    fn unlisted(&mut self, name: &str, table: &Section, is_denied: bool) -> Unlisted {
        if name != HTTP || table.keys().any(|key| key != HTTP_ALLOW) {
            return Unlisted::Refused;
        }
        let location = table.location(HTTP_ALLOW);
        let hosts = table.strings(HTTP_ALLOW, &mut self.errors);
        match hosts.is_empty() {
            _ if table.is_faulty(HTTP_ALLOW, &self.errors) => Unlisted::Ignored,
            true => {
                let notice = "is empty, and no list names `http`: nexum ignores the table";
                self.notices.push(location.error(notice));
                Unlisted::Ignored
            }
            false if is_denied => Unlisted::Refused,
            false => {
                let notice = "has hosts, so `http` counts as required: add it to capabilities.required";
                self.notices.push(location.error(notice));
                Unlisted::Required(Located {
                    value: HTTP.to_owned(),
                    location,
                })
            }
        }
    }

    fn identity(&mut self, table: &Section) {
        self.errors.extend(table.unknown_keys(&[IDENTITY_METHODS]));
        let methods = table.strings(IDENTITY_METHODS, &mut self.errors);
        if methods.len() > IDENTITY_METHODS_MAX {
            let message = format!("expected at most {IDENTITY_METHODS_MAX} methods");
            self.errors.push(table.error(IDENTITY_METHODS, message));
        } else if !methods.is_empty() {
            self.notices.push(table.error(IDENTITY_METHODS, "has no effect yet"));
        }
    }

    pub(super) fn check_set_once(&mut self, settings: &BTreeMap<String, Section>, others: &BTreeMap<String, Section>) {
        for (name, section) in settings {
            if others.contains_key(name) && !enough(&self.errors) {
                self.errors.push(section.error(
                    "",
                    format!("[capabilities.{name}] also has settings for this capability, keep one of the two tables"),
                ));
            }
        }
    }

    fn check_listed_once(&mut self, lists: &[Vec<Located<String>>; 3]) {
        let mut listed = BTreeMap::new();
        for (names, list) in lists.iter().zip(LISTS) {
            for name in names {
                match listed.insert(&name.value, list) {
                    Some(before) if !enough(&self.errors) => {
                        self.errors
                            .push(name.location.error(format!("is already listed as {before}")));
                    }
                    _ => {}
                }
            }
        }
    }
}
