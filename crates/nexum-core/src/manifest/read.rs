//! Validates a manifest, and goes on after an error, so that its author sees all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use super::{
    CapabilityRequests, ChainRequests, Manifest, Restart, SUBSCRIPTIONS_MAX, Subscription, VERSION_CHARS_MAX, raw,
};
use crate::document::{ConfigError, ConfigErrors, Placed, Section};
use crate::limits::{Limits, Wishes};

/// The keys of a manifest's outermost table.
const KEYS: [&str; 5] = ["module", "chains", "capabilities", "subscription", "config"];
/// The kinds of events that the contract knows but that cannot be subscribed to yet.
const KINDS_TO_COME: [&str; 4] = ["log", "cron", "tick", "message"];
/// The kinds of events that can be subscribed to.
const KINDS: [&str; 1] = ["block"];
/// The lists in `[capabilities]`; every other key there is a capability's own table.
const CAPABILITY_LISTS: [&str; 3] = ["required", "optional", "denied"];

/// Reads the outermost table.
pub(super) fn manifest(root: &Section) -> Result<Manifest, ConfigErrors> {
    let mut reader = Reader {
        errors: root.unknown_keys(&KEYS),
    };
    let mut manifest = Manifest::default();
    if let Some(section) = reader.section(root, "module") {
        reader.module(&section, &mut manifest);
    }
    if let Some(section) = reader.section(root, "capabilities") {
        manifest.capabilities = Some(reader.capabilities(&section));
    }
    if let Some(section) = reader.section(root, "config") {
        manifest.config = section.scalars(&mut reader.errors);
    }
    let chains = reader
        .section(root, "chains")
        .and_then(|section| reader.chains(&section));
    let subscriptions = reader.subscriptions(root);
    match &chains {
        Some(chains) => reader.check_subscribed_chains(&subscriptions, chains),
        None => manifest
            .chains
            .required
            .extend(subscriptions.iter().map(|(_, subscription)| subscription.chain_id())),
    }
    manifest.chains = chains.unwrap_or(manifest.chains);
    manifest.subscriptions = subscriptions
        .into_iter()
        .map(|(_, subscription)| subscription)
        .collect();
    ConfigErrors::check(reader.errors)?;
    Ok(manifest)
}

struct Reader {
    errors: Vec<ConfigError>,
}

impl Reader {
    /// What is `Ok`, or else nothing, and an error more.
    fn keep<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.errors.push(error)).ok()
    }

    fn section(&mut self, parent: &Section, key: &str) -> Option<Section> {
        self.keep(parent.section(key)).flatten()
    }

    fn module(&mut self, section: &Section, manifest: &mut Manifest) {
        let Some(raw) = section.parse_all::<raw::Module>(&mut self.errors) else {
            return;
        };
        let printable = |version: &String| version.chars().all(|c| !c.is_control());
        let sized = |version: &String| (1..=VERSION_CHARS_MAX).contains(&version.chars().count());
        if raw
            .version
            .as_ref()
            .is_some_and(|version| !printable(version) || !sized(version))
        {
            let message = format!("expected 1 to {VERSION_CHARS_MAX} printable characters");
            self.errors.push(section.error("version", message));
        }
        if let Some(failures) = raw.restart.max_consecutive_failures {
            self.check(
                section,
                "restart.max_consecutive_failures",
                failures,
                Restart::MAX_CONSECUTIVE_FAILURES_RANGE,
            );
            manifest.restart.max_consecutive_failures = failures;
        }
        manifest.wishes = self.wishes(section, &raw.resources);
        manifest.name = raw.name;
        manifest.version = raw.version;
        manifest.component = raw.component;
    }

    /// A wish for more than any operator may allow is as good as none; one for less than a module can run with is a
    /// mistake.
    fn wishes(&mut self, section: &Section, raw: &raw::Resources) -> Wishes {
        let mut at_least = |key: &str, wish: Option<u64>, min: u64| {
            if let Some(wish) = wish {
                self.check(section, &format!("resources.{key}"), wish, min..=u64::MAX);
            }
            wish
        };
        at_least(
            "max_instances",
            raw.max_instances.map(u64::from),
            (*Limits::INSTANCES_RANGE.start()).into(),
        );
        let min = *Limits::LOG_RECORDS_PER_EVENT_RANGE.start();
        at_least(
            "max_log_records_per_event",
            raw.max_log_records_per_event.map(u64::from),
            min.into(),
        );
        let mut wish = |key, wish, range: RangeInclusive<u64>| at_least(key, wish, *range.start());
        Wishes {
            fuel_per_event: wish(
                "max_fuel_per_event",
                raw.max_fuel_per_event,
                Limits::FUEL_PER_EVENT_RANGE,
            ),
            memory_bytes: wish("max_memory_bytes", raw.max_memory_bytes, Limits::MEMORY_BYTES_RANGE),
            event_deadline_ms: wish(
                "max_event_deadline_ms",
                raw.max_event_deadline_ms,
                Limits::EVENT_DEADLINE_MS_RANGE,
            ),
            table_elements: wish(
                "max_table_elements",
                raw.max_table_elements,
                Limits::TABLE_ELEMENTS_RANGE,
            ),
            state_bytes: wish("max_state_bytes", raw.max_state_bytes, Limits::STATE_BYTES_RANGE),
            instances: raw.max_instances,
            log_records_per_event: raw.max_log_records_per_event,
        }
    }

    fn check<T: PartialOrd + fmt::Display>(
        &mut self,
        section: &Section,
        key: &str,
        value: T,
        range: RangeInclusive<T>,
    ) {
        if !range.contains(&value) {
            let message = format!("expected a whole number from {} to {}", range.start(), range.end());
            self.errors.push(section.error(key, message));
        }
    }

    fn chains(&mut self, section: &Section) -> Option<ChainRequests> {
        let raw = section.parse_all::<raw::Chains>(&mut self.errors)?;
        let chains = ChainRequests {
            required: raw.required.into_iter().collect(),
            optional: raw.optional.into_iter().collect(),
        };
        for chain in chains.required.intersection(&chains.optional) {
            self.errors
                .push(section.error("optional", format!("chain {chain} is required as well")));
        }
        Some(chains)
    }

    fn capabilities(&mut self, section: &Section) -> CapabilityRequests {
        let mut lists = CAPABILITY_LISTS.map(|list| self.keep(section.strings(list)).unwrap_or_default());
        self.check_listed_once(&mut lists);
        let [required, optional, denied] = lists;
        let mut settings = BTreeMap::new();
        for (name, table) in section.tables() {
            if CAPABILITY_LISTS.contains(&name) {
                continue;
            }
            let Some(table) = self.keep(table.map_err(|error| error.with_nearest(name, CAPABILITY_LISTS))) else {
                continue;
            };
            if required.iter().chain(&optional).all(|granted| granted.value != name) {
                let message = "settings of a capability that is neither required nor optional";
                self.errors.push(
                    table
                        .error("", message)
                        .with_hint(format!("add {name:?} to one of the lists")),
                );
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

    fn check_listed_once(&mut self, lists: &mut [Vec<Placed<String>>; 3]) {
        let mut listed = BTreeMap::new();
        for (name, list) in lists
            .iter()
            .zip(CAPABILITY_LISTS)
            .flat_map(|(names, list)| names.iter().map(move |name| (name, list)))
        {
            if let Some(before) = listed.insert(&name.value, list) {
                self.errors
                    .push(name.place.error(format!("is already listed as {before}")));
            }
        }
    }

    fn subscriptions(&mut self, root: &Section) -> Vec<(Section, Subscription)> {
        let sections = self.keep(root.array_of_tables("subscription")).unwrap_or_default();
        if let Some(section) = sections.get(SUBSCRIPTIONS_MAX) {
            self.errors
                .push(section.error("", format!("more than {SUBSCRIPTIONS_MAX} subscriptions")));
        }
        let mut subscriptions: Vec<(Section, Subscription)> = Vec::new();
        for section in sections.into_iter().take(SUBSCRIPTIONS_MAX) {
            let Some(subscription) = self.subscription(&section) else {
                continue;
            };
            if subscriptions.iter().any(|(_, before)| *before == subscription) {
                self.errors
                    .push(section.error("", "the same subscription as one before it"));
            }
            subscriptions.push((section, subscription));
        }
        subscriptions
    }

    fn subscription(&mut self, section: &Section) -> Option<Subscription> {
        let kind = self.keep(section.string("kind"))?;
        match kind.value.as_str() {
            "block" => {
                let raw = section.parse_all::<raw::BlockSubscription>(&mut self.errors)?;
                Some(Subscription::Block { chain_id: raw.chain_id })
            }
            name if KINDS_TO_COME.contains(&name) => {
                let error = kind.place.error("is not yet supported as a subscription");
                self.errors
                    .push(error.with_hint(format!("supported: {}", KINDS.join(", "))));
                None
            }
            name => {
                let known = KINDS.into_iter().chain(KINDS_TO_COME);
                let error = kind
                    .place
                    .error("unknown kind of subscription")
                    .with_nearest(name, known);
                self.errors
                    .push(error.with_hint(format!("supported: {}", KINDS.join(", "))));
                None
            }
        }
    }

    fn check_subscribed_chains(&mut self, subscriptions: &[(Section, Subscription)], chains: &ChainRequests) {
        for (section, subscription) in subscriptions {
            let chain = subscription.chain_id();
            if !chains.required.contains(&chain) && !chains.optional.contains(&chain) {
                let error = section.error("chain_id", "a chain that [chains] does not list");
                self.errors
                    .push(error.with_hint(format!("add {chain} to chains.required or chains.optional")));
            }
        }
    }
}
