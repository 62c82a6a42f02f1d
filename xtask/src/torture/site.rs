//! The files of a run: configurations, manifests, the log and the state.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{
    Backend, CHAINS,
    expected::{BOTH, Kept, Keys, MODULES},
};
use crate::{anvil::Anvil, paths, process};

/// The polling interval of HTTP endpoints. It is short, so that nexum stays close to the head of a
/// fast chain.
const POLL_INTERVAL_MS: u64 = 20;

/// The directory of a run, with its inputs and outputs.
#[derive(Debug)]
pub(super) struct Site {
    directory: PathBuf,
    backend: Backend,
    programs: PathBuf,
}

impl Site {
    /// Creates the directory for these nodes and their contracts, and deletes an older one.
    /// `programs` is cargo's output directory.
    pub(super) fn new(
        backend: Backend,
        programs: &Path,
        anvils: &[Anvil; CHAINS.len()],
        emitters: [&str; CHAINS.len()],
    ) -> Result<Self> {
        let directory = paths::root().join("target/torture").join(backend.name());
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        let site = Self {
            directory,
            backend,
            programs: programs.to_owned(),
        };
        for (urls, config) in [Anvil::ws_url, Anvil::http_url].iter().zip(site.configs()) {
            fs::write(config, site.engine_toml(anvils.each_ref().map(urls)))?;
        }
        for module in MODULES {
            let count = if module == BOTH { CHAINS.len() } else { 1 };
            let chains: Vec<_> = CHAINS.into_iter().zip(emitters).take(count).collect();
            fs::write(site.manifest(module), manifest_toml(module, guest_of(module), &chains))?;
        }
        Ok(site)
    }

    pub(super) fn program(&self) -> PathBuf {
        self.programs.join("nexum")
    }

    /// The configurations: one over WebSocket and one over HTTP.
    pub(super) fn configs(&self) -> [PathBuf; 2] {
        ["ws.toml", "http.toml"].map(|name| self.directory.join(name))
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("nexum.log")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// Reads the modules' state. nexum must not run.
    pub(super) fn kept(&self) -> Result<Kept> {
        let mut read = Command::new(self.programs.join("examples/kept"));
        read.arg(self.backend.name()).arg(self.state()).args(MODULES);
        parse(&process::output(&mut read)?)
    }

    /// Moves the log away after a comparison without a difference.
    pub(super) fn forget_log(&self) -> Result<()> {
        Ok(fs::rename(self.log(), self.log().with_extension("log.before"))?)
    }

    /// Deletes all files after a successful run.
    pub(super) fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(self.directory)?)
    }

    fn manifest(&self, module: &str) -> PathBuf {
        self.directory.join(format!("{module}.toml"))
    }

    fn engine_toml(&self, urls: [String; CHAINS.len()]) -> String {
        let chain = |(chain, url): (u64, String)| {
            format!("\n[chains.{chain}]\nrpc_url = \"{url}\"\npoll_interval_ms = {POLL_INTERVAL_MS}\n")
        };
        let module = |module: &str| {
            let guest = guest_of(module);
            let component = paths::built_modules().join(guest).join(format!("{guest}.wasm"));
            let (component, manifest) = (quote(&component), quote(&self.manifest(module)));
            format!("\n[[modules]]\nname = \"{module}\"\npath = {component}\nmanifest = {manifest}\n")
        };
        format!(
            "[engine]\nstate_dir = {state}\nlog_level = \"info,nexum::event=debug\"\nlog_format = \"json\"\n\n\
             [store]\nbackend = \"{backend}\"\n{chains}{modules}",
            state = quote(&self.state()),
            backend = self.backend.name(),
            chains = CHAINS.into_iter().zip(urls).map(chain).collect::<String>(),
            modules = MODULES.map(module).concat(),
        )
    }
}

/// The guest of a module.
fn guest_of(module: &str) -> &str {
    if module == BOTH { "journal" } else { module }
}

/// Parses the output of the example `kept`.
pub(super) fn parse(text: &str) -> Result<Kept> {
    let mut kept = Kept::new();
    for line in text.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let [module, key, value] = fields[..] else {
            bail!("cannot parse the state: {line:?}");
        };
        let keys: &mut Keys = kept.entry(module.to_owned()).or_default();
        keys.insert(bytes(key)?, bytes(value)?);
    }
    Ok(kept)
}

/// A manifest that subscribes the module to all events of its guest from the first block on, on these chains
/// with these contracts.
pub(super) fn manifest_toml(module: &str, guest: &str, chains: &[(u64, &str)]) -> String {
    let subscriptions = |&(chain, emitter): &(u64, &str)| {
        let subscription =
            |kind: &str| format!("\n[[subscription]]\nkind = \"{kind}\"\nchain_id = {chain}\nfrom_block = 0\n");
        let blocks = subscription("block");
        let logs = format!("{}address = \"{emitter}\"\n", subscription("log"));
        match guest {
            "counter" | "cow-submitter" => blocks,
            "log-sum" => logs,
            _ => blocks + &logs,
        }
    };
    let subscriptions: String = chains.iter().map(subscriptions).collect();
    let capability = if guest == "cow-submitter" { "cow" } else { "store" };
    format!("[module]\nname = \"{module}\"\n\n[capabilities]\nrequired = [\"{capability}\"]\n{subscriptions}")
}

pub(super) fn quote(path: &Path) -> String {
    toml_edit::Value::from(path.to_string_lossy().as_ref()).to_string()
}

/// Decodes hexadecimal digits.
fn bytes(digits: &str) -> Result<Vec<u8>> {
    let byte = |at: usize| {
        digits
            .get(at..at + 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    let bytes: Option<_> = (0..digits.len()).step_by(2).map(byte).collect();
    bytes.with_context(|| format!("{digits:?} is not hexadecimal"))
}
