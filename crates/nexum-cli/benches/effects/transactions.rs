//! Transactions of one account.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, Bytes, TxKind, U256, hex};
use nexum_accounts::{Account, Accounts, AccountsConfig, Preimage};
use nexum_config::document::{Document, Environment};
use nexum_testing::accounts::{ACCOUNTS, PASSWORD};
use nexum_testing::bench::Figure;
use nexum_testing::{Anvil, AnvilOptions, Daemon, TEST_CHAIN_ID, guests};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use tokio::time::Instant;

use crate::program;

/// The transactions of one measurement.
const COUNT: u64 = 200;

/// The measurements.
const SAMPLES: usize = 5;

const SHOP: &str = "0x00000000000000000000000000000000000a11ce";

/// Transactions per second, the best of the measurements of each: a busy machine only makes them slower.
pub(crate) async fn figures() -> Vec<Figure> {
    let directory = tempfile::tempdir().expect("a directory");
    let account = account(directory.path());
    let (mut of_nexum, mut bare) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..SAMPLES {
        bare = bare.min(seconds_of_client(&account).await);
        of_nexum = of_nexum.min(seconds_of_nexum().await);
    }
    let per_second = |seconds: f64| COUNT as f64 / seconds;
    let name = "transactions per second of one account, beside a client";
    vec![Figure::new(name, "1/s", per_second(of_nexum), per_second(bare)).at_least_times_baseline(0.7)]
}

fn anvil() -> Anvil {
    Anvil::start_with(&AnvilOptions {
        extra_args: vec!["--no-mining".to_owned()],
        ..AnvilOptions::default()
    })
}

/// The text of the account's table.
fn table(directory: &Path) -> String {
    std::fs::write(directory.join("key.json"), ACCOUNTS[0].keystore).expect("a keystore");
    std::fs::write(directory.join("password"), PASSWORD).expect("a password");
    let address = ACCOUNTS[0].address;
    format!(
        "[accounts.hot]\naddress = \"{address}\"\nsigner = {{ keystore = \"key.json\", password_file = \"password\" }}\n"
    )
}

fn account(directory: &Path) -> Arc<Account> {
    let text = table(directory);
    let document = Document::parse(&directory.join("engine.toml"), text.as_bytes(), &Environment::closed());
    let section = document
        .expect("a document")
        .root()
        .section("accounts")
        .expect("a table");
    let config = AccountsConfig::from_sections(section.as_ref(), None).expect("accounts");
    let accounts = Accounts::new(config);
    let account = accounts.all().next().expect("an account");
    Arc::clone(account)
}

/// The time of a client that estimates, reads the fees, signs with a nonce from its memory, and sends, as the fillers of
/// alloy do.
async fn seconds_of_client(account: &Account) -> f64 {
    let anvil = anvil();
    anvil.mine(1).await;
    // The keystore is open before the measurement, as it is in nexum.
    let _ = account.sign(&Preimage::new(vec![0])).await.expect("a signature");
    let to: Address = SHOP.parse().expect("an address");
    let began = Instant::now();
    for nonce in 0..COUNT {
        let call = json!([{ "from": ACCOUNTS[0].address, "to": SHOP, "value": "0x1" }, "pending"]);
        let (gas, history) = tokio::join!(
            anvil.request("eth_estimateGas", call),
            anvil.request("eth_feeHistory", json!(["0x5", "latest", [50]]))
        );
        let base = history["baseFeePerGas"]
            .as_array()
            .and_then(|fees| fees.last())
            .map_or(0, number);
        let unsigned = TxEip1559 {
            chain_id: TEST_CHAIN_ID,
            nonce,
            gas_limit: u64::try_from(number(&gas)).expect("gas"),
            max_fee_per_gas: 2 * base + 1_000_000,
            max_priority_fee_per_gas: 1_000_000,
            to: TxKind::Call(to),
            value: U256::from(1),
            access_list: Default::default(),
            input: Bytes::new(),
        };
        let preimage = Preimage::new(unsigned.encoded_for_signing());
        let signature = account.sign(&preimage).await.expect("a signature");
        let mut bytes = Vec::new();
        unsigned.into_signed(signature).eip2718_encode(&mut bytes);
        anvil
            .request("eth_sendRawTransaction", json!([hex::encode_prefixed(bytes)]))
            .await;
    }
    began.elapsed().as_secs_f64()
}

/// The time of a module that sends the transactions in one event.
async fn seconds_of_nexum() -> f64 {
    let anvil = anvil();
    let directory = tempfile::tempdir().expect("a directory");
    let wasm = directory.path().join("payer.wasm");
    std::fs::copy(guests::component("payer"), &wasm).expect("a guest");
    std::fs::write(
        directory.path().join("nexum.toml"),
        format!(
            "[capabilities]\nrequired = [\"chain\"]\n[[subscription]]\nkind = \"block\"\nchain_id = {TEST_CHAIN_ID}\n\
             [config]\nfrom = \"{}\"\nto = \"{SHOP}\"\nvalue = \"0x1\"\ncount = \"{COUNT}\"\nlast = \"2\"\n",
            ACCOUNTS[0].address
        ),
    )
    .expect("a manifest");
    anvil.mine(1).await;
    let config = format!(
        "[engine.limits]\neffects_per_event = 1000\nevent_deadline_ms = 60000\nchain_requests_per_event = 10000\n\
         [chains.{TEST_CHAIN_ID}]\nrpc_url = {:?}\n{}\
         [identity.payer.hot]\nsend = [{{ chain = {TEST_CHAIN_ID}, to = \"*\", max_value = \"1\" }}]\n\
         limits = {{ max_fee_gwei = 1000, fee_per_day = \"1000\", value_per_day = \"1000\", per_hour = 100000, in_flight = 100000 }}\n\
         [[modules]]\npath = {wasm:?}\nname = \"payer\"\n",
        anvil.http_url(),
        table(directory.path()),
    );
    let daemon = Daemon::start(&program(), directory.path(), &config).await;
    // The first event opens the keystore.
    daemon.until_handled("payer", 1).await;
    anvil.mine(1).await;
    let record = daemon.until_handled("payer", 2).await;
    let pending = anvil
        .request("eth_getTransactionCount", json!([ACCOUNTS[0].address, "pending"]))
        .await;
    assert_eq!(number(&pending), u128::from(2 * COUNT));
    let took = record.took().as_secs_f64();
    assert!(daemon.stop());
    took
}

fn number(quantity: &Value) -> u128 {
    let digits = quantity
        .as_str()
        .and_then(|text| text.strip_prefix("0x"))
        .expect("a quantity");
    u128::from_str_radix(digits, 16).expect("a quantity")
}
