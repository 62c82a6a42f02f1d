use std::io;
use std::sync::{Arc, Mutex};

use nexum_host_chain::{Chains, EndpointUrl, SILENCED_LOG_TARGETS};
use nexum_testing::{Answer, Node};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{CHAIN, Following, config, soon, texts};

const SECRETS: [&str; 4] = [
    "hunter2-password",
    "0123456789abcdef-path",
    "fedcba9876543210-query",
    "a-user-name",
];

/// The address of a node with a secret wherever one can be.
fn secret(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let [password, path, query, user] = SECRETS;
    format!("{scheme}://{user}:{password}@{rest}/v3/{path}?apikey={query}")
}

fn check(text: &str) {
    for secret in SECRETS {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "shows {secret}");
    }
}

/// Everything that is logged, by any crate and at any level, but for the targets that are to be silenced.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures what this thread logs.
    fn capture(&self) -> DefaultGuard {
        // Some libraries log through the older facade. Another test may have been the first.
        let _ = tracing_log::LogTracer::init();
        let silenced = SILENCED_LOG_TARGETS.iter().map(|target| format!(",{target}=off"));
        let filter = EnvFilter::new(silenced.fold("trace".to_owned(), |filter, directive| filter + &directive));
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(false)
            .with_writer(self.clone());
        tracing::subscriber::set_default(subscriber.finish())
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_failure_shows_a_secret() {
    let log = Log::default();
    let _guard = log.capture();

    let mut node = Node::start().await;
    let echo = format!(
        "project {} of {} unknown, see https://example.org/help now",
        SECRETS[1],
        secret("http://h")
    );
    let faults = [
        Answer::error(-32_000, echo.clone()),
        Answer::Status {
            status: 403,
            retry_after: None,
            body: echo.clone(),
        },
        Answer::Status {
            status: 500,
            retry_after: None,
            body: echo.clone(),
        },
        Answer::Text(echo.clone()),
        Answer::Truncated,
        Answer::Huge { bytes: 2_000_000 },
        Answer::Hang,
        Answer::Drop,
    ];
    for url in [node.http_url(), node.ws_url()] {
        let mut config = config(&secret(&url));
        config.request_timeout_ms = 500;
        config.response_bytes_max = 1_024 * 1_024;
        check(&format!("{config:?}"));
        let chains = Chains::new([config]);
        for fault in &faults {
            node.once("eth_call", fault.clone());
            let error = chains.request(CHAIN, "eth_call", "[]").await.unwrap_err();
            check(&format!(
                "{error:?} {error} {:?} {:?}",
                texts(&error),
                error.to_host_error()
            ));
        }
        check(&format!("{chains:?} {:?}", chains.source(CHAIN)));
        chains.request(CHAIN, "eth_blockNumber", "[]").await.unwrap();
        node.stop().await;
        let error = loop {
            if let Err(error) = chains.request(CHAIN, "eth_blockNumber", "[]").await {
                break error;
            }
            tokio::task::yield_now().await;
        };
        check(&format!("{error:?} {error} {:?}", texts(&error)));
        node.restart().await;
    }
    check(&log.text());
}

#[tokio::test]
async fn following_logs_scheme_and_host_only() {
    let log = Log::default();
    let _guard = log.capture();

    let mut node = Node::start().await;
    for url in [node.http_url(), node.ws_url()] {
        let following = Following::start(&Chains::new([config(&secret(&url))]));
        following.reaches(&node.mine(1)[0]).await;
        let before = log.text().len();
        node.stop().await;
        node.mine(1);
        soon(async {
            while !log.text()[before..].contains("trying again until it can") {
                tokio::task::yield_now().await;
            }
        })
        .await;
        node.restart().await;
        following.reaches(node.chain().head()).await;
        following.stop().await;
    }
    let text = log.text();
    assert!(
        text.contains("http://127.0.0.1") && text.contains("ws://127.0.0.1"),
        "{text}"
    );
    check(&text);
}

#[tokio::test]
async fn a_message_of_the_endpoint_keeps_its_words_but_no_url() {
    let node = Node::start().await;
    let chains = Chains::new([config(&secret(&node.http_url()))]);
    let message = format!(
        "project id {} is over its limit, see https://example.org/{} for more",
        SECRETS[1], SECRETS[2]
    );
    node.once("eth_call", Answer::error(-32_005, message));
    let error = chains
        .request(CHAIN, "eth_call", "[]")
        .await
        .unwrap_err()
        .to_host_error();
    assert_eq!(
        error.message,
        "project id [redacted] is over its limit, see [redacted] for more"
    );

    node.once("eth_call", Answer::error(-32_005, "é".repeat(5_000)));
    let error = chains
        .request(CHAIN, "eth_call", "[]")
        .await
        .unwrap_err()
        .to_host_error();
    assert_eq!(error.message.len(), nexum_host_chain::MESSAGE_BYTES_MAX);
}

#[tokio::test]
async fn an_ipc_path_is_not_shown() {
    let path = "/nowhere/of-the-operator/geth.ipc";
    let config = config(path);
    assert_eq!(config.rpc_url, EndpointUrl::parse(path).unwrap());
    let error = Chains::new([config])
        .request(CHAIN, "eth_call", "[]")
        .await
        .unwrap_err();
    assert!(!format!("{error:?} {error} {:?}", texts(&error)).contains("of-the-operator"));
    assert_eq!(error.to_string(), "the endpoint cannot be reached: entity not found");
}
