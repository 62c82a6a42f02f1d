//! The scripted chain starts again as a real one does: with its newest block.

use std::time::Duration;

use nexum_config::topic::Finality;
use nexum_core::source::{ChainLogs, EventSource};
use nexum_testing::{ScriptedSource, TEST_CHAIN_ID};
use tokio_util::sync::CancellationToken;

/// Follows the chain until the log has its newest block.
async fn follow(chain: &ScriptedSource) -> Vec<u64> {
    let logs = ChainLogs::new(TEST_CHAIN_ID);
    let log = logs.open(Finality::Latest);
    let (stop, newest) = (CancellationToken::new(), chain.positions().last().copied());
    let following = chain.follow(&logs, &stop);
    let caught_up = async {
        while log.head() != newest {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.cancel();
    };
    let (followed, ()) = tokio::join!(following, caught_up);
    followed.expect("a chain that does not end");
    log.head().map(|head| head.number).into_iter().collect()
}

#[tokio::test]
async fn a_second_follower_starts_with_the_newest_block() {
    let chain = ScriptedSource::new(TEST_CHAIN_ID);
    chain.mine(3);
    assert_eq!(follow(&chain).await, [2]);
    assert_eq!(follow(&chain).await, [2], "no block is mined in between");
    chain.mine(2);
    assert_eq!(follow(&chain).await, [4]);
}

#[tokio::test]
async fn a_follower_that_ends_takes_no_more_changes() {
    let chain = ScriptedSource::new(TEST_CHAIN_ID);
    chain.mine(1);
    let logs = ChainLogs::new(TEST_CHAIN_ID);
    let log = logs.open(Finality::Latest);
    let stop = CancellationToken::new();
    stop.cancel();
    chain.follow(&logs, &stop).await.expect("a chain that does not end");
    assert_eq!(log.head(), None);
}
