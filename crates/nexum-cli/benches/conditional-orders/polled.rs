//! Orders that are polled at each block, because their handlers answer `PollTryNextBlock`.

use alloy_primitives::{Address, Bytes};
use alloy_sol_types::SolCall as _;
use nexum_testing::bench::{Figure, median};
use nexum_testing::cow::{Answer, ConditionalOrder, StopLoss, abi, addresses};
use tokio::time::Instant;

use crate::setting::{Setting, UNLIMITED, milliseconds};
use crate::{ORDERS, public_tower};

/// The blocks of a measurement, and those to warm up.
const BLOCKS: u32 = 20;
const WARM_UP: usize = 2;

/// The blocks with an unknown handler. From its ninth equal answer on, the module polls it less often.
const UNKNOWN_BLOCKS: u32 = 5;
const UNKNOWN_WARM_UP: usize = 1;

/// The owners of orders of an unknown handler: the module watches fifty of each.
const UNKNOWN_OWNERS: u64 = 20;

/// The aims for a block.
const REQUESTS_MAX: f64 = 6.0;
const MS_MAX: f64 = 250.0;

/// The polls of one Multicall3 of the bare side: as many as the module sends.
const MULTICALL_LEN: usize = 170;

/// The time that the orders last, in seconds.
const LASTING_S: u64 = 30 * 24 * 3_600;

pub(crate) async fn figures() -> Vec<Figure> {
    let mut figures = known().await;
    figures.extend(unknown().await);
    figures
}

/// Orders of a known handler, whose price is not reached.
async fn known() -> Vec<Figure> {
    let setting = Setting::new(UNLIMITED).await;
    let oracle = setting.chain.oracle(2).await;
    let bought = setting.chain.oracle(1).await;
    let valid_to = setting.chain.timestamp() + LASTING_S;
    let order = |salt| {
        let order = StopLoss {
            sell_amount: 1_000,
            valid_to,
            oracle,
            bought,
        };
        order.order(salt)
    };
    let owner = setting.chain.safe(1).await;
    setting.create(&[owner], ORDERS, order).await;
    let tower = setting.tower(ORDERS).await;
    let (samples, requests) = setting.blocks(&tower.daemon, WARM_UP, BLOCKS).await;
    let bare = multicalls(&setting, owner, &(0..ORDERS).map(order).collect::<Vec<_>>()).await;
    let name = "1,000 orders polled in a block";
    let mut figures = vec![
        Figure::new(
            format!("{name}: requests"),
            "requests",
            requests,
            public_tower::POLLED_REQUESTS,
        )
        .at_most(REQUESTS_MAX),
    ];
    figures.extend(samples.figures(name, public_tower::POLLED_MS, MS_MAX, "these calls alone", bare));
    figures
}

/// Orders of an unknown handler, each of which is a call of its own. A block polls a part of them.
async fn unknown() -> Vec<Figure> {
    let setting = Setting::new(UNLIMITED).await;
    let owners = setting.chain.safes(1, UNKNOWN_OWNERS).await;
    setting
        .create(&owners, ORDERS, |salt| ConditionalOrder::says(salt, &Answer::NextBlock))
        .await;
    let tower = setting.tower(ORDERS).await;
    let (samples, requests) = setting.blocks(&tower.daemon, UNKNOWN_WARM_UP, UNKNOWN_BLOCKS).await;
    let name = "1,000 orders of an unknown handler, a block";
    vec![
        Figure::new(
            format!("{name}: calls"),
            "calls",
            requests,
            public_tower::POLLED_REQUESTS,
        ),
        Figure::new(
            name,
            "ms",
            samples.median(|times| times.handled),
            public_tower::POLLED_MS,
        ),
    ]
}

/// The milliseconds in which the bare node answers the polls of all orders, one Multicall3 after another.
async fn multicalls(setting: &Setting, owner: Address, orders: &[ConditionalOrder]) -> f64 {
    let calls: Vec<_> = orders.iter().map(|order| poll(owner, order)).collect();
    let multicalls = calls.chunks(MULTICALL_LEN).map(|calls| {
        let call = abi::aggregate3Call { calls: calls.to_vec() };
        call.abi_encode()
    });
    let multicalls: Vec<_> = multicalls.collect();
    let mut samples = Vec::new();
    for _ in 0..BLOCKS {
        setting.chain.mine(1).await;
        let start = Instant::now();
        for multicall in &multicalls {
            let returned = setting.chain.call(addresses::MULTICALL3, multicall).await;
            returned.expect("the answers to the polls");
        }
        samples.push(milliseconds(start.elapsed()));
    }
    median(samples)
}

fn poll(owner: Address, order: &ConditionalOrder) -> abi::Call3 {
    let poll = abi::getTradeableOrderWithSignatureCall {
        owner,
        params: order.params(),
        offchainInput: Bytes::new(),
        proof: Vec::new(),
    };
    abi::Call3 {
        target: addresses::COMPOSABLE_COW,
        allowFailure: true,
        callData: poll.abi_encode().into(),
    }
}
