mod first {
    use nexum_sdk::testing::Harness;
    use nexum_sdk::{Block, Result, info, module, store};

    const BLOCKS: store::Counter = store::Counter::new("blocks");

    #[derive(Default)]
    struct GasWatch;

    #[module]
    impl GasWatch {
        #[on_block(chain_id = 31337)]
        async fn on_block(&mut self, block: Block) -> Result {
            let price = block.chain().gas_price().await?;
            let count = BLOCKS.add(1)?;
            info!(count = count, "block {}: gas costs {price} wei", block.number);
            Ok(())
        }
    }

    #[test]
    fn a_first_module_handles_blocks() {
        let mut watch = Harness::<GasWatch>::new(&[]).expect("it starts");
        watch.host.on_rpc(|_, _, _| Some(Ok("0x7".into())));
        watch.block(5).expect("handled");
        assert_eq!(watch.host.messages_logged(), ["block 5: gas costs 7 wei count=1"]);
    }
}

mod logs {
    use nexum_sdk::testing::Harness;
    use nexum_sdk::{Address, Decoded, Log, Result, U256, info, module, sol, warn};

    sol! {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event Approval(address indexed owner, address indexed spender, uint256 value);
    }

    mod weth {
        nexum_sdk::sol! {
            event Deposit(address indexed account, uint256 amount);
        }
    }

    #[derive(Default)]
    struct Tokens;

    #[module]
    impl Tokens {
        #[on_event(Transfer, chain_id = 1, address = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")]
        fn on_transfer(&mut self, transfer: Decoded<Transfer>) -> Result {
            let Transfer { from, to, value } = transfer.event;
            info!(
                transaction = transfer.log.transaction_hash,
                "{from} sends {value} to {to}"
            );
            Ok(())
        }

        #[on_event(Approval, chain_id = 1, confirmations = 12)]
        async fn on_approval(&mut self, approval: Decoded<Approval>) -> Result {
            let allowed = approval.event.value;
            info!(
                token = approval.log.address,
                "{} may spend {allowed}", approval.event.spender
            );
            Ok(())
        }

        // All other logs of a contract, undecoded and together.
        #[on_logs(chain_id = 1, address = "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2")]
        fn on_logs(&mut self, logs: Vec<Log>) -> Result {
            warn!("{} other logs", logs.len());
            Ok(())
        }
    }

    #[test]
    fn a_log_goes_to_the_handler_of_its_event() {
        let mut tokens = Harness::<Tokens>::new(&[]).expect("it starts");
        let [owner, spender] = [1, 2].map(Address::with_last_byte);
        let value = U256::from(9);
        let approval = Approval { owner, spender, value };
        tokens.emit(Address::ZERO, &approval).expect("handled");
        let (account, amount) = (owner, value);
        tokens
            .emit(Address::ZERO, &weth::Deposit { account, amount })
            .expect("handled");
        assert_eq!(
            tokens.host.messages_logged(),
            [
                format!("{spender} may spend 9 token={}", Address::ZERO),
                "1 other logs".into()
            ]
        );
    }
}

mod ticks {
    use nexum_sdk::testing::Harness;
    use nexum_sdk::{Message, Result, Tick, info, module};

    #[derive(Default)]
    struct Timed;

    #[module]
    impl Timed {
        // Minute, hour, day, month and weekday, in UTC. A sixth field before them is the second.
        #[on_tick("*/5 * * * *", missed = "once")]
        fn on_tick(&mut self, tick: Tick) -> Result {
            info!("due at {}", tick.fired_at);
            Ok(())
        }

        #[on_message(content_topic = "/my-app/1/orders/json")]
        fn on_message(&mut self, message: Message) -> Result {
            info!("{} bytes", message.payload.len());
            Ok(())
        }
    }

    #[test]
    fn schedules_and_messages_have_handlers() {
        let mut timed = Harness::<Timed>::new(&[]).expect("it starts");
        timed.tick(300_000).expect("handled");
        timed.message("/my-app/1/orders/json", b"[]").expect("handled");
        assert_eq!(timed.host.messages_logged(), ["due at 300000", "2 bytes"]);
    }
}

mod queries {
    use nexum_sdk::testing::Harness;
    use nexum_sdk::{Address, Decoded, Json, Result, U256, module, sol, store};

    sol! {
        event Transfer(address indexed from, address indexed to, uint256 value);
    }

    const RECEIVED: store::Map<Address, U256> = store::Map::new("received");

    #[derive(Default)]
    struct Ledger;

    #[module]
    impl Ledger {
        #[on_event(Transfer, chain_id = 1)]
        fn on_transfer(&mut self, transfer: Decoded<Transfer>) -> Result {
            let Transfer { to, value, .. } = transfer.event;
            RECEIVED.update(&to, |total| *total = total.saturating_add(value))
        }

        #[query]
        fn received(&self, Json(owner): Json<Address>) -> Result<Json<U256>> {
            Ok(Json(RECEIVED.get(&owner)?.unwrap_or_default()))
        }
    }

    #[test]
    fn a_query_reads_what_events_wrote() {
        let mut ledger = Harness::<Ledger>::new(&[]).expect("it starts");
        let owner = Address::with_last_byte(1);
        for value in [3, 4] {
            let value = U256::from(value);
            let transfer = Transfer {
                from: Address::ZERO,
                to: owner,
                value,
            };
            ledger.emit(Address::ZERO, &transfer).expect("handled");
        }
        let answer = ledger.query(format!("\"{owner}\"")).expect("an answer");
        assert_eq!(answer, b"\"0x7\"");
    }
}
