//! Contracts from ABI files.

use nexum_sdk::sol_types::{SolCall as _, SolEvent as _};
use nexum_sdk::testing::Harness;
use nexum_sdk::{Address, Block, Chain, Decoded, Result, U256, info, module, sol, try_join};

sol!(
    #[sol(rpc)]
    #[derive(Debug)]
    Token,
    "tests/abi/Token.json"
);

// The output of a compiler, with bytecode beside the ABI.
sol!(
    #[sol(rpc)]
    Vault,
    "tests/abi/Vault.json"
);

// Names and types that need care in Rust. `nexum new --abi` writes this file of such an ABI.
sol!(
    #[sol(rpc, all_derives)]
    Awkward,
    "tests/abi/Awkward.json"
);

const TOKEN: Address = Address::repeat_byte(0xaa);
const VAULT: Address = Address::repeat_byte(0xbb);
const OWNER: Address = Address::with_last_byte(7);

#[derive(Default)]
struct Files;

#[module]
impl Files {
    #[on_block(chain_id = 1)]
    async fn call(&mut self, block: Block) -> Result {
        let chain = Chain::new(block.chain_id);
        let (token, vault) = (Token::new(TOKEN, chain), Vault::new(VAULT, chain));
        let (balance, position) = (token.balanceOf(OWNER), vault.position(U256::from(3)));
        match try_join!(balance.call(), position.call()) {
            Ok((balance, position)) => info!("{balance} {} {:?}", position.owner, position.amounts),
            Err(error) => info!("{:?}", error.decode_revert::<Token::TokenErrors>()),
        }
        Ok(())
    }

    #[on_event(Token::Transfer, chain_id = 1)]
    fn transferred(&mut self, transfer: Decoded<Token::Transfer>) -> Result {
        info!("{} from {}", transfer.event.value, transfer.log.address);
        Ok(())
    }
}

fn harness() -> Harness<Files> {
    let mut harness = Harness::<Files>::new(&[]).expect("it starts");
    harness.host.on_call(TOKEN, |_: Token::balanceOfCall| U256::from(5));
    harness
        .host
        .on_call(VAULT, |call: Vault::positionCall| Vault::Position {
            owner: OWNER,
            amounts: [call.id, U256::from(4)],
        });
    harness
}

#[test]
fn calls_contracts_from_abi_files() {
    let mut harness = harness();
    harness.block(1).expect("answered");
    assert_eq!(harness.host.messages_logged(), [format!("5 {OWNER} [3, 4]")]);
    assert_eq!(harness.host.batches, [2]);
}

#[test]
fn decodes_errors_of_an_abi_file() {
    let mut harness = harness();
    harness.host.on_revert(TOKEN, |_: Token::balanceOfCall| {
        Token::TokenErrors::Paused(Token::Paused {})
    });
    harness.block(1).expect("caught");
    assert_eq!(harness.host.messages_logged(), ["Some(Paused(Paused))"]);
}

#[test]
fn handles_events_of_an_abi_file() {
    let mut harness = harness();
    let (from, to, value) = (Address::ZERO, OWNER, U256::from(9));
    harness
        .emit(TOKEN, &Token::Transfer { from, to, value })
        .expect("handled");
    assert_eq!(harness.host.messages_logged(), [format!("9 from {TOKEN}")]);
}

#[test]
fn an_abi_of_nexum_new_has_the_signatures_of_the_contract() {
    assert_eq!(Awkward::Unnamed::SIGNATURE, "Unnamed(uint256,uint256,uint256)");
    assert_eq!(Awkward::Words::SIGNATURE, "Words(address,bool,bool)");
    assert_eq!(Awkward::Words::default().arg0, Address::ZERO);
    assert_eq!(Awkward::Twice_0::SIGNATURE, "Twice(uint256)");
    assert_eq!(Awkward::Twice_1::SIGNATURE, "Twice(address)");
    assert_eq!(Awkward::r#move::SIGNATURE, "move(uint256)");
    assert_eq!(format!("{:?}", Awkward::r#move::default()), "move { amount: 0 }");
    assert_eq!(Awkward::takeCall::SIGNATURE, "take(uint256,uint256,uint256)");
    assert_eq!(
        Awkward::give_0Call::SIGNATURE,
        "give((uint256,address),(uint256,address))"
    );
    let pair = Awkward::Pair {
        arg0: U256::from(7),
        arg1: OWNER,
    };
    assert_eq!(
        Awkward::give_1Call {
            arg0: (pair.arg0, pair.arg1)
        }
        .abi_encode()
        .len(),
        4 + 2 * 32
    );
}
