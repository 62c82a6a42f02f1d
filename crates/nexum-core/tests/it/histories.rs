//! Random histories of two chains, with crashes and a failing store. At the end, a module's state
//! must match the remaining chains.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nexum_config::topic::ChainId;
use nexum_core::source::Position;
use nexum_core::store::MemoryStore;
use nexum_core::{ModuleStatus, Stage};
use nexum_host_store::LocalStore;
use nexum_testing::{FaultyStore, ScriptedSource, TEST_CHAIN_ID, journal};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::support::{Run, Setup};

const OTHER_CHAIN_ID: ChainId = 100;

/// The first fork number of the other chain, so that a journal's entry shows its chain.
const OTHER_FORKS: u8 = 50;

/// The number of histories, each of up to thirty steps.
const HISTORIES: u32 = 48;

/// The longest time for a history to finish, in milliseconds: far longer than a slow machine needs.
const TURNS_MAX: usize = 4_000;

#[derive(Clone, Copy, Debug)]
enum Step {
    Mine {
        other: bool,
        blocks: usize,
    },
    /// The next block comes after so many numbers without one.
    Skip {
        other: bool,
        numbers: u64,
    },
    /// Reverts some blocks, and mines one more than that.
    Reorg {
        other: bool,
        depth: usize,
    },
    /// Waits until everything is handled.
    Settle,
    /// Stops the host in order, or kills it at any moment.
    Restart {
        crash: bool,
        missed: usize,
        reorg: usize,
        skipped: u64,
    },
    /// The store's writes fail for a short time.
    Fail,
    /// The operator changes a module while a chain grows or is reorganised.
    Steer {
        both: bool,
        what: Steer,
        blocks: usize,
        depth: usize,
    },
}

#[derive(Clone, Copy, Debug)]
enum Steer {
    /// Restarts the module with a new instance.
    Restart,
    /// Stops the module, and starts it again.
    Stop,
    /// Reloads the module unchanged.
    Reload,
    /// Removes the subscription to the other chain, and adds it again.
    Resubscribe,
    /// Removes the module, and loads it again.
    Remove,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), 1..4_usize).prop_map(|(other, blocks)| Step::Mine { other, blocks }),
        3 => (any::<bool>(), 1..6_usize).prop_map(|(other, depth)| Step::Reorg { other, depth }),
        2 => Just(Step::Settle),
        3 => (any::<bool>(), 1..4_u64).prop_map(|(other, numbers)| Step::Skip { other, numbers }),
        2 => (any::<bool>(), 0..8_usize, 0..5_usize, 0..3_u64)
            .prop_map(|(crash, missed, reorg, skipped)| Step::Restart { crash, missed, reorg, skipped }),
        1 => Just(Step::Fail),
        3 => (any::<bool>(), steer(), 0..4_usize, 0..5_usize)
            .prop_map(|(both, what, blocks, depth)| Step::Steer { both, what, blocks, depth }),
    ]
}

fn steer() -> impl Strategy<Value = Steer> {
    prop_oneof![
        Just(Steer::Restart),
        Just(Steer::Stop),
        Just(Steer::Reload),
        Just(Steer::Resubscribe),
        Just(Steer::Remove),
    ]
}

struct World {
    store: FaultyStore,
    /// The store of the running host.
    disk: FaultyStore,
    manifests: TempDir,
    chains: [ScriptedSource; 2],
    run: Option<Run>,
}

impl World {
    async fn new() -> Self {
        let chains = [
            ScriptedSource::new(TEST_CHAIN_ID),
            ScriptedSource::of_fork(OTHER_CHAIN_ID, OTHER_FORKS),
        ];
        let manifests = TempDir::new().expect("a directory");
        let tables = [vec![TEST_CHAIN_ID], vec![TEST_CHAIN_ID, OTHER_CHAIN_ID]].map(|chains| {
            let table = |id: &ChainId| format!("[[subscription]]\nkind = \"block\"\nchain_id = {id}\nfrom_block = 1\n");
            chains.iter().map(table).collect::<String>()
        });
        let [one, both] = tables;
        for (name, tables) in [("one", &one), ("both", &both), ("both-less", &one)] {
            let path = manifests.path().join(format!("{name}.toml"));
            std::fs::write(path, format!("[capabilities]\nrequired = [\"store\"]\n{tables}")).expect("a manifest");
        }
        let store = FaultyStore::new(Arc::new(MemoryStore::new()));
        let mut world = Self {
            disk: store.clone(),
            store,
            manifests,
            chains,
            run: None,
        };
        world.start().await;
        // The first blocks. The logs start with them, and no reorg reverts them. The first number
        // that the modules want has no block.
        for chain in &world.chains {
            chain.mine(1);
            chain.skip(1);
            chain.mine(2);
        }
        world.settle().await;
        world
    }

    async fn start(&mut self) {
        let mut setup = Setup::new();
        setup.capabilities = setup.capabilities.with(LocalStore);
        self.disk = FaultyStore::new(Arc::new(self.store.clone()));
        setup.store = Arc::new(self.disk.clone());
        setup.other_chain = Some(self.chains[1].clone());
        for name in ["one", "both"] {
            setup = setup.module_with("journal", &self.keys(name, name));
        }
        self.run = Some(setup.start_at_head(self.chains[0].clone()).await);
    }

    /// The `[[modules]]` keys of a module with one of the manifests.
    fn keys(&self, name: &str, manifest: &str) -> String {
        let manifest: PathBuf = self.manifests.path().join(format!("{manifest}.toml"));
        format!("name = \"{name}\"\nmanifest = {:?}", manifest.display().to_string())
    }

    async fn steer(&self, name: &str, what: Steer, meanwhile: impl Fn()) {
        let run = self.run.as_ref().expect("a host");
        let (steering, status) = (&run.steering, run.status(name));
        let keys = self.keys(name, name);
        let same = || run.build("journal", &keys);
        match what {
            Steer::Restart => {
                let (restarted, ()) = tokio::join!(status.restart(), async { meanwhile() });
                restarted.expect("a restart");
            }
            Steer::Stop => {
                status.stop().await.expect("a stop");
                meanwhile();
                status.start().await.expect("a start");
            }
            Steer::Reload => {
                let module = same().await;
                let (reloaded, ()) = tokio::join!(steering.reload(module), async { meanwhile() });
                reloaded.expect("a reload");
            }
            Steer::Resubscribe => {
                let less = self.keys(name, if name == "both" { "both-less" } else { name });
                let less = run.build("journal", &less).await;
                steering.reload(less).await.expect("a reload");
                meanwhile();
                steering.reload(same().await).await.expect("a reload");
            }
            Steer::Remove => {
                steering.remove(status.name()).await.expect("a removal");
                meanwhile();
                steering.load(same().await).await.expect("a load");
            }
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Mine { other, blocks } => self.chains[usize::from(other)].mine(blocks),
            Step::Skip { other, numbers } => self.chains[usize::from(other)].skip(numbers),
            Step::Reorg { other, depth } => reorg(&self.chains[usize::from(other)], depth),
            Step::Settle => self.settle().await,
            Step::Restart {
                crash,
                missed,
                reorg: depth,
                skipped,
            } => {
                if let Some(run) = self.run.take() {
                    if crash {
                        // A dead process writes no more, so its remaining threads here must not
                        // write either.
                        self.disk.fail_writes(true);
                        drop(run);
                    } else {
                        assert!(!run.stop().await.failed());
                    }
                }
                let before = self.chains.each_ref().map(head);
                for chain in &self.chains {
                    chain.skip(skipped);
                    reorg(chain, depth);
                    chain.mine(missed);
                }
                self.chains = [self.chains[0].at_head(), self.chains[1].at_head()];
                self.start().await;
                // A head below the module's last block is one of an endpoint that is behind.
                for (chain, before) in self.chains.iter().zip(before) {
                    chain.mine(1);
                    while head(chain) <= before {
                        chain.mine(1);
                    }
                }
            }
            Step::Fail => {
                self.store.fail_writes(true);
                self.chains.iter().for_each(|chain| chain.mine(1));
                let run = self.run.as_ref().expect("a host");
                let is_stalled = |status: &Arc<ModuleStatus>| status.stage() == Stage::Stalled;
                run.until("a failed write", || run.steering.modules().iter().any(is_stalled))
                    .await;
                self.store.fail_writes(false);
            }
            Step::Steer {
                both,
                what,
                blocks,
                depth,
            } => {
                let name = if both { "both" } else { "one" };
                let meanwhile = || {
                    for chain in &self.chains {
                        chain.mine(blocks);
                        reorg(chain, depth);
                    }
                };
                self.steer(name, what, meanwhile).await;
            }
        }
    }

    /// Waits until each module's journal matches the chains.
    async fn settle(&self) {
        let [first, other] = [0, 1].map(|index: usize| entries(&self.chains[index]));
        let run = self.run.as_ref().expect("a host");
        let journals = || {
            let both = journal(&self.store, "both");
            let (of_other, of_first): (Vec<_>, Vec<_>) = both.into_iter().partition(|entry| is_of_other(entry));
            [journal(&self.store, "one"), of_first, of_other]
        };
        let expected = [first.clone(), first, other];
        let mut turns = tokio::time::interval(Duration::from_millis(1));
        for _ in 0..TURNS_MAX {
            if journals() == expected {
                return;
            }
            turns.tick().await;
        }
        let [is, should] = [journals(), expected].map(|journals| journals.map(|journal| brief(&journal)));
        let stages = run.steering.modules();
        let stages: Vec<_> = stages
            .iter()
            .map(|status| (status.name().clone(), status.stage(), status.reason()))
            .collect();
        panic!(
            "{is:#?} is not {should:#?}; {stages:?}; the log: {:#?}",
            run.records.all()
        );
    }
}

/// The number of the newest block.
fn head(chain: &ScriptedSource) -> u64 {
    chain.positions().last().map_or(0, |block| block.number)
}

/// Reverts up to `depth` blocks above the first two, and mines one more than that.
fn reorg(chain: &ScriptedSource, depth: usize) {
    let depth = depth.min(chain.positions().len() - 2);
    if depth > 0 {
        chain.reorg(depth);
        chain.mine(depth + 1);
    }
}

fn entries(chain: &ScriptedSource) -> Vec<String> {
    let hex = |hash: &[u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let entry = |block: &Position| format!("block {} {}", block.number, hex(&block.hash));
    chain.positions()[1..].iter().map(entry).collect()
}

/// Each block's number and fork.
fn brief(entries: &[String]) -> String {
    let block = |entry: &String| {
        Some(format!(
            "{}/{}",
            entry.split(' ').nth(1)?,
            entry.rsplit(' ').next()?.get(16..18)?
        ))
    };
    entries.iter().filter_map(block).collect::<Vec<_>>().join(" ")
}

fn is_of_other(entry: &str) -> bool {
    let fork = entry
        .rsplit(' ')
        .next()
        .and_then(|hash| u8::from_str_radix(hash.get(16..18)?, 16).ok());
    fork.is_some_and(|fork| fork >= OTHER_FORKS)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: HISTORIES, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn every_history_leaves_what_the_chains_that_remain_would(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in steps {
                world.take(step).await;
            }
            world.settle().await;
        });
    }
}

/// More blocks than a reorganisation of the source can revert.
const BLOCKS: usize = 140;

/// The first blocks of the other chain become final meanwhile, so that nexum removes undo records.
#[tokio::test]
async fn a_subscription_that_is_removed_and_added_again_after_a_reorganisation_reverts_its_events() {
    let world = World::new().await;
    world.chains[1].mine(3);
    world.settle().await;
    let run = world.run.as_ref().expect("a host");
    let less = run.build("journal", &world.keys("both", "both-less")).await;
    run.steering.reload(less).await.expect("a reload");
    world.chains[0].mine(BLOCKS);
    let last = entries(&world.chains[0]).pop();
    run.until("the last block", || {
        journal(&world.store, "both").last() == last.as_ref()
    })
    .await;
    reorg(&world.chains[1], 2);
    let again = run.build("journal", &world.keys("both", "both")).await;
    run.steering.reload(again).await.expect("a reload");
    world.settle().await;
}
