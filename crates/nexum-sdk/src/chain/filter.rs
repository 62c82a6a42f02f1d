//! Filters of logs.

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolEvent;

use super::codec::Json;
use crate::chain::BlockId;
use crate::{Error, ErrorKind, Result};

/// The most topics of a log.
const TOPICS_MAX: usize = 4;

/// The logs to find. Without a range, they are those of the chain's own block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    addresses: Vec<Address>,
    /// An empty list accepts any value.
    topics: [Vec<B256>; TOPICS_MAX],
    range: Option<(BlockId, BlockId)>,
}

impl Filter {
    /// All logs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts the logs of this contract. Several calls accept several contracts.
    #[must_use]
    pub fn address(mut self, address: Address) -> Self {
        self.addresses.push(address);
        self
    }

    /// Accepts this event. Several calls accept several events. An anonymous event has no signature to
    /// search for, so the call then has no effect.
    #[must_use]
    pub fn event<E: SolEvent>(self) -> Self {
        match E::ANONYMOUS {
            true => self,
            false => self.topic(0, E::SIGNATURE_HASH),
        }
    }

    /// Accepts this value of the topic with this position, from 0 to 3. Several calls accept several
    /// values. A log has no topic at other positions, so the call then has no effect.
    #[must_use]
    pub fn topic(mut self, position: usize, value: impl Into<B256>) -> Self {
        if let Some(values) = self.topics.get_mut(position) {
            values.push(value.into());
        }
        self
    }

    /// Limits the search to the blocks between these two, with both of them. A hash can only be at both
    /// ends: nodes do not search a range that begins or ends with a hash.
    #[must_use]
    pub fn blocks(mut self, from: impl Into<BlockId>, to: impl Into<BlockId>) -> Self {
        self.range = Some((from.into(), to.into()));
        self
    }

    /// The parameters of `eth_getLogs`. `block` is the block of a filter without a range.
    pub(super) fn params(&self, block: BlockId) -> Result<String> {
        let mut json = Json::list().open_object();
        json = match self.range.unwrap_or((block, block)) {
            (BlockId::Hash(from), BlockId::Hash(to)) if from == to => json.key("blockHash").hex(&from.0),
            (BlockId::Hash(_), _) | (_, BlockId::Hash(_)) => {
                let error = "a search for logs has a hash at one end of its blocks: use the number of the block";
                return Err(Error::of("chain", ErrorKind::InvalidInput, error.into()));
            }
            (from, to) => json.key("fromBlock").block(from).key("toBlock").block(to),
        };
        if !self.addresses.is_empty() {
            json = json.key("address").open_list();
            for address in &self.addresses {
                json = json.hex(address.as_slice());
            }
            json = json.close_list();
        }
        if let Some(last) = self.topics.iter().rposition(|values| !values.is_empty()) {
            json = json.key("topics").open_list();
            for values in self.topics.iter().take(last + 1) {
                json = topic(json, values);
            }
            json = json.close_list();
        }
        Ok(json.close_object().end())
    }
}

fn topic(json: Json, values: &[B256]) -> Json {
    if values.is_empty() {
        return json.word("null");
    }
    let list = values.iter().fold(json.open_list(), |json, value| json.hex(&value.0));
    list.close_list()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn params(filter: &Filter, block: BlockId) -> Value {
        serde_json::from_str(&filter.params(block).expect("parameters")).expect("JSON")
    }

    #[test]
    fn names_the_block_of_the_chain() {
        let hash = B256::repeat_byte(1);
        assert_eq!(params(&Filter::new(), hash.into()), json!([{ "blockHash": hash }]));
        let five = json!([{ "fromBlock": "0x5", "toBlock": "0x5" }]);
        assert_eq!(params(&Filter::new(), 5.into()), five);
    }

    #[test]
    fn refuses_a_range_with_a_hash_at_one_end() {
        let (hash, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let filter = Filter::new();
        let refused = [
            filter.clone().blocks(5, hash),
            filter.clone().blocks(hash, 5),
            filter.clone().blocks(hash, other),
        ];
        for filter in refused {
            let error = filter.params(BlockId::Latest).expect_err("no range");
            assert_eq!((error.domain(), error.kind()), ("chain", ErrorKind::InvalidInput));
        }
        let one = filter.blocks(hash, hash);
        assert_eq!(params(&one, BlockId::Latest), json!([{ "blockHash": hash }]));
    }

    #[test]
    fn leaves_out_topics_that_accept_any_value() {
        let (one, two) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let address = Address::repeat_byte(3);
        let filter = Filter::new().address(address).topic(2, one).topic(2, two).topic(9, one);
        let filter = filter.blocks(1, BlockId::Latest);
        let expected = json!([{
            "fromBlock": "0x1", "toBlock": "latest", "address": [address], "topics": [null, null, [one, two]],
        }]);
        assert_eq!(params(&filter, 5.into()), expected);
    }
}
