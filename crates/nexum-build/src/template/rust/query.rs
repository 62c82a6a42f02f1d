//! Counts blocks, and answers queries with the count: `nexum query {{name}} --input ""`.

use nexum_sdk::{Block, Json, Result, module, store};

/// The answer to a query, as JSON.
#[derive(serde::Serialize, serde::Deserialize)]
struct Status {
    blocks: u64,
    last: Option<u64>,
}

/// The number of handled blocks. nexum keeps it when the module restarts.
const BLOCKS: store::Counter = store::Counter::new("blocks");

/// The number of the last block.
const LAST: store::Cell<u64> = store::Cell::new("last");

#[derive(Default)]
struct BlockCount;

#[module]
impl BlockCount {
    #[on_block(chain_id = 31337)]
    fn on_block(&mut self, block: Block) -> Result {
        BLOCKS.add(1)?;
        LAST.set(&block.number)
    }

    // A query reads what the events wrote. It cannot write.
    #[query]
    fn status(&self) -> Result<Json<Status>> {
        Ok(Json(Status {
            blocks: BLOCKS.get()?,
            last: LAST.get()?,
        }))
    }
}

#[cfg(test)]
mod tests {
    use nexum_sdk::testing::Harness;

    use super::*;

    #[test]
    fn answers_with_the_count() -> Result {
        let mut count = Harness::<BlockCount>::new(&[])?;
        let none: Status = count.query_json("")?;
        assert_eq!((none.blocks, none.last), (0, None));
        count.block(5)?;
        count.block(6)?;
        let two: Status = count.query_json("")?;
        assert_eq!((two.blocks, two.last), (2, Some(6)));
        Ok(())
    }
}
