use nexum_sdk::testing::Harness;
use nexum_sdk::{Address, Block, Decoded, Level, Result, U256, info, module, sol, store};

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);

    #[sol(rpc)]
    interface IERC20 {
        function balanceOf(address owner) external view returns (uint256);
    }
}

const COUNT: store::Counter = store::Counter::new("count");
const TOKEN: Address = Address::repeat_byte(0xaa);

#[derive(Default)]
struct Watch;

#[module]
impl Watch {
    #[on_block(chain_id = 1)]
    async fn on_block(&mut self, block: Block) -> Result {
        let token = IERC20::new(TOKEN, block.chain());
        let balance = token.balanceOf(Address::ZERO).call().await?;
        info!("balance {balance}");
        Ok(())
    }

    #[on_event(Transfer, chain_id = 1)]
    fn on_transfer(&mut self, transfer: Decoded<Transfer>) -> Result {
        let count = COUNT.add(1)?;
        info!("transfer {count} of {}", transfer.event.value);
        Ok(())
    }
}

fn transfer(value: u64) -> Transfer {
    let value = U256::from(value);
    Transfer {
        from: Address::ZERO,
        to: TOKEN,
        value,
    }
}

#[test]
fn logs_the_balance() -> Result {
    let mut watch = Harness::<Watch>::new(&[])?;
    watch.host.on_call(TOKEN, |_: IERC20::balanceOfCall| U256::from(7));
    watch.block(5)?;
    assert_eq!(watch.host.messages_logged(), ["balance 7"]);
    Ok(())
}

#[test]
fn counts_each_transfer_once() -> Result {
    let mut watch = Harness::<Watch>::new(&[])?;
    watch.emit(TOKEN, &transfer(3))?;

    // The second call of the store is the write of the counter. nexum retries the event.
    watch.host.fail_store_at(2);
    assert!(watch.emit(TOKEN, &transfer(4)).is_err());
    watch.emit(TOKEN, &transfer(4))?;

    assert_eq!(watch.host.messages_logged(), ["transfer 1 of 3", "transfer 2 of 4"]);
    Ok(())
}

#[test]
fn the_host_is_scripted() -> Result {
    let mut watch = Harness::<Watch>::new(&[])?;
    watch.host.on_rpc(|_chain, method, _params| match method {
        "eth_call" => Some(Err(nexum_sdk::Error::new(nexum_sdk::ErrorKind::Timeout, "slow"))),
        _ => None,
    });
    watch.host.now_ms = 1_800_000_000_000;
    let error = watch.block(5).expect_err("the node does not answer");
    assert!(error.is_retryable());
    assert_eq!(watch.host.requests[0].0, "eth_call");
    assert!(watch.host.logs.iter().all(|(level, _)| *level == Level::Info));
    Ok(())
}
