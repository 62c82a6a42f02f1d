//! A chain with the contracts, and an order book beside it.

use nexum_testing::cow::{Answer, ConditionalOrder, CowChain, Tree, Twap};

#[tokio::test]
async fn a_thousand_orders_fit_into_a_few_blocks() {
    let chain = CowChain::start().await;
    let owner = chain.safe(1).await;
    let before = chain.block_number().await;
    let start = chain.timestamp() + 3_600;
    let orders: Vec<_> = (0..1_000)
        .map(|salt| (owner, Twap::new(start, 4, 600).order(salt)))
        .collect();
    chain.create(&orders).await;
    let blocks = chain.block_number().await - before;
    assert!(blocks < 20, "{blocks} blocks");
    chain.mine_at(start).await;
    for (_, order) in [&orders[0], &orders[999]] {
        let (found, _) = chain.poll(owner, order).await.expect("a part");
        assert_eq!(u64::from(found.validTo), Twap::new(start, 4, 600).valid_to(0));
    }
}

#[tokio::test]
async fn every_leaf_of_a_tree_has_a_proof() {
    let chain = CowChain::start().await;
    let owner = chain.safe(1).await;
    for size in [2, 3, 7, 1_000] {
        let leaf = |salt| ConditionalOrder::says(salt, &Answer::Order(salt + 1));
        let tree = Tree::new((0..size).map(leaf).collect());
        chain.set_root(owner, &tree).await;
        for index in [0, size - 2, size - 1] {
            let index = usize::try_from(index).expect("a small number");
            let found = chain.poll_leaf(owner, &tree, index).await;
            let (order, _) = found.unwrap_or_else(|data| panic!("leaf {index} of {size}: {data}"));
            assert_eq!(order.sellAmount.to::<usize>(), index + 1);
        }
    }
}
