//! The smallest module: logs one line per block.

use nexum_sdk::{Block, Result, info, module};

#[derive(Default)]
struct Hello;

#[module]
impl Hello {
    #[on_block(chain_id = 11155111)]
    fn greet(&mut self, block: Block) -> Result {
        info!("hello, block {}", block.number);
        Ok(())
    }
}
