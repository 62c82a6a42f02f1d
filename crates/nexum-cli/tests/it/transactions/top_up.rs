//! The example `top-up`, with its own configuration.

use std::fs;
use std::path::Path;

use nexum_testing::accounts::ACCOUNTS;
use nexum_testing::guests;
use serde_json::json;

use super::{World, number};
use crate::running::{Log, Started, spawn};

/// The accounts and the endpoint in the example's `engine.toml`.
const EXAMPLE_ACCOUNT: &str = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23";
const EXAMPLE_TARGET: &str = "0x00000000000000000000000000000000000A11CE";
const EXAMPLE_URL: &str = "wss://ethereum-sepolia-rpc.publicnode.com";

/// The balance that the example wants on the target, in wei.
const WANTED: u128 = 500_000_000_000_000_000;

/// The rest on the target after it has spent its ether, in wei: less than the example's minimum.
const LEFT: u128 = 50_000_000_000_000_000;

/// The blocks after a transfer, in which the module could send another one.
const BLOCKS_AFTER: u64 = 3;

/// The second account is the target: it can spend, so that it needs ether again.
const TARGET: &str = ACCOUNTS[1].address;

/// A daemon with the example, and the account of the first keystore.
fn start(world: &World) -> (Started, Log) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../modules/examples/top-up/engine.toml");
    let mut config = fs::read_to_string(example).expect("the example's configuration");
    for (from, to) in [
        (EXAMPLE_ACCOUNT, ACCOUNTS[0].address),
        (EXAMPLE_TARGET, TARGET),
        (EXAMPLE_URL, &world.anvil.ws_url()),
    ] {
        assert!(config.contains(from), "{from}");
        config = config.replace(from, to);
    }
    let built = guests::component("top-up");
    let built = built.parent().expect("a directory");
    fs::create_dir_all(world.dir.path().join("top-up")).expect("a directory");
    for file in ["top-up.wasm", "nexum.toml"] {
        let content = fs::read(built.join(file)).expect("the built example");
        world.dir.write(&format!("top-up/{file}"), content);
    }
    world.dir.write("keeper.json", ACCOUNTS[0].keystore);
    world.dir.write("keeper.password", nexum_testing::accounts::PASSWORD);
    world.dir.write("engine.toml", config);
    let mut child = spawn(&world.dir, &["run"]);
    let log = Log::of(&mut child);
    (child, log)
}

/// The balance of the target after the newest block, in wei.
async fn balance(world: &World) -> u128 {
    let balance = world.anvil.request("eth_getBalance", json!([TARGET, "latest"])).await;
    let digits = balance.as_str().and_then(|text| text.strip_prefix("0x"));
    u128::from_str_radix(digits.expect("a quantity"), 16).expect("a balance")
}

/// The target spends its ether in the next block.
async fn spend(world: &World) {
    let value = balance(world).await - LEFT;
    let payment = json!([{ "from": TARGET, "to": EXAMPLE_TARGET, "value": format!("{value:#x}") }]);
    world.anvil.request("eth_sendTransaction", payment).await;
    world.anvil.mine(1).await;
    assert!(balance(world).await <= LEFT);
}

#[tokio::test]
async fn a_target_is_topped_up_once_each_time_although_the_process_is_killed() {
    let world = World::new(Vec::new(), &["--no-mining"]);
    world.anvil.mine(1).await;
    let (mut child, mut log) = start(&world);
    log.until(|line| line.contains("modules are loaded"));
    // The records after which the process is killed: the transaction is signed and not yet sent, or it is
    // sent and the module has its hash.
    let records = ["nexum signs a transaction", "are on their way"];
    let rounds = records.iter().cycle().take(4);
    for (round, record) in (1..).zip(rounds) {
        spend(&world).await;
        log.until(|line| line.contains(record));
        child.kill().expect("a kill");
        child.wait().expect("an end");
        (child, log) = start(&world);
        log.until(|line| line.contains("modules are loaded"));
        let params = json!([ACCOUNTS[0].address, "latest"]);
        let topped_up = async {
            while number(&world.anvil.request("eth_getTransactionCount", params.clone()).await) < round {
                world.anvil.mine(1).await;
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
        };
        tokio::time::timeout(nexum_testing::WAIT_MAX, topped_up)
            .await
            .expect("a transfer in a block");
        for _ in 0..BLOCKS_AFTER {
            world.anvil.mine(1).await;
        }
        assert_eq!(balance(&world).await, WANTED, "round {round}");
        let paid = world.paid(0).await;
        assert_eq!(paid.len() as u64, round, "{paid:#?}");
        assert!(paid.iter().all(|paid| paid.to == TARGET.to_lowercase()), "{paid:#?}");
    }
}
