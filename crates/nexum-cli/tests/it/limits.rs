//! Each limit of an event, used up by a module that exceeds it.

use nexum_testing::{Answer, Anvil, Node, OrderBook, guests};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Dir;
use crate::control::{json, start, start_on, until};
use crate::running::terminate;

/// The resource that a module uses, the requested limit in its manifest, the bound, and the most
/// that one call may add: a response's size is not known before it arrives.
///
/// The work of the host in the last three draws on the fuel. Without that, the loops of their guests
/// would use it up only after the deadline, and `values` would first reach
/// `store_operations_per_event`.
const MEALS: [(&str, &str, u64, u64); 15] = [
    ("fuel", "fuel_per_event", 1_000_000, 0),
    ("time", "event_deadline_ms", 200, u64::MAX),
    ("memory", "memory_bytes", 4 << 20, 3 << 20),
    ("chain", "chain_requests_per_event", 5, 1),
    ("batches", "chain_requests_per_event", 20, 7),
    ("order-book", "order_book_requests_per_event", 3, 1),
    ("http", "http_fetches_per_event", 3, 1),
    ("signatures", "signatures_per_event", 3, 1),
    ("reads", "store_operations_per_event", 100, 1),
    ("writes", "store_bytes_written_per_event", 10_500, 1_000),
    ("answers", "response_bytes_per_event", 3_000, 4_000),
    ("logs", "log_records_per_event", 20, 1),
    ("random", "fuel_per_event", HOST_FUEL, HOST_FUEL / 20),
    ("unheard-logs", "fuel_per_event", HOST_FUEL, HOST_FUEL / 20),
    ("values", "fuel_per_event", HOST_FUEL, HOST_FUEL / 20),
];

/// The fuel for about 1,500 calls of `random.fill`, or 100 calls with a megabyte each.
const HOST_FUEL: u64 = 100_000_000;

/// An HTTP server on loopback that returns empty responses.
async fn server(tasks: &mut JoinSet<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4_096];
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            if stream.read(&mut request).await.is_ok() {
                let _ = stream.write_all(answer).await;
            }
        }
    });
    port
}

/// The `[[modules]]` table of a module that uses this resource, with its own manifest.
fn module(dir: &Dir, (eats, limit, bound, _): (&str, &str, u64, u64), port: u16) -> String {
    let manifest = format!(
        "[module]\nname = \"{eats}\"\n[module.resources]\nmax_{limit} = {bound}\n[capabilities]\n\
         required = [\"chain\", \"http\", \"store\"]\noptional = [\"cow\", \"identity\"]\n[capabilities.http]\nallow = [\"localhost:{port}\"]\n\
         [[subscription]]\nkind = \"block\"\nchain_id = 11155111\n"
    );
    let manifest = dir.write(&format!("{eats}.toml"), manifest);
    format!(
        "[[modules]]\npath = {:?}\nmanifest = {:?}\n[modules.config]\neats = {eats:?}\nurl = \"http://localhost:{port}/\"\n",
        guests::component("glutton").display().to_string(),
        manifest.display().to_string(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_trips_alone_and_harms_nobody() {
    let anvil = Anvil::start();
    let order_book = OrderBook::start().await;
    let mut tasks = JoinSet::new();
    let port = server(&mut tasks).await;
    let dir = Dir::new();
    // Without the feature, a call to the capability is refused and uses nothing.
    let has_cow = cfg!(feature = "cow");
    let has = |eats: &str| match eats {
        "order-book" => has_cow,
        "signatures" => cfg!(feature = "identity"),
        _ => true,
    };
    let meals = || MEALS.into_iter().filter(|(eats, ..)| has(eats));
    // A busy machine may take ten seconds for the fuel of an event.
    let mut modules = format!(
        "[engine.limits]\nevent_deadline_ms = 60000\n[http]\nallow = [\"localhost:{port}\"]\nallow_http = [\"localhost:{port}\"]\nallow_private = [\"localhost:{port}\"]\n\
         [[modules]]\npath = {:?}\n",
        guests::component("noop").display().to_string()
    );
    if has_cow {
        modules.push_str(&format!("[cow.11155111]\nbase_url = {:?}\n", order_book.url()));
    }
    meals().for_each(|meal| modules.push_str(&module(&dir, meal, port)));
    let child = start(&dir, &anvil, &modules, &["run"]);
    anvil.mine(1).await;
    for (eats, limit, bound, call) in meals() {
        let letters = ["dead-letter", "list", eats, "--format", "json"];
        let letters = until(&dir, &letters, |letters| letters[0].is_object()).await;
        let trip: &Value = &letters[0]["attempts"][0]["trip"];
        assert_eq!(
            (&trip["limit"], &trip["bound"]),
            (&limit.into(), &bound.into()),
            "{eats}: {letters:#}"
        );
        let used = trip["used"].as_u64().expect("a number");
        assert!(used >= bound && used - bound <= call, "{eats}: {used} of {bound}");
        // A guest that used up its fuel alone would have used exactly that.
        assert!(bound != HOST_FUEL || used > bound, "{eats}: {used} of {bound}");
        let limits = json(&dir, &["limits", eats, "--format", "json"]);
        let tripped = limits
            .as_array()
            .and_then(|limits| limits.iter().find(|usage| usage["limit"] == limit));
        assert!(tripped.is_some_and(|usage| usage["bound"] == bound), "{limits:#}");
    }
    // Every module continues with the next event.
    anvil.mine(1).await;
    for (eats, ..) in meals() {
        let letters = ["dead-letter", "list", eats, "--format", "json"];
        until(&dir, &letters, |letters| letters[1].is_object()).await;
    }
    let status = ["status", "--format", "json"];
    let modules = until(&dir, &status, |modules| {
        let noop = modules
            .as_array()
            .and_then(|modules| modules.iter().find(|module| module["name"] == "noop"));
        noop.is_some_and(|noop| noop["handled"].as_u64() >= Some(2) && noop["failed"] == 0)
    })
    .await;
    assert!(
        modules
            .as_array()
            .is_some_and(|modules| modules.iter().all(|module| module["stage"] != "dead"))
    );
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}

/// The handlers return the error of the node, well within their own deadline: a module could save its
/// work.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_is_an_error_for_the_guest_before_its_deadline() {
    let node = Node::start().await;
    let dir = Dir::new();
    let path = |name: &str| guests::component(name).display().to_string();
    // `requests` sends one request at a time, `balance-watch` a batch. The endpoint's own limit is longer
    // than the event's.
    let chain = format!(
        "rpc_url = {:?}\nrequest_timeout_ms = 60000\npoll_interval_ms = 50\n",
        node.http_url()
    );
    let modules = format!(
        "[engine.limits]\nevent_deadline_ms = 500\n[[modules]]\npath = {:?}\n[[modules]]\npath = {:?}\n\
         [modules.config]\naccounts = \"{}, {}\"\n",
        path("requests"),
        path("balance-watch"),
        "0x0000000000000000000000000000000000000001",
        "0x0000000000000000000000000000000000000002",
    );
    node.on("eth_getBalance", |_| Answer::Hang);
    let (child, _log) = start_on(&dir, &chain, &modules, &["run"]);
    node.mine(1);
    for name in ["requests", "balance-watch"] {
        let letters = ["dead-letter", "list", name, "--format", "json"];
        let letters = until(&dir, &letters, |letters| letters[0].is_object()).await;
        let attempt = &letters[0]["attempts"][0];
        assert!(attempt["trip"].is_null(), "{name}: {attempt:#}");
        let text = attempt["reason"].as_str().expect("a text");
        assert!(
            text.contains("timeout: the endpoint did not answer within 4"),
            "{name}: {text}"
        );
    }
    node.restore("eth_getBalance");
    terminate(&child);
    assert_eq!(child.wait_with_output().expect("an end").status.code(), Some(0));
}
