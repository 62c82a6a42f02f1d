use nexum_sdk::testing::Harness;
use nexum_sdk::{Address, B256, Block, BlockId, Chain, ErrorKind, Result, U256, info, module, sol};
use serde_json::{Value, json};

sol! {
    #[derive(Debug)]
    #[sol(rpc)]
    interface IERC20 {
        event Transfer(address indexed from, address indexed to, uint256 value);
        event Nameless(uint256 value) anonymous;
        error Paused();
        function balanceOf(address owner) external view returns (uint256);
        function name() external view returns (string);
        function at(uint256 index) external view returns (address owner, uint256 amount);
    }

    /// A contract with bytecode also gets functions that deploy it.
    #[sol(rpc, bytecode = "0x6000")]
    contract Deployable {
        function ping() external returns (bool);
    }
}

const TOKEN: Address = Address::repeat_byte(0xaa);

/// Calls the token in a way that the block's number chooses.
#[derive(Default)]
struct Calls;

#[module]
impl Calls {
    #[on_block(chain_id = 1)]
    async fn call(&mut self, block: Block) -> Result {
        let token = IERC20::new(TOKEN, Chain::new(block.chain_id));
        let owner = Address::with_last_byte(7);
        match block.number {
            1 => info!(
                "{} {}",
                token.balanceOf(owner).call().await?,
                token.name().call().await?
            ),
            2 => {
                let call = token
                    .balanceOf(owner)
                    .block(9)
                    .from(TOKEN)
                    .value(U256::from(5))
                    .gas(100_000);
                assert_eq!(call.calldata().len(), 36);
                call.call().await?;
            }
            3 => match token.balanceOf(owner).call().await {
                Err(error) => info!("{:?}", error.decode_revert::<IERC20::IERC20Errors>()),
                Ok(_) => unreachable!("the contract reverts"),
            },
            4 => {
                let entry = token.at_call(U256::from(1)).call().await?;
                info!("{} {}", entry.owner, entry.amount);
            }
            5 => {
                let calls = [1, 2].map(|n| {
                    (
                        TOKEN,
                        IERC20::balanceOfCall {
                            owner: Address::with_last_byte(n),
                        },
                    )
                });
                for result in block.chain().multicall(&calls).await? {
                    match result {
                        Ok(balance) => info!("{balance}"),
                        Err(error) => info!("{:?}", error.decode_revert::<IERC20::IERC20Errors>()),
                    }
                }
            }
            6 => {
                for found in token
                    .Transfer_filter()
                    .topic(2, owner.into_word())
                    .blocks(1, 5)
                    .query()
                    .await?
                {
                    info!("{} in {}", found.event.value, found.log.block_number);
                }
            }
            9 => {
                for found in token.Nameless_filter().blocks(1, 5).query().await? {
                    info!("nameless {}", found.event.value);
                }
            }
            7 => info!("{}", token.balanceOf(owner).estimate_gas().await?),
            _ => info!("{}", Deployable::deploy(Chain::new(1)).await.expect_err("impossible")),
        }
        Ok(())
    }
}

fn harness() -> Harness<Calls> {
    let mut harness = Harness::<Calls>::new(&[]).expect("it starts");
    harness
        .host
        .on_call(TOKEN, |call: IERC20::balanceOfCall| U256::from(call.owner.0[19]));
    harness.host.on_call(TOKEN, |_: IERC20::nameCall| "Test".into());
    harness
}

#[test]
fn calls_look_as_in_a_server_program() {
    let mut harness = harness();
    harness.block(1).expect("answered");
    assert_eq!(harness.host.messages_logged(), ["7 Test"]);
    let data = format!("0x70a08231{}07", "00".repeat(31));
    assert_eq!(
        harness.host.requests[0],
        ("eth_call".into(), json!([{ "to": TOKEN, "data": data }, "latest"]))
    );
}

#[test]
fn a_call_has_a_block_a_caller_a_value_and_a_limit() {
    let mut harness = harness();
    harness.block(2).expect("answered");
    let (_, params) = &harness.host.requests[0];
    assert_eq!(
        (&params[0]["from"], &params[0]["value"]),
        (&json!(TOKEN), &json!("0x5"))
    );
    assert_eq!((&params[0]["gas"], &params[1]), (&json!("0x186a0"), &json!("0x9")));
}

#[test]
fn a_revert_is_an_error_of_the_contract() {
    let mut harness = harness();
    harness.host.on_revert(TOKEN, |_: IERC20::balanceOfCall| {
        IERC20::IERC20Errors::Paused(IERC20::Paused {})
    });
    harness.block(3).expect("caught");
    assert_eq!(harness.host.messages_logged(), ["Some(Paused(Paused))"]);
}

#[test]
fn a_function_with_several_results_returns_a_struct() {
    let mut harness = harness();
    harness.host.on_call(TOKEN, |_: IERC20::atCall| IERC20::atReturn {
        owner: Address::ZERO,
        amount: U256::from(3),
    });
    harness.block(4).expect("answered");
    assert_eq!(
        harness.host.messages_logged(),
        ["0x0000000000000000000000000000000000000000 3"]
    );
}

#[test]
fn an_address_without_code_is_named() {
    let mut harness = harness();
    harness.host.on_rpc(|_, _, _| Some(Ok(json!("0x"))));
    let error = harness.block(1).expect_err("no contract");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let message = format!("balanceOf(address): {TOKEN} returns nothing; is there a contract?");
    assert_eq!(error.message(), message);
}

#[test]
fn many_calls_are_one_call_of_multicall() {
    let mut harness = harness();
    harness.block(5).expect("answered");
    assert_eq!(harness.host.messages_logged(), ["1", "2"]);
    let [(method, params)] = &harness.host.requests[..] else {
        panic!("one request")
    };
    assert_eq!(
        (&method[..], &params[0]["to"]),
        ("eth_call", &json!("0xca11bde05977b3631167028862be2a173976ca11"))
    );
}

#[test]
fn a_call_that_reverts_does_not_affect_the_others() {
    let mut harness = harness();
    harness.host.on_revert(TOKEN, |_: IERC20::balanceOfCall| {
        IERC20::IERC20Errors::Paused(IERC20::Paused {})
    });
    harness.block(5).expect("answered");
    assert_eq!(harness.host.messages_logged(), ["Some(Paused(Paused))"; 2]);
}

#[test]
fn finds_the_events_of_a_contract() {
    let mut harness = harness();
    let transfer = IERC20::Transfer {
        from: Address::ZERO,
        to: Address::with_last_byte(7),
        value: U256::from(12),
    };
    let log = harness.log(TOKEN, &transfer);
    harness.host.on_rpc(move |_, method, params| {
        assert_eq!(
            (method, &params[0]["fromBlock"], &params[0]["toBlock"]),
            ("eth_getLogs", &json!("0x1"), &json!("0x5"))
        );
        assert_eq!(params[0]["topics"][0], json!([log.topics[0]]));
        assert_eq!(params[0]["topics"][1], Value::Null);
        assert_eq!(params[0]["topics"][2], json!([log.topics[2]]));
        // The second log only looks like the event: it has no `indexed` argument.
        let found = |topics: &[B256]| {
            json!({
                "address": TOKEN, "topics": topics, "data": log.data, "blockNumber": "0x3",
                "transactionHash": B256::ZERO, "logIndex": "0x0",
            })
        };
        Some(Ok(json!([found(&log.topics), found(&log.topics[..1])])))
    });
    harness.block(6).expect("answered");
    assert_eq!(harness.host.messages_logged(), ["12 in 3"]);
}

#[test]
fn estimates_gas() {
    let mut harness = harness();
    harness
        .host
        .on_rpc(|_, method, _| (method == "eth_estimateGas").then(|| Ok(json!("0x5208"))));
    harness.block(7).expect("answered");
    assert_eq!(harness.host.messages_logged(), ["21000"]);
}

#[test]
fn a_module_deploys_nothing() {
    let mut harness = harness();
    harness.block(8).expect("caught");
    assert_eq!(
        harness.host.messages_logged(),
        ["unsupported: a module cannot deploy a contract"]
    );
}

#[test]
fn a_block_reads_the_state_after_itself() {
    let hash = B256::repeat_byte(1);
    let block = Block {
        chain_id: 5,
        number: 2,
        hash,
        timestamp: 0,
    };
    assert_eq!(block.chain(), Chain::new(5).at(BlockId::Hash(hash)));
}

#[test]
fn an_anonymous_event_is_found_by_its_contract() {
    let mut harness = harness();
    harness.host.on_rpc(|_, method, _| {
        let log = json!({
            "address": TOKEN, "topics": [], "data": B256::with_last_byte(5), "blockNumber": "0x2",
            "transactionHash": B256::ZERO, "logIndex": "0x0",
        });
        (method == "eth_getLogs").then(|| Ok(json!([log])))
    });
    harness.block(9).expect("answered");
    assert_eq!(harness.host.messages_logged(), ["nameless 5"]);
    let (_, params) = &harness.host.requests[0];
    assert_eq!(
        *params,
        json!([{ "fromBlock": "0x1", "toBlock": "0x5", "address": [TOKEN] }])
    );
}
