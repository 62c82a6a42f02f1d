//! Sample events: logs that match a subscription, emitted on a local chain.
//!
//! Anvil replaces the code of a contract on request. The contract of a subscription gets code that
//! emits the logs and then gets its own code back.

use std::time::Duration;

use nexum_config::log_filter::{Address, LogFilter, TOPICS_MAX, TopicHash};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::rpc::{Rpc, number};
use crate::report::{Refusal, hex};

/// The contract of a log whose subscription names none.
const CONTRACT: Address = [0x5a; 20];

/// The bytes of a sample's data: zeros, with room for the arguments of common events. ABI decoders
/// ignore the rest, and read an empty string or list from zeros.
const DATA_BYTES: usize = 32 * 32;

/// The gas of the transaction: enough for some logs with [`DATA_BYTES`] each.
const GAS: u64 = 5_000_000;

/// How often nexum looks for the receipt of a transaction, and the pause between two looks. The
/// receipt appears a moment after the block.
const LOOKS_MAX: u32 = 250;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A log to emit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::author) struct Sample {
    pub(in crate::author) contract: Address,
    pub(in crate::author) topics: Vec<TopicHash>,
    pub(in crate::author) data: Vec<u8>,
}

/// The logs for a subscription: one for each number of topics that it allows, in one transaction.
///
/// A filter does not tell how many arguments of an event are `indexed`, and a typed handler takes
/// only the log with the right number. An indexed argument that the filter leaves open has the number
/// of its position as its value.
pub(in crate::author) fn samples(filter: &LogFilter) -> Vec<Sample> {
    let contract = filter.addresses.first().copied().unwrap_or(CONTRACT);
    let fixed = filter.topics.iter().rposition(|wanted| !wanted.is_empty());
    let least = fixed.map_or(0, |position| position + 1);
    let most = if least == 0 { 0 } else { TOPICS_MAX };
    let topic = |position: usize| {
        let wanted = filter.topics.get(position).and_then(|wanted| wanted.first());
        wanted.copied().unwrap_or_else(|| {
            let mut word = [0; 32];
            word[31] = u8::try_from(position).unwrap_or_default();
            word
        })
    };
    let sample = |count: usize| Sample {
        contract,
        topics: (0..count).map(topic).collect(),
        data: vec![0; DATA_BYTES],
    };
    (least..=most).map(sample).collect()
}

/// The emissions that run. Each one runs to its end in a task of its own, so that a contract gets its
/// code back even if the caller stops waiting.
#[derive(Debug, Default)]
pub(in crate::author) struct Emissions(JoinSet<Result<u64, Refusal>>);

impl Emissions {
    /// Emits the logs of one contract in one transaction. Returns the number of its block. If the future
    /// is dropped, [`Self::finish`] waits for the rest.
    ///
    /// # Errors
    ///
    /// If the node is not anvil, or the transaction fails.
    pub(in crate::author) async fn emit(&mut self, rpc: &Rpc, samples: Vec<Sample>) -> Result<u64, Refusal> {
        // One at a time: two on one contract would take each other's code for its own.
        self.finish().await;
        let rpc = rpc.clone();
        self.0.spawn(async move { emit(&rpc, &samples).await });
        match self.0.join_next().await {
            Some(Ok(emitted)) => emitted,
            Some(Err(error)) => Err(Refusal::of(&error)),
            None => Err(Refusal::new("the sample event was not sent")),
        }
    }

    /// Waits until each contract has its own code.
    pub(in crate::author) async fn finish(&mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

async fn emit(rpc: &Rpc, samples: &[Sample]) -> Result<u64, Refusal> {
    let contract = samples.first().map_or(CONTRACT, |sample| sample.contract);
    let contract = hex(&contract);
    let code = rpc.request("eth_getCode", json!([contract, "latest"])).await?;
    let set = async |code: &str| rpc.request("anvil_setCode", json!([contract, code])).await;
    set(&hex(&emitter(samples))).await?;
    let emitted = transact(rpc, &contract, samples).await;
    set(code.as_str().unwrap_or("0x")).await?;
    emitted
}

async fn transact(rpc: &Rpc, contract: &str, samples: &[Sample]) -> Result<u64, Refusal> {
    let input: Vec<u8> = samples.iter().flat_map(|sample| &sample.data).copied().collect();
    let accounts = rpc.request("eth_accounts", json!([])).await?;
    let transaction = json!({
        "from": accounts[0],
        "to": contract,
        "data": hex(&input),
        "gas": format!("{GAS:#x}"),
    });
    let hash = rpc.request("eth_sendTransaction", json!([transaction])).await?;
    // With a block time, anvil mines no block for a transaction.
    if rpc.request("anvil_getAutomine", json!([])).await? != true {
        rpc.mine(1).await?;
    }
    let mut receipt = Value::Null;
    for _ in 0..LOOKS_MAX {
        receipt = rpc.request("eth_getTransactionReceipt", json!([hash])).await?;
        if !receipt.is_null() {
            break;
        }
        sleep(LOOK_EVERY).await;
    }
    match (receipt["status"].as_str(), number(&receipt["blockNumber"])) {
        (Some("0x1"), Some(block)) => Ok(block),
        (Some(_), _) => Err(Refusal::new("the transaction of the sample event failed")),
        _ => Err(Refusal::new("the transaction of the sample event was not mined")),
    }
}

/// Code that emits the logs. The input has their data, one after the other.
fn emitter(samples: &[Sample]) -> Vec<u8> {
    const CALLDATACOPY: u8 = 0x37;
    const PUSH32: u8 = 0x7f;
    const LOG0: u8 = 0xa0;
    const STOP: u8 = 0x00;
    let mut code = Vec::new();
    let mut offset = 0;
    for Sample { topics, data, .. } in samples {
        // The stack of CALLDATACOPY, top first: position in memory, position in the input, length.
        for number in [data.len(), offset, 0] {
            push(&mut code, number);
        }
        code.push(CALLDATACOPY);
        // The stack of LOG, top first: position in memory, length, topics.
        for topic in topics.iter().take(TOPICS_MAX).rev() {
            code.push(PUSH32);
            code.extend_from_slice(topic);
        }
        push(&mut code, data.len());
        push(&mut code, 0);
        code.push(LOG0 + u8::try_from(topics.len().min(TOPICS_MAX)).unwrap_or_default());
        offset += data.len();
    }
    code.push(STOP);
    code
}

/// Pushes a number in four bytes.
fn push(code: &mut Vec<u8>, number: usize) {
    const PUSH4: u8 = 0x63;
    code.push(PUSH4);
    code.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::local::rpc::tests::node;

    #[test]
    fn a_filter_has_a_log_for_each_number_of_indexed_arguments() {
        let any = samples(&LogFilter::default());
        assert_eq!((any.len(), any[0].topics.len(), any[0].contract), (1, 0, CONTRACT));

        let mut filter = LogFilter {
            addresses: vec![[1; 20], [2; 20]],
            ..LogFilter::default()
        };
        filter.topics[0] = vec![[7; 32]];
        let counts: Vec<_> = samples(&filter).iter().map(|sample| sample.topics.len()).collect();
        assert_eq!(counts, [1, 2, 3, 4]);
        filter.topics[2] = vec![[8; 32], [9; 32]];
        let two = samples(&filter);
        let counts: Vec<_> = two.iter().map(|sample| sample.topics.len()).collect();
        assert_eq!(counts, [3, 4]);
        let mut second = [0; 32];
        second[31] = 1;
        assert_eq!(two[0].topics, [[7; 32], second, [8; 32]]);
        for sample in two {
            let topics: Vec<_> = sample.topics.iter().map(|topic| topic.to_vec()).collect();
            assert!(filter.matches(&sample.contract, &topics));
        }
    }

    #[test]
    fn the_code_of_a_log_copies_its_data_and_pushes_its_topics() {
        let sample = Sample {
            contract: CONTRACT,
            topics: vec![[1; 32], [2; 32]],
            data: vec![0xff; 3],
        };
        let code = hex(&emitter(&[sample]));
        let expected = format!(
            "0x63000000036300000000630000000037\
             7f{}7f{}63000000036300000000a200",
            "02".repeat(32),
            "01".repeat(32)
        );
        assert_eq!(code, expected);
    }

    #[tokio::test]
    async fn a_contract_gets_its_code_back_after_the_loss_of_the_caller() {
        let (rpc, mut called, _server) = node(|method| match method {
            "eth_getCode" => json!("0xc0de"),
            "eth_accounts" => json!(["0x01"]),
            "anvil_getAutomine" => json!(true),
            "eth_getTransactionReceipt" => json!({ "status": "0x1", "blockNumber": "0x7" }),
            _ => json!("0x"),
        })
        .await;
        let mut emissions = Emissions::default();
        tokio::select! {
            biased;
            () = async { while called.recv().await.unwrap().0 != "anvil_setCode" {} } => {}
            emitted = emissions.emit(&rpc, samples(&LogFilter::default())) => panic!("{emitted:?}"),
        }
        emissions.finish().await;
        let mut last = None;
        while let Ok(call) = called.try_recv() {
            last = Some(call);
        }
        let expected = ("anvil_setCode".to_owned(), json!([hex(&CONTRACT), "0xc0de"]));
        assert_eq!(last, Some(expected));
    }
}
