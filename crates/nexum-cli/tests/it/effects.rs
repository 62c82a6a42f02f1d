//! `nexum effect`: a payment whose outcome nexum does not know, because it was killed before the answer came.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};

use nexum_testing::Anvil;
use serde_json::{Value, json as value};

use crate::Dir;
use crate::control::{BLOCKS, done, json, start_logged, until};
use crate::running::{Log, Started, terminate};

const UNKNOWN: [&str; 5] = ["effect", "list", "--unknown", "--format", "json"];
const LETTERS: [&str; 5] = ["dead-letter", "list", "fetcher", "--format", "json"];

/// A server that never answers its first request, and accepts all others.
struct Shop {
    address: String,
    requests: Receiver<String>,
}

impl Shop {
    fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || serve(&listener, &sender));
        Self { address, requests }
    }

    /// Waits for the next request.
    fn request(&self) -> String {
        self.requests.recv().expect("a request")
    }

    /// A daemon with a module that pays once for each block.
    fn start(&self, dir: &Dir, anvil: &Anvil) -> (Started, Log) {
        let address = &self.address;
        dir.guest("fetcher");
        dir.write(
            "nexum.toml",
            format!(
                "[capabilities]\nrequired = [\"http\", \"store\"]\n[capabilities.http]\nallow = [{address:?}]\n{BLOCKS}\
                 [config]\nmethod = \"POST\"\nurl = \"http://{address}/pay\"\nbody = \"amount=7\"\n"
            ),
        );
        let hosts = format!("allow = [{address:?}]\nallow_http = [{address:?}]\nallow_private = [{address:?}]\n");
        let configuration = format!("[http]\n{hosts}[[modules]]\npath = \"fetcher.wasm\"\nname = \"fetcher\"\n");
        start_logged(dir, anvil, &configuration, &["run"])
    }

    /// Kills a daemon that waits for the answer to its first payment, of the only block of the chain.
    fn kill_in_payment(&self, dir: &Dir, anvil: &Anvil) {
        let (mut child, _log) = self.start(dir, anvil);
        let request = self.request();
        assert!(
            request.starts_with("POST /pay ") && request.ends_with("amount=7"),
            "{request}"
        );
        child.kill().expect("a kill");
        child.wait().expect("an end");
    }
}

fn serve(listener: &TcpListener, requests: &Sender<String>) {
    let mut silent = None;
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        let request = read(&mut stream);
        match silent {
            // The connection stays open until the client ends it.
            None => silent = Some(stream),
            Some(_) => {
                drop(stream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 4\r\nconnection: close\r\n\r\npaid"))
            }
        }
        if requests.send(request).is_err() {
            break;
        }
    }
}

/// Reads a request whose body ends with the amount.
fn read(stream: &mut TcpStream) -> String {
    let (mut request, mut buffer) = (Vec::new(), [0; 1_024]);
    while !request.ends_with(b"amount=7") {
        match stream.read(&mut buffer).expect("a request") {
            0 => break,
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    String::from_utf8(request).expect("text")
}

fn end(child: Started) {
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

#[tokio::test]
async fn a_payment_in_doubt_is_resolved_as_done_and_never_sent_again() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let shop = Shop::open();
    shop.kill_in_payment(&dir, &anvil);
    let (child, log) = shop.start(&dir, &anvil);
    let letters = until(&dir, &LETTERS, |letters| letters[0].is_object()).await;
    let event = letters[0]["event"].as_str().expect("an event");
    let reason = letters[0]["attempts"][0]["reason"].to_string();
    assert!(
        reason.contains("effect 1 of this event") && reason.contains("`nexum effect resolve`"),
        "{reason}"
    );

    let listed = json(&dir, &UNKNOWN);
    let expected = value!({
        "module": "fetcher", "event": event, "number": 1, "kind": "http", "class": "once", "in_doubt": true,
        "stranded": false, "attempt": 1,
    });
    for (name, field) in expected.as_object().expect("fields") {
        assert_eq!(listed[0][name], *field, "{name}: {listed:#}");
    }
    assert_eq!((listed[1].clone(), listed[0].get("request")), (Value::Null, None));
    let command = "1 effect in doubt: `nexum effect list fetcher --unknown`";
    let status = dir.nexum(&["status"]);
    assert_eq!(status.code, Some(1));
    assert!(status.stdout.contains(command), "{}", status.stdout);
    let of_module = dir.nexum(&["status", "fetcher"]);
    assert!(of_module.stdout.contains(command), "{}", of_module.stdout);
    let health = dir.nexum(&["health"]);
    assert_eq!(health.code, Some(0), "{}", health.stdout);
    assert!(
        health.stdout.contains(&format!("note: module fetcher: {command}")),
        "{}",
        health.stdout
    );

    let shown = dir.nexum(&["effect", "show", "fetcher", event, "1"]).stdout;
    for part in [
        "in doubt",
        "amount=7",
        "POST http://",
        "ask the receiver",
        "--as not-sent",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let missing = dir.nexum(&["effect", "show", "fetcher", event, "2"]);
    assert_eq!(missing.code, Some(2));
    assert!(
        missing
            .stderr
            .contains(&format!("error[effect-not-found]: fetcher has no effect 2 of {event}")),
        "{}",
        missing.stderr
    );

    dir.write(
        "answer",
        "HTTP/1.1 201 Created\r\ncontent-type: text/plain\r\n\r\nfound",
    );
    let resolve = [
        "effect", "resolve", "fetcher", event, "1", "--as", "done", "--answer", "answer",
    ];
    let retry = format!("retry it with `nexum dead-letter retry fetcher {event}`");
    done(&dir, &[&resolve[..], &["--reason", "the shop has it"]].concat(), &retry);
    let records = log.until(|line| line.contains("nexum::audit"));
    let record = records.last().expect("a record");
    assert!(
        record.contains("effect_resolve") && record.contains("the shop has it") && record.contains(event),
        "{record}"
    );
    assert!(record.contains("effect=1 "), "{record}");
    assert_eq!(json(&dir, &UNKNOWN), value!([]));
    done(&dir, &["dead-letter", "retry", "fetcher", event], "is handled");
    done(&dir, &["state", "get", "fetcher", "answer", "--utf8"], "201 found");
    let whole = json(&dir, &["effect", "show", "fetcher", event, "1", "--format", "json"]);
    assert_eq!(
        (&whole["state"], &whole["in_doubt"]),
        (&"done".into(), &false.into()),
        "{whole:#}"
    );
    assert_eq!(
        whole["request"],
        value!({"text": format!("POST http://{}/pay\n\namount=7", shop.address)})
    );
    assert_eq!(dir.nexum(&["status"]).code, Some(0));
    end(child);
    assert!(shop.requests.try_recv().is_err(), "a second payment");
}

#[tokio::test]
async fn without_a_daemon_a_payment_is_resolved_as_not_sent_exported_and_imported() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let shop = Shop::open();
    shop.kill_in_payment(&dir, &anvil);
    let listed = json(&dir, &UNKNOWN);
    let event = listed[0]["event"].as_str().expect("an event");
    assert_eq!(
        (&listed[0]["state"], &listed[0]["in_doubt"]),
        (&"intent".into(), &true.into())
    );
    let of_module = json(&dir, &["effect", "list", "fetcher", "--format", "json"]);
    assert_eq!(of_module, listed);
    assert_eq!(
        json(&dir, &["effect", "list", "--stranded", "--format", "json"]),
        value!([])
    );
    let unknown = dir.nexum(&["effect", "list", "nowhere"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("the store has no module nowhere"),
        "{}",
        unknown.stderr
    );

    // The record is in an export.
    let show = ["effect", "show", "fetcher", event, "1", "--format", "json"];
    let whole = json(&dir, &show);
    done(&dir, &["state", "export", "fetcher", "copy.jsonl"], "");
    done(&dir, &["state", "purge", "fetcher", "--yes"], "");
    assert_eq!(json(&dir, &UNKNOWN), value!([]));
    done(&dir, &["state", "import", "copy.jsonl"], "");
    assert_eq!(json(&dir, &show), whole);
    done(&dir, &["state", "verify"], "all is well");

    let resolve = ["effect", "resolve", "fetcher", event, "1", "--as"];
    let answered = dir.nexum(&[&resolve[..], &["not-sent", "--answer", "copy.jsonl"]].concat());
    assert_eq!(answered.code, Some(2));
    assert!(
        answered.stderr.contains("only a request that is done has an answer"),
        "{}",
        answered.stderr
    );
    done(
        &dir,
        &[&resolve[..], &["not-sent"]].concat(),
        "nexum sends it at the next attempt",
    );
    let again = dir.nexum(&[&resolve[..], &["done"]].concat());
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("error[effect-not-found]"), "{}", again.stderr);

    let (child, _log) = shop.start(&dir, &anvil);
    assert!(shop.request().starts_with("POST /pay "));
    let kept = ["effect", "list", "fetcher", "--format", "json"];
    let kept = until(&dir, &kept, |effects| effects[0]["state"] == "done").await;
    assert_eq!((&kept[0]["event"], &kept[1]), (&event.into(), &Value::Null));
    done(&dir, &["state", "get", "fetcher", "answer", "--utf8"], "201 paid");
    end(child);
}
