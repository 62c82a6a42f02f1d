//! Methods of `chain.request` that another part of the host answers.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use nexum_config::engine::ModuleConfig;
use nexum_config::limits::{Limit, Limits};
use nexum_core::bindings::nexum::host::types::{HostError, HostErrorKind};
use nexum_core::capability::{ChainMethods, CurrentCall, HostCallKind, View};
use nexum_core::{Host, MemoryStore, ModuleStatus};
use nexum_host_chain::{Chains, PARAMS_BYTES_MAX};
use nexum_host_store::LocalStore;
use nexum_testing::{Answer, Node, Records, TEST_CHAIN_ID, guests};
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{config, soon};

/// A part of a host that answers these methods with its name, and keeps the requests.
#[derive(Debug)]
struct Part {
    name: &'static str,
    methods: &'static [&'static str],
    asked: Mutex<Vec<(String, String)>>,
}

impl Part {
    fn new(name: &'static str, methods: &'static [&'static str]) -> Arc<Self> {
        let asked = Mutex::default();
        Arc::new(Self { name, methods, asked })
    }

    /// The requests so far, as `METHOD PARAMS`.
    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock();
        asked
            .iter()
            .map(|(method, params)| format!("{method} {params}"))
            .collect()
    }
}

#[async_trait]
impl ChainMethods for Part {
    fn answers(&self, method: &str) -> bool {
        self.methods.contains(&method) || self.methods.contains(&"*")
    }

    async fn request(
        &self,
        view: View<'_, ()>,
        chain_id: u64,
        method: &str,
        params: &str,
    ) -> wasmtime::Result<Result<String, HostError>> {
        assert_eq!(chain_id, TEST_CHAIN_ID);
        assert!(["rpc", "triggers"].contains(&view.meta.name.as_str()));
        self.asked.lock().push((method.to_owned(), params.to_owned()));
        Ok(match method {
            "personal_sign" => Err(HostError::new("identity", HostErrorKind::Denied, "no rule".to_owned())),
            "hang" => std::future::pending().await,
            "trap" => return Err(wasmtime::Error::msg("a trap")),
            "huge" => Ok("x".repeat(100_000)),
            _ => Ok(format!("\"{} {method}\"", self.name)),
        })
    }
}

/// The interfaces that the fixture `triggers` imports and does not use here.
const HTTP: &[&str] = &["wasi:http/outgoing-handler@0.2.0", "wasi:http/types@0.2.0"];

/// A running host with one module.
struct Running {
    node: Node,
    status: Arc<ModuleStatus>,
    records: Records,
    stop: CancellationToken,
    _task: JoinSet<()>,
    _capture: tracing::subscriber::DefaultGuard,
}

impl Running {
    /// Starts the module `rpc` with this configuration.
    async fn start(extra_methods: &[&str], parts: &[&Arc<Part>], config: &[(&str, &str)], limits: Limits) -> Self {
        let manifest = guests::dir("rpc").join("nexum.toml");
        Self::start_of("rpc", manifest, (extra_methods, parts), config, limits).await
    }

    async fn start_of(
        name: &str,
        manifest: PathBuf,
        (extra_methods, parts): (&[&str], &[&Arc<Part>]),
        of_module: &[(&str, &str)],
        limits: Limits,
    ) -> Self {
        let (records, capture) = Records::capture();
        let node = Node::start().await;
        let mut config = config(&node.http_url());
        config.extra_methods = extra_methods.iter().map(|method| (*method).to_owned()).collect();
        let chains = parts.iter().fold(Chains::new([config]), |chains, part| {
            chains.with_methods(Arc::clone(part) as Arc<dyn ChainMethods>)
        });
        let mut guest = ModuleConfig::new(guests::component(name));
        guest.manifest = Some(manifest.into());
        guest.config = of_module
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let host = Host::builder()
            .with(chains)
            .with(LocalStore)
            .unserved("http", HTTP, &[])
            .limits(limits)
            .store(Arc::new(MemoryStore::new()))
            .module(guest)
            .build();
        let host = host.await.expect("a host");
        let status = host.handle().module(&name.parse().unwrap()).expect("a module");
        let stop = CancellationToken::new();
        let (mut task, stopped) = (JoinSet::new(), stop.clone().cancelled_owned());
        task.spawn(async move { drop(host.run(stopped).await.expect("a run")) });
        Self {
            node,
            status,
            records,
            stop,
            _task: task,
            _capture: capture,
        }
    }

    async fn until(&self, is_done: impl Fn(&Self) -> bool) {
        let mut turns = tokio::time::interval(std::time::Duration::from_millis(1));
        soon(async {
            while !is_done(self) {
                turns.tick().await;
            }
        })
        .await;
    }

    /// The module's log of the first block.
    async fn said(&self) -> Vec<String> {
        self.until(|run| run.status.handled() + run.status.failed() > 0).await;
        self.records.of_module("rpc")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The answers to these requests, one after the other and as a batch.
async fn said(extra_methods: &[&str], parts: &[&Arc<Part>], requests: &str) -> [Vec<String>; 2] {
    let mut said = [Vec::new(), Vec::new()];
    for (said, batch) in said.iter_mut().zip([None, Some(("batch", "yes"))]) {
        let module: Vec<_> = [("requests", requests)].into_iter().chain(batch).collect();
        let run = Running::start(extra_methods, parts, &module, Limits::default()).await;
        run.node.on("node_write", |_| Answer::Result(json!("the node")));
        *said = run.said().await;
        for method in ["eth_accounts", "eth_sendTransaction", "personal_sign"] {
            assert_eq!(run.node.count(method), 0, "{method}");
        }
    }
    said
}

#[tokio::test]
async fn another_part_of_the_host_answers_before_every_endpoint_and_every_other_part() {
    let first = Part::new("first", &["eth_accounts", "personal_sign", "eth_chainId"]);
    let second = Part::new("second", &["eth_sendTransaction", "eth_accounts"]);
    let requests = "eth_accounts\nnode_write\neth_sendTransaction [{\"gas\":\"0x1\"}]\neth_gasPrice\npersonal_sign [{n}]\n\
                    eth_chainId";
    let [alone, together] = said(&["*"], &[&first, &second], requests).await;
    assert_eq!(
        alone,
        [
            "ok \"first eth_accounts\"",
            "ok \"the node\"",
            "ok \"second eth_sendTransaction\"",
            "unsupported -32601 (chain: the method eth_gasPrice does not exist)",
            "denied 0 (identity: no rule)",
            "ok \"first eth_chainId\"",
        ]
    );
    assert_eq!(together, alone);
    // Each in its order, and with unchanged parameters.
    let of_first = ["eth_accounts []", "personal_sign [0]", "eth_chainId []"];
    assert_eq!(first.asked(), [of_first, of_first].concat());
    assert_eq!(second.asked(), [r#"eth_sendTransaction [{"gas":"0x1"}]"#; 2]);
}

#[tokio::test]
async fn without_another_part_the_methods_are_denied_with_the_remedy() {
    let [alone, together] = said(
        &[],
        &[],
        "eth_sendTransaction\neth_sendRawTransaction [\"0x00\"]\nnode_write",
    )
    .await;
    assert_eq!(
        alone,
        [
            "denied 0 (chain: the method eth_sendTransaction is not allowed on chain 11155111: it needs a build of nexum \
             that signs, and an account in [identity.<module>.<account>])",
            "denied 0 (chain: the method eth_sendRawTransaction is not allowed on chain 11155111: it needs \
             `extra_methods = [\"eth_sendRawTransaction\"]` in [chains.11155111])",
            "denied 0 (chain: the method node_write is not allowed on chain 11155111)",
        ]
    );
    assert_eq!(together, alone);
}

#[tokio::test]
async fn another_part_gets_no_request_that_exceeds_a_bound() {
    let part = Part::new("part", &["*"]);
    let long = "m".repeat(129);
    let large = format!("large [{}]", " ".repeat(PARAMS_BYTES_MAX));
    let requests = format!("object {{}}\nbroken [\n{long}\n{large}");
    let run = Running::start(&[], &[&part], &[("requests", &requests)], Limits::default()).await;
    assert_eq!(
        run.said().await,
        [
            "invalid-input 0 (chain: the parameters are not a JSON array)",
            "invalid-input 0 (chain: the parameters are not a JSON array)",
            "invalid-input 0 (chain: a method's name takes at most 128 bytes)",
            "invalid-input 0 (chain: the parameters take at most 1048576 bytes)",
        ]
    );
    assert!(part.asked().is_empty());
}

#[tokio::test]
async fn the_requests_and_answers_of_another_part_use_the_budgets_of_the_event() {
    let limits = |limit: Limit, most| Limits::default().with(limit, most);
    for (requests, limits) in [
        ("huge\nhuge", limits(Limit::ResponseBytes, 150_000)),
        ("one\ntwo\nthree", limits(Limit::ChainRequests, 2)),
        ("one\ntrap", Limits::default()),
    ] {
        for batch in [None, Some(("batch", "yes"))] {
            let part = Part::new("part", &["*"]);
            let module: Vec<_> = [("requests", requests)].into_iter().chain(batch).collect();
            let run = Running::start(&[], &[&part], &module, limits).await;
            run.until(|run| run.status.failed() > 0).await;
            assert!(part.asked().len() <= 2, "{:?}", part.asked());
        }
    }
}

#[tokio::test]
async fn the_status_names_the_methods_that_sign_and_no_text_of_a_guest() {
    let part = Part::new("part", &["*"]);
    let run = Running::start(&[], &[&part], &[("requests", "hang")], Limits::default()).await;
    run.until(|run| !part.asked().is_empty() && run.status.handling().is_some())
        .await;
    let call = run.status.handling().and_then(|handling| handling.host_call);
    let CurrentCall { kind, method, .. } = call.expect("a call");
    assert_eq!((kind, method), (HostCallKind::Chain, "another method"));
}

/// Contract 0.1 has no words for what such a part does.
#[tokio::test]
async fn a_trigger_module_has_no_methods_of_another_part() {
    let part = Part::new("part", &["*"]);
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("component.toml");
    std::fs::write(
        &manifest,
        format!(
            "[component]\nname = \"triggers\"\n[dependencies]\nchain = {{}}\nlocal-store = {{}}\nlogging = {{}}\n\
             http = {{ hosts = [\"127.0.0.1\"] }}\n\
             [[trigger]]\non = \"block\"\nchain_id = {TEST_CHAIN_ID}\n"
        ),
    )
    .unwrap();
    let config = [("init", "chain eth_accounts []; chain eth_chainId []")];
    let run = Running::start_of("triggers", manifest, (&[], &[&part]), &config, Limits::default()).await;
    run.until(|run| run.records.of_module("triggers").len() >= 2).await;
    let said = run.records.of_module("triggers");
    assert!(
        said[0].contains("Denied") && said[0].contains("eth_accounts"),
        "{said:?}"
    );
    assert!(said[1].contains("0xaa36a7"), "{said:?}");
    assert!(part.asked().is_empty());
}
