//! Validates a manifest and continues after an error, so that the author sees all of them.

mod about;
mod capabilities;
mod component_toml;
mod subscription;

use std::collections::BTreeMap;

use super::{ChainRequests, Form, Manifest, SCHEDULES_MAX, SUBSCRIPTIONS_MAX, Subscription, raw};
use crate::content;
use crate::document::{ConfigError, ERRORS_MAX, Section, nearest, notice_texts};
use crate::limits::RequestedLimits;
use crate::names::Digest;
use crate::query::QueryRequests;
use crate::restart::RestartKeys;

pub(super) use component_toml::manifest as component_toml;

/// The keys of a manifest's outermost table.
const KEYS: [&str; 6] = [
    "module",
    "chains",
    "capabilities",
    "subscription",
    "config",
    content::TABLE,
];

/// The keys that no `component.toml` has. They tell the form of a manifest.
const OWN_KEYS: [&str; 3] = ["module", "capabilities", "subscription"];

/// The tables of `[module]` itself. Every other table there belongs to a capability.
const MODULE_TABLES: [&str; 3] = ["resources", "restart", "query"];

/// The form that the tables of a document tell.
pub(super) fn form(root: &Section) -> Option<Form> {
    let has = |keys: [&str; 3]| root.keys().any(|key| keys.contains(&key));
    if has(component_toml::OWN_KEYS) {
        Some(Form::Component)
    } else if has(OWN_KEYS) {
        Some(Form::Module)
    } else {
        None
    }
}

/// Reads the outermost table. `notices` are those of the document. Adds all faults to `errors`. The
/// result has the defaults of the faulty parts.
pub(super) fn manifest(root: &Section, notices: Vec<ConfigError>, errors: &mut Vec<ConfigError>) -> Manifest {
    let mut reader = Reader {
        errors: root.unknown_keys(&KEYS),
        notices,
        wants_messages: false,
    };
    let mut manifest = Manifest::default();
    if let Some(section) = reader.section(root, "module") {
        reader.module(&section, &mut manifest);
    }
    if let Some(section) = reader.section(root, "capabilities") {
        let capabilities = reader.capabilities(&section);
        reader.check_set_once(&manifest.settings, &capabilities.settings);
        manifest.capabilities = Some(capabilities);
    }
    if let Some(section) = reader.section(root, "config") {
        manifest.config = section.texts(&mut reader.errors);
    }
    if let Some(section) = reader.section(root, content::TABLE) {
        content::check(&section, &mut reader.errors, &mut reader.notices);
    }
    let chains = reader
        .section(root, "chains")
        .and_then(|section| reader.chains(&section));
    let subscriptions = reader.subscriptions(root);
    match &chains {
        // A faulty list may contain the chain.
        _ if root.is_faulty("chains", &reader.errors) => {}
        Some(chains) => reader.check_subscribed_chains(&subscriptions, chains),
        None => manifest.chains.required.extend(
            subscriptions
                .iter()
                .filter_map(|(_, subscription)| subscription.chain_id()),
        ),
    }
    manifest.chains = chains.unwrap_or(manifest.chains);
    manifest.wants_messages = reader.wants_messages;
    manifest.subscriptions = subscriptions
        .into_iter()
        .map(|(_, subscription)| subscription)
        .collect();
    errors.append(&mut reader.errors);
    manifest.notices = notice_texts(reader.notices);
    manifest
}

struct Reader {
    errors: Vec<ConfigError>,
    notices: Vec<ConfigError>,
    /// Whether a subscription is for messages.
    wants_messages: bool,
}

impl Reader {
    /// Returns the value, or adds the error to the list.
    fn keep<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    fn section(&mut self, parent: &Section, key: &str) -> Option<Section> {
        self.keep(parent.section(key)).flatten()
    }

    fn module(&mut self, section: &Section, manifest: &mut Manifest) {
        manifest.settings = settings(section);
        manifest.requested_limits = RequestedLimits::read(section, &mut self.errors);
        manifest.restart = RestartKeys::read(section, &mut self.errors);
        manifest.query = QueryRequests::read(section, &mut self.errors);
        let names: Vec<_> = manifest.settings.keys().map(String::as_str).collect();
        let Some(raw) = section.without(&names).parse_all::<raw::Module>(&mut self.errors) else {
            return;
        };
        self.about(section, &raw);
        manifest.name = raw.name;
        manifest.version = raw.version;
        manifest.description = raw.description.as_deref().and_then(about::description);
        manifest.authors = raw.authors;
        manifest.files = raw.files;
        manifest.component = self.pinned(section, "component", raw.component);
    }

    /// The required digest of the component. A digest of zeros requires none.
    fn pinned(&mut self, section: &Section, key: &str, digest: Option<Digest>) -> Option<Digest> {
        let pinned = digest.filter(|digest| !digest.is_zero());
        if pinned != digest {
            let notice = section.location(key);
            self.notices
                .push(notice.error("is all zeros, so nexum accepts any component"));
        }
        pinned
    }

    fn chains(&mut self, section: &Section) -> Option<ChainRequests> {
        let raw = section.parse_all::<raw::Chains>(&mut self.errors)?;
        let chains = ChainRequests {
            required: raw.required.into_iter().collect(),
            optional: raw.optional.into_iter().collect(),
        };
        for chain in chains.required.intersection(&chains.optional).take(ERRORS_MAX) {
            self.errors
                .push(section.error("optional", format!("chain {chain} is also in chains.required")));
        }
        Some(chains)
    }

    fn subscriptions(&mut self, root: &Section) -> Vec<(Section, Subscription)> {
        let mut sections = self.tables_of_subscriptions(root, "subscription");
        let all = sections.len();
        sections.retain(|section| !subscription::is_of_messages(section));
        self.wants_messages = sections.len() < all;
        self.read_subscriptions(sections, subscription::is_cron, subscription::subscription)
    }

    /// The tables `[[key]]`, of which there are not too many.
    fn tables_of_subscriptions(&mut self, root: &Section, key: &str) -> Vec<Section> {
        let mut sections = root.array_of_tables(key, &mut self.errors);
        if let Some(section) = sections.get(SUBSCRIPTIONS_MAX) {
            self.errors
                .push(section.error("", format!("a module has at most {SUBSCRIPTIONS_MAX} subscriptions")));
        }
        sections.truncate(SUBSCRIPTIONS_MAX);
        sections
    }

    /// Reads each table with `read`, and checks the number of schedules and that no subscription
    /// repeats another one.
    fn read_subscriptions(
        &mut self,
        sections: Vec<Section>,
        is_schedule: fn(&Section) -> bool,
        read: fn(&Section, &mut Vec<ConfigError>) -> Option<Subscription>,
    ) -> Vec<(Section, Subscription)> {
        let mut subscriptions: Vec<(Section, Subscription)> = Vec::new();
        // Indexes of the valid ones.
        let mut valid: Vec<usize> = Vec::new();
        let mut schedules = 0;
        for section in sections {
            if is_schedule(&section) {
                schedules += 1;
                if schedules == SCHEDULES_MAX + 1 {
                    let message = format!("a module has at most {SCHEDULES_MAX} schedules");
                    self.errors.push(section.error("", message));
                }
                if schedules > SCHEDULES_MAX {
                    continue;
                }
            }
            let before = self.errors.len();
            let Some(subscription) = read(&section, &mut self.errors) else {
                continue;
            };
            let is_valid = self.errors.len() == before;
            let repeats = |other: &usize| overlap(&subscriptions[*other].1, &subscription);
            if is_valid && valid.iter().any(repeats) {
                self.errors.push(section.error("", "repeats an earlier subscription"));
            }
            valid.extend(is_valid.then_some(subscriptions.len()));
            subscriptions.push((section, subscription));
        }
        subscriptions
    }

    fn check_subscribed_chains(&mut self, subscriptions: &[(Section, Subscription)], chains: &ChainRequests) {
        for (section, subscription) in subscriptions {
            let Some(chain) = subscription.chain_id() else { continue };
            if !chains.required.contains(&chain) && !chains.optional.contains(&chain) {
                let error = section.error("chain_id", "is not listed in [chains]");
                self.errors
                    .push(error.with_hint(format!("add {chain} to chains.required or chains.optional")));
            }
        }
    }
}

/// Whether two subscriptions overlap. The first block of block subscriptions does not matter,
/// because a module gets each block once.
fn overlap(one: &Subscription, other: &Subscription) -> bool {
    match (one, other) {
        (Subscription::Block(one), Subscription::Block(other)) => one.topic == other.topic,
        (Subscription::Cron(one), Subscription::Cron(other)) => one.schedule == other.schedule,
        (one, other) => one == other,
    }
}

/// The tables in `[module]` that belong to capabilities. A name that is similar to one of the fixed
/// tables is a misspelling of it, and not in the result.
fn settings(module: &Section) -> BTreeMap<String, Section> {
    let tables = module.tables().filter_map(|(name, table)| Some((name, table.ok()?)));
    tables
        .filter(|(name, _)| nearest(name, MODULE_TABLES).is_none())
        .map(|(name, table)| (name.to_owned(), table))
        .collect()
}
