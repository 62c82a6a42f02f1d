//! A module that writes to a server, on a chain and a store that outlive the host.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::limits::Limits;
use nexum_config::restart::Restart;
use nexum_core::capability::Capabilities;
use nexum_core::clock::{Seams, SystemEntropy};
use nexum_core::module::{Loader, LoaderSettings};
use nexum_core::state::{DeadLetter, Effect, EffectState, Progress, admin};
use nexum_core::store::{MemoryStore, StateStore};
use nexum_core::supervisor::{RunSettings, Supervisor};
use nexum_core::{CommitPolicy, ModuleStatus};
use nexum_host_http::Http;
use nexum_host_store::LocalStore;
use nexum_testing::{FakeClock, FaultyStore, GENESIS_MS, Records, ScriptedSource, TEST_CHAIN_ID, WAIT_MAX, kept};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::super::host::{Fetching, load};
use super::ledger::Ledger;
use crate::server::Server;
use crate::support::{open, patterns};

/// The module's name, which is that of its fixture.
pub(super) const NAME: &str = "effects";

/// The same fixture through `wasi:http`.
pub(super) const WASI: &str = "wasi-effects";

/// The settings that a test can change.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) guest: &'static str,
    /// The module's configuration, without the URL of the server.
    pub(super) config: Vec<(String, String)>,
    pub(super) limits: Limits,
    pub(super) restart: Restart,
    /// Whether the operator says that the server recognises a repeated request.
    pub(super) is_idempotent: bool,
    /// A schedule that the module follows beside the chain.
    pub(super) schedule: Option<&'static str>,
    pub(super) policy: CommitPolicy,
}

impl Settings {
    /// A module that sends these requests for each block: see the fixture.
    pub(super) fn new(requests: &str) -> Self {
        let config = [("requests", requests), ("verdict", "/verdict/{n}")];
        Self {
            guest: NAME,
            config: config.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
            limits: Limits::default(),
            restart: Restart {
                attempts_max: 3,
                backoff_ms: 1,
                backoff_max_ms: 1,
                max_consecutive_failures: 1_000,
            },
            is_idempotent: false,
            schedule: None,
            policy: CommitPolicy::default(),
        }
    }

    pub(super) fn with(mut self, key: &str, value: &str) -> Self {
        self.config.push((key.to_owned(), value.to_owned()));
        self
    }
}

pub(super) struct World {
    pub(super) ledger: Ledger,
    pub(super) store: FaultyStore,
    pub(super) chain: ScriptedSource,
    pub(super) clock: Arc<FakeClock>,
    pub(super) settings: Settings,
    server: Server,
    /// The store of the running host.
    disk: FaultyStore,
    host: Option<Host>,
}

/// A running host.
struct Host {
    status: Arc<ModuleStatus>,
    records: Records,
    stop: CancellationToken,
    task: JoinSet<()>,
    _capture: tracing::subscriber::DefaultGuard,
}

impl World {
    /// A module on an empty chain.
    pub(super) async fn start(settings: Settings) -> Self {
        let ledger = Ledger::default();
        let store = FaultyStore::new(Arc::new(MemoryStore::new()));
        let mut world = Self {
            server: ledger.serve().await,
            ledger,
            disk: store.clone(),
            store,
            chain: ScriptedSource::new(TEST_CHAIN_ID),
            clock: Arc::new(FakeClock::at(GENESIS_MS)),
            settings,
            host: None,
        };
        world.run().await;
        world
    }

    /// Starts a host on the chain and the store.
    async fn run(&mut self) {
        let (records, capture) = Records::capture();
        let base = self.server.url("");
        let pairs = self
            .settings
            .config
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        let pairs: Vec<_> = pairs.chain([("base", base.as_str())]).collect();
        let entry = self.server.entry();
        let schedule = self.settings.schedule.map_or(String::new(), |schedule| {
            format!("[[subscription]]\nkind = \"cron\"\nschedule = {schedule:?}\n")
        });
        let capabilities =
            format!("required = [\"http\", \"store\"]\n[capabilities.http]\nallow = [{entry:?}]\n{schedule}");
        let mut module = Fetching::with_capabilities(self.settings.guest, &capabilities, &pairs);
        module.config.name = Some(NAME.parse().expect("a name"));
        let mut config = open(&[&entry]);
        if self.settings.is_idempotent {
            config.policy.idempotent = patterns(&[&entry]);
        }
        let seams = Seams {
            clock: self.clock.clone(),
            entropy: Arc::new(SystemEntropy),
        };
        let capabilities = Capabilities::ambient(seams.clone())
            .with(Http::new(config))
            .with(LocalStore);
        let settings = LoaderSettings {
            limits: self.settings.limits,
            restart: self.settings.restart,
            ..LoaderSettings::default()
        };
        let loader = Loader::new(capabilities, settings, [TEST_CHAIN_ID], seams);
        self.disk = FaultyStore::new(Arc::new(self.store.clone()));
        let supervisor = Supervisor::new(RunSettings {
            policy: self.settings.policy,
            clock: self.clock.clone(),
            ..RunSettings::new(Arc::new(self.disk.clone()))
        });
        let mut supervisor = supervisor.source(Arc::new(self.chain.clone()));
        let status = supervisor.module(load(&loader, &module.config).await);
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let token = stop.clone();
        task.spawn(async move {
            // The manifest is in the module's directory.
            let _module = module;
            drop(supervisor.run(token).await.expect("a start"));
        });
        self.host = Some(Host {
            status,
            records,
            stop,
            task,
            _capture: capture,
        });
    }

    /// Kills the host at once.
    pub(super) fn crash(&mut self) {
        // A dead process writes no more, so its remaining threads must not write either.
        self.disk.fail_writes(true);
        let not_done = self.chain.positions().into_iter().map(|block| block.number);
        let not_done: Vec<u64> = not_done.filter(|number| self.done(*number).is_none()).collect();
        let requests = not_done.into_iter().flat_map(|number| self.identities(number));
        self.ledger.doubt(requests);
        self.host = None;
    }

    /// Stops the host in order.
    pub(super) async fn stop(&mut self) {
        let Some(Host { stop, task, .. }) = self.host.take() else {
            return;
        };
        stop.cancel();
        let ended = tokio::time::timeout(WAIT_MAX, task.join_all());
        ended.await.expect("an end in time");
    }

    /// Starts a host on the chain with all its blocks, and on the store.
    pub(super) async fn restart(&mut self) {
        self.chain = self.chain.at_head();
        self.run().await;
    }

    /// The identities of the requests for a block, as long as they do not depend on the server.
    pub(super) fn identities(&self, number: u64) -> Vec<String> {
        let requests = self.settings.config.iter().find(|(key, _)| key == "requests");
        let lines = requests.map_or("", |(_, requests)| requests.as_str()).lines();
        let paths = lines.map(|line| line.split('?').next().unwrap_or(line));
        paths.map(|line| line.replace("{n}", &number.to_string())).collect()
    }

    /// The stored statuses of a block's requests, if its event ended ok.
    pub(super) fn done(&self, number: u64) -> Option<String> {
        let done = kept(&self.store, NAME, &format!("done/{number}"))?;
        Some(String::from_utf8(done).expect("text"))
    }

    pub(super) fn dead_letters(&self) -> Vec<DeadLetter> {
        let mut letters = Vec::new();
        let mut take = |letter| {
            letters.push(letter);
            ControlFlow::Continue(())
        };
        let view = self.store.view().expect("a view");
        admin::dead_letters(&*view, &NAME.parse().expect("a name"), &mut take).expect("dead letters");
        letters
    }

    /// The last reason of each dead letter.
    pub(super) fn reasons(&self) -> Vec<String> {
        let last = |letter: DeadLetter| letter.attempts.last().map(|attempt| attempt.reason.clone());
        self.dead_letters().into_iter().filter_map(last).collect()
    }

    pub(super) fn effects(&self) -> Vec<Effect> {
        effects(&self.store)
    }

    /// The number, the state and the place of each record.
    pub(super) fn outcomes(&self) -> Vec<(u64, &'static str, bool)> {
        let outcome = |effect: Effect| (effect.event.position.number, effect.state.name(), effect.is_stranded);
        self.effects().into_iter().map(outcome).collect()
    }

    pub(super) fn status(&self) -> &Arc<ModuleStatus> {
        &self.host.as_ref().expect("a host").status
    }

    pub(super) fn records(&self) -> &Records {
        &self.host.as_ref().expect("a host").records
    }

    /// Mines a block, and waits until the module is done with it.
    pub(super) async fn next(&self) {
        self.chain.mine(1);
        self.settle().await;
    }

    /// Waits until the module is done with the newest block.
    pub(super) async fn settle(&self) {
        let newest = self.chain.positions().pop();
        self.until("the newest block", || {
            let view = self.store.view().expect("a view");
            let summary = admin::summary(&*view, &NAME.parse().expect("a name")).expect("a summary");
            let cursors = summary.map(|summary| summary.cursors).unwrap_or_default();
            let is_newest = |last: Progress| Some(last.position) == newest;
            cursors.iter().any(|cursor| cursor.last.is_some_and(is_newest))
        })
        .await;
    }

    pub(super) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let poll = async {
            let mut turns = tokio::time::interval(Duration::from_millis(1));
            while !holds() {
                turns.tick().await;
            }
        };
        if tokio::time::timeout(WAIT_MAX, poll).await.is_err() {
            panic!("waited for {what}; the log: {:#?}", self.records().all());
        }
    }
}

/// The records of the module's effects, the stranded ones last.
pub(super) fn effects(store: &dyn StateStore) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut take = |effect| {
        effects.push(effect);
        ControlFlow::Continue(())
    };
    let view = store.view().expect("a view");
    admin::effects(&*view, &NAME.parse().expect("a name"), &mut take).expect("effects");
    effects
}

/// Whether the record is one of an effect that has not been sent.
pub(super) fn is_intent(effect: &Effect) -> bool {
    effect.state == EffectState::Intent
}
