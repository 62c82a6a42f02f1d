//! The good and the bad modules.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{anvil::CHAIN_ID, paths};

/// The number of good modules.
const GOOD: usize = 20;

/// The bad modules: the name and guest of each.
pub(super) const BAD: [(&str, &str); 10] = [
    ("fuel", "glutton"),
    ("time", "glutton"),
    ("memory", "glutton"),
    ("chain", "glutton"),
    ("writes", "glutton"),
    ("logs", "glutton"),
    ("panic", "panic"),
    ("trap-after-writes", "trap-after-writes"),
    ("bad-init", "bad-init"),
    ("table-bomb", "table-bomb"),
];

/// The size of the store's cache. A small cache fills early, so that its growth does not hide a
/// leak.
const CACHE_BYTES: usize = 4 << 20;

/// The guests of all modules.
pub(super) fn guests() -> Vec<String> {
    let mut guests: Vec<_> = BAD.iter().map(|(_, guest)| (*guest).to_owned()).collect();
    guests.push("journal".to_owned());
    guests.sort();
    guests.dedup();
    guests
}

/// The names of the good modules.
pub(super) fn good() -> Vec<String> {
    (1..=GOOD).map(|number| format!("good-{number:02}")).collect()
}

/// Writes the configuration and the manifests of a run. Returns the path of the configuration.
pub(super) fn write(directory: &Path, url: &str, with_bad: bool) -> Result<PathBuf> {
    fs::create_dir_all(directory)?;
    let mut modules = String::new();
    for name in good() {
        modules += &module(directory, &name, "journal")?;
    }
    for (name, guest) in BAD.iter().filter(|_| with_bad) {
        modules += &module(directory, name, guest)?;
    }
    let config = directory.join("engine.toml");
    let state = quote(&directory.join("state"));
    // With this deadline, the module that hangs does so in most blocks. With these pauses, a
    // failing module fails all the time. Rarer failures would affect the other modules too little
    // to measure.
    fs::write(
        &config,
        format!(
            "[engine]\nstate_dir = {state}\nlog_level = \"info,nexum::event=debug\"\nlog_format = \"json\"\n\
             [engine.limits]\nevent_deadline_ms = 1_000\nfuel_per_event = 200_000_000\n\
             [engine.restart]\nattempts_max = 2\nbackoff_ms = 50\nbackoff_max_ms = 500\nmax_consecutive_failures = 50\n\
             [metrics]\nlisten = \"127.0.0.1:0\"\n\
             [store]\nbackend = \"redb\"\ncache_bytes = {CACHE_BYTES}\n[chains.{CHAIN_ID}]\nrpc_url = \"{url}\"\n{modules}"
        ),
    )?;
    Ok(config)
}

/// Writes the module's manifest, and returns its `[[modules]]` table.
fn module(directory: &Path, name: &str, guest: &str) -> Result<String> {
    let wish = match name {
        "fuel" => "max_event_deadline_ms = 60_000",
        // A short deadline, because the module would run out of fuel first.
        "time" => "max_event_deadline_ms = 20",
        _ => "",
    };
    let manifest = directory.join(format!("{name}.toml"));
    fs::write(
        &manifest,
        format!(
            "[module]\nname = \"{name}\"\n[module.resources]\n{wish}\n[capabilities]\n\
             optional = [\"chain\", \"cow\", \"http\", \"identity\", \"store\"]\n\
             [[subscription]]\nkind = \"block\"\nchain_id = {CHAIN_ID}\nfrom_block = 1\n"
        ),
    )?;
    let component = paths::built_modules().join(guest).join(format!("{guest}.wasm"));
    let (component, manifest) = (quote(&component), quote(&manifest));
    Ok(format!(
        "[[modules]]\npath = {component}\nmanifest = {manifest}\n[modules.config]\neats = \"{name}\"\n"
    ))
}

fn quote(path: &Path) -> String {
    toml_edit::Value::from(path.to_string_lossy().as_ref()).to_string()
}
