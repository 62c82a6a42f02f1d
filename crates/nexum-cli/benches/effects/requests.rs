//! HTTP requests with a record, beside requests without one.

use nexum_testing::bench::Figure;
use nexum_testing::{Anvil, AnvilOptions, Daemon, TEST_CHAIN_ID, guests};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::program;

/// The requests of an event.
const COUNT: usize = 50;

/// The events of a measurement.
const EVENTS: u64 = 20;

/// The cost of a record: the difference between a request that changes something and one that reads, each the least of the
/// events. The baseline is the request that reads.
pub(crate) async fn figures() -> Vec<Figure> {
    let (write, read) = (milliseconds("PUT").await, milliseconds("HEAD").await);
    vec![Figure::new(
        "a request with a durable record, beside one without",
        "ms",
        write,
        read,
    )]
}

/// The least time of a request with this method, in milliseconds.
async fn milliseconds(method: &str) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = serve(listener);
    let anvil = Anvil::start_with(&AnvilOptions {
        extra_args: vec!["--no-mining".to_owned()],
        ..AnvilOptions::default()
    });
    let directory = tempfile::tempdir().expect("a directory");
    let wasm = directory.path().join("effects.wasm");
    std::fs::copy(guests::component("effects"), &wasm).expect("a guest");
    let requests: Vec<_> = (0..COUNT).map(|index| format!("{method} /{index}")).collect();
    let manifest = format!(
        "[capabilities]\nrequired = [\"http\", \"store\"]\n[capabilities.http]\nallow = [\"{address}\"]\n\
         [[subscription]]\nkind = \"block\"\nchain_id = {TEST_CHAIN_ID}\n\
         [config]\nbase = \"http://{address}\"\nrequests = {:?}\n",
        requests.join("\n")
    );
    std::fs::write(directory.path().join("nexum.toml"), manifest).expect("a manifest");
    let config = format!(
        "[engine.limits]\neffects_per_event = 100\nhttp_fetches_per_event = 100\nevent_deadline_ms = 60000\n[http]\nallow = [\"{address}\"]\nallow_http = [\"{address}\"]\nallow_private = [\"{address}\"]\n\
         [chains.{TEST_CHAIN_ID}]\nrpc_url = {:?}\n[[modules]]\npath = {wasm:?}\nname = \"effects\"\n",
        anvil.ws_url()
    );
    let measure = async {
        let daemon = Daemon::start(&program(), directory.path(), &config).await;
        daemon.until_handled("effects", 0).await;
        let mut least = f64::INFINITY;
        for block in 1..=EVENTS {
            anvil.mine(1).await;
            let record = daemon.until_handled("effects", block).await;
            least = least.min(record.took().as_secs_f64() * 1_000.0 / COUNT as f64);
        }
        assert!(daemon.stop());
        least
    };
    tokio::select! {
        least = measure => least,
        () = server => unreachable!("the server has no end"),
    }
}

/// Answers every request with 200.
async fn serve(listener: TcpListener) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        connections.spawn(async move {
            let mut buffer = vec![0; 64 << 10];
            // A request of the measurement fits into one packet.
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                let answered = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                if answered.is_err() {
                    break;
                }
            }
        });
    }
}
