//! Modules that record their events.

use std::path::Path;
use std::sync::Arc;

use nexum_core::source::Log;
use nexum_core::store::MemoryStore;
use nexum_host_store::LocalStore;
use nexum_testing::{ScriptedSource, TEST_CHAIN_ID, journal};
use tempfile::TempDir;

use super::{Run, Setup};

/// A host with journals, each with its own manifest.
pub(crate) struct Journals {
    manifests: TempDir,
    pub(crate) setup: Setup,
    store: Arc<MemoryStore>,
}

impl Journals {
    pub(crate) fn new() -> Self {
        Self::over(Arc::default())
    }

    /// Journals on the store of an earlier run.
    pub(crate) fn over(store: Arc<MemoryStore>) -> Self {
        let mut setup = Setup::new();
        setup.capabilities = setup.capabilities.with(LocalStore);
        setup.store = store.clone();
        Self {
            manifests: TempDir::new().expect("a directory"),
            setup,
            store,
        }
    }

    /// A journal with these keys in each of its `[[subscription]]` tables.
    pub(crate) fn module(mut self, name: &str, subscriptions: &[&str]) -> Self {
        let keys = self.keys(name, subscriptions);
        self.setup = self.setup.module_with("journal", &keys);
        self
    }

    /// The keys of a `[[modules]]` table for this manifest.
    pub(crate) fn keys(&self, name: &str, subscriptions: &[&str]) -> String {
        manifest(self.manifests.path(), name, subscriptions)
    }

    pub(crate) async fn start(self) -> (Run, Arc<MemoryStore>, TempDir) {
        (self.setup.start().await, self.store, self.manifests)
    }

    pub(crate) async fn start_on(self, chain: ScriptedSource, missed: usize) -> (Run, Arc<MemoryStore>, TempDir) {
        (self.setup.start_on(chain, missed).await, self.store, self.manifests)
    }
}

pub(crate) const ADDRESS: [u8; 20] = [0xaa; 20];
pub(crate) const OTHER: [u8; 20] = [0xbb; 20];
pub(crate) const TOPIC: [u8; 32] = [0x11; 32];

pub(crate) fn log(address: [u8; 20], block_number: u64, log_index: u32) -> Log {
    Log {
        chain_id: TEST_CHAIN_ID,
        address: address.to_vec(),
        topics: vec![TOPIC.to_vec()],
        data: Vec::new(),
        block_number,
        transaction_hash: vec![u8::try_from(block_number).expect("a small number")],
        log_index,
    }
}

/// The kind and the number of each entry, and the index of logs.
pub(crate) fn brief(entries: &[String]) -> Vec<String> {
    let word = |word: &str| {
        word.rsplit_once('/')
            .map_or_else(|| word.to_owned(), |(place, _)| place.to_owned())
    };
    let entry = |entry: &String| {
        let mut words = entry.split(' ');
        match words.next() {
            Some("block") => format!("block {}", words.next().unwrap_or_default()),
            _ => format!("logs {}", words.map(word).collect::<Vec<_>>().join(" ")),
        }
    };
    entries.iter().map(entry).collect()
}

pub(crate) async fn entries(run: &Run, store: &Arc<MemoryStore>, module: &str, expected: &[&str]) {
    let what = format!("the journal of {module} to be {expected:?}");
    run.until(&what, || brief(&journal(&**store, module)) == expected).await;
}

/// Writes a manifest with these keys in its `[[subscription]]` tables. Returns the keys of its
/// `[[modules]]` table.
pub(crate) fn manifest(directory: &Path, name: &str, subscriptions: &[&str]) -> String {
    let table = |keys: &&str| match keys.contains("chain_id") {
        true => format!("[[subscription]]\n{keys}\n"),
        false => format!("[[subscription]]\nchain_id = {TEST_CHAIN_ID}\n{keys}\n"),
    };
    let tables: String = subscriptions.iter().map(table).collect();
    let manifest = directory.join(format!("{name}.toml"));
    std::fs::write(&manifest, format!("[capabilities]\nrequired = [\"store\"]\n{tables}")).expect("a manifest");
    format!("name = \"{name}\"\nmanifest = {:?}", manifest.display().to_string())
}
