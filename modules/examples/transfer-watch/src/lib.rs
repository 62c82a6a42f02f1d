//! Watches an ERC-20 token: logs the sum of some balances at each block, and counts large transfers.

use nexum_sdk::{Address, Block, Decoded, Result, U256, info, module, sol, store, try_join_all};

sol! {
    #[sol(rpc)]
    interface IERC20 {
        event Transfer(address indexed from, address indexed to, uint256 value);
        function balanceOf(address owner) external view returns (uint256);
    }
}

#[derive(serde::Deserialize)]
struct Settings {
    token: Address,
    /// The accounts whose balances the module adds up.
    owners: Vec<Address>,
    /// The value from which on a transfer counts, in atoms of the token.
    least: U256,
}

const LARGE: store::Counter = store::Counter::new("large");

struct TransferWatch {
    settings: Settings,
}

#[module]
impl TransferWatch {
    fn init(settings: Settings) -> Result<Self> {
        Ok(Self { settings })
    }

    #[on_block(chain_id = 11155111)]
    async fn add_up(&mut self, block: Block) -> Result {
        let token = IERC20::new(self.settings.token, block.chain());
        // Calls that are awaited together are one batch of requests.
        let calls = self.settings.owners.iter().map(|owner| token.balanceOf(*owner).call());
        let total: U256 = try_join_all(calls).await?.into_iter().sum();
        info!(block = block.number, "total {total}");
        Ok(())
    }

    #[on_event(
        IERC20::Transfer,
        chain_id = 11155111,
        address = "0xfff9976782d46cc05630d1f6ebab18b2324d6b14"
    )]
    fn count(&mut self, transfer: Decoded<IERC20::Transfer>) -> Result {
        if transfer.event.value >= self.settings.least {
            let count = LARGE.add(1)?;
            info!(count = count, "transfer of {}", transfer.event.value);
        }
        Ok(())
    }
}
