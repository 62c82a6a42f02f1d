use alloy_primitives::{B256, Signature, eip191_hash_message, hex};
use nexum_accounts::TypedMessage;
use nexum_config::limits::{Limit, Limits};
use nexum_core::capability::HostCallKind;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::host::{ADDRESS, Host, KEY, PASSWORD, address, sections, with_account};

/// An order that the rule of [`ORDER_RULE`] allows.
pub(crate) const ORDER: &str = r#"{
    "types": {"Order": [{"name": "receiver", "type": "address"}]},
    "primaryType": "Order",
    "domain": {"name": "Market", "chainId": 1, "verifyingContract": "0x9008D19f58AAbD9eD0D60971565AA8510560ab41"},
    "message": {"receiver": "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23"}
}"#;

pub(crate) const ORDER_RULE: &str =
    "typed_data = [{ chain = 1, contract = \"0x9008D19f58AAbD9eD0D60971565AA8510560ab41\", primary_type = \"Order\" }]";

/// The signature in a line of the module, which the key has made over the digest.
fn assert_signed(line: &str, digest: B256) {
    let bytes = hex::decode(line.strip_prefix("ok ").unwrap_or_else(|| panic!("{line}"))).unwrap();
    assert!(bytes.len() == 65 && matches!(bytes[64], 27 | 28), "{line}");
    let signature = Signature::from_raw(&bytes).unwrap();
    assert_eq!(signature.recover_address_from_prehash(&digest).unwrap(), address());
}

#[tokio::test]
async fn a_module_signs_a_message() {
    let config = with_account(&[("message", "login: 7")]);
    let rules = sections("messages = { prefixes = [\"login: \"] }");
    let host = Host::start(&rules, &config, Limits::default()).await;
    let said = host.said_of_next().await;
    assert_eq!(
        said[0].to_lowercase(),
        format!("accounts: {}", &ADDRESS[2..]).to_lowercase()
    );
    let digest = eip191_hash_message(b"login: 7");
    assert_signed(&said[1], digest);
    let record = host.records.find("signed").expect("the record");
    for (field, value) in [
        ("module", "signer"),
        ("event", "11155111:0:block"),
        ("account", "keeper"),
        ("kind", "message"),
        ("digest", &digest.to_string()),
        ("rule", "identity.signer.keeper.messages"),
    ] {
        assert_eq!(record.fields[field], value, "{field}");
    }
    let log = format!("{:?}", host.records.all());
    for secret in [KEY, PASSWORD, "login: 7"] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_module_signs_typed_data() {
    let config = with_account(&[("typed_data", ORDER)]);
    let host = Host::start(&sections(ORDER_RULE), &config, Limits::default()).await;
    let said = host.said_of_next().await;
    let digest = TypedMessage::parse(ORDER).unwrap().preimage().digest();
    assert_signed(&said[1], digest);
    let record = host.records.find("signed").expect("the record");
    assert_eq!(record.fields["kind"], "typed_data");
    assert_eq!(record.fields["digest"], digest.to_string());
    assert_eq!(record.fields["rule"], "identity.signer.keeper.typed_data[0]");
}

#[tokio::test]
async fn init_may_sign() {
    let config = with_account(&[("message", "login: 7"), ("at", "init")]);
    let rules = sections("messages = { prefixes = [\"login: \"] }");
    let host = Host::start(&rules, &config, Limits::default()).await;
    host.said_of_next().await;
    let said = host.records.of_module("signer");
    assert_signed(&said[0], eip191_hash_message(b"login: 7"));
    let record = host.records.find("signed").expect("the record");
    assert_eq!(record.fields["event"], "init");
}

#[tokio::test]
async fn signatures_have_a_budget() {
    // Refused ones count too.
    for rules in ["messages = { prefixes = [\"login: \"] }", ""] {
        let config = with_account(&[("message", "login: 7"), ("count", "5")]);
        let limits = Limits::default().with(Limit::Signatures, 3);
        let host = Host::start(&sections(rules), &config, limits).await;
        let said = host.said_of_next().await;
        assert_eq!(said.len(), 1 + 3, "{said:?}");
        let record = host
            .records
            .find("a limit was exceeded")
            .expect("the record of the limit");
        assert_eq!(record.fields["limit"], "signatures_per_event");
    }
}

#[tokio::test]
async fn a_signer_that_hangs_is_a_timeout_before_the_event_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = tokio::task::JoinSet::new();
    server.spawn(async move {
        let mut streams = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4_096]).await;
            streams.push(stream);
        }
    });
    let rules = format!(
        "[accounts.remote]\naddress = \"{ADDRESS}\"\nsigner = {{ web3signer = \"http://127.0.0.1:{port}\" }}\n\
         [identity.signer.remote]\nmessages = {{ prefixes = [\"login: \"] }}\n"
    );
    let config = with_account(&[("message", "login: 7")]);
    let limits = Limits::default().with(Limit::Deadline, 500);
    let host = Host::start(&rules, &config, limits).await;
    let (said, call) = tokio::join!(host.said_of_next(), host.current_call());
    assert_eq!((call.kind, call.method), (HostCallKind::Other, "sign"));
    assert_eq!(call.endpoint.as_deref(), Some(&*format!("http://127.0.0.1:{port}")));
    assert_eq!(
        said[1],
        "timeout 0 (identity: the signer did not answer before the end of the event)"
    );
    let record = host.records.find("could not sign").expect("the record");
    assert_eq!(
        (&*record.fields["account"], &*record.fields["rule"]),
        ("remote", "identity.signer.remote.messages")
    );
}

#[tokio::test]
async fn a_keystore_that_does_not_open_is_unavailable() {
    let rules = sections("messages = { prefixes = [\"login: \"] }")
        .replace("password_file = \"password\"", "password_file = \"key.json\"");
    let config = with_account(&[("message", "login: 7")]);
    let host = Host::start(&rules, &config, Limits::default()).await;
    let said = host.said_of_next().await;
    assert_eq!(
        said[1],
        "unavailable 0 (identity: the account's keystore cannot be opened)"
    );
    let record = host.records.find("could not sign").expect("the record");
    assert_eq!(
        record.fields["error"],
        "the account's keystore cannot be opened: the password does not open the keystore"
    );
}
