//! Keeps ether on an address: when its balance falls below a minimum, the module tops it up to a
//! wanted balance from an account of the operator.
//!
//! At most one transfer is on its way. The module's state has it from the block that sent it to the
//! block that shows its result.

#[cfg(test)]
mod tests;

use nexum_sdk::chain::CallRequest;
use nexum_sdk::{Address, B256, Block, ErrorKind, Result, U256, bail, clock, info, module, store, try_join, warn};
use serde::{Deserialize, Serialize};

/// The age from which on the module ignores a block, in milliseconds. After a pause, the balances of
/// old blocks are no reason to send.
const FRESH_MS: u64 = 120_000;

/// The number of blocks after which the module gives a transfer up that no block has. nexum raises
/// the fees long before, and a transfer with higher fees has another hash: this is for one that was
/// cancelled.
const PATIENCE_BLOCKS: u64 = 300;

/// The `[config]` of the module.
#[derive(Debug, Deserialize)]
struct Settings {
    /// The operator's account, which pays.
    account: Address,
    /// The address to top up.
    target: Address,
    /// The balance below which the module tops up, in wei.
    minimum: U256,
    /// The balance of the target after a transfer, in wei.
    wanted: U256,
    /// The module looks at each block whose number is a multiple of this.
    #[serde(default = "one")]
    every_blocks: u64,
}

fn one() -> u64 {
    1
}

/// A transfer on its way.
#[derive(Debug, Serialize, Deserialize)]
struct Transfer {
    hash: B256,
    /// The block whose balances were the reason.
    block: u64,
}

const ON_ITS_WAY: store::Cell<Transfer> = store::Cell::new("on-its-way");

#[derive(Debug)]
struct TopUp {
    settings: Settings,
}

#[module]
impl TopUp {
    fn init(settings: Settings) -> Result<Self> {
        let Settings {
            account,
            target,
            minimum,
            wanted,
            every_blocks,
        } = &settings;
        if account == target {
            bail!(ErrorKind::InvalidInput; "account and target are the same address");
        }
        if minimum > wanted {
            bail!(ErrorKind::InvalidInput; "minimum is above wanted");
        }
        if *every_blocks == 0 {
            bail!(ErrorKind::InvalidInput; "every_blocks is 0: write 1 for each block");
        }
        Ok(Self { settings })
    }

    #[on_block]
    async fn on_block(&mut self, block: Block) -> Result {
        let is_old = block.timestamp.saturating_add(FRESH_MS) < clock::now_ms();
        if is_old || !block.number.is_multiple_of(self.settings.every_blocks) {
            return Ok(());
        }
        // The balances after this block. Another attempt at the block reads the same ones, and so asks
        // for the same transfer, which nexum does not send twice.
        let chain = block.chain();
        let (target, account) = try_join!(
            chain.balance(self.settings.target),
            chain.balance(self.settings.account)
        )?;
        let is_short = target < self.settings.minimum;
        if let Some(transfer) = ON_ITS_WAY.get()? {
            if is_short && !is_over(&transfer, &block).await? {
                return Ok(());
            }
            ON_ITS_WAY.remove()?;
        }
        if is_short {
            self.send(&block, target, account).await?;
        }
        Ok(())
    }
}

impl TopUp {
    async fn send(&self, block: &Block, target: U256, account: U256) -> Result {
        let Settings { wanted, .. } = &self.settings;
        let value = wanted.saturating_sub(target);
        if account < value {
            warn!(
                account = self.settings.account,
                "the target lacks {value} wei, and the account has {account}: fund it"
            );
            return Ok(());
        }
        let transfer = CallRequest {
            to: self.settings.target,
            from: Some(self.settings.account),
            value: Some(value),
            ..CallRequest::default()
        };
        match block.chain().send_transaction(&transfer).await {
            Ok(hash) => {
                info!(hash = hash, "the target has {target} wei: {value} wei are on their way");
                ON_ITS_WAY.set(&Transfer {
                    hash,
                    block: block.number,
                })
            }
            // A failure of the event would not help. The next block has another try.
            Err(error) if matches!(error.kind(), ErrorKind::Denied | ErrorKind::RateLimited) => {
                warn!("the target lacks {value} wei, and nexum does not send them: {error}");
                Ok(())
            }
            // nexum repeats the event.
            Err(error) => Err(error),
        }
    }
}

/// Whether a transfer has no more effect on the target's balance after this block.
async fn is_over(transfer: &Transfer, block: &Block) -> Result<bool> {
    if let Some(receipt) = block.chain().receipt(transfer.hash).await? {
        // The module may be behind the block of the transfer.
        return Ok(receipt.block_number <= block.number);
    }
    let has_waited = block.number >= transfer.block.saturating_add(PATIENCE_BLOCKS);
    if has_waited {
        warn!(
            hash = transfer.hash,
            "no block has the transfer of block {}: the module gives it up", transfer.block
        );
    }
    Ok(has_waited)
}
