//! A run, round after round.

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    checks::{self, Ledger},
    receiver::{Receiver, Request},
    site::{ACCOUNTS, CALLERS, PAID_CHAIN, PAYERS, Site},
};
use crate::{
    anvil::{self, Anvil, CHAIN_ID},
    nexum::{End, Nexum},
    process::pause,
    rpc::Rpc,
    torture::{
        schedule::Schedule,
        seen::Seen,
        traffic::{self, Done, Traffic, number},
    },
};

/// The duration of the faults in a round.
const ROUND: Duration = Duration::from_secs(20);

/// The mean pause between two changes of the chain with the events. Each event takes several requests.
const PAUSE_MEAN: Duration = Duration::from_millis(900);

/// The pause between two blocks of the chain that takes the transactions.
const BLOCK_TIME: Duration = Duration::from_millis(150);

/// The deepest reorganisation of the chain that takes the transactions.
const PAID_REORG_MAX: u64 = 6;

/// The time that the modules and the transactions may take after the last block.
const SETTLE_PATIENCE: Duration = Duration::from_secs(180);

/// A run.
pub(super) struct Run {
    site: Site,
    schedule: Schedule,
    chain_schedule: Schedule,
    /// None while the traffic runs.
    traffic: Option<Traffic>,
    paid: Rpc,
    shop: Receiver,
    proxy: Receiver,
    ledger: Arc<Mutex<Ledger>>,
    /// The chain that takes the transactions goes on while this is held.
    _miner: JoinHandle<()>,
    mining: Arc<Mutex<Mining>>,
    figures: Figures,
    _anvils: [Anvil; 2],
}

/// The changes of the chain that takes the transactions.
struct Mining {
    random: StdRng,
    /// Whether blocks are removed.
    has_reorgs: bool,
    /// Whether the run has ended.
    is_over: bool,
    reorgs: u64,
}

/// The counts of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    took: Duration,
    starts: u64,
    kills: u64,
    events: u64,
    rounds: u64,
    chain: Done,
    paid_reorgs: u64,
    found: checks::Found,
}

impl Run {
    /// Starts the chains and the receiver, and prepares a directory.
    pub(super) fn new(seed: u64, programs: &Path) -> Result<Self> {
        let events = anvil::start_chain(CHAIN_ID, &["--no-mining", "--prune-history", "256"])?;
        let paid = anvil::start_chain(PAID_CHAIN, &["--no-mining", "--prune-history", "256"])?;
        let traffic = Traffic::deploy(&events.http_url())?;
        let rpc = Rpc::new(&paid.http_url());
        let [mut chain_schedule, schedule] = Schedule::pair(seed);
        let ledger = Arc::new(Mutex::new(Ledger::new(seed)));
        let shop = {
            let ledger = ledger.clone();
            Receiver::start(seed, move |request| ledger.lock().act(request))?
        };
        let node = paid.http_url();
        let proxy = Receiver::start(seed ^ 1, move |request| forward(&node, request))?;
        let mining = Arc::new(Mutex::new(Mining {
            random: StdRng::seed_from_u64(seed ^ 2),
            has_reorgs: true,
            is_over: false,
            reorgs: 0,
        }));
        let miner = mine(rpc.clone(), mining.clone());
        Ok(Self {
            site: Site::new(programs, &events.ws_url(), proxy.address(), shop.address())?,
            chain_schedule: chain_schedule.fork().with_pause(PAUSE_MEAN),
            schedule,
            traffic: Some(traffic),
            paid: rpc,
            shop,
            proxy,
            ledger,
            _miner: miner,
            mining,
            figures: Figures::default(),
            _anvils: [events, paid],
        })
    }

    pub(super) fn figures(&self) -> &Figures {
        &self.figures
    }

    pub(super) fn directory(&self) -> &Path {
        self.site.directory()
    }

    /// Deletes the files of a successful run.
    pub(super) fn remove(self) -> Result<()> {
        self.site.remove()
    }

    /// Runs rounds until the time is over.
    pub(super) fn run(&mut self, time: Duration) -> Result<()> {
        let begin = Instant::now();
        let end = begin + time;
        while Instant::now() < end {
            self.round(end.min(Instant::now() + ROUND))?;
            self.figures.took = begin.elapsed();
            println!(
                "{:>5} s  passed; so far {}",
                begin.elapsed().as_secs(),
                self.figures.brief()
            );
        }
        Ok(())
    }

    fn round(&mut self, end: Instant) -> Result<()> {
        let Some(traffic) = self.traffic.take() else {
            bail!("the traffic of the chain has failed");
        };
        self.set_faults(true);
        let running = traffic.start(self.chain_schedule.fork());
        while Instant::now() < end {
            let nexum = self.start()?;
            pause(self.schedule.life().then * 3)?;
            let (ended, seen) = nexum.kill()?;
            self.figures.events += seen.handled;
            match ended {
                End::Killed => self.figures.kills += 1,
                End::ByItself(status) => bail!("nexum exited early with {status}"),
            }
        }
        self.settle(running)?;
        self.check()
    }

    fn set_faults(&self, faults: bool) {
        self.shop.set_faults(faults);
        self.proxy.set_faults(faults);
        self.ledger.lock().set_faults(faults);
        self.mining.lock().has_reorgs = faults;
    }

    fn start(&mut self) -> Result<Nexum<Seen>> {
        self.figures.starts += 1;
        Nexum::start(&self.site.program(), &self.site.config(), &self.site.log(), &[])
    }

    /// Ends the faults, lets the modules and the transactions catch up with the stopped chain, and stops nexum.
    fn settle(&mut self, running: traffic::Running) -> Result<()> {
        let mut nexum = self.start()?;
        let mut traffic = running.stop()?;
        self.set_faults(false);
        let last = traffic.mine_last()?;
        self.figures.chain = traffic.done();
        self.traffic = Some(traffic);
        let names = PAYERS
            .iter()
            .map(|payer| payer.name)
            .chain(CALLERS.iter().map(|(name, _)| *name));
        let expected: Vec<_> = names.map(|name| (name, 1)).collect();
        let are_done = nexum.wait_until(|seen| seen.has_handled(CHAIN_ID, last, &expected), SETTLE_PATIENCE)?;
        ensure!(are_done, "the modules have not handled block {last}");
        let deadline = Instant::now() + SETTLE_PATIENCE;
        for (index, (address, _)) in ACCOUNTS.iter().enumerate() {
            let signed = self.signed(index)?;
            while self.count(address)? < signed {
                ensure!(
                    Instant::now() < deadline,
                    "account {address} has {} of {signed} transactions in blocks",
                    self.count(address)?
                );
                pause(BLOCK_TIME)?;
            }
        }
        self.figures.events += nexum.stop()?.handled;
        self.figures.paid_reorgs = self.mining.lock().reorgs;
        Ok(())
    }

    /// The number of transactions that the payers of an account had to send: one for each block, without their dead
    /// letters.
    fn signed(&self, account: usize) -> Result<u64> {
        let Some(traffic) = &self.traffic else {
            bail!("no traffic")
        };
        let head = traffic.head()?;
        let mut expected = 0;
        for payer in PAYERS.iter().filter(|payer| payer.account == account) {
            let letters = self.site.json(&["dead-letter", "list", payer.name])?;
            expected += head - letters.as_array().map_or(0, Vec::len) as u64;
        }
        Ok(expected)
    }

    fn count(&self, address: &str) -> Result<u64> {
        number(
            &self
                .paid
                .request("eth_getTransactionCount", json!([address, "latest"]))?,
        )
    }

    fn check(&mut self) -> Result<()> {
        let Some(traffic) = &self.traffic else {
            bail!("no traffic")
        };
        let head = traffic.head()?;
        let paid = self.transactions()?;
        let letters = self.letters()?;
        self.figures.found = checks::compare(head, &paid, &letters, &self.ledger.lock(), &self.site.kept()?)?;
        self.figures.rounds += 1;
        Ok(())
    }

    /// All transactions in the blocks of the second chain.
    fn transactions(&self) -> Result<Vec<Value>> {
        let head = traffic::head(&self.paid)?;
        let mut all = Vec::new();
        let numbers: Vec<_> = (0..=head).map(|block| json!([format!("0x{block:x}"), true])).collect();
        for numbers in numbers.chunks(500) {
            for mut block in self.paid.batch("eth_getBlockByNumber", numbers)? {
                match block["transactions"].take() {
                    Value::Array(transactions) => all.extend(transactions),
                    _ => bail!("a block has no transactions"),
                }
            }
        }
        Ok(all)
    }

    /// The numbers of the blocks whose events are dead letters, by module.
    fn letters(&self) -> Result<BTreeMap<String, Vec<u64>>> {
        let mut all = BTreeMap::new();
        for name in PAYERS
            .iter()
            .map(|payer| payer.name)
            .chain(CALLERS.iter().map(|(name, _)| *name))
        {
            let letters = self.site.json(&["dead-letter", "list", name])?;
            let block = |letter: &Value| {
                let event = letter["event"].as_str().context("a dead letter without an event")?;
                let number = event.split(':').nth(1).context("an event without a block")?;
                Ok(number.parse()?)
            };
            let blocks = letters.as_array().context("no list")?.iter().map(block);
            all.insert(name.to_owned(), blocks.collect::<Result<_>>()?);
        }
        Ok(all)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.mining.lock().is_over = true;
    }
}

/// Mines the chain that takes the transactions, and removes some of its blocks, until the run is over.
fn mine(rpc: Rpc, mining: Arc<Mutex<Mining>>) -> JoinHandle<()> {
    thread::spawn(move || {
        loop {
            thread::sleep(BLOCK_TIME);
            let mut mining = mining.lock();
            if mining.is_over {
                return;
            }
            // The node ends with the run.
            let _ = rpc.request("anvil_mine", json!(["0x1"]));
            if mining.has_reorgs && mining.random.random_bool(0.05) {
                let head = traffic::head(&rpc).unwrap_or_default();
                let depth = mining
                    .random
                    .random_range(1..=PAID_REORG_MAX)
                    .min(head.saturating_sub(1));
                if depth > 0 && rpc.request("anvil_reorg", json!([depth, []])).is_ok() {
                    mining.reorgs += 1;
                }
            }
        }
    })
}

/// Passes a request to a node.
fn forward(url: &str, request: &Request) -> (u16, Vec<u8>) {
    let sent = ureq::post(url)
        .header("content-type", "application/json")
        .send(&request.body[..]);
    let read = sent.ok().and_then(|answer| answer.into_body().read_to_vec().ok());
    read.map_or((502, Vec::new()), |body| (200, body))
}

impl Figures {
    fn brief(&self) -> String {
        format!(
            "{} kills, {} events, {} + {} reorganisations, {}",
            self.kills, self.events, self.chain.reorgs, self.paid_reorgs, self.found
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} s, {} rounds, {} starts\n{}",
            self.took.as_secs(),
            self.rounds,
            self.starts,
            self.brief()
        )
    }
}
