//! Random histories of a chain, of a server that fails, of a store that fails, and of crashes. The server must
//! have handled what the module's state says, and nothing twice that it cannot recognise.

use std::time::Duration;

use nexum_core::Stage;
use proptest::prelude::*;

use super::ledger::Treatment;
use super::world::{NAME, Settings, WASI, World};

/// The requests for each block. The first two are of the class once.
const REQUESTS: &str = "POST /first/{n}\nPOST /second/{n}\nPUT /third/{n}";

/// Requests with the time and with random numbers, which no two runs of a handler make alike.
const FRESH: &str = "POST /first/{n}?{t}&{r}\nPOST /second/{n}?{r}\nPUT /third/{n}?{t}";

/// The number of histories, each of up to twenty steps.
const HISTORIES: u32 = 32;

/// The first block that a history may revert.
const FIRST: u64 = 2;

#[derive(Clone, Debug)]
enum Step {
    /// A block, with the treatments of its requests and the verdicts on its attempts.
    Mine(Vec<(usize, Treatment)>, Vec<&'static str>),
    /// Reverts some blocks, and mines one more than that.
    Reorg(usize),
    /// Waits until everything is handled.
    Settle,
    /// Stops the host in order, or kills it at any moment. Then reverts some blocks, and mines others.
    Restart { crash: bool, reorg: usize, missed: usize },
    /// The store's writes fail for a short time.
    Fail,
}

fn step() -> impl Strategy<Value = Step> {
    let treatment = prop_oneof![
        3 => Just(Treatment::Refuse),
        2 => Just(Treatment::Trouble),
        2 => Just(Treatment::CutBefore),
        2 => Just(Treatment::CutAfter),
        1 => Just(Treatment::SeeOther),
    ];
    let treatments = prop::collection::vec((0..3_usize, treatment), 0..3);
    let verdicts = prop::collection::vec(prop_oneof![Just("fail"), Just("trap"), Just("ok")], 0..4);
    prop_oneof![
        8 => (treatments, verdicts).prop_map(|(treatments, verdicts)| Step::Mine(treatments, verdicts)),
        3 => (1..4_usize).prop_map(Step::Reorg),
        2 => Just(Step::Settle),
        3 => (any::<bool>(), 0..3_usize, 0..3_usize)
            .prop_map(|(crash, reorg, missed)| Step::Restart { crash, reorg, missed }),
        2 => Just(Step::Fail),
    ]
}

impl Step {
    fn without_reorganisation(self) -> Self {
        match self {
            Self::Reorg(_) => Self::Settle,
            Self::Restart { crash, missed, .. } => Self::Restart {
                crash,
                reorg: 0,
                missed,
            },
            step => step,
        }
    }
}

/// Lives through a history of a module with these settings, and checks what is left.
fn live(settings: Settings, steps: Vec<Step>) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut world = World::start(settings).await;
        let clock = world.clock.clone();
        world.ledger.look(move |_| clock.advance(Duration::from_millis(7)));
        world.chain.mine(usize::try_from(FIRST).expect("a number"));
        world.settle().await;
        for step in steps {
            world.take(step).await;
        }
        world.settle().await;
        world.check();
        let (stage, reason) = (world.status().stage(), world.status().reason());
        assert_ne!(stage, Stage::Dead, "{NAME}: {reason:?}");
    });
}

impl World {
    async fn take(&mut self, step: Step) {
        match step {
            Step::Mine(treatments, verdicts) => {
                let number = self.head() + 1;
                let identities = self.identities(number);
                for (index, identity) in identities.iter().enumerate() {
                    let of_it = treatments.iter().filter(|(of, _)| *of == index);
                    let of_it: Vec<_> = of_it.map(|(_, treatment)| *treatment).collect();
                    if !of_it.is_empty() {
                        self.ledger.treat(identity, &of_it);
                    }
                }
                // A later fork has the same verdicts, until one of them is ok.
                let verdicts: Vec<_> = verdicts.into_iter().chain(["ok"]).collect();
                self.ledger.answer(&format!("/verdict/{number}"), &verdicts);
                self.chain.mine(1);
            }
            Step::Reorg(depth) => self.reorg(depth),
            Step::Settle => self.settle().await,
            Step::Restart { crash, reorg, missed } => {
                match crash {
                    true => self.crash(),
                    false => self.stop().await,
                }
                let before = self.head();
                self.reorg(reorg);
                self.chain.mine(missed);
                self.restart().await;
                // A head below the module's last block is one of an endpoint that is behind.
                self.chain.mine(1);
                while self.head() <= before {
                    self.chain.mine(1);
                }
            }
            Step::Fail => {
                let status = self.status().clone();
                self.until("a start", || status.stage() == Stage::Running).await;
                self.store.fail_writes(true);
                self.chain.mine(1);
                self.until("a failed write", || status.stage() == Stage::Stalled).await;
                self.store.fail_writes(false);
            }
        }
    }

    fn head(&self) -> u64 {
        self.chain.positions().last().map_or(0, |block| block.number)
    }

    fn reorg(&self, depth: usize) {
        let depth = depth.min(self.chain.positions().len() - usize::try_from(FIRST).expect("a number"));
        if depth > 0 {
            self.chain.reorg(depth);
            self.chain.mine(depth + 1);
        }
    }

    /// Checks the server's ledger against the module's state.
    fn check(&self) {
        for (identity, handled) in self.ledger.all_handled() {
            assert!(identity.starts_with("PUT") || handled == 1, "{identity}: {handled}");
        }
        let letters = self.dead_letters();
        for block in self.chain.positions() {
            let letter = letters.iter().find(|letter| letter.id.position == block);
            let identities = self.identities(block.number);
            let Some(done) = self.done(block.number) else {
                let letter = letter.unwrap_or_else(|| panic!("block {} is lost", block.number));
                let reason = letter.attempts.last().map_or("", |attempt| attempt.reason.as_str());
                let is_unknown = reason.contains("nexum does not know whether effect");
                let is_doubtful = |identity: &String| self.ledger.is_doubtful(identity);
                assert!(!is_unknown || identities.iter().any(is_doubtful), "{letter:?}");
                assert!(
                    is_unknown || reason.contains("effects") || reason.contains("trap"),
                    "{reason}"
                );
                continue;
            };
            assert!(letter.is_none(), "{letter:?}");
            for (identity, status) in identities.iter().zip(done.split(' ')) {
                if status == "200" {
                    assert!(self.ledger.handled(identity) >= 1, "{identity} of {done}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: HISTORIES, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_history_leaves_a_server_that_handled_each_request_once(steps in prop::collection::vec(step(), 1..20)) {
        live(Settings::new(REQUESTS), steps);
    }

    /// Only blocks that stay have one request each: the handler of another block makes another request.
    #[test]
    fn every_history_of_requests_that_differ_at_each_run_leaves_a_server_that_handled_one_of_each(
        steps in prop::collection::vec(step().prop_map(Step::without_reorganisation), 1..20)
    ) {
        live(Settings::new(FRESH), steps);
    }

    #[test]
    fn every_history_over_wasi_http_leaves_a_server_that_handled_each_request_once(
        steps in prop::collection::vec(step(), 1..20)
    ) {
        live(Settings { guest: WASI, ..Settings::new(REQUESTS) }, steps);
    }

    #[test]
    fn every_history_over_wasi_http_of_requests_that_differ_at_each_run_leaves_a_server_that_handled_one_of_each(
        steps in prop::collection::vec(step().prop_map(Step::without_reorganisation), 1..20)
    ) {
        live(Settings { guest: WASI, ..Settings::new(FRESH) }, steps);
    }
}
