//! The requests to a node per block, which do not depend on the number of modules.

use alloy_primitives::Address;
use nexum_testing::bench::Figure;
use nexum_testing::{LogSpec, Node};

use crate::Runtimes;
use crate::host;

/// The numbers of modules that follow the chain, each with its own filter.
const MODULES: [usize; 3] = [1, 10, 100];
/// The blocks in which requests are counted. The number does not change the result.
const BLOCKS: u64 = 50;
/// One `eth_getLogs`: the least with which a module can get its logs.
const BARE: f64 = 1.0;

pub(crate) fn figures(runtimes: &Runtimes) -> Vec<Figure> {
    let figure = |modules| {
        let name = format!("requests of the node per block, {modules} modules with filters, ws");
        Figure::new(name, "requests", requests_per_block(runtimes, modules), BARE).at_most(BARE)
    };
    MODULES.into_iter().map(figure).collect()
}

fn requests_per_block(runtimes: &Runtimes, modules: usize) -> f64 {
    let node = runtimes.node.block_on(Node::start());
    // Each module has a log in every block.
    node.set_logs(move |_, _| (0..modules).map(log).collect());
    node.mine(1);
    let running = host::follow(&runtimes.host, &node.ws_url(), modules, |index| {
        host::logs_of(address(index))
    });
    let requests = || node.counts().values().sum::<usize>();
    let before = requests();
    for _ in 0..BLOCKS {
        running.stamps.expect(modules);
        node.mine(1);
        runtimes.host.block_on(running.stamps.last());
    }
    (requests() - before) as f64 / BLOCKS as f64
}

/// The log of a contract.
pub(crate) fn log(index: usize) -> LogSpec {
    LogSpec {
        address: address(index),
        ..LogSpec::default()
    }
}

/// The contract that a module subscribes to.
pub(crate) fn address(index: usize) -> Address {
    Address::with_last_byte(u8::try_from(index).expect("at most 256 contracts"))
}
