use nexum_sdk::testing::Harness;
use nexum_sdk::{Address, Block, Chain, ErrorKind, Result, U256, bail, info, module, sol, try_join, try_join_all};

const TOKEN: Address = Address::repeat_byte(0xaa);
const OWNER: Address = Address::with_last_byte(1);

sol! {
    #[sol(rpc)]
    interface IERC20 {
        error Paused();
        function balanceOf(address owner) external view returns (uint256);
        function totalSupply() external view returns (uint256);
    }
}

#[derive(Default)]
struct Reads;

#[module]
impl Reads {
    #[on_block(chain_id = 1)]
    async fn on_block(&mut self, block: Block) -> Result {
        let chain = block.chain();
        let token = IERC20::new(TOKEN, chain);

        let (balance, supply) = (token.balanceOf(OWNER), token.totalSupply());
        let (balance, supply, ether) = try_join!(balance.call(), supply.call(), chain.balance(OWNER))?;
        info!("{balance} of {supply}, and {ether} wei");

        let owners = [OWNER, TOKEN];
        let balances = try_join_all(owners.iter().map(|owner| token.balanceOf(*owner).call())).await?;
        let total: U256 = balances.into_iter().sum();
        info!("total {total}");

        self.other_blocks(block).await?;
        self.reverts(block).await
    }

    async fn other_blocks(&self, block: Block) -> Result {
        let now = Chain::new(block.chain_id);
        let before = now.at(block.number.saturating_sub(100));
        let (now, before) = try_join!(now.balance(OWNER), before.balance(OWNER))?;
        info!("{before} wei, then {now}");
        Ok(())
    }

    async fn reverts(&self, block: Block) -> Result {
        let token = IERC20::new(TOKEN, block.chain());
        match token.totalSupply().block(block.number).call().await {
            Ok(supply) => info!("supply {supply}"),
            Err(error) => match error.decode_revert::<IERC20::IERC20Errors>() {
                Some(IERC20::IERC20Errors::Paused(_)) => info!("paused"),
                None => bail!(ErrorKind::Unavailable; "no supply: {error}"),
            },
        }
        Ok(())
    }
}

#[test]
fn reads_that_are_awaited_together_are_one_request() {
    let mut reads = Harness::<Reads>::new(&[]).expect("it starts");
    reads.host.on_rpc(|_, method, params| {
        let is_old = params[1] == "0x0";
        (method == "eth_getBalance").then(|| Ok(if is_old { "0x1" } else { "0x2" }.into()))
    });
    reads
        .host
        .on_call(TOKEN, |call: IERC20::balanceOfCall| U256::from(call.owner.0[19]));
    reads
        .host
        .on_call(TOKEN, |_: IERC20::totalSupplyCall| U256::from(1_000));
    reads.block(7).expect("handled");
    let expected = ["1 of 1000, and 2 wei", "total 171", "1 wei, then 2", "supply 1000"];
    assert_eq!(reads.host.messages_logged(), expected);
    assert_eq!(reads.host.batches, [3, 2, 2]);
}
