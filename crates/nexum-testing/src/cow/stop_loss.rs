//! Conditional orders that wait for a price, and the oracles of prices.

use alloy_primitives::{Address, B256, I256, U256};
use alloy_sol_types::SolValue;

use super::abi;
use super::addresses::{BUY_TOKEN, SELL_TOKEN, STOP_LOSS};
use super::chain::{CowChain, GAS, Transaction};
use super::conditional::ConditionalOrder;

/// One unit of an oracle, which has 8 decimals.
const ORACLE_UNIT: i64 = 100_000_000;

/// One unit of the strike, which has 18 decimals.
const STRIKE_UNIT: i64 = 1_000_000_000_000_000_000;

/// The age of a price that a [`StopLoss`] accepts: longer than every test.
const PRICE_AGE_MAX_S: u64 = 365 * 24 * 3_600;

/// An order that sells [`SELL_TOKEN`] for [`BUY_TOKEN`] once, when the price of an oracle is at most one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopLoss {
    /// The sold amount.
    pub sell_amount: u64,
    /// The last second, since the Unix epoch.
    pub valid_to: u64,
    /// The oracle of the sold token's price.
    pub oracle: Address,
    /// The oracle of the bought token's price.
    pub bought: Address,
}

impl StopLoss {
    /// The conditional order with this salt.
    pub fn order(&self, salt: u64) -> ConditionalOrder {
        let data = abi::StopLossData {
            sellToken: SELL_TOKEN,
            buyToken: BUY_TOKEN,
            sellAmount: U256::from(self.sell_amount),
            buyAmount: U256::ONE,
            appData: B256::ZERO,
            receiver: Address::ZERO,
            isSellOrder: true,
            isPartiallyFillable: false,
            validTo: U256::from(self.valid_to),
            sellTokenPriceOracle: self.oracle,
            buyTokenPriceOracle: self.bought,
            strike: I256::try_from(STRIKE_UNIT).expect("a number of 256 bits"),
            maxTimeSinceLastOracleUpdate: U256::from(PRICE_AGE_MAX_S),
        };
        ConditionalOrder {
            handler: STOP_LOSS,
            salt: U256::from(salt).into(),
            static_input: data.abi_encode().into(),
        }
    }
}

impl CowChain {
    /// Deploys an oracle with this price, now.
    ///
    /// # Panics
    ///
    /// If a transaction fails, or if the node is unreachable or responds with an error.
    pub async fn oracle(&self, price: u32) -> Address {
        let transaction = Transaction {
            from: self.account().await,
            to: None,
            input: self.contracts().creation("SettableOracle", &[]),
            gas: GAS,
        };
        let receipt = &self.execute(&[transaction]).await[0];
        let oracle = serde_json::from_value(receipt["contractAddress"].clone()).expect("an address");
        self.set_price(oracle, price).await;
        oracle
    }

    /// Sets the price of an oracle, now.
    ///
    /// # Panics
    ///
    /// As [`oracle`](Self::oracle).
    pub async fn set_price(&self, oracle: Address, price: u32) {
        let set = abi::setCall {
            answer: I256::try_from(i64::from(price) * ORACLE_UNIT).expect("a number of 256 bits"),
            updatedAt: U256::from(self.timestamp()),
        };
        let account = self.account().await;
        self.execute(&[Transaction::call(account, oracle, &set)]).await;
    }
}
