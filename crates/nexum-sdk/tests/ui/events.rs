use nexum_sdk::{Result, module, sol};

sol! {
    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);
}

mod weth {
    nexum_sdk::sol! {
        event Transfer(address indexed source, address indexed target, uint256 amount);
    }
}

#[derive(Default)]
struct SecondType;

#[module]
impl SecondType {
    #[on_event(Transfer, address = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    #[on_event(Transfer, chain_id = 1)]
    fn first(&mut self) -> Result {
        Ok(())
    }

    #[on_event(weth::Transfer, chain_id = 1, address = "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")]
    fn never(&mut self) -> Result {
        Ok(())
    }
}

#[derive(Default)]
struct Twice;

#[module]
impl Twice {
    #[on_event(Transfer, chain_id = 1)]
    fn first(&mut self) -> Result {
        Ok(())
    }

    #[on_event(Transfer, chain_id = 1, address = "0xaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    fn never(&mut self) -> Result {
        Ok(())
    }
}

#[derive(Default)]
struct TwoEvents;

#[module]
impl TwoEvents {
    #[on_event(Transfer)]
    #[on_event(Approval)]
    fn both(&mut self) -> Result {
        Ok(())
    }
}

fn main() {}
