use nexum_sdk::accounts::{self, Account};
use nexum_sdk::testing::Host;
use nexum_sdk::{Address, ErrorKind};
use serde_json::json;

use crate::module::on_host;

#[test]
fn signs_with_the_keys_of_the_module_alone() {
    let mut host = Host::new();
    host.accounts = vec![Address::with_last_byte(1)];
    let (known, signature, other) = on_host(host, || {
        let known = accounts::all().expect("the accounts");
        let signature = known[0].sign(b"text").expect("signed");
        assert_eq!(known[0].sign_typed_data(&json!({})).expect("signed").len(), 65);
        (known, signature, Account(Address::ZERO).sign(b"text"))
    });
    assert_eq!(known, [Account(Address::with_last_byte(1))]);
    assert_eq!(signature[64], 27);
    assert_eq!(other.expect_err("unknown").kind(), ErrorKind::Denied);
}
