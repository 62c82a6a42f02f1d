//! The fixture `signer` with accounts, on a chain without a network.

use std::path::Path;
use std::sync::Arc;

use alloy_primitives::Address;
use nexum_accounts::{Accounts, AccountsConfig};
use nexum_config::document::{Document, Environment};
use nexum_config::engine::{ModuleConfig, Pooling};
use nexum_config::limits::Limits;
use nexum_core::ModuleStatus;
use nexum_core::capability::{Capabilities, CurrentCall};
use nexum_core::clock::Seams;
use nexum_core::engine::{Engine, EngineConfig};
use nexum_core::module::{Candidate, Loader, LoaderSettings, Module};
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_host_identity::Identity;
use nexum_testing::{Records, ScriptedSource, TEST_CHAIN_ID, WAIT_MAX, guests};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The address of the key in `foundry.json` of `nexum-accounts`.
pub(crate) const ADDRESS: &str = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23";

/// The private key in that file, which no text of nexum has.
pub(crate) const KEY: &str = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";

/// The password of that file.
pub(crate) const PASSWORD: &str = "correct horse";

pub(crate) fn address() -> Address {
    ADDRESS.parse().unwrap()
}

/// The module's configuration for the account of the keystore, with these pairs.
pub(crate) fn with_account<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let account = ("account", ADDRESS.strip_prefix("0x").unwrap());
    pairs.iter().copied().chain([account]).collect()
}

/// The sections with the account `keeper`, whose keystore has the key of [`ADDRESS`], and these rules
/// for the module.
pub(crate) fn sections(rules: &str) -> String {
    format!(
        "[accounts.keeper]\naddress = \"{ADDRESS}\"\nsigner = {{ keystore = \"key.json\", password_file = \"password\" }}\n\
         [identity.signer.keeper]\n{rules}\n"
    )
}

/// A running host.
pub(crate) struct Host {
    pub(crate) chain: ScriptedSource,
    pub(crate) records: Records,
    status: Arc<ModuleStatus>,
    stop: CancellationToken,
    _task: JoinSet<()>,
    _capture: tracing::subscriber::DefaultGuard,
    _directory: TempDir,
}

impl Host {
    /// Starts the module on an empty chain, with these sections of `engine.toml`.
    pub(crate) async fn start(sections: &str, config: &[(&str, &str)], limits: Limits) -> Self {
        let (records, capture) = Records::capture();
        let directory = TempDir::new().unwrap();
        let keystore = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nexum-accounts/tests/data/foundry.json");
        std::fs::copy(keystore, directory.path().join("key.json")).unwrap();
        std::fs::write(directory.path().join("password"), PASSWORD).unwrap();
        let accounts = Arc::new(Accounts::new(parse(directory.path(), sections)));
        let seams = Seams::system();
        let capabilities = Capabilities::ambient(seams.clone()).with(Identity::new(accounts));
        let settings = LoaderSettings {
            limits,
            ..LoaderSettings::default()
        };
        let loader = Loader::new(capabilities, settings, [TEST_CHAIN_ID], seams);
        let chain = ScriptedSource::new(TEST_CHAIN_ID);
        let supervisor = Supervisor::new(RunSettings::new(Arc::new(MemoryStore::new())));
        let mut supervisor = supervisor.source(Arc::new(chain.clone()));
        let status = supervisor.module(load(&loader, config).await);
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let token = stop.clone();
        task.spawn(async move { drop(supervisor.run(token).await.expect("a start")) });
        Self {
            chain,
            records,
            status,
            stop,
            _task: task,
            _capture: capture,
            _directory: directory,
        }
    }

    /// Mines a block, waits until the module has handled it or failed, and returns the module's log
    /// records of it.
    pub(crate) async fn said_of_next(&self) -> Vec<String> {
        let said = || self.records.of_module("signer");
        let done = || self.status.handled() + self.status.failed();
        let (before, heard) = (done(), said().len());
        self.chain.mine(1);
        self.until(|| done() > before).await;
        said().split_off(heard)
    }

    /// Waits for the host call of the module.
    pub(crate) async fn current_call(&self) -> CurrentCall {
        let call = || self.status.handling().and_then(|handling| handling.host_call);
        // The call names its endpoint after its begin.
        self.until(|| call().is_some_and(|call| call.endpoint.is_some())).await;
        call().expect("a host call")
    }

    pub(crate) async fn until(&self, is_done: impl Fn() -> bool) {
        let poll = async {
            let mut turns = tokio::time::interval(std::time::Duration::from_millis(1));
            while !is_done() {
                turns.tick().await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, poll).await.is_err() {
            panic!("it did not happen; the log: {:#?}", self.records.all());
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn parse(directory: &Path, text: &str) -> AccountsConfig {
    let environment = Environment::closed();
    let document = Document::parse(&directory.join("engine.toml"), text.as_bytes(), &environment).unwrap();
    let section = |key| document.root().section(key).unwrap();
    let parsed = AccountsConfig::from_sections(section("accounts").as_ref(), section("identity").as_ref());
    parsed.unwrap_or_else(|errors| panic!("{errors}"))
}

/// Compiles the fixture. The cache has it if it was compiled before.
async fn load(loader: &Loader, config: &[(&str, &str)]) -> Module {
    let mut module = ModuleConfig::new(guests::component("signer"));
    module.manifest = Some(guests::dir("signer").join("nexum.toml").into());
    module.config = config
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    let candidate = loader.inspect(&module).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let engine = Engine::new(&EngineConfig {
        cache_dir: Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache").into()),
        pooling: Pooling::default(),
        demand: Candidate::demand([&candidate]),
        ..EngineConfig::default()
    });
    let loaded = loader.load_any(&engine.expect("an engine"), candidate).await;
    let loaded = loaded.unwrap_or_else(|error| panic!("{error:?}"));
    *loaded.events.expect("a module with events")
}
