//! A whole host: when its modules start, and what it refuses.

use std::sync::Arc;
use std::time::Duration;

use nexum_config::engine::ModuleConfig;
use nexum_config::names::ModuleName;
use nexum_config::restart::Restart;
use nexum_core::clock::{Seams, SystemEntropy};
use nexum_core::engine::{ChildProgram, Compiler};
use nexum_core::store::MemoryStore;
use nexum_core::supervisor::{Report, StartError, SteerError};
use nexum_core::{ChangeError, HostBuilder, HostHandle, Stage};
use nexum_testing::{FakeClock, FaultyStore, GENESIS_MS, ScriptedSource, TEST_CHAIN_ID, guests};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a test waits: far longer than a slow machine needs.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Reads the size of a component as the compiler does. Waits while the test holds the component, and refuses or accepts it. The
/// host then compiles an accepted component itself.
const SCRIPT: &str = "set -- $(od -An -tu1 -N8); size=$(( ($6 << 16) + ($7 << 8) + $8 ))
while [ -e \"$0/hold-$size\" ]; do sleep 0.02; done
[ -e \"$0/refuse-$size\" ] && exit 2
exit 0";

/// A compiler that the test controls. It knows the fixtures by the sizes of their components.
pub(crate) struct Control(tempfile::TempDir);

impl Control {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn mark(&self, what: &str, fixture: &str) -> std::path::PathBuf {
        let size = std::fs::metadata(guests::component(fixture)).expect("a fixture").len();
        self.0.path().join(format!("{what}-{size}"))
    }

    /// Makes the compiler wait at this fixture, until its release.
    pub(crate) fn hold(&self, fixture: &str) {
        std::fs::write(self.mark("hold", fixture), "").expect("a file");
    }

    pub(crate) fn release(&self, fixture: &str) {
        std::fs::remove_file(self.mark("hold", fixture)).expect("a held fixture");
    }

    fn refuse(&self, fixture: &str) {
        std::fs::write(self.mark("refuse", fixture), "").expect("a file");
    }

    fn compiler(&self) -> Compiler {
        let args = ["-c".into(), SCRIPT.into(), self.0.path().into()];
        Compiler::Child(ChildProgram {
            program: "sh".into(),
            args: args.into(),
        })
    }

    /// Runs a host with these fixtures, which it loads one by one.
    pub(crate) async fn run(&self, fixtures: &[&str], change: impl FnOnce(HostBuilder) -> HostBuilder) -> Running {
        let chain = ScriptedSource::new(TEST_CHAIN_ID);
        self.run_on(chain, fixtures, change).await
    }

    /// Runs a host on a chain: see [`Control::run`]. The host has what the operator changed in earlier runs.
    pub(crate) async fn run_on(
        &self,
        chain: ScriptedSource,
        fixtures: &[&str],
        change: impl FnOnce(HostBuilder) -> HostBuilder,
    ) -> Running {
        let seams = Seams {
            clock: Arc::new(FakeClock::at(GENESIS_MS)),
            entropy: Arc::new(SystemEntropy),
        };
        let builder = HostBuilder::new(seams)
            .source(Arc::new(chain.clone()))
            .cache_dir(self.0.path().join("cache"))
            .compiler(self.compiler());
        let builder = fixtures
            .iter()
            .map(|fixture| config(fixture))
            .fold(change(builder), HostBuilder::module);
        let inspection = builder.recall().await.expect("the operator's rows").inspect().await;
        let refused = Arc::new(Mutex::new(Vec::new()));
        refused.lock().extend(inspection.errors.lines().map(|(line, _)| line));
        let (host, candidates) = inspection.set_up().expect("an engine");
        let handle = host.handle();
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        let (its_handle, its_refused, its_stop) = (handle.clone(), refused.clone(), stop.clone());
        task.spawn(async move {
            let loading = its_handle.load_each(candidates, |errors| {
                its_refused.lock().push(errors.to_string());
            });
            tokio::join!(host.run(its_stop.cancelled()), loading)
        });
        Running {
            handle,
            chain,
            refused,
            stop,
            task,
        }
    }
}

pub(crate) struct Running {
    pub(crate) handle: HostHandle,
    pub(crate) chain: ScriptedSource,
    /// The errors of each refused module.
    refused: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
    task: JoinSet<(Result<Report, StartError>, Result<usize, SteerError>)>,
}

pub(crate) fn config(fixture: &str) -> ModuleConfig {
    let mut config = ModuleConfig::new(guests::component(fixture));
    config.name = Some(name(fixture));
    config
}

pub(crate) fn name(module: &str) -> ModuleName {
    module.parse().expect("a name")
}

impl Running {
    pub(crate) async fn until(&self, what: &str, holds: impl Fn() -> bool) {
        let poll = async {
            let mut turns = tokio::time::interval(Duration::from_millis(1));
            while !holds() {
                turns.tick().await;
            }
        };
        let waited = tokio::time::timeout(WAIT_MAX, poll).await;
        let (loading, refused) = (self.loading(), self.refused());
        assert!(waited.is_ok(), "no {what}; loading: {loading:?}; refused: {refused:?}");
    }

    /// Waits until a module has handled an event.
    pub(crate) async fn handles(&self, module: &str) {
        let handles = || {
            self.handle
                .module(&name(module))
                .is_ok_and(|status| status.handled() > 0)
        };
        self.until(&format!("event of {module}"), handles).await;
    }

    /// The names of the modules that the host is loading, and whether each is compiled.
    pub(crate) fn loading(&self) -> Vec<(String, bool)> {
        let loading = self.handle.loading().into_iter();
        loading
            .map(|one| (one.meta.name.to_string(), one.is_compiled))
            .collect()
    }

    pub(crate) fn refused(&self) -> Vec<String> {
        self.refused.lock().clone()
    }

    /// The names of the modules that handle events.
    pub(crate) fn modules(&self) -> Vec<String> {
        self.handle
            .modules()
            .iter()
            .map(|status| status.name().to_string())
            .collect()
    }

    pub(crate) async fn ended(&mut self) -> (Report, Result<usize, SteerError>) {
        let ended = tokio::time::timeout(WAIT_MAX, self.task.join_next()).await;
        let (report, loaded) = ended.expect("an end in time").expect("a task").expect("no panic");
        (report.expect("a start"), loaded)
    }

    /// Begins to stop the host.
    pub(crate) fn cancel(&self) {
        self.stop.cancel();
    }

    /// Stops the host, and returns how many modules it loaded one by one.
    pub(crate) async fn stop(mut self) -> usize {
        self.stop.cancel();
        let (report, loaded) = self.ended().await;
        assert!(!report.failed());
        loaded.expect("the modules are loaded")
    }
}

pub(crate) fn held(module: &str) -> Vec<(String, bool)> {
    vec![(module.to_owned(), false)]
}

#[tokio::test]
async fn each_module_starts_as_soon_as_it_is_compiled() {
    let control = Control::new();
    control.hold("recorder");
    control.refuse("panic");
    let fixtures = ["recorder", "panic", "noop", "query-echo"];
    let run = control
        .run(&fixtures, |host| host.with(nexum_host_store::LocalStore))
        .await;
    run.chain.mine(1);
    run.handles("noop").await;
    run.until("pool", || run.handle.query(&name("query-echo")).is_ok())
        .await;
    let pool = run.handle.query(&name("query-echo")).expect("a pool");
    assert_eq!(pool.call(b"hello").await, Ok(b"hello".to_vec()));
    run.until("refusal", || !run.refused().is_empty()).await;
    assert!(run.refused()[0].contains("does not compile"), "{:?}", run.refused());
    run.until("list", || run.loading() == held("recorder")).await;
    let loading = &run.handle.loading()[0];
    let size = std::fs::metadata(guests::component("recorder"))
        .expect("a fixture")
        .len();
    assert_eq!((loading.component_bytes as u64, loading.since_ms), (size, GENESIS_MS));
    assert_eq!(run.modules(), ["noop"]);

    control.release("recorder");
    run.until("module", || run.modules() == ["noop", "recorder"]).await;
    // It begins with the first block of the run, which it missed.
    run.handles("recorder").await;
    run.until("empty list", || run.loading().is_empty()).await;
    assert_eq!(run.refused().len(), 1);
    assert_eq!(run.stop().await, 3);
}

#[tokio::test]
async fn a_module_that_is_compiled_while_the_disk_is_full_starts_and_ends_no_run() {
    let control = Control::new();
    control.hold("recorder");
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    let run = control
        .run(&["recorder", "noop"], |host| {
            host.with(nexum_host_store::LocalStore).store(Arc::new(store.clone()))
        })
        .await;
    run.chain.mine(1);
    run.handles("noop").await;
    store.fail_writes(true);
    control.release("recorder");
    run.until("module", || run.modules() == ["noop", "recorder"]).await;
    store.fail_writes(false);
    run.handles("recorder").await;
    assert_eq!(run.stop().await, 2);
}

#[tokio::test]
async fn a_strict_host_compiles_all_modules_before_it_starts_one() {
    let control = Control::new();
    control.hold("noop");
    let run = control.run(&["noop", "panic"], |host| host.strict(true)).await;
    let compiled = [("noop".to_owned(), false), ("panic".to_owned(), true)];
    run.until("compiled module", || run.loading() == compiled).await;
    assert_eq!(run.modules(), [""; 0]);
    control.release("noop");
    run.until("modules", || run.modules() == ["noop", "panic"]).await;
    assert_eq!(run.stop().await, 2);
}

#[tokio::test]
async fn a_strict_host_starts_nothing_if_one_module_is_refused() {
    let control = Control::new();
    control.refuse("noop");
    let run = control.run(&["noop", "panic"], |host| host.strict(true)).await;
    run.until("refusal", || run.refused().len() == 1).await;
    assert_eq!(run.modules(), [""; 0]);
    assert_eq!(run.stop().await, 0);
}

#[tokio::test]
async fn a_run_does_not_end_while_a_module_is_being_loaded() {
    let control = Control::new();
    control.hold("panic");
    let restart = Restart {
        attempts_max: 1,
        max_consecutive_failures: 1,
        ..Restart::default()
    };
    let mut run = control.run(&["bad-init", "panic"], |host| host.restart(restart)).await;
    let is_dead = |module: &str| {
        let status = run.handle.module(&name(module));
        status.is_ok_and(|status| status.stage() == Stage::Dead)
    };
    run.until("death", || is_dead("bad-init")).await;
    control.release("panic");
    run.until("module", || run.modules() == ["bad-init", "panic"]).await;
    // The module panics at the second block.
    run.chain.mine(2);
    // No module is alive, and none is being loaded.
    let (report, loaded) = run.ended().await;
    assert!(report.failed());
    assert_eq!(loaded.expect("the modules are loaded"), 2);
}

#[tokio::test]
async fn a_module_is_in_the_list_until_its_caller_gives_up() {
    let control = Control::new();
    control.hold("noop");
    let run = control.run(&[], |host| host).await;
    let load = run.handle.load(config("noop"));
    tokio::select! {
        loaded = load => panic!("{loaded:?}"),
        () = run.until("list", || run.loading() == held("noop")) => {}
    }
    assert_eq!(run.loading(), []);
    control.release("noop");
    assert_eq!(run.handle.load(config("noop")).await.expect("a module"), name("noop"));
    assert_eq!(run.loading(), []);
    assert_eq!(run.stop().await, 0);
}

#[tokio::test]
async fn a_module_that_is_being_loaded_has_its_name() {
    let control = Control::new();
    control.hold("noop");
    let run = control.run(&["noop"], |host| host).await;
    run.until("list", || run.loading() == held("noop")).await;
    let loaded = run.handle.load(config("noop")).await;
    assert!(
        matches!(&loaded, Err(ChangeError::Host(SteerError::Exists(taken))) if *taken == name("noop")),
        "{loaded:?}"
    );
    control.release("noop");
    run.until("module", || run.modules() == ["noop"]).await;
    assert_eq!(run.stop().await, 1);
}

#[test]
fn the_compiler_of_these_tests_can_tell_the_fixtures_apart() {
    let size = |fixture: &str| std::fs::metadata(guests::component(fixture)).expect("a fixture").len();
    let mut sizes = ["noop", "panic", "bad-init", "recorder", "query-echo"].map(size);
    assert!(sizes.iter().all(|size| *size < 1 << 24));
    sizes.sort_unstable();
    assert!(sizes.windows(2).all(|pair| pair[0] < pair[1]), "{sizes:?}");
}
