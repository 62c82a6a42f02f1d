mod typed {
    use nexum_sdk::testing::Harness;
    use nexum_sdk::{Address, Block, Result, U256, info, module, store};

    /// A value of any type of serde.
    #[derive(Default, serde::Serialize, serde::Deserialize)]
    struct Position {
        amount: U256,
        opened: u64,
    }

    const LAST: store::Cell<u64> = store::Cell::new("last");
    const BLOCKS: store::Counter = store::Counter::new("blocks");
    const POSITIONS: store::Map<(Address, u64), Position> = store::Map::new("positions");
    const RETRIES: store::Queue<Address> = store::Queue::new("retries");

    #[derive(Default)]
    struct State;

    #[module]
    impl State {
        #[on_block(chain_id = 1)]
        fn on_block(&mut self, block: Block) -> Result {
            let owner = Address::with_last_byte(1);
            BLOCKS.add(1)?;
            LAST.set(&block.number)?;

            let position = Position {
                amount: U256::from(5),
                opened: block.number,
            };
            POSITIONS.set(&(owner, block.number), &position)?;
            for entry in POSITIONS.under(&owner)? {
                let ((_, number), position) = entry?;
                info!("{number}: {} since {}", position.amount, position.opened);
            }

            RETRIES.push(block.timestamp + 60_000, &owner)?;
            for due in RETRIES.take_due(block.timestamp, 10)? {
                info!("retry {}", due.item);
            }
            Ok(())
        }
    }

    #[test]
    fn state_has_types() {
        let mut state = Harness::<State>::new(&[]).expect("it starts");
        state.block(1).expect("handled");
        state.block(6).expect("handled");
        let owner = nexum_sdk::Address::with_last_byte(1);
        assert_eq!(
            state.host.messages_logged(),
            [
                "1: 5 since 1",
                "1: 5 since 1",
                "6: 5 since 6",
                &format!("retry {owner}")
            ]
        );
    }
}

mod memory {
    use nexum_sdk::testing::Harness;
    use nexum_sdk::{Block, ErrorKind, Result, bail, info, module, store};

    const STORED: store::Counter = store::Counter::new("stored");

    #[derive(Default)]
    struct Memory {
        remembered: u64,
    }

    #[module]
    impl Memory {
        #[on_block(chain_id = 1)]
        fn on_block(&mut self, block: Block) -> Result {
            let stored = STORED.add(1)?;
            self.remembered += 1;
            if block.number == 3 {
                bail!(ErrorKind::Unavailable; "no answer for block 3");
            }
            info!(
                "block {}: stored {stored}, remembered {}",
                block.number, self.remembered
            );
            Ok(())
        }
    }

    #[test]
    fn memory_is_lost_when_an_event_is_rolled_back() {
        let mut memory = Harness::<Memory>::new(&[]).expect("it starts");
        memory.block(1).expect("handled");
        memory.block(2).expect("handled");
        memory.block(3).expect_err("it fails");
        memory.block(4).expect("handled");
        assert_eq!(
            memory.host.messages_logged(),
            [
                "block 1: stored 1, remembered 1",
                "block 2: stored 2, remembered 2",
                "block 4: stored 3, remembered 1",
            ]
        );
    }
}
