//! alloy's provider over the mock host.

use nexum_sdk::alloy::{Provider, host_error, provider};
use nexum_sdk::testing::Host;
use nexum_sdk::{Address, Chain, Error, ErrorKind, U256, block_on, try_join_all};
use serde_json::json;

use crate::module::on_host;

#[test]
fn calls_that_are_awaited_together_are_one_batch() {
    let mut host = Host::new();
    host.on_rpc(|chain, method, params| {
        assert_eq!((chain, method, &params[1]), (5, "eth_getBalance", &json!("latest")));
        Some(Ok(json!("0x7")))
    });
    let sum = on_host(host, || {
        block_on(async {
            let provider = provider(Chain::new(5));
            let balances = (0..10).map(|n| {
                let call = provider.get_balance(Address::with_last_byte(n));
                async move { call.await }
            });
            let sum: U256 = try_join_all(balances).await?.into_iter().sum();
            Ok(sum)
        })
    });
    assert_eq!(sum, Ok(U256::from(70)));
}

#[test]
fn an_error_of_the_endpoint_keeps_its_code_and_data() {
    let mut host = Host::new();
    host.on_rpc(|_, _, _| {
        let error = Error::new(ErrorKind::InvalidInput, "execution reverted");
        Some(Err(error.with_code(3).with_data("0x01")))
    });
    on_host(host, || {
        let error = block_on(async { Ok(provider(Chain::new(5)).get_block_number().await) });
        let error = error.expect("the host is there").expect_err("the endpoint refuses");
        let payload = error.as_error_resp().expect("the endpoint's error");
        assert_eq!((payload.code, &payload.message[..]), (3, "execution reverted"));
        assert_eq!(payload.data.as_ref().map(|data| data.get()), Some("\"0x01\""));
    });
}

#[test]
fn an_error_of_the_host_keeps_its_kind() {
    let mut host = Host::new();
    host.on_rpc(|_, _, _| Some(Err(Error::new(ErrorKind::Timeout, "no answer in time"))));
    on_host(host, || {
        let error = block_on(async { Ok(provider(Chain::new(5)).get_block_number().await) });
        let error = error.expect("the host is there").expect_err("no answer");
        let found = host_error(&error).expect("the host's error");
        assert_eq!(found.kind(), ErrorKind::Timeout);
        assert_eq!(Error::from(error).to_string(), "internal: timeout: no answer in time");
    });
}
