use nexum_sdk::{Block, Log, Result, module, sol};

#[derive(Default)]
struct Shape;

#[module]
impl Shape {
    #[on_block]
    fn block(&mut self, _: Block) {}

    #[on_logs]
    fn logs(_: Vec<Log>) -> Result {
        Ok(())
    }

    #[query]
    fn query(&self, a: Vec<u8>, _: Vec<u8>) -> Result<Vec<u8>> {
        Ok(a)
    }
}

#[derive(Default)]
struct Argument;

#[module]
impl Argument {
    #[on_block]
    fn block(&mut self, _: Log) -> Result {
        Ok(())
    }
}

#[derive(Default)]
struct Event;

#[module]
impl Event {
    #[on_event(Block)]
    fn event(&mut self) -> Result {
        Ok(())
    }
}

struct NoInit;

#[module]
impl NoInit {
    #[on_block]
    fn block(&mut self, _: Block) -> Result {
        Ok(())
    }
}

sol! {
    event Nameless(uint256 value) anonymous;
}

#[derive(Default)]
struct Anonymous;

#[module]
impl Anonymous {
    #[on_event(Nameless)]
    fn event(&mut self) -> Result {
        Ok(())
    }
}

fn main() {}
