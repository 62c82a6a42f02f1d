//! Reads `component.toml`, the manifest of trigger modules.

use super::{Reader, subscription};
use crate::document::{ConfigError, Located, Section, enough, notice_texts};
use crate::limits::{Limit, RequestedLimits};
use crate::log_filter::LogFilter;
use crate::manifest::raw::{self, EventSignature, component_toml as keys};
use crate::manifest::{
    BlockSubscription, CapabilityRequests, CatchUp, CronSubscription, Form, LogSubscription, Manifest, Missed,
    Subscription,
};
use crate::topic::ChainTopic;

/// The table with the module's name.
const COMPONENT: &str = "component";
/// The keys of the outermost table that no `nexum.toml` has.
pub(super) const OWN_KEYS: [&str; 3] = [COMPONENT, "dependencies", "trigger"];
/// The keys of the outermost table.
const KEYS: [&str; 4] = [OWN_KEYS[0], OWN_KEYS[1], OWN_KEYS[2], "config"];
/// The outermost table of modules that trade on venues.
const VENUE: &str = "venue";

/// The keys in `[component.resources]`, and the limits that they request.
const RESOURCES: [(&str, Limit); 3] = [
    ("max_memory_bytes", Limit::Memory),
    ("max_fuel_per_dispatch", Limit::Fuel),
    ("max_state_bytes", Limit::StateBytes),
];

/// The dependency that has settings, and the key of its hosts there and in `nexum.toml`.
const HTTP: &str = "http";
const HTTP_HOSTS: (&str, &str) = ("hosts", "allow");
/// The dependency on the venues of another host.
const CLIENT: &str = "client";
/// The dependencies on parts of WASI that are closed for modules.
const CLOSED: [&str; 2] = ["wasi-sockets", "wasi-filesystem"];

/// The supported kinds of triggers.
const KINDS: [&str; 3] = ["block", "event", "schedule"];
/// The kind of triggers that venues send.
const INTENT_STATUS: &str = "intent-status";

/// The hint about everything that needs venues.
const NO_VENUES: &str =
    "nexum has no venues: run the module with the host that it was made for, or build it without them";

/// Reads the outermost table. Adds all faults to `errors`. The result has the defaults of the faulty
/// parts.
pub(in crate::manifest) fn manifest(root: &Section, errors: &mut Vec<ConfigError>) -> Manifest {
    let mut reader = Reader {
        errors: root.without(&[VENUE]).unknown_keys(&KEYS),
        notices: Vec::new(),
        wants_messages: false,
    };
    if root.keys().any(|key| key == VENUE) {
        reader.errors.push(
            root.error(VENUE, "is about venues, which another host has")
                .with_hint(NO_VENUES),
        );
    }
    let mut manifest = Manifest {
        form: Form::Component,
        ..Manifest::default()
    };
    if let Some(section) = reader.section(root, COMPONENT) {
        reader.component(&section, &mut manifest);
    }
    match root.section("dependencies") {
        Ok(Some(section)) => manifest.capabilities = Some(reader.dependencies(&section)),
        Ok(None) => reader.errors.push(
            root.error("dependencies", "missing table")
                .with_hint("list what the component imports, for example `chain = {}`; an empty table grants nothing"),
        ),
        Err(error) => reader.errors.push(error),
    }
    if let Some(section) = reader.section(root, "config") {
        manifest.config = section.texts(&mut reader.errors);
    }
    let triggers = reader.triggers(root);
    manifest.subscriptions = triggers.into_iter().map(|(_, subscription)| subscription).collect();
    let subscribed = manifest.subscriptions.iter().filter_map(Subscription::chain_id);
    manifest.chains.required = subscribed.collect();
    errors.append(&mut reader.errors);
    manifest.notices = notice_texts(reader.notices);
    manifest
}

impl Reader {
    fn component(&mut self, section: &Section, manifest: &mut Manifest) {
        manifest.requested_limits = RequestedLimits::read_as(section, RESOURCES, &mut self.errors);
        let Some(raw) = section.parse_all::<keys::Component>(&mut self.errors) else {
            return;
        };
        let mut about = raw::Module::default();
        about.version.clone_from(&raw.version);
        self.about(section, &about);
        manifest.name = raw.name;
        manifest.version = raw.version;
        manifest.component = self.pinned(section, "digest", raw.digest);
    }

    fn dependencies(&mut self, section: &Section) -> CapabilityRequests {
        let mut requests = CapabilityRequests::default();
        for (name, table) in section.tables() {
            if enough(&self.errors) {
                break;
            }
            let Some(table) = self.keep(table) else { continue };
            let (hosts, allow) = HTTP_HOSTS;
            let keys: &[&str] = if name == HTTP { &[HTTP_HOSTS.0] } else { &[] };
            self.errors.extend(table.unknown_keys(keys));
            if name == CLIENT {
                let error = table.error("", "is the client of venues, which another host has");
                self.errors.push(error.with_hint(NO_VENUES));
                continue;
            }
            if CLOSED.contains(&name) {
                let error = table.error("", "no module of nexum has sockets or a file system of its own");
                self.errors.push(error.with_hint(
                    "build the module without the dependency: nexum serves HTTP, and read-only files with a nexum.toml",
                ));
                continue;
            }
            if table.keys().any(|key| key == hosts) && name == HTTP {
                let settings = table.only(&[hosts]).renamed(hosts, allow);
                requests.settings.insert(name.to_owned(), settings);
            }
            requests.required.push(Located {
                value: name.to_owned(),
                location: table.location(""),
            });
        }
        requests
    }

    fn triggers(&mut self, root: &Section) -> Vec<(Section, Subscription)> {
        let sections = self.tables_of_subscriptions(root, "trigger");
        for section in &sections {
            if section.keys().any(|key| key == "max_lookback") {
                let notice = "has no effect: nexum delivers every log that the module missed";
                self.notices.push(section.error("max_lookback", notice));
            }
        }
        self.read_subscriptions(sections, is_schedule, trigger)
    }
}

fn is_schedule(section: &Section) -> bool {
    section.string("on").is_ok_and(|on| on.value == "schedule")
}

/// Reads one table. Adds all faults to `errors`. None if the kind or the chain is not known.
fn trigger(section: &Section, errors: &mut Vec<ConfigError>) -> Option<Subscription> {
    let on = section.string("on").map_err(|error| errors.push(error)).ok()?;
    match on.value.as_str() {
        "block" => block(section, errors),
        "event" => event(section, errors),
        "schedule" => schedule(section, errors),
        INTENT_STATUS => {
            let error = on.location.error("comes from venues, which another host has");
            errors.push(error.with_hint(NO_VENUES));
            None
        }
        other => {
            let error = on
                .location
                .error("nexum has no triggers of this kind")
                .with_nearest(other, KINDS);
            errors.push(error.with_hint(format!("supported kinds: {}", KINDS.join(", "))));
            None
        }
    }
}

fn block(section: &Section, errors: &mut Vec<ConfigError>) -> Option<Subscription> {
    let raw = section.parse_all::<keys::BlockTrigger>(errors)?;
    let chain_id = section.required("chain_id", raw.chain_id, errors)?;
    Some(Subscription::Block(BlockSubscription {
        topic: ChainTopic::latest(chain_id),
        from_block: None,
        catch_up: CatchUp::All,
    }))
}

fn event(section: &Section, errors: &mut Vec<ConfigError>) -> Option<Subscription> {
    let raw = section.parse_all::<keys::EventTrigger>(errors)?;
    let chain_id = section.required("chain_id", raw.chain_id, errors)?;
    let mut filter = LogFilter {
        addresses: raw.address.into_iter().map(|address| address.0).collect(),
        ..LogFilter::default()
    };
    filter.topics[0] = raw
        .event_signature
        .into_iter()
        .map(|EventSignature(hash)| hash)
        .collect();
    Some(Subscription::Logs(LogSubscription {
        topic: ChainTopic::latest(chain_id),
        from_block: raw.start_block,
        filter,
    }))
}

fn schedule(section: &Section, errors: &mut Vec<ConfigError>) -> Option<Subscription> {
    let raw = section.parse_all::<keys::ScheduleTrigger>(errors)?;
    let schedule = subscription::schedule(section, "cron", raw.cron, errors)?;
    let missed = Missed::default();
    Some(Subscription::Cron(CronSubscription { schedule, missed }))
}
