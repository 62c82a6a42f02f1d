//! A node in a process of its own, which a test kills or pauses.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use nexum_core::membership::Tenure;
use nexum_core::store::{StateStore, StoreError, blocking};
use nexum_store::{PostgresConfig, open_cluster};
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::journal::{Journal, Line, Module};
use super::world::{Node, ROUND, STEPPING, World, name_of, number_of, offers, report, short_lease};
use crate::child::{Other, directory, say};

/// The file with the settings of the child process.
const SETTINGS: &str = "settings";

/// The name of the node in the child process.
const NODE: &str = "child";

/// A node in a child process.
pub(super) struct Process {
    other: Other,
    _directory: TempDir,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.other.kill();
    }
}

impl Process {
    /// Starts a node with all modules, and waits until it owns them.
    pub(super) fn start(world: &World, test: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let PostgresConfig {
            url,
            password_file,
            schema,
            ..
        } = &world.config;
        let password_file = password_file.as_ref().unwrap().display();
        let settings = format!("{url}\n{password_file}\n{schema}\n{}\n", world.modules);
        std::fs::write(directory.path().join(SETTINGS), settings).unwrap();
        let mut process = Self {
            other: Other::start(test, directory.path(), None),
            _directory: directory,
        };
        assert_eq!(process.other.hear().as_deref(), Some("owns all"));
        process
    }

    pub(super) fn other(&mut self) -> &mut Other {
        &mut self.other
    }

    /// Adds the steps that the child process has reported to the journal, until a line of another kind.
    pub(super) fn follow(&mut self, journal: &Journal) -> Option<String> {
        while let Some(line) = self.other.hear() {
            let Some(step) = line.strip_prefix("step ") else {
                return Some(line);
            };
            let mut numbers = step.split(' ').map(|number| number.parse::<u64>().unwrap());
            let mut next = || numbers.next().unwrap();
            let (module, value, number) = (next(), next(), next());
            let node = NODE.to_owned();
            journal.acknowledge(module as Module, value, Line { node, number });
        }
        None
    }
}

/// In the child process: makes steps of all modules, and reports each. After a refused step, reports how the
/// membership ends.
fn serve(directory: &Path) {
    let settings = std::fs::read_to_string(directory.join(SETTINGS)).unwrap();
    let [url, password_file, schema, modules] = settings.lines().collect::<Vec<_>>().try_into().unwrap();
    let mut config = PostgresConfig::new(url);
    config.password_file = Some(Path::new(password_file).to_path_buf().into());
    config.schema = schema.to_owned();
    let modules: Module = modules.parse().unwrap();
    let (store, membership) = open_cluster(&config, 1 << 20, &short_lease(NODE), "a child").unwrap();
    membership.offer(offers(0..modules, "1"));
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut run = JoinSet::new();
        let member = membership.clone();
        run.spawn(async move { member.run(CancellationToken::new()).await });
        let mut tenure = membership.tenure();
        let owned = tenure.wait_for(|tenure| tenure.owned.len() == modules as usize).await;
        let owned = owned.unwrap().owned.clone();
        say("owns all");
        steps(&store, &owned).await;
        let lost = tenure.wait_for(|tenure| tenure.lost.is_some()).await.unwrap().clone();
        assert!(lost.owned.is_empty() && store.check_lease().is_err());
        say("lost");
        membership.vacate();
        let waits = tenure
            .wait_for(|tenure| tenure.lost.is_none() && !tenure.elsewhere.is_empty() && store.check_lease().is_ok());
        waits.await.unwrap();
        say("joined");
        std::future::pending::<()>().await;
    });
}

/// Makes steps until one is refused. They do not ask the membership, as a runner that was paused in a commit does not.
async fn steps(store: &Arc<dyn StateStore>, owned: &BTreeMap<nexum_config::names::ModuleName, u64>) {
    let journal = Arc::new(Journal::default());
    let stepping = owned.iter().filter(|(name, _)| number_of(name) < STEPPING);
    for (name, number) in stepping.cycle() {
        let line = Line {
            node: NODE.to_owned(),
            number: *number,
        };
        let (module, journal) = (number_of(name), journal.clone());
        match blocking(store, move |store| journal.step(store, module, &line)).await {
            Ok(value) => say(format!("step {module} {value} {number}")),
            Err(StoreError::Fenced { .. }) => {
                assert!(store.check_lease().is_err());
                return say("fenced");
            }
            Err(error) => say(format!("failed: {error}")),
        }
        sleep(ROUND).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_node_is_replaced() {
    if let Some(directory) = directory() {
        return block_in_place(|| std::thread::scope(|scope| scope.spawn(|| serve(&directory)).join().unwrap()));
    }
    let world = World::new(100).await;
    let mut process = block_in_place(|| Process::start(&world, "cluster::process::a_killed_node_is_replaced"));
    let node = world.node("other");
    let is_on_child = |tenure: &Tenure| {
        tenure
            .elsewhere
            .values()
            .any(|reason| reason.text.starts_with("runs on the node child"))
    };
    world.until(&node, "the node joins", is_on_child).await;
    block_in_place(|| process.other().kill());
    let since = Instant::now();
    assert_eq!(block_in_place(|| process.follow(&world.journal)), None);
    world
        .settled_alone(&node, "takeover of 100 modules after a kill", since)
        .await;
    world.finish(vec![node]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_node_is_replaced_and_its_writes_are_refused() {
    if let Some(directory) = directory() {
        return block_in_place(|| std::thread::scope(|scope| scope.spawn(|| serve(&directory)).join().unwrap()));
    }
    let world = World::new(100).await;
    let test = "cluster::process::a_paused_node_is_replaced_and_its_writes_are_refused";
    let mut process = block_in_place(|| Process::start(&world, test));
    let node = world.node("other");
    let is_on_child = |tenure: &Tenure| {
        tenure
            .elsewhere
            .values()
            .any(|reason| reason.text.starts_with("runs on the node child"))
    };
    world.until(&node, "the node joins", is_on_child).await;
    process.other().pause();
    let since = Instant::now();
    world
        .settled_alone(&node, "takeover of 100 modules after a pause", since)
        .await;
    process.other().wake();
    let mut said = block_in_place(|| process.follow(&world.journal));
    // A step that the pause has cut off in the middle.
    while said.as_ref().is_some_and(|said| said.starts_with("failed: ")) {
        said = block_in_place(|| process.follow(&world.journal));
    }
    assert_eq!(said.as_deref(), Some("fenced"));
    assert_eq!(block_in_place(|| process.other().hear()).as_deref(), Some("lost"));
    assert_eq!(block_in_place(|| process.other().hear()).as_deref(), Some("joined"));
    process.other().kill();
    world.finish(vec![node]).await;
}

impl World {
    /// Waits until a node has all modules, and reports the time.
    async fn settled_alone(&self, node: &Node, what: &str, since: Instant) {
        let all = self.modules as usize;
        self.until(node, what, |tenure| tenure.owned.len() == all).await;
        report(what, since);
        assert!(node.owned().contains(&name_of(0)));
        self.progress().await;
    }
}
