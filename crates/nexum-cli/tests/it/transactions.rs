//! Transactions of modules on a real node.

mod accounts;
mod killed;
#[cfg(any(feature = "identity-aws", feature = "identity-gcp"))]
mod kms;
mod moved;
mod refused;
#[cfg(feature = "store-postgres")]
mod shared;
mod stuck;
mod top_up;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nexum_testing::accounts::{ACCOUNTS, PASSWORD, TestAccount};
use nexum_testing::{Anvil, AnvilOptions, TEST_CHAIN_ID, WAIT_MAX};
use serde_json::{Value, json};

use crate::Dir;
use crate::running::{Log, Started, spawn};

/// The limits of a module that has nothing to fear.
const WIDE: &str = "limits = { max_fee_gwei = 1000, fee_per_day = \"1000\", value_per_day = \"1000\", \
                    per_hour = 100000, in_flight = 100000 }\n";

/// The receiver of a module's payments.
const SHOP: &str = "0x00000000000000000000000000000000000A11CE";

/// A node with accounts, and a directory for a daemon.
struct World {
    anvil: Anvil,
    dir: Dir,
    /// The modules: a name, its account, and its configuration.
    modules: Vec<Module>,
    /// The signer of all accounts, instead of their keystores.
    signer: Option<String>,
    /// More of `engine.toml`.
    more: String,
}

struct Module {
    name: &'static str,
    account: usize,
    config: String,
    rules: String,
}

/// A transaction in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Paid {
    nonce: u64,
    to: String,
    value: u64,
}

impl Module {
    /// A module with the first account that pays each block's number to the shop, with wide limits.
    fn payer(config: &str) -> Self {
        let send = format!("send = [{{ chain = {TEST_CHAIN_ID}, to = \"*\", max_value = \"1\" }}]\n{WIDE}");
        Self::with_rules(config, &send)
    }

    fn with_rules(config: &str, rules: &str) -> Self {
        Self {
            name: "payer",
            account: 0,
            config: format!("to = \"{SHOP}\"\n{config}"),
            rules: rules.to_owned(),
        }
    }
}

impl World {
    fn new(modules: Vec<Module>, args: &[&str]) -> Self {
        let anvil = Anvil::start_with(&AnvilOptions {
            extra_args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            ..AnvilOptions::default()
        });
        let world = Self {
            anvil,
            dir: Dir::new(),
            modules,
            signer: None,
            more: String::new(),
        };
        world.write_files(&world.dir);
        world
    }

    /// Writes the modules and the keys into a directory.
    fn write_files(&self, dir: &Dir) {
        dir.write("password", PASSWORD);
        let wasm = std::fs::read(nexum_testing::guests::component("payer")).expect("a guest");
        for module in &self.modules {
            let TestAccount { address, keystore } = ACCOUNTS[module.account];
            dir.write(&format!("key{}.json", module.account), keystore);
            std::fs::create_dir_all(dir.path().join(module.name)).expect("a directory");
            dir.write(&format!("{}/payer.wasm", module.name), &wasm);
            dir.write(
                &format!("{}/nexum.toml", module.name),
                format!(
                    "[capabilities]\nrequired = [\"chain\"]\n[[subscription]]\nkind = \"block\"\nchain_id = {TEST_CHAIN_ID}\n\
                     [config]\nfrom = \"{address}\"\n{}",
                    module.config
                ),
            );
        }
    }

    /// `engine.toml`.
    fn config(&self) -> String {
        let mut text = String::new();
        for account in self
            .modules
            .iter()
            .map(|module| module.account)
            .collect::<BTreeSet<_>>()
        {
            let TestAccount { address, .. } = ACCOUNTS[account];
            let keystore = format!("keystore = \"key{account}.json\", password_file = \"password\"");
            let signer = self.signer.as_ref().unwrap_or(&keystore);
            text += &format!("[accounts.account{account}]\naddress = \"{address}\"\nsigner = {{ {signer} }}\n");
        }
        for Module {
            name, account, rules, ..
        } in &self.modules
        {
            text += &format!(
                "[[modules]]\npath = \"{name}/payer.wasm\"\nname = \"{name}\"\n\
                 [identity.{name}.account{account}]\n{rules}"
            );
        }
        let restart = "[engine.restart]\nattempts_max = 3\nbackoff_ms = 1\nmax_consecutive_failures = 100\n";
        let chain = format!("[chains.{TEST_CHAIN_ID}]\nrpc_url = {:?}\n", self.anvil.ws_url());
        format!("{restart}{chain}{text}{}", self.more)
    }

    /// Starts a daemon. Returns its whole log.
    fn start(&self) -> (Started, Log) {
        self.dir.write("engine.toml", self.config());
        let mut child = spawn(&self.dir, &["run"]);
        let log = Log::of(&mut child);
        (child, log)
    }

    /// The transactions of an account in all blocks, by nonce.
    async fn paid(&self, account: usize) -> Vec<Paid> {
        let head = self.anvil.request("eth_blockNumber", json!([])).await;
        let numbers: Vec<_> = (0..=number(&head))
            .map(|block| json!([format!("0x{block:x}"), true]))
            .collect();
        let mut paid = BTreeMap::new();
        for block in self.anvil.batch("eth_getBlockByNumber", &numbers).await {
            for transaction in block["transactions"].as_array().expect("transactions") {
                let from = transaction["from"].as_str().expect("a sender");
                if !from.eq_ignore_ascii_case(ACCOUNTS[account].address) {
                    continue;
                }
                let one = Paid {
                    nonce: number(&transaction["nonce"]),
                    to: transaction["to"].as_str().unwrap_or_default().to_lowercase(),
                    value: number(&transaction["value"]),
                };
                assert_eq!(paid.insert(one.nonce, one), None, "two transactions with one nonce");
            }
        }
        paid.into_values().collect()
    }

    /// Another program sends a transaction with an account's key, in the place of the first one of nexum, and a block
    /// takes it.
    async fn use_key_elsewhere(&self, account: usize) {
        let foreign = json!([{
            "from": ACCOUNTS[account].address,
            "to": ACCOUNTS[account + 1].address,
            "value": "0x1",
            "nonce": "0x0",
            "gasPrice": "0x746a528800",
        }]);
        self.anvil.request("eth_sendTransaction", foreign).await;
        self.anvil.mine(1).await;
    }

    /// Waits until an account has this many transactions in blocks.
    async fn until_paid(&self, account: usize, count: u64) -> Vec<Paid> {
        let params = json!([ACCOUNTS[account].address, "latest"]);
        let there = async {
            while number(&self.anvil.request("eth_getTransactionCount", params.clone()).await) < count {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(WAIT_MAX, there)
            .await
            .expect("transactions in blocks");
        self.paid(account).await
    }
}

/// A quantity of JSON-RPC.
fn number(quantity: &Value) -> u64 {
    let digits = quantity
        .as_str()
        .and_then(|text| text.strip_prefix("0x"))
        .unwrap_or_else(|| panic!("{quantity}"));
    u64::from_str_radix(digits, 16).expect("a quantity")
}

/// The nonces begin with 0 and have no gap, and each of these values was paid once.
fn assert_each_once(paid: &[Paid], values: impl IntoIterator<Item = u64>) {
    let nonces: Vec<_> = paid.iter().map(|paid| paid.nonce).collect();
    assert_eq!(nonces, (0..paid.len() as u64).collect::<Vec<_>>());
    let mut found: Vec<_> = paid.iter().map(|paid| paid.value).collect();
    found.sort_unstable();
    assert_eq!(found, values.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn each_event_has_one_transaction_although_its_first_attempt_fails() {
    let world = World::new(vec![Module::payer("last = 20\nthen = \"fail\"\n")], &[]);
    world.anvil.mine(1).await;
    let (_child, _log) = world.start();
    let paid = world.until_paid(0, 20).await;
    assert_each_once(&paid, 1..=20);
}
