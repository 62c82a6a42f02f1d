use nexum_sdk::{Block, Result, module};

#[derive(Default)]
struct Misspelt;

#[module]
impl Misspelt {
    #[on_blok(chain_id = 1)]
    fn on_block(&mut self, _: Block) -> Result {
        Ok(())
    }
}

#[derive(Default)]
struct Forgotten;

#[module]
impl Forgotten {
    fn on_block(&mut self, _: Block) -> Result {
        Ok(())
    }
}

#[derive(Default)]
struct Empty;

#[module]
impl Empty {
    fn helper(&self) {}
}

#[derive(Default)]
struct Twice;

#[module]
impl Twice {
    #[on_block(chain_id = 1)]
    fn first(&mut self, _: Block) -> Result {
        Ok(())
    }

    #[on_block(chain_id = 10)]
    fn second(&mut self, _: Block) -> Result {
        Ok(())
    }
}

fn main() {}
