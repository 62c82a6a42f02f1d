use nexum_sdk::{Block, Result, Tick, module};

#[derive(Default)]
struct Module;

#[module(chain_id = 1)]
impl Module {
    #[on_block(chain = 1)]
    fn block(&mut self, _: Block) -> Result {
        Ok(())
    }

    #[on_event]
    fn event(&mut self) -> Result {
        Ok(())
    }

    #[on_logs(address = "0x12")]
    fn logs(&mut self) -> Result {
        Ok(())
    }

    #[on_tick("daily")]
    fn tick(&mut self, _: Tick) -> Result {
        Ok(())
    }

    #[on_tick("61 * * * *")]
    fn minute(&mut self, _: Tick) -> Result {
        Ok(())
    }
}

fn main() {}
