//! Watches the balances of accounts, in a token or in ether, and logs each change.

use std::collections::HashMap;

use nexum_sdk::{Address, Block, ErrorKind, Result, U256, bail, info, module, sol, try_join_all};

sol! {
    #[sol(rpc)]
    interface IERC20 {
        function balanceOf(address account) external view returns (uint256);
    }
}

#[derive(serde::Deserialize)]
struct Settings {
    /// The token; none means ether.
    token: Option<Address>,
    accounts: Vec<Address>,
}

/// An instance. nexum creates a new instance after a failure, so the module must work without its
/// memory.
struct BalanceWatch {
    settings: Settings,
    last: HashMap<Address, U256>,
}

#[module]
impl BalanceWatch {
    fn init(settings: Settings) -> Result<Self> {
        if settings.accounts.is_empty() {
            bail!(ErrorKind::InvalidInput; "accounts is empty: list addresses, separated by commas");
        }
        Ok(Self {
            settings,
            last: HashMap::new(),
        })
    }

    #[on_block(chain_id = 11155111)]
    async fn watch(&mut self, block: Block) -> Result {
        // The reads describe the state after this block, and are one batch.
        let chain = block.chain();
        let Settings { token, accounts } = &self.settings;
        let balances = accounts.iter().map(async |account| match token {
            Some(token) => IERC20::new(*token, chain).balanceOf(*account).call().await,
            None => chain.balance(*account).await,
        });
        let balances = try_join_all(balances).await?;
        for (account, now) in accounts.iter().zip(balances) {
            match self.last.insert(*account, now) {
                Some(before) if before == now => {}
                Some(before) => info!("{account}: {before} -> {now}"),
                None => info!("{account}: {now}"),
            }
        }
        Ok(())
    }
}
