//! Counts the transfers of tokens, and logs the large ones.

use nexum_sdk::{Decoded, Result, U256, info, module, sol, store};

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
}

/// The `[config]` of nexum.toml.
#[derive(serde::Deserialize)]
struct Settings {
    /// The least amount of a large transfer, in the token's smallest unit.
    least: U256,
}

/// The number of all transfers. nexum keeps it when the module restarts.
const TRANSFERS: store::Counter = store::Counter::new("transfers");

struct TransferWatch {
    settings: Settings,
}

#[module]
impl TransferWatch {
    fn init(settings: Settings) -> Result<Self> {
        Ok(Self { settings })
    }

    // All tokens. `address = "0x..."` selects one.
    #[on_event(Transfer, chain_id = 31337)]
    fn on_transfer(&mut self, transfer: Decoded<Transfer>) -> Result {
        let count = TRANSFERS.add(1)?;
        let Transfer { from, to, value } = transfer.event;
        if value >= self.settings.least {
            info!(
                count = count,
                token = transfer.log.address,
                "{from} sends {value} to {to}"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nexum_sdk::Address;
    use nexum_sdk::testing::Harness;

    use super::*;

    #[test]
    fn logs_large_transfers() -> Result {
        let mut watch = Harness::<TransferWatch>::new(&[("least", "100")])?;
        let [from, to, token] = [1, 2, 3].map(Address::with_last_byte);
        for value in [99, 100] {
            let value = U256::from(value);
            watch.emit(token, &Transfer { from, to, value })?;
        }
        assert_eq!(
            watch.host.messages_logged(),
            [format!("{from} sends 100 to {to} count=2 token={token}")]
        );
        Ok(())
    }

    #[test]
    fn counts_no_transfer_that_failed() -> Result {
        let mut watch = Harness::<TransferWatch>::new(&[("least", "0")])?;
        let transfer = Transfer {
            from: Address::ZERO,
            to: Address::ZERO,
            value: U256::ZERO,
        };
        // The second call of the store is the write of the counter.
        watch.host.fail_store_at(2);
        assert!(watch.emit(Address::ZERO, &transfer).is_err());
        watch.emit(Address::ZERO, &transfer)?;
        let logged = watch.host.messages_logged();
        assert!(logged[0].contains("count=1"), "{logged:?}");
        Ok(())
    }
}
