//! `[cow]` and `[cow.<chain id>]`.

use std::path::Path;

use alloy_primitives::{address, b256};
use nexum_config::document::Environment;
use nexum_config::engine::Config;
use nexum_host_cow::{CowConfig, OrderBooks};

fn read(text: &str) -> Result<CowConfig, String> {
    let config = Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).unwrap();
    CowConfig::from_section(&config.sections["cow"]).map_err(|errors| {
        let texts: Vec<String> = errors.into_iter().map(|error| error.to_string()).collect();
        texts.join("\n")
    })
}

#[test]
fn everything_has_a_default() {
    let config = read("[cow]\n").unwrap();
    assert_eq!(
        (config.requests_per_second.get(), config.request_timeout_ms),
        (5, 5_000)
    );
    assert!(config.chains.is_empty());
}

#[test]
fn keys_and_chains_are_read() {
    let text = "[cow]\nrequests_per_second = 50\nrequest_timeout_ms = 700\n\
                [cow.1]\nbase_url = \"https://barn.api.cow.fi/mainnet\"\n\
                [cow.31337]\nbase_url = \"http://user:a-secret-password@127.0.0.1:8080/a-secret-path/\"\n";
    let config = read(text).unwrap();
    assert_eq!((config.requests_per_second.get(), config.request_timeout_ms), (50, 700));
    let url = |chain_id| config.chains[&chain_id].base_url.as_ref().unwrap().to_string();
    assert_eq!(url(1), "https://barn.api.cow.fi");
    assert_eq!(url(31_337), "http://127.0.0.1:8080");
    let shown = format!("{config:?} {:?}", OrderBooks::new(&config));
    assert!(shown.contains("127.0.0.1") && !shown.contains("secret"), "{shown}");
}

#[test]
fn the_public_order_books_need_no_configuration() {
    let chains: Vec<_> = OrderBooks::new(&CowConfig::default()).chains().collect();
    assert_eq!(
        chains,
        [
            1, 56, 100, 137, 8_453, 9_745, 42_161, 43_114, 57_073, 59_144, 11_155_111
        ]
    );
    // The list has every chain that `cowprotocol` knows, and Ink.
    let known = (0..100_000)
        .chain([11_155_111])
        .filter(|id| *id == 57_073 || cowprotocol::Chain::try_from(*id).is_ok());
    assert_eq!(known.collect::<Vec<_>>(), chains);
}

#[test]
fn orders_are_signed_for_the_contract_of_their_order_book() {
    let production = address!("9008d19f58aabd9ed0d60971565aa8510560ab41");
    let staging = address!("f553d092b50bdcbddeD1A99aF2cA29FBE5E2CB13");
    let own = address!("0000000000000000000000000000000000001234");
    let config = read(
        "[cow.1]\nbase_url = \"https://barn.api.cow.fi/mainnet/\"\n\
         [cow.100]\nheaders = { X-API-Key = \"a-secret-key\" }\n\
         [cow.57073]\nsettlement = \"0x0000000000000000000000000000000000001234\"\n\
         [cow.31337]\nbase_url = \"http://user:a-secret-password@127.0.0.1:8080/a-secret-path/\"\n",
    );
    let books = OrderBooks::new(&config.unwrap());
    for (chain_id, host, settlement) in [
        (1, "https://barn.api.cow.fi", staging),
        (100, "https://api.cow.fi", production),
        (57_073, "https://api.cow.fi", own),
        (31_337, "http://127.0.0.1:8080", production),
        (11_155_111, "https://api.cow.fi", production),
    ] {
        let facts = books.facts().find(|facts| facts.chain_id == chain_id).unwrap();
        assert_eq!(
            (facts.host.as_str(), facts.settlement),
            (host, settlement),
            "{chain_id}"
        );
        let domain = cowprotocol::settlement_domain(chain_id, settlement);
        assert_eq!(facts.domain_separator, domain.separator(), "{chain_id}");
    }
    // The separator of the production contract on mainnet, as its `domainSeparator()` returns it.
    let mainnet = OrderBooks::new(&CowConfig::default()).facts().next().unwrap();
    assert_eq!(
        mainnet.domain_separator,
        b256!("c078f884a2676e1345748b1feace7b0abee5d00ecadb6e574dcdd109a63e8943")
    );
    let shown = format!("{books:?} {:?}", books.facts().collect::<Vec<_>>());
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn errors_name_the_place_and_show_no_secret() {
    for (text, expected) in [
        (
            "[cow]\nrequest_per_second = 1\n",
            "cow.request_per_second: unknown key, the nearest known one is requests_per_second",
        ),
        (
            "[cow]\nrequests_per_second = 0\n",
            "cow.requests_per_second: expected a whole number from 1 to 10000, found 0",
        ),
        (
            "[cow]\nrequest_timeout_ms = 3600001\n",
            "expected a whole number from 1 to 3600000",
        ),
        (
            "[cow.01]\nbase_url = \"http://h\"\n",
            "cow.01: expected a chain id in decimal",
        ),
        (
            "[cow.99999999999999999999]\nbase_url = \"http://h\"\n",
            "expected a chain id in decimal",
        ),
        ("[cow.mainnet]\nbase_url = \"http://h\"\n", "cow.mainnet: unknown key"),
        ("[cow.31337]\n", "cow.31337.base_url: missing key"),
        (
            "[cow.1]\nsettlement = \"0x12\"\n",
            "cow.1.settlement: invalid string length",
        ),
        (
            "[cow.1]\nheaders = { \"Content-Type\" = \"secret\" }\n",
            "cow.1.headers: the header `Content-Type` cannot be set",
        ),
        (
            "[cow.1]\nheaders = { key = \"a\\nsecret\" }\n",
            "cow.1.headers: the value of the header `key` must be up to 8192 printable characters",
        ),
        ("[cow.1]\nurl = \"http://h\"\n", "cow.1.url: unknown key"),
        ("[cow]\n1 = 2\n", "cow.1: expected a table"),
        (
            "[cow.1]\nbase_url = \"ftp://user:secret@h/secret\"\n",
            "has a scheme other than http and https",
        ),
        (
            "[cow.1]\nbase_url = \"http://h/?key=secret\"\n",
            "has a query or a fragment",
        ),
        ("[cow.1]\nbase_url = \"secret\"\n", "is not a URL"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
        assert!(!error.contains("secret"), "{text}: {error}");
    }
}
