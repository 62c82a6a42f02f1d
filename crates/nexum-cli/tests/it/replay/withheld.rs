//! The requests that a trial does not send, and the reads that it cannot pin.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};

use nexum_testing::Anvil;
use serde_json::json as value;

#[cfg(feature = "identity")]
use super::table;
use super::{configure, module, report};
use crate::Dir;
use crate::control::BLOCKS;

/// A server that answers each request, and sends its first line.
fn server() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (sender, requests) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).expect("a request");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    (address, requests)
}

#[tokio::test]
async fn a_read_over_http_is_one_of_today_and_can_be_refused() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    anvil.mine(1).await;
    let (address, requests) = server();
    let hosts = format!("allow = [{address:?}]\nallow_http = [{address:?}]\nallow_private = [{address:?}]\n");
    configure(&dir, &anvil, &format!("[http]\n{hosts}"));
    let manifest = format!(
        "[capabilities]\nrequired = [\"http\", \"store\"]\n[capabilities.http]\nallow = [{address:?}]\n{BLOCKS}\
         [config]\nbase = \"http://{address}\"\nrequests = \"POST /pay/{{n}}\"\nverdict = \"/verdict\"\n"
    );
    for name in ["effects", "wasi-effects"] {
        module(&dir, name, &manifest);
        let component = format!("{name}/{name}.wasm");
        let args = ["try", &component, "--block", "1"];
        let found = report(&dir, &args, 0);
        let event = &found["events"][1];
        let expected = value!([{ "kind": "http", "what": format!("http://{address}"), "count": 1 }]);
        assert_eq!(
            (&event["not_pinned"], &event["effects"][0]["answer"]),
            (&expected, &value!("denied"))
        );
        // The only request is the read.
        assert_eq!(requests.recv().expect("a request"), "GET /verdict HTTP/1.1\r\n");

        let refused = report(&dir, &[&args[..], &["--pinned-only"]].concat(), 1);
        assert_eq!(refused["events"][1]["not_pinned"], expected, "{refused:#}");
        assert_eq!(refused["events"][1]["writes"], value!([]), "{refused:#}");
    }
    assert!(requests.try_recv().is_err(), "a trial has sent a request");
}

#[tokio::test]
#[cfg(feature = "identity")]
async fn a_trial_obeys_the_rules_of_an_account_and_uses_no_key() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    anvil.mine(1).await;
    let account = "2c7536E3605D9C16a7a3D7b1898e529396a65c23";
    // The files of the key do not exist.
    let accounts = format!(
        "[accounts.keeper]\naddress = \"0x{account}\"\nsigner = {{ keystore = \"absent.json\", password_file = \"absent\" }}\n\
         [identity.signer.keeper]\nmessages = {{ prefixes = [\"login: \"] }}\n"
    );
    configure(&dir, &anvil, &format!("{}{accounts}", table("signer")));
    let args = [
        "try",
        "signer/signer.wasm",
        "--block",
        "1",
        "--module",
        "signer",
        "--effects",
        "assume-ok",
    ];
    for (message, log, effects) in [
        ("login: 7", format!("INFO ok {}", "00".repeat(65)), 1),
        ("transfer: 7", "WARN denied".to_owned(), 0),
    ] {
        module(
            &dir,
            "signer",
            &format!(
                "[capabilities]\nrequired = [\"identity\"]\n{BLOCKS}[config]\naccount = \"{account}\"\nmessage = \"{message}\"\n"
            ),
        );
        let found = report(&dir, &args, 0);
        let event = &found["events"][1];
        assert!(
            event["log"][1].as_str().is_some_and(|line| line.starts_with(&log)),
            "{found:#}"
        );
        let withheld = event["effects"].as_array().expect("effects");
        assert_eq!(withheld.len(), effects, "{found:#}");
        for effect in withheld {
            assert_eq!(
                (&effect["kind"], &effect["to"]),
                (&value!("signature"), &value!("keeper"))
            );
            assert_eq!(effect["request"]["preview"], message);
        }
    }
}
