//! Shows the modules `twap` and `ethflow` at work: `cow-demo NEXUM`, which `cargo xtask demo --cow` runs.
//!
//! A local chain with the contracts of CoW Protocol, an order book and nexum run side by side. The screen
//! has a line for each order. The program fails if a part is posted twice or missed.
//!
//! - [`scene`] has the orders, and the script of the blocks.
//! - [`refunds`] has the orders that sell ether.
//! - [`told`] has the answers of `twap`.
//! - [`parts`] counts what the order book received.
//! - [`row`] makes the lines, and [`screen`] shows them.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a demo prints on the machine's own clock, and cannot go on after a fault"
)]

mod parts;
mod refunds;
mod row;
mod scene;
mod screen;
mod told;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use nexum_testing::Daemon;
use nexum_testing::cow::{TOWER, tower_config};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, timeout};

use self::parts::{Parts, Totals};
use self::refunds::Refunds;
use self::scene::{MIX, Scene};
use self::screen::Screen;

/// The pause between two blocks.
const BLOCK_PAUSE: Duration = Duration::from_millis(500);

/// The longest wait for nexum before the screen shows a block: the next block comes then.
const SHOW_WAIT: Duration = Duration::from_millis(450);

/// The rate of nexum's requests to the order book: its default.
const ORDER_BOOK_REQUESTS_PER_SECOND: u32 = 5;

/// The most orders: more lines fit no screen.
const ORDERS_MAX: u64 = 200;

/// Runs the modules `twap` and `ethflow` on a local chain with their orders.
#[derive(Debug, Parser)]
struct Options {
    /// The program `nexum`.
    nexum: PathBuf,
    /// The number of conditional orders.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(MIX.len() as u64..=ORDERS_MAX))]
    orders: u64,
    /// Stop after N blocks. The default is to run until Ctrl-C.
    #[arg(long, value_name = "N")]
    blocks: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    println!(
        "starting a chain with {} orders, an order book and nexum ...",
        options.orders
    );
    let mut scene = Scene::start(options.orders).await;
    let directory = tempfile::tempdir().expect("a directory");
    let config = tower_config(
        directory.path(),
        scene.chain(),
        scene.book(),
        ORDER_BOOK_REQUESTS_PER_SECOND,
    ) + &Refunds::config();
    let daemon = Daemon::start(&options.nexum, directory.path(), &config).await;
    daemon.until_handled(TOWER, scene.step(0).await).await;
    let before = Requests::read(&daemon, &scene).await.unwrap_or_default();
    let totals = play(&options, &mut scene, &daemon, &before).await;
    let ended_well = daemon.stop();
    if !ended_well {
        println!("nexum ended with an error");
    }
    match ended_well && totals.is_good() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Lets blocks pass until an interrupt or the last block, and shows each. Then prints the totals.
async fn play(options: &Options, scene: &mut Scene, daemon: &Daemon, before: &Requests) -> Totals {
    let mut interrupt = signal(SignalKind::interrupt()).expect("a handler of signals");
    let mut terminate = signal(SignalKind::terminate()).expect("a handler of signals");
    let mut pace = interval(BLOCK_PAUSE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut parts = Parts::default();
    let mut screen = Screen::new();
    let mut blocks = 0;
    let mut requests = Requests::default();
    let mut told = HashMap::new();
    while options.blocks.is_none_or(|last| blocks < last) {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = pace.tick() => {}
        }
        blocks += 1;
        let block = scene.step(blocks).await;
        match options.blocks {
            // The totals are about this block.
            Some(last) if last == blocks => drop(daemon.until_handled(TOWER, block).await),
            _ => drop(timeout(SHOW_WAIT, daemon.until_handled(TOWER, block)).await),
        }
        parts.read(scene);
        // A nexum that does not answer leaves the last answers on the screen.
        if let Ok(Some(read)) = timeout(SHOW_WAIT, Requests::read(daemon, scene)).await {
            requests = read.since(before);
        }
        if let Ok(Some(answer)) = timeout(SHOW_WAIT, told::ask(daemon)).await {
            told = answer;
        }
        let _ = timeout(SHOW_WAIT, scene.ask_refunds(daemon)).await;
        let mut rows = row::rows(scene, &parts, &told);
        rows.extend(scene.refunds().iter().map(row::of_refund));
        let status = row::status(block, scene, &parts.totals(scene), daemon);
        screen.show(block, &rows, &status);
    }
    screen.end();
    let totals = parts.totals(scene);
    println!("{totals}");
    println!("{}", requests.per_block(blocks));
    totals
}

/// The requests of nexum so far.
#[derive(Clone, Copy, Debug, Default)]
struct Requests {
    node: f64,
    order_book: u64,
}

impl Requests {
    async fn read(daemon: &Daemon, scene: &Scene) -> Option<Self> {
        Some(Self {
            node: daemon.metrics().await?.sum("nexum_chain_requests_total", &[]),
            order_book: scene.book().request_count(),
        })
    }

    fn since(self, before: &Self) -> Self {
        Self {
            node: self.node - before.node,
            order_book: self.order_book - before.order_book,
        }
    }

    fn per_block(self, blocks: u64) -> String {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let each = |count: f64| count / blocks.max(1) as f64;
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let order_book = self.order_book as f64;
        format!(
            "requests per block: {:.2} to the node, {:.2} to the order book; {blocks} blocks",
            each(self.node),
            each(order_book)
        )
    }
}
