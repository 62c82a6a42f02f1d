//! Transactions of modules whose process is killed.

use std::time::Duration;

use nexum_testing::TEST_CHAIN_ID;

use super::{Module, Paid, WIDE, World};

/// The blocks with a transaction of each module.
const BLOCKS: u64 = 250;

/// Four modules send 1,000 transactions with two accounts, while their process is killed each second.
#[tokio::test]
async fn a_thousand_transactions_are_sent_once_each_while_the_process_is_killed_each_second() {
    let names = ["one", "two", "three", "four"];
    let modules = names.iter().enumerate().map(|(index, name)| {
        let to = receiver(index);
        Module {
            name,
            account: index % 2,
            config: format!("to = \"{to}\"\nfirst = 1\nlast = {BLOCKS}\n"),
            rules: format!("send = [{{ chain = {TEST_CHAIN_ID}, to = \"{to}\", max_value = \"1\" }}]\n{WIDE}"),
        }
    });
    let world = World::new(modules.collect(), &["--no-mining"]);
    world.anvil.mine(1).await;
    let mut kills = 0;
    let paid = loop {
        let (mut child, log) = world.start();
        if kills == 0 {
            // A new module begins with the latest block.
            log.until_all(
                &names
                    .map(|name| format!("module=\"{name}\" event=\"{TEST_CHAIN_ID}:1:block\""))
                    .each_ref()
                    .map(|record| &**record),
            );
            world.anvil.mine(BLOCKS - 1).await;
        }
        let until = tokio::time::Instant::now() + Duration::from_secs(1);
        while tokio::time::Instant::now() < until {
            world.anvil.mine(1).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let paid = [world.paid(0).await, world.paid(1).await];
        if paid.iter().all(|paid| paid.len() as u64 == 2 * BLOCKS) {
            break paid;
        }
        child.kill().expect("a kill");
        child.wait().expect("an end");
        kills += 1;
        assert!(kills < 300, "{} and {} transactions", paid[0].len(), paid[1].len());
    };
    assert!(kills >= 1, "{kills} kills");
    for (account, paid) in paid.iter().enumerate() {
        let nonces: Vec<_> = paid.iter().map(|paid| paid.nonce).collect();
        assert_eq!(nonces, (0..2 * BLOCKS).collect::<Vec<_>>(), "account {account}");
        for module in [account, account + 2] {
            let to = receiver(module).to_lowercase();
            let mut values: Vec<_> = paid
                .iter()
                .filter(|paid| paid.to == to)
                .map(|paid: &Paid| paid.value)
                .collect();
            values.sort_unstable();
            assert_eq!(values, (1..=BLOCKS).collect::<Vec<_>>(), "module {module}");
        }
    }
}

/// The receiver of a module's payments.
fn receiver(module: usize) -> String {
    format!("0x00000000000000000000000000000000000000b{module}")
}
