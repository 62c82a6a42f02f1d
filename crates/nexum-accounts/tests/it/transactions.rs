use alloy_primitives::{Address, U256, hex};
use nexum_accounts::{TransactionKind, TransactionRequest};
use nexum_config::hint::Hint as _;

use crate::support::{ADDRESS, OTHER, grant};

const LIMITS: &str = "limits = { max_fee_gwei = 80, fee_per_day = \"0.05\" }";

fn to(address: &str) -> Option<Address> {
    Some(address.parse().unwrap())
}

fn call() -> TransactionRequest<'static> {
    TransactionRequest {
        chain: 1,
        to: to(OTHER),
        value: U256::ZERO,
        data: &[0xa9, 0x05, 0x9c, 0xbb, 1, 2],
        gas: 100_000,
        kind: TransactionKind::Plain,
    }
}

#[test]
fn a_transaction_fits_every_key_of_a_rule() {
    let grant = grant(&format!(
        "send = [{{ chain = 1, to = \"{OTHER}\", selectors = [\"transfer(address,uint256)\"], max_value = \"0.001\", max_gas = 100_000 }}]\n{LIMITS}"
    ));
    assert_eq!(
        grant.check_transaction(&call()).unwrap().rule,
        "identity.m.keeper.send[0]"
    );
    let value = U256::from(1_000_000_000_000_000_u64);
    assert!(grant.check_transaction(&TransactionRequest { value, ..call() }).is_ok());
    for (transaction, reason) in [
        (
            TransactionRequest { chain: 10, ..call() },
            "the rule is for chain 1, not 10",
        ),
        (
            TransactionRequest {
                to: to("0x2222222222222222222222222222222222222222"),
                ..call()
            },
            "the rule does not name the receiver 0x2222222222222222222222222222222222222222",
        ),
        (
            TransactionRequest { to: None, ..call() },
            "the transaction creates a contract",
        ),
        (TransactionRequest { data: &[], ..call() }, "the data has no selector"),
        (
            TransactionRequest {
                data: &[0xa9, 0x05, 0x9c],
                ..call()
            },
            "the data has no selector",
        ),
        (
            TransactionRequest {
                data: &hex!("095ea7b300"),
                ..call()
            },
            "the rule does not name the selector 0x095ea7b3",
        ),
        (
            TransactionRequest {
                value: value + U256::ONE,
                ..call()
            },
            "the value is 0.001000000000000001 ether, and max_value is 0.001000000000000000",
        ),
        (
            TransactionRequest { gas: 100_001, ..call() },
            "the gas is 100001, and max_gas is 100000",
        ),
        (
            TransactionRequest {
                kind: TransactionKind::Blob,
                ..call()
            },
            "nexum signs no transactions with blobs (type 3)",
        ),
        (
            TransactionRequest {
                kind: TransactionKind::SetCode,
                ..call()
            },
            "nexum signs no authorisations for code (type 4, EIP-7702)",
        ),
    ] {
        assert_eq!(grant.check_transaction(&transaction).unwrap_err().reason, reason);
    }
}

#[test]
fn the_hint_allows_the_transaction() {
    for transaction in [
        call(),
        TransactionRequest {
            data: &[],
            value: U256::from(7),
            ..call()
        },
        TransactionRequest { to: None, ..call() },
    ] {
        let refusal = grant("").check_transaction(&transaction).unwrap_err();
        assert_eq!(refusal.reason, "no rule allows transactions");
        let hint = refusal.hint().unwrap();
        let rule = hint.strip_prefix("write ").unwrap();
        let grant = grant(&format!("{rule}\n{LIMITS}"));
        assert!(grant.check_transaction(&transaction).is_ok(), "{rule}");
    }
}

#[test]
fn any_receiver_is_no_account_of_ours() {
    let any = grant(&format!(
        "send = [{{ chain = 1, to = \"*\", selectors = [\"*\"] }}]\n{LIMITS}"
    ));
    assert!(any.check_transaction(&call()).is_ok());
    let refusal = any
        .check_transaction(&TransactionRequest {
            to: to(ADDRESS),
            ..call()
        })
        .unwrap_err();
    assert_eq!(refusal.reason, format!("{ADDRESS} is an account of this nexum"));
    let refusal = any
        .check_transaction(&TransactionRequest { to: None, ..call() })
        .unwrap_err();
    assert_eq!(refusal.reason, "the transaction creates a contract");
    let named = grant(&format!("send = [{{ chain = 1, to = \"{ADDRESS}\" }}]\n{LIMITS}"));
    let transfer = TransactionRequest {
        to: to(ADDRESS),
        data: &[],
        ..call()
    };
    assert!(named.check_transaction(&transfer).is_ok());
}

#[test]
fn a_rule_without_selectors_allows_transfers_alone() {
    let grant = grant(&format!("send = [{{ chain = 1, to = \"{OTHER}\" }}]\n{LIMITS}"));
    assert!(
        grant
            .check_transaction(&TransactionRequest { data: &[], ..call() })
            .is_ok()
    );
    let refusal = grant
        .check_transaction(&TransactionRequest { data: &[0], ..call() })
        .unwrap_err();
    assert_eq!(refusal.reason, "the rule allows transfers without data alone");
}

#[test]
fn the_reason_is_of_the_closest_rule() {
    let grant = grant(&format!(
        "send = [{{ chain = 10, to = \"*\" }}, {{ chain = 1, to = \"{OTHER}\", selectors = [\"0x01020304\"] }}, {{ chain = 1, to = \"{ADDRESS}\" }}]\n{LIMITS}"
    ));
    let refusal = grant.check_transaction(&call()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the rule does not name the selector 0xa9059cbb (identity.m.keeper.send[1])"
    );
}
