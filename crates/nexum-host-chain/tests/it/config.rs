use std::path::Path;

use nexum_config::document::{ConfigError, Environment};
use nexum_config::engine::Config;
use nexum_config::hint::Hint as _;
use nexum_host_chain::{ChainConfig, Chains, EndpointUrl, EndpointUrlError, SubmitConfig, VerifyLogs, methods};

fn parse(table: &str) -> Result<ChainConfig, String> {
    let text = format!("[chains.1]\n{table}");
    let config = Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).unwrap();
    let parsed = ChainConfig::from_section(1, &config.chains[&1]).map_err(|errors| errors.to_string());
    assert_eq!(Chains::from_sections(&config.chains).is_ok(), parsed.is_ok());
    parsed
}

#[test]
fn a_chain_needs_its_url_alone() {
    let config = parse("rpc_url = 'wss://node.example.org/v2/secret-key'").unwrap();
    assert_eq!(config.endpoints()[0].url.to_string(), "wss://node.example.org:443");
    assert_eq!(config.request_timeout_ms, 10_000);
    assert_eq!(config.response_bytes_max, 16 * 1_024 * 1_024);
    assert_eq!(config.poll_interval_ms, 2_000);
    assert_eq!((config.retries, config.reorg_depth_max), (3, 128));
    assert_eq!((config.head_stall_seconds, config.startup_timeout_ms), (180, 30_000));
    assert_eq!(config.verify_logs, VerifyLogs::Bloom);
    assert_eq!(config.endpoints().len(), 1);
    assert_eq!(config.endpoints()[0].priority, 0);
    assert!(config.extra_methods.is_empty());
}

#[test]
fn every_key_is_taken() {
    let config = parse(
        "rpc_url = '/var/run/node.sock'\nextra_methods = ['trace_block', 'debug_traceCall']\nrequest_timeout_ms = 1\n\
         response_bytes_max = 1048576\npoll_interval_ms = 250\nretries = 0\nreorg_depth_max = 64\nhead_stall_seconds = 60\n\
         startup_timeout_ms = 5\nverify_logs = 'receipts'\nrequire_ws = true\nuse_proxy = true",
    )
    .unwrap();
    assert_eq!(config.endpoints()[0].url.to_string(), "ipc");
    assert_eq!(
        config.extra_methods.iter().collect::<Vec<_>>(),
        ["debug_traceCall", "trace_block"]
    );
    assert_eq!(
        (
            config.request_timeout_ms,
            config.response_bytes_max,
            config.poll_interval_ms
        ),
        (1, 1_048_576, 250)
    );
    assert_eq!((config.retries, config.reorg_depth_max), (0, 64));
    assert_eq!((config.head_stall_seconds, config.startup_timeout_ms), (60, 5));
    assert_eq!(config.verify_logs, VerifyLogs::Receipts);
    assert!(config.require_ws && config.use_proxy);
}

#[test]
fn a_chain_may_have_several_endpoints() {
    let config = parse(
        "[[chains.1.endpoints]]\nurl = 'wss://a.example.org/key'\n\
         [[chains.1.endpoints]]\nurl = 'https://b.example.org'\npriority = 2\nrequests_per_second = 25\n\
         max_log_range_blocks = 10000\nmax_addresses = 100\nheaders = { Authorization = 'Bearer hunter2', x-key = 'topsecret' }",
    )
    .unwrap();
    let [first, second] = config.endpoints() else {
        panic!("two endpoints")
    };
    assert_eq!((first.priority, first.requests_per_second), (0, None));
    assert_eq!(second.url.to_string(), "https://b.example.org:443");
    assert_eq!(second.priority, 2);
    assert_eq!(second.requests_per_second.unwrap().get(), 25);
    assert_eq!(second.max_log_range_blocks.unwrap().get(), 10_000);
    assert_eq!(second.max_addresses.unwrap().get(), 100);
    let shown = format!("{config:?}");
    assert!(
        shown.contains("x-key") && !shown.contains("hunter2") && !shown.contains("topsecret"),
        "{shown}"
    );
}

#[test]
fn a_chain_may_have_places_for_transactions() {
    let config = parse("rpc_url = 'https://a'").unwrap();
    assert!(config.submit().is_empty());
    let config = parse(
        "rpc_url = 'https://a'\n[[chains.1.submit]]\nurl = 'https://relay.example/secret-key'\nprivate = true\n\
         [[chains.1.submit]]\nurl = 'https://other.example'\nprivate = true\nblocks = 3\nheaders = { X-Key = 'hunter2' }",
    )
    .unwrap();
    let [first, second] = config.submit() else {
        panic!("two places")
    };
    let relay = |place: &SubmitConfig| place.relay.map(|relay| (relay.blocks.get(), relay.fallback));
    assert_eq!((relay(first), relay(second)), (Some((25, false)), Some((3, false))));
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("secret-key"), "{shown}");
    let config = parse("rpc_url = 'https://a'\n[[chains.1.submit]]\nurl = 'https://b'").unwrap();
    assert_eq!(relay(&config.submit()[0]), None);
}

#[test]
fn what_is_wrong_with_a_place_for_transactions_is_said_with_its_key_and_a_remedy() {
    let place = |keys: &str| format!("rpc_url = 'https://a'\n[[chains.1.submit]]\nurl = 'https://b'\n{keys}\n");
    let second = |keys: &str| format!("[[chains.1.submit]]\nurl = 'https://c'\n{keys}\n");
    for (table, key, message) in [
        (
            place("blocks = 25"),
            "submit[0].blocks",
            "the submit place is not private, found 25 (remove blocks, or write private = true for a private relay)",
        ),
        (
            place("fallback = true"),
            "submit[0].fallback",
            "the submit place is not private",
        ),
        (place("private = true\nblocks = 0"), "submit[0].blocks", "1"),
        (
            place("private = true\nblocks = 1001"),
            "submit[0].blocks",
            "from 1 to 1000",
        ),
        (
            place("privat = true"),
            "submit[0].privat",
            "unknown key, the nearest known one is private",
        ),
        (
            place("") + &second("private = true"),
            "submit[1]",
            "one public place shows the transaction to everyone",
        ),
        (
            place("private = true\nfallback = true") + &second("private = true"),
            "submit[1]",
            "write the same fallback for all submit places",
        ),
        (
            place("") + &second("").replace("//c", "//b"),
            "submit[1].url",
            "the same submit place as one before it",
        ),
        (place("").replace("url = 'https://b'", ""), "submit[0]", "missing key"),
        (
            place("headers = { a = 'b' }").replace("https://b", "/node.ipc"),
            "submit[0].headers",
            "an ipc socket takes no headers",
        ),
        (
            place("") + &second("").repeat(16),
            "submit",
            "expected at most 16 submit places",
        ),
        (
            "rpc_url = 'https://a'\nsubmit = ['https://b']".to_owned(),
            "submit",
            "array of tables",
        ),
    ] {
        let text = format!("[chains.1]\n{table}");
        let config = Config::parse(Path::new("engine.toml"), text.as_bytes(), &Environment::closed()).unwrap();
        let errors = ChainConfig::from_section(1, &config.chains[&1]).unwrap_err();
        let with_hint = |error: &ConfigError| format!("{error} ({})", error.hint().unwrap_or_default());
        let said: Vec<_> = errors.iter().map(with_hint).collect();
        let is_there = |said: &String| said.contains(&format!("chains.1.{key}")) && said.contains(message);
        assert!(said.iter().any(is_there), "{said:?}");
    }
}

#[test]
fn one_endpoint_over_ws_is_enough_for_a_chain_that_requires_it() {
    let http = "[[chains.1.endpoints]]\nurl = 'https://one.example'\n";
    for (ws, accepted) in [
        ("", false),
        ("[[chains.1.endpoints]]\nurl = 'wss://two.example'", true),
        ("[[chains.1.endpoints]]\nurl = '/node.ipc'", true),
    ] {
        assert_eq!(
            parse(&format!("require_ws = true\n{http}{ws}")).is_ok(),
            accepted,
            "{ws}"
        );
        assert!(parse(&format!("require_ws = false\n{http}{ws}")).is_ok());
    }
}

#[test]
fn what_is_wrong_with_an_endpoint_is_said_with_its_key() {
    let endpoint = "[[chains.1.endpoints]]\nurl = 'https://a'\n";
    for (table, key, message) in [
        (
            format!("rpc_url = 'https://a'\n{endpoint}"),
            "chains.1.rpc_url",
            "`endpoints` as well",
        ),
        ("endpoints = []".to_owned(), "chains.1.endpoints", "expected 1 to 16"),
        (
            "endpoints = ['https://a']".to_owned(),
            "chains.1.endpoints",
            "array of tables",
        ),
        (endpoint.repeat(17), "chains.1.endpoints", "expected 1 to 16"),
        (endpoint.repeat(2), "chains.1.endpoints[1].url", "the same endpoint"),
        (
            "[[chains.1.endpoints]]\npriority = 1".to_owned(),
            "chains.1.endpoints[0]",
            "url",
        ),
        (
            format!("{endpoint}uri = 'x'"),
            "chains.1.endpoints[0].uri",
            "unknown key",
        ),
        (
            format!("{endpoint}priority = 1001"),
            "chains.1.endpoints[0].priority",
            "from 0 to 1000",
        ),
        (
            format!("{endpoint}requests_per_second = 0"),
            "chains.1.endpoints[0].requests_per_second",
            "from 1 to 1000",
        ),
        (
            format!("{endpoint}max_log_range_blocks = 0"),
            "chains.1.endpoints[0].max_log_range_blocks",
            "from 1 to",
        ),
        (
            format!("{endpoint}max_addresses = 1001"),
            "chains.1.endpoints[0].max_addresses",
            "from 1 to 1000",
        ),
        (
            format!("{endpoint}headers = {{ 'a b' = 'x' }}"),
            "chains.1.endpoints[0].headers",
            "not the name",
        ),
        (
            format!("{endpoint}headers = {{ Host = 'x' }}"),
            "chains.1.endpoints[0].headers",
            "cannot be set",
        ),
        (
            format!("{endpoint}headers = {{ a = 'x', A = 'y' }}"),
            "chains.1.endpoints[0].headers",
            "there twice",
        ),
        (
            format!("{endpoint}headers = {{ x = \"hunter2\\n\" }}"),
            "chains.1.endpoints[0].headers",
            "printable characters",
        ),
        (
            "[[chains.1.endpoints]]\nurl = '/run/geth.ipc'\nheaders = { a = 'x' }".to_owned(),
            "chains.1.endpoints[0].headers",
            "takes no headers",
        ),
    ] {
        let error = parse(&table).unwrap_err();
        assert!(error.contains(key) && error.contains(message), "{table}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_key() {
    let url = "rpc_url = 'http://localhost:8545'\n";
    for (table, key, message) in [
        ("".to_owned(), "chains.1", "rpc_url"),
        ("rpc_url = 'ftp://h'".to_owned(), "chains.1.rpc_url", "scheme"),
        ("rpc_url = 'node'".to_owned(), "chains.1.rpc_url", "neither a URL nor"),
        (format!("{url}rpc_ulr = 'x'"), "chains.1.rpc_ulr", "unknown key"),
        (
            format!("{url}request_timeout_ms = 0"),
            "chains.1.request_timeout_ms",
            "from 1 to 3600000",
        ),
        (
            format!("{url}response_bytes_max = 5"),
            "chains.1.response_bytes_max",
            "from 1048576 to",
        ),
        (
            format!("{url}poll_interval_ms = 100000000"),
            "chains.1.poll_interval_ms",
            "from 10 to 60000",
        ),
        (format!("{url}retries = 11"), "chains.1.retries", "from 0 to 10"),
        (
            format!("{url}reorg_depth_max = 0"),
            "chains.1.reorg_depth_max",
            "from 1 to 1000",
        ),
        (
            format!("{url}head_stall_seconds = 0"),
            "chains.1.head_stall_seconds",
            "from 1 to",
        ),
        (
            format!("{url}startup_timeout_ms = 0"),
            "chains.1.startup_timeout_ms",
            "from 1 to",
        ),
        (format!("{url}verify_logs = 'all'"), "chains.1.verify_logs", "off"),
        (
            format!("{url}require_ws = true"),
            "chains.1.require_ws",
            "no endpoint of the chain has a ws, wss or ipc address",
        ),
        ("require_ws = true".to_owned(), "chains.1", "missing key rpc_url"),
        (
            format!("{url}extra_methods = ['']"),
            "chains.1.extra_methods",
            "printable",
        ),
        (
            format!("{url}extra_methods = ['eth_subscribe']"),
            "chains.1.extra_methods",
            "eth_subscribe cannot be allowed",
        ),
    ] {
        let error = parse(&table).unwrap_err();
        assert!(error.contains(key) && error.contains(message), "{table}: {error}");
    }
}

#[test]
fn an_endpoints_url_shows_scheme_host_and_port_only() {
    for (text, shown) in [
        (
            "https://user:password@node.example.org:8443/v3/0123456789abcdef?apikey=topsecret#part",
            "https://node.example.org:8443",
        ),
        ("ws://127.0.0.1:8546", "ws://127.0.0.1:8546"),
        ("http://[::1]:8545/key", "http://[::1]:8545"),
        ("https://node.example.org:443/key", "https://node.example.org:443"),
        ("wss://node.example.org/key", "wss://node.example.org:443"),
        ("http://node.example.org", "http://node.example.org:80"),
        ("ws://node.example.org", "ws://node.example.org:80"),
        ("/home/me/.ethereum/geth.ipc", "ipc"),
        ("ipc:///run/geth", "ipc"),
        ("geth.ipc", "ipc"),
    ] {
        let url = EndpointUrl::parse(text).unwrap();
        assert_eq!(url.to_string(), shown);
        assert_eq!(format!("{url:?}"), format!("EndpointUrl({shown})"));
    }
    for (text, error) in [
        ("", EndpointUrlError::Malformed),
        ("node.example.org:8545", EndpointUrlError::Scheme),
        ("http://", EndpointUrlError::Malformed),
        ("ipc://", EndpointUrlError::NoHost),
        ("file:///etc/passwd", EndpointUrlError::Scheme),
    ] {
        assert_eq!(EndpointUrl::parse(text), Err(error), "{text}");
    }
}

#[test]
fn the_allowed_methods_are_sorted_and_none_of_them_writes() {
    assert!(methods::READ_METHODS.is_sorted());
    for word in [
        "send",
        "sign",
        "subscribe",
        "Filter",
        "mine",
        "admin",
        "personal",
        "debug",
    ] {
        assert!(
            !methods::READ_METHODS.iter().any(|method| method.contains(word)),
            "{word}"
        );
    }
    assert!(methods::is_read("eth_call"));
}
