//! The payments on the node's chain, compared with the events and with the state.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use alloy_primitives::{Address, B256, U256};
use nexum_core::state::{DeadLetter, admin};
use nexum_core::store::StateStore;
use nexum_host_tx::TransactionState;
use serde_json::{Value, json};

use crate::world::{NAMES, SHOPS, World, account};

/// A transaction of the account in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paid {
    pub(crate) hash: B256,
    pub(crate) to: Address,
    pub(crate) value: u64,
    pub(crate) fee: U256,
}

impl World {
    /// The transactions of the account in all blocks, by nonce.
    pub(crate) async fn paid(&self) -> BTreeMap<u64, Paid> {
        let head = number(&self.anvil.request("eth_blockNumber", json!([])).await);
        let numbers: Vec<_> = (0..=head).map(|block| json!([format!("0x{block:x}"), true])).collect();
        let mut paid = BTreeMap::new();
        for block in self.anvil.batch("eth_getBlockByNumber", &numbers).await {
            for transaction in block["transactions"].as_array().expect("transactions") {
                if transaction["from"] != json!(account()) {
                    continue;
                }
                let receipt = self
                    .anvil
                    .request("eth_getTransactionReceipt", json!([transaction["hash"]]))
                    .await;
                let fee = number(&receipt["gasUsed"]) * number(&receipt["effectiveGasPrice"]);
                let one = Paid {
                    hash: serde_json::from_value(transaction["hash"].clone()).unwrap(),
                    to: serde_json::from_value(transaction["to"].clone()).unwrap(),
                    value: number(&transaction["value"]),
                    fee: U256::from(fee),
                };
                let before = paid.insert(number(&transaction["nonce"]), one);
                assert_eq!(before, None, "two transactions with one nonce");
            }
        }
        paid
    }

    /// The values that a shop has received, in order of size.
    pub(crate) async fn values(&self, shop: &str) -> Vec<u64> {
        let shop: Address = shop.parse().unwrap();
        let paid = self.paid().await.into_values();
        let mut values: Vec<_> = paid.filter(|paid| paid.to == shop).map(|paid| paid.value).collect();
        values.sort_unstable();
        values
    }

    /// The numbers of a module's events that ended as dead letters, because the node has refused their transactions.
    fn refused(&self, module: &str) -> BTreeSet<u64> {
        let mut refused = BTreeSet::new();
        let view = self.store.view().unwrap();
        let mut take = |letter: DeadLetter| {
            let reason = letter.attempts.last().map(|attempt| attempt.reason.clone());
            assert!(
                reason.is_some_and(|reason| reason.contains("has refused")),
                "{letter:?}"
            );
            refused.insert(letter.id.position.number);
            ControlFlow::Continue(())
        };
        admin::dead_letters(&*view, &module.parse().unwrap(), &mut take).expect("dead letters");
        refused
    }

    /// Checks that the nonces have no gap, that each event has paid once, and that the state counts what the modules have
    /// spent. The events are those of the blocks after the first one.
    pub(crate) async fn check(&self) {
        let paid = self.paid().await;
        assert!(paid.keys().copied().eq(0..paid.len() as u64), "{paid:#?}");
        let head = self.events.positions().len() as u64 - 1;
        for (name, shop) in NAMES.iter().zip(SHOPS).take(self.settings.modules) {
            let values = self.values(shop).await;
            let refused = self.refused(name);
            let expected: Vec<_> = (1..=head).filter(|number| !refused.contains(number)).collect();
            assert_eq!(values, expected, "{name}: {:#?}", self.rows());
            let of_module = self.rows().into_iter();
            let of_module = of_module.filter(|row| row.transaction.module.as_str() == *name);
            let fees = of_module
                .map(|row| paid[&row.nonce].fee)
                .fold(U256::ZERO, |sum, fee| sum + fee);
            let spent = self.spent(name);
            assert_eq!((spent.in_flight, spent.fees_of_day), (0, fees), "{name}");
            assert_eq!(spent.value_of_day, U256::from(values.iter().sum::<u64>()), "{name}");
        }
        let rows = self.rows();
        assert_eq!(rows.len(), paid.len(), "{rows:#?}");
        for row in &rows {
            let TransactionState::Mined(mined) = row.transaction.state else {
                panic!("{row:#?}");
            };
            assert_eq!(mined.hash, paid[&row.nonce].hash, "{row:#?}");
        }
        assert_eq!(self.report().next, paid.len() as u64);
        assert_eq!(self.report().halt, None);
    }
}

/// A quantity of JSON-RPC.
pub(crate) fn number(quantity: &Value) -> u64 {
    let digits = quantity.as_str().and_then(|text| text.strip_prefix("0x"));
    let digits = digits.unwrap_or_else(|| panic!("{quantity}"));
    u64::from_str_radix(digits, 16).expect("a quantity")
}
