//! Random histories of two modules with one account: of their chain, of the node's chain, of answers that are lost or
//! refuse, of a store that fails, and of crashes. Each event must have paid once.

use nexum_core::Stage;
use nexum_host_tx::{Listed, TransactionState};
use proptest::prelude::*;

use crate::gateway::Fate;
use crate::world::{Settings, World};

/// The number of histories.
const HISTORIES: u32 = 12;

#[derive(Clone, Debug)]
enum Step {
    /// A block with an event, and the fates of the next submissions. A fate that hangs is a crash.
    Event(Vec<Fate>),
    /// Blocks of the node.
    Mine(u64),
    /// Removes blocks with events, and adds one more.
    RevertEvents(usize),
    /// Removes blocks of the node.
    RevertNode(u64),
    /// Waits until the modules are done.
    Settle,
    /// Stops the host in order, or kills it at any moment.
    Restart { crash: bool },
    /// The store's writes fail for a short time, before or after they take effect.
    Fail { is_applied: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        2 => Just(Fate::Taken),
        2 => Just(Fate::Refused("insufficient funds for gas * price + value")),
        1 => Just(Fate::TakenAndRefused("already known")),
        1 => Just(Fate::TakenAndRefused("nonce too low")),
        2 => Just(Fate::LostBefore),
        2 => Just(Fate::LostAfter),
        1 => Just(Fate::HangBefore),
        1 => Just(Fate::HangAfter),
    ];
    prop_oneof![
        8 => prop::collection::vec(fate, 0..4).prop_map(Step::Event),
        4 => (1..4_u64).prop_map(Step::Mine),
        2 => (1..3_usize).prop_map(Step::RevertEvents),
        2 => (1..4_u64).prop_map(Step::RevertNode),
        2 => Just(Step::Settle),
        2 => any::<bool>().prop_map(|crash| Step::Restart { crash }),
        1 => any::<bool>().prop_map(|is_applied| Step::Fail { is_applied }),
    ]
}

impl World {
    async fn take(&mut self, step: Step) {
        match step {
            Step::Event(fates) => {
                let hangs = fates
                    .iter()
                    .any(|fate| matches!(fate, Fate::HangBefore | Fate::HangAfter));
                let before = self.gateway.hanging();
                self.gateway.fates(&fates);
                self.events.mine(1);
                if hangs {
                    let is_open = |row: Listed| row.transaction.state == TransactionState::Pending;
                    // Blocks, so that the tender submits too. The event may need fewer submissions than there are fates.
                    self.mine_until("a submission that hangs", || {
                        let is_over = || self.is_settled() && !self.rows().into_iter().any(is_open);
                        self.gateway.hanging() > before || is_over()
                    })
                    .await;
                    self.gateway.forget_fates();
                    if self.gateway.hanging() > before {
                        self.crash();
                        self.restart_with_event().await;
                    }
                }
            }
            Step::Mine(blocks) => self.anvil.mine(blocks).await,
            Step::RevertEvents(depth) => {
                let depth = depth.min(self.events.positions().len() - 1);
                if depth > 0 {
                    self.events.reorg(depth);
                    self.events.mine(depth + 1);
                }
            }
            Step::RevertNode(depth) => self.anvil.reorg(depth).await,
            Step::Settle => self.settle().await,
            Step::Restart { crash } => {
                match crash {
                    true => self.crash(),
                    false => self.stop().await,
                }
                self.restart_with_event().await;
            }
            Step::Fail { is_applied } => {
                let status = self.statuses()[0].clone();
                self.until("a start", || status.stage() == Stage::Running).await;
                match is_applied {
                    true => self.store.fail_writes_after_the_fact(),
                    false => self.store.fail_writes(true),
                }
                self.events.mine(1);
                self.until("a failed write", || status.stage() == Stage::Stalled).await;
                self.store.fail_writes(false);
            }
        }
    }

    /// The log of a source without a new block is empty.
    async fn restart_with_event(&mut self) {
        self.restart().await;
        self.events.mine(1);
    }
}

/// Lives through a history, and checks what is left.
fn live(steps: Vec<Step>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let settings = Settings {
            modules: 2,
            ..Settings::new().with("errors", "fail").with("then", "fail")
        };
        let mut world = World::start(settings).await;
        world.next().await;
        for step in steps {
            world.take(step).await;
        }
        world.settle().await;
        world.finish().await;
        world.check().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: HISTORIES, max_shrink_iters: 12, ..ProptestConfig::default() })]

    #[test]
    fn every_history_pays_each_event_once(steps in prop::collection::vec(step(), 1..12)) {
        live(steps);
    }
}
