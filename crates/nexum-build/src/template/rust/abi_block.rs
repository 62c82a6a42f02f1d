//! Reads the contract `{{contract}}` at each block.

use nexum_sdk::{Address, Block, Result, info, module, sol};

// The functions, events and errors of the contract. `{{contract}}::new(address, chain)` calls it.
sol!(
    #[sol(rpc, all_derives)]
    {{contract}},
    "abi/{{contract}}.json"
);

/// The `[config]` of nexum.toml.
#[derive(serde::Deserialize)]
struct Settings {
    /// The address of the contract.
    contract: Address,
}

struct ContractWatch {
    settings: Settings,
}

#[module]
impl ContractWatch {
    fn init(settings: Settings) -> Result<Self> {
        Ok(Self { settings })
    }

    #[on_block(chain_id = 31337)]
    async fn on_block(&mut self, block: Block) -> Result {
        // Reads describe the state after this block. Reads that are awaited together are one request.
        let contract = {{contract}}::new(self.settings.contract, block.chain());
        {{read}}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nexum_sdk::testing::Harness;

    use super::*;

    #[test]
    fn reads_the_contract() -> Result {
        let address = Address::with_last_byte(1);
        let mut watch = Harness::<ContractWatch>::new(&[("contract", &address.to_string())])?;
        {{script}}
        watch.block(5)?;
        let logged = watch.host.messages_logged();
        assert!(logged[0].starts_with("block 5: "), "{logged:?}");
        Ok(())
    }
}
