//! The operator's commands survive a restart.

mod change;
mod shutdown;

use std::sync::Arc;

use nexum_config::engine::{EntrySource, ModuleConfig};
use nexum_core::state::{Act, Actor, Wanted};
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::SteerError;
use nexum_core::{ChangeError, HostBuilder, Lasts, Stage, StateStore as _};
use nexum_host_store::LocalStore;
use nexum_testing::{FaultyStore, GENESIS_MS, ScriptedSource, TEST_CHAIN_ID, guests};
use parking_lot::Mutex;

use crate::hosts::{Control, Running, config, held, name};

/// Hosts that run one after the other on one state and one chain.
struct Site {
    control: Control,
    store: FaultyStore,
    /// The chain of the last host.
    chain: Mutex<ScriptedSource>,
}

impl Site {
    fn new() -> Self {
        Self {
            control: Control::new(),
            store: FaultyStore::new(Arc::new(MemoryStore::new())),
            chain: Mutex::new(ScriptedSource::new(TEST_CHAIN_ID)),
        }
    }

    async fn run(&self, fixtures: &[&str]) -> Running {
        self.run_with(fixtures, |host| host).await
    }

    /// Runs a host with these configured modules.
    async fn run_with(&self, fixtures: &[&str], change: impl FnOnce(HostBuilder) -> HostBuilder) -> Running {
        let store = Arc::new(self.store.clone());
        let change = |host: HostBuilder| change(host.with(LocalStore).store(store));
        let chain = self.chain.lock().at_head();
        *self.chain.lock() = chain.clone();
        self.control.run_on(chain, fixtures, change).await
    }
}

fn act() -> Act {
    Act {
        by: Actor::User(1000),
        at_ms: GENESIS_MS,
        reason: Some("a rehearsal".to_owned()),
    }
}

async fn entries_of_journal(run: &Running, count: u64) {
    let handled = || {
        let status = run.handle.module(&name("journal"));
        status.is_ok_and(|status| status.handled() >= count)
    };
    run.until("entries", handled).await;
}

#[tokio::test]
async fn a_stopped_module_stays_stopped_until_its_start() {
    let site = Site::new();
    let run = site.run(&["journal", "noop"]).await;
    run.until("list", || run.modules() == ["journal", "noop"]).await;
    run.chain.mine(2);
    entries_of_journal(&run, 2).await;
    let journal = name("journal");
    let stopped = run.handle.operator(act()).stop(&journal).await.expect("a stop");
    assert!(matches!(stopped, Lasts::AcrossRestarts), "{stopped:?}");
    assert_eq!(run.stop().await, 2);

    let run = site.run(&["journal", "noop"]).await;
    run.chain.mine(2);
    run.handles("noop").await;
    run.until("list", || run.modules() == ["journal", "noop"]).await;
    let status = run.handle.module(&journal).expect("a module");
    run.until("stop", || status.stage() == Stage::Stopped).await;
    // There has been no `init`.
    assert_eq!((status.handled(), status.memory_bytes()), (0, 0));
    let row = run.handle.operator_rows().remove(&journal).expect("a row");
    assert_eq!((row.wanted(), row.stopped), (Wanted::Stopped, Some(act())));
    run.handle.operator(act()).start(&journal).await.expect("a start");
    // It missed two blocks.
    entries_of_journal(&run, 2).await;
    assert!(run.handle.operator_rows().is_empty());
    assert_eq!(run.stop().await, 2);

    let run = site.run(&["journal", "noop"]).await;
    run.until("list", || run.modules() == ["journal", "noop"]).await;
    run.chain.mine(1);
    entries_of_journal(&run, 1).await;
    assert_eq!(run.stop().await, 2);
}

#[tokio::test]
async fn a_command_says_that_the_store_does_not_keep_it() {
    let site = Site::new();
    let run = site.run(&["noop"]).await;
    run.until("modules", || run.modules() == ["noop"]).await;
    site.store.fail_writes(true);
    let stopped = run.handle.operator(act()).stop(&name("noop")).await.expect("a stop");
    assert!(matches!(stopped, Lasts::Unstored(_)), "{stopped:?}");
    let status = run.handle.module(&name("noop")).expect("a module");
    assert_eq!(status.stage(), Stage::Stopped);
    site.store.fail_writes(false);
    // The same command again writes what the store lacks.
    let stopped = run.handle.operator(act()).stop(&name("noop")).await.expect("a stop");
    assert!(matches!(stopped, Lasts::AcrossRestarts), "{stopped:?}");
    let view = site.store.view().expect("a view");
    let rows = nexum_core::state::operator_rows(&*view).expect("the rows");
    assert_eq!(rows[&name("noop")].wanted(), Wanted::Stopped);
    drop(view);
    assert_eq!(run.stop().await, 1);

    let control = Control::new();
    let run = control.run(&["noop"], |host| host).await;
    run.until("modules", || run.modules() == ["noop"]).await;
    let stopped = run.handle.operator(act()).stop(&name("noop")).await.expect("a stop");
    assert!(matches!(stopped, Lasts::UntilExit), "{stopped:?}");
    assert_eq!(run.stop().await, 1);
}

#[tokio::test]
async fn a_loaded_module_runs_again_until_it_is_removed() {
    let site = Site::new();
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("keeper.wasm");
    std::fs::copy(guests::component("keeper"), &file).expect("a copy");
    let run = site.run(&["noop"]).await;
    run.until("modules", || run.modules() == ["noop"]).await;
    let entry = ModuleConfig {
        name: Some(name("loaded")),
        ..ModuleConfig::new(&*file)
    };
    let (loaded, lasts) = run.handle.operator(act()).load(entry).await.expect("a load");
    assert_eq!(loaded, name("loaded"));
    assert!(matches!(lasts, Lasts::AcrossRestarts), "{lasts:?}");
    assert_eq!(run.stop().await, 1);

    let run = site.run(&["noop"]).await;
    run.until("modules", || run.modules() == ["loaded", "noop"]).await;
    let (origin, _) = run
        .handle
        .get(&name("loaded"))
        .expect("a module")
        .origin()
        .expect("parts");
    assert_eq!(origin.source, EntrySource::Operator);
    assert_eq!(run.stop().await, 2);

    // The file is gone: the other module runs, and a removal makes nexum forget the load.
    std::fs::remove_file(&file).expect("a removal");
    let run = site.run(&["noop"]).await;
    run.until("modules", || run.modules() == ["noop"]).await;
    assert!(run.refused()[0].contains("keeper.wasm"), "{:?}", run.refused());
    assert!(run.handle.loaded_by_operator().contains_key(&name("loaded")));
    run.handle
        .operator(act())
        .remove(&name("loaded"))
        .await
        .expect("a removal");
    let again = run.handle.operator(act()).remove(&name("loaded")).await;
    assert!(matches!(again, Err(SteerError::NoModule(_))), "{again:?}");
    assert_eq!(run.stop().await, 1);
    let run = site.run(&["noop"]).await;
    run.until("modules", || run.modules() == ["noop"]).await;
    assert_eq!(run.refused(), [""; 0]);
    assert_eq!(run.stop().await, 1);
}

#[tokio::test]
async fn a_removed_module_stays_removed_until_its_load() {
    let site = Site::new();
    let (noop, journal) = (name("noop"), name("journal"));
    let run = site.run(&["noop", "journal"]).await;
    run.until("modules", || run.modules() == ["journal", "noop"]).await;
    run.handle.operator(act()).remove(&journal).await.expect("a removal");
    assert_eq!(run.modules(), ["noop"]);
    assert_eq!(run.stop().await, 2);

    let run = site.run(&["noop", "journal"]).await;
    run.until("modules", || run.modules() == ["noop"]).await;
    let absent = run.handle.absent();
    assert_eq!(absent.len(), 1);
    assert_eq!(
        (&absent[0].entry.name, &absent[0].removed),
        (&Some(journal.clone()), &Some(act()))
    );
    let again = run.handle.operator(act()).remove(&journal).await;
    assert!(matches!(again, Err(SteerError::Removed(_))), "{again:?}");
    let stopped = run.handle.operator(act()).stop(&journal).await;
    assert!(matches!(stopped, Err(SteerError::Removed(_))), "{stopped:?}");
    // Another component takes the name.
    let other = ModuleConfig {
        name: Some(journal.clone()),
        ..ModuleConfig::new(guests::component("keeper"))
    };
    run.handle.operator(act()).load(other).await.expect("a load");
    assert_eq!(run.stop().await, 1);

    let path = |run: &Running| {
        let module = run.handle.get(&journal).expect("a module");
        module.origin().expect("parts").0.path.to_path_buf()
    };
    let run = site.run(&["noop", "journal"]).await;
    run.until("modules", || run.modules() == ["journal", "noop"]).await;
    assert_eq!(path(&run), guests::component("keeper"));
    assert_eq!(run.handle.operator_rows()[&journal].wanted(), Wanted::Running);
    run.handle.operator(act()).remove(&journal).await.expect("a removal");
    // The files of the configuration stand for its entry.
    run.handle
        .operator(act())
        .load(config("journal"))
        .await
        .expect("a load");
    assert_eq!(path(&run), guests::component("journal"));
    assert!(run.handle.operator_rows().is_empty());
    let (origin, _) = run.handle.get(&journal).expect("a module").origin().expect("parts");
    assert_eq!(origin.source, EntrySource::Program);
    run.handle.operator(act()).remove(&noop).await.expect("a removal");
    assert_eq!(run.stop().await, 2);

    let run = site.run(&["noop", "journal"]).await;
    run.until("modules", || run.modules() == ["journal"]).await;
    assert_eq!(run.stop().await, 1);
}

#[tokio::test]
async fn the_configuration_replaces_a_load_of_its_name() {
    let site = Site::new();
    let run = site.run(&["noop"]).await;
    run.until("modules", || run.modules() == ["noop"]).await;
    let entry = ModuleConfig {
        name: Some(name("journal")),
        ..ModuleConfig::new(guests::component("keeper"))
    };
    run.handle.operator(act()).load(entry).await.expect("a load");
    assert_eq!(run.stop().await, 1);
    for _ in 0..2 {
        let run = site.run(&["noop", "journal"]).await;
        run.until("modules", || run.modules() == ["journal", "noop"]).await;
        let (origin, _) = run
            .handle
            .get(&name("journal"))
            .expect("a module")
            .origin()
            .expect("parts");
        assert_eq!(&*origin.path, guests::component("journal"));
        assert!(run.handle.operator_rows().is_empty());
        assert_eq!(run.stop().await, 2);
    }
}

#[tokio::test]
async fn a_row_without_a_module_is_kept_and_may_be_removed() {
    let site = Site::new();
    let run = site.run(&["noop", "journal"]).await;
    run.until("modules", || run.modules() == ["journal", "noop"]).await;
    run.handle.operator(act()).stop(&name("journal")).await.expect("a stop");
    assert_eq!(run.stop().await, 2);
    // Another configuration does not change what the operator wants.
    let run = site.run(&["noop"]).await;
    run.until("modules", || run.modules() == ["noop"]).await;
    assert_eq!(run.stop().await, 1);
    let run = site.run(&["noop", "journal"]).await;
    run.until("modules", || run.modules() == ["journal", "noop"]).await;
    let status = run.handle.module(&name("journal")).expect("a module");
    run.until("stop", || status.stage() == Stage::Stopped).await;
    assert_eq!(run.stop().await, 2);
    let run = site.run(&["noop"]).await;
    run.until("modules", || run.modules() == ["noop"]).await;
    run.handle
        .operator(act())
        .remove(&name("journal"))
        .await
        .expect("a removal");
    assert!(run.handle.operator_rows().is_empty());
    assert_eq!(run.stop().await, 1);
}

#[tokio::test]
async fn a_disabled_module_is_listed_and_does_not_run() {
    let site = Site::new();
    let disabled = || {
        let mut entry = config("journal");
        entry.enabled = false;
        entry
    };
    let run = site.run_with(&["noop"], |host| host.module(disabled())).await;
    run.until("modules", || run.modules() == ["noop"]).await;
    let absent = run.handle.absent();
    assert_eq!(
        (&absent[0].entry.name, &absent[0].removed),
        (&Some(name("journal")), &None)
    );
    let started = run.handle.operator(act()).start(&name("journal")).await;
    assert!(matches!(started, Err(SteerError::Disabled(_))), "{started:?}");
    assert_eq!(run.stop().await, 1);
    let faulty = || {
        let mut entry = ModuleConfig::new("/nowhere/journal.wasm");
        entry.enabled = false;
        entry
    };
    let inspection = HostBuilder::default().module(faulty()).inspect().await;
    assert!(inspection.errors.is_empty() && inspection.absent().len() == 1);
    let checked = HostBuilder::default().module(faulty()).with_disabled().inspect().await;
    assert_eq!(checked.errors.len(), 1);
}

#[tokio::test]
async fn a_removal_cancels_a_load() {
    let site = Site::new();
    site.control.hold("noop");
    let run = site.run(&["noop"]).await;
    run.until("list", || run.loading() == held("noop")).await;
    run.handle
        .operator(act())
        .remove(&name("noop"))
        .await
        .expect("a removal");
    assert_eq!((run.loading(), run.refused()), (vec![], vec![]));
    let operator = run.handle.clone();
    let load = async { operator.operator(act()).load(config("recorder")).await };
    site.control.hold("recorder");
    let remove = async {
        run.until("list", || run.loading() == held("recorder")).await;
        run.handle.operator(act()).remove(&name("recorder")).await
    };
    let (loaded, removed) = tokio::join!(load, remove);
    assert!(matches!(loaded, Err(ChangeError::Cancelled(_))), "{loaded:?}");
    removed.expect("a removal");
    // The configured module is removed, and the other one is unknown.
    let rows = run.handle.operator_rows();
    assert_eq!(rows.keys().collect::<Vec<_>>(), [&name("noop")]);
    assert_eq!(run.stop().await, 0);
}

#[tokio::test]
async fn a_module_whose_init_never_succeeded_begins_where_it_was_first_loaded() {
    let site = Site::new();
    let module = |fixture: &str| {
        let mut config = config(fixture);
        config.name = Some(name("module"));
        move |host: HostBuilder| host.module(config)
    };
    let run = site.run_with(&["noop"], module("bad-init")).await;
    run.until("modules", || run.modules() == ["module", "noop"]).await;
    let status = run.handle.module(&name("module")).expect("a module");
    run.until("failure", || status.failed() > 0).await;
    run.chain.mine(2);
    run.handles("noop").await;
    assert_eq!(run.stop().await, 2);

    let run = site.run_with(&["noop"], module("journal")).await;
    run.until("modules", || run.modules() == ["module", "noop"]).await;
    run.chain.mine(1);
    let status = run.handle.module(&name("module")).expect("a module");
    run.until("events", || status.handled() >= 3).await;
    assert_eq!(run.stop().await, 2);
}

#[tokio::test]
async fn a_command_whose_caller_leaves_is_stored_before_the_next_one() {
    let site = Site::new();
    let run = site.run(&["noop"]).await;
    run.until("modules", || run.modules() == ["noop"]).await;
    let module = name("noop");
    site.store.hold_writes(true);
    tokio::select! {
        stopped = run.handle.operator(act()).stop(&module) => panic!("{stopped:?}"),
        () = run.until("write", || site.store.held() == 1) => {}
    }
    let started = async {
        let started = run.handle.operator(act()).start(&module).await.expect("a start");
        assert!(matches!(started, Lasts::AcrossRestarts), "{started:?}");
    };
    let released = async {
        tokio::task::yield_now().await;
        // The start has its turn after the write of the stop.
        assert_eq!(site.store.held(), 1);
        site.store.hold_writes(false);
    };
    tokio::join!(started, released);
    let view = site.store.view().expect("a view");
    let rows = nexum_core::state::operator_rows(&*view).expect("the rows");
    assert!(rows.is_empty(), "{rows:?}");
    drop(view);
    assert_eq!(run.stop().await, 1);
}
