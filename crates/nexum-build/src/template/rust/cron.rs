//! Reads the balance of an account every ten seconds, and logs each change.

use nexum_sdk::{Address, Chain, Result, Tick, U256, info, module, store};

/// The `[config]` of nexum.toml.
#[derive(serde::Deserialize)]
struct Settings {
    chain_id: u64,
    account: Address,
}

/// The last balance, in wei. nexum keeps it when the module restarts.
const BALANCE: store::Cell<U256> = store::Cell::new("balance");

struct BalanceWatch {
    settings: Settings,
}

#[module]
impl BalanceWatch {
    fn init(settings: Settings) -> Result<Self> {
        Ok(Self { settings })
    }

    // Second, minute, hour, day, month and weekday, in UTC. The second can be left out.
    #[on_tick("*/10 * * * * *")]
    async fn on_tick(&mut self, _tick: Tick) -> Result {
        let Settings { chain_id, account } = self.settings;
        let now = Chain::new(chain_id).balance(account).await?;
        let before = BALANCE.get()?.unwrap_or_default();
        if now != before {
            info!(before = before, "{account} has {now} wei");
            BALANCE.set(&now)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nexum_sdk::testing::Harness;

    use super::*;

    #[test]
    fn logs_each_change_once() -> Result {
        let account = Address::with_last_byte(1);
        let config = [("chain_id", "31337"), ("account", &account.to_string())];
        let mut watch = Harness::<BalanceWatch>::new(&config)?;
        for (second, balance) in [(10, "0x5"), (20, "0x5"), (30, "0x4")] {
            watch.host.on_rpc(move |_chain, method, _params| {
                (method == "eth_getBalance").then(|| Ok(balance.into()))
            });
            watch.tick(second * 1_000)?;
        }
        assert_eq!(
            watch.host.messages_logged(),
            [
                format!("{account} has 5 wei before=0"),
                format!("{account} has 4 wei before=5")
            ]
        );
        Ok(())
    }
}
