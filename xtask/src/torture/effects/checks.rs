//! The acts of the receiver, and the comparison with the expected ones.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, Result, bail, ensure};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::{
    receiver::Request,
    site::{ACCOUNTS, PAYERS},
};
use crate::torture::{expected::Kept, traffic::number};

/// The acts of the receiver of HTTP requests.
#[derive(Debug)]
pub(super) struct Ledger {
    random: StdRng,
    has_faults: bool,
    /// The number of acts for each path. A repeated key is none.
    acts: BTreeMap<String, u64>,
    /// The path for each key.
    keys: BTreeMap<String, String>,
    /// The repetitions that the receiver has recognised.
    recognised: u64,
}

/// The counts of a comparison.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    transactions: usize,
    acts: u64,
    recognised: u64,
    dead_letters: usize,
}

impl Ledger {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed ^ 3),
            has_faults: true,
            acts: BTreeMap::new(),
            keys: BTreeMap::new(),
            recognised: 0,
        }
    }

    pub(super) fn set_faults(&mut self, faults: bool) {
        self.has_faults = faults;
    }

    /// Acts on a request. Returns the status and the body of the answer.
    pub(super) fn act(&mut self, request: &Request) -> (u16, Vec<u8>) {
        let Request { method, path, key, .. } = request;
        match (method.as_str(), key) {
            // Some handlers fail after their requests.
            ("GET", _) => match self.has_faults && self.random.random_bool(0.1) {
                true => (200, b"fail".to_vec()),
                false => (200, b"ok".to_vec()),
            },
            ("POST", Some(key)) if path.starts_with("/keyed/") => {
                if self.keys.insert(key.clone(), path.clone()).is_some() {
                    self.recognised += 1;
                    return (200, Vec::new());
                }
                *self.acts.entry(path.clone()).or_default() += 1;
                (201, Vec::new())
            }
            _ => {
                *self.acts.entry(path.clone()).or_default() += 1;
                (201, Vec::new())
            }
        }
    }

    fn acts(&self, module: &str, block: u64) -> u64 {
        self.acts.get(&format!("/{module}/{block}")).copied().unwrap_or(0)
    }
}

/// Compares everything up to a block. `letters` has the blocks whose events are dead letters, by module.
pub(super) fn compare(
    head: u64,
    paid: &[Value],
    letters: &BTreeMap<String, Vec<u64>>,
    ledger: &Ledger,
    kept: &Kept,
) -> Result<Found> {
    let is_dead = |module: &str, block: u64| letters.get(module).is_some_and(|blocks| blocks.contains(&block));
    let mut found = Found {
        dead_letters: letters.values().map(Vec::len).sum(),
        recognised: ledger.recognised,
        acts: ledger.acts.values().sum(),
        transactions: 0,
    };
    let transactions = transactions(paid)?;
    for (index, (address, _)) in ACCOUNTS.iter().enumerate() {
        let of_account = &transactions[index];
        for (expected, nonce) in (0..).zip(of_account.keys()) {
            ensure!(
                *nonce == expected,
                "account {address} has no transaction with nonce {expected}"
            );
        }
        found.transactions += of_account.len();
        for payer in PAYERS.iter().filter(|payer| payer.account == index) {
            let mut values: BTreeMap<u64, u64> = BTreeMap::new();
            for (to, value) in of_account.values().filter(|(to, _)| to == payer.to) {
                let count = values.entry(*value).or_default();
                *count += 1;
                ensure!(*count == 1, "{} has paid {value} to {to} twice", payer.name);
            }
            for block in 1..=head {
                let is_paid = values.remove(&block).is_some();
                ensure!(
                    is_paid || is_dead(payer.name, block),
                    "{} has not paid for block {block}",
                    payer.name
                );
            }
            ensure!(
                values.is_empty(),
                "{} has paid for blocks that are not there: {values:?}",
                payer.name
            );
        }
    }
    for module in ["keyed", "once", "put"] {
        for block in 1..=head {
            let acts = ledger.acts(module, block);
            let key = format!("done/{block}");
            let status = kept.get(module).and_then(|keys| keys.get(key.as_bytes()));
            let is_done = status.is_some_and(|status| status.starts_with(b"20"));
            ensure!(
                status.is_some() || is_dead(module, block),
                "{module} has neither handled block {block} nor a dead letter of it"
            );
            ensure!(
                !is_done || acts > 0,
                "{module} knows that block {block} is done, and the receiver has not acted"
            );
            ensure!(
                module == "put" || acts <= 1,
                "the receiver has acted {acts} times for block {block} of {module}"
            );
        }
    }
    Ok(found)
}

/// The receivers and values of each account's transactions, by nonce.
fn transactions(paid: &[Value]) -> Result<Vec<BTreeMap<u64, (String, u64)>>> {
    let mut all = vec![BTreeMap::new(); ACCOUNTS.len()];
    for transaction in paid {
        let from = transaction["from"].as_str().context("no sender")?;
        let Some(account) = ACCOUNTS
            .iter()
            .position(|(address, _)| address.eq_ignore_ascii_case(from))
        else {
            bail!("a transaction of {from}");
        };
        let to = transaction["to"].as_str().unwrap_or_default().to_ascii_lowercase();
        let (nonce, value) = (number(&transaction["nonce"])?, number(&transaction["value"])?);
        let earlier = all[account].insert(nonce, (to, value));
        ensure!(
            earlier.is_none(),
            "account {from} has two transactions with nonce {nonce}"
        );
    }
    Ok(all)
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} transactions, {} acts ({} repetitions recognised), {} dead letters",
            self.transactions, self.acts, self.recognised, self.dead_letters
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ledger(acts: &[(&str, u64)]) -> Ledger {
        Ledger {
            acts: acts.iter().map(|(path, count)| ((*path).to_owned(), *count)).collect(),
            ..Ledger::new(0)
        }
    }

    fn paid(nonce: u64, payer: usize, value: u64) -> Value {
        let payer = PAYERS[payer];
        let (from, _) = ACCOUNTS[payer.account];
        json!({ "from": from, "to": payer.to, "nonce": format!("0x{nonce:x}"), "value": format!("0x{value:x}") })
    }

    fn kept(modules: &[&str]) -> Kept {
        let keys = || [(b"done/1".to_vec(), b"201".to_vec())].into_iter().collect();
        modules.iter().map(|module| ((*module).to_owned(), keys())).collect()
    }

    /// The comparison after one block.
    fn found(paid: &[Value], acts: &[(&str, u64)], modules: &[&str]) -> Result<Found> {
        let letters = [("once".to_owned(), vec![1])].into_iter().collect();
        compare(1, paid, &letters, &ledger(acts), &kept(modules))
    }

    #[test]
    fn each_difference_is_found() {
        let all = [paid(0, 0, 1), paid(1, 2, 1), paid(0, 1, 1), paid(1, 3, 1)];
        let acts = [("/keyed/1", 1), ("/put/1", 2), ("/once/1", 1)];
        let modules = ["keyed", "put"];
        assert_eq!(found(&all, &acts, &modules).expect("no difference").transactions, 4);
        let fails = |paid: &[Value], acts: &[(&str, u64)], modules: &[&str], expected: &str| {
            let difference = found(paid, acts, modules).expect_err(expected).to_string();
            assert!(difference.contains(expected), "{difference}");
        };
        fails(&all[..3], &acts, &modules, "payer-d has not paid for block 1");
        let twice = [&all[..], &[paid(2, 0, 1)]].concat();
        fails(&twice, &acts, &modules, "payer-a has paid 1");
        let later = [&all[..], &[paid(2, 0, 2)]].concat();
        fails(&later, &acts, &modules, "not there");
        let gap = [&all[..], &[paid(3, 0, 2)]].concat();
        fails(&gap, &acts, &modules, "no transaction with nonce 2");
        fails(
            &[&all[..], &[paid(1, 2, 1)]].concat(),
            &acts,
            &modules,
            "two transactions with nonce 1",
        );
        fails(
            &all,
            &[("/keyed/1", 2), ("/put/1", 1)],
            &modules,
            "acted 2 times for block 1 of keyed",
        );
        fails(
            &all,
            &[("/keyed/1", 1), ("/put/1", 1), ("/once/1", 2)],
            &modules,
            "acted 2 times for block 1 of once",
        );
        fails(&all, &[("/put/1", 1)], &modules, "keyed knows that block 1 is done");
        fails(&all, &acts, &["keyed"], "put has neither handled block 1");
    }
}
