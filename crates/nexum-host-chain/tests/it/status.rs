//! The chain in the status of a module.

use std::sync::Arc;
use std::time::Duration;

use nexum_config::engine::ModuleConfig;
use nexum_core::capability::{CurrentCall, HostCallKind};
use nexum_core::{Host, MemoryStore, ModuleStatus};
use nexum_testing::{Answer, Node, guests};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{chains, soon};

/// Waits until the module waits for a host call.
async fn current_call(status: &ModuleStatus) -> CurrentCall {
    let mut turns = tokio::time::interval(Duration::from_millis(1));
    loop {
        let call = status.handling().and_then(|handling| handling.host_call);
        // The call names its endpoint when it begins to wait.
        if let Some(call) = call.filter(|call| call.endpoint.is_some()) {
            return call;
        }
        turns.tick().await;
    }
}

#[tokio::test]
async fn a_request_that_hangs_is_the_current_host_call_with_its_endpoint() {
    let node = Node::start().await;
    node.on("eth_getBalance", |_| Answer::Hang);
    let host = Host::builder()
        .with(chains(&node.http_url()))
        .store(Arc::new(MemoryStore::new()))
        .module(ModuleConfig::new(guests::component("requests")))
        .build();
    let host = host.await.expect("a host");
    let status = host
        .handle()
        .module(&"requests".parse().expect("a name"))
        .expect("a module");
    let stop = CancellationToken::new();
    let (mut task, stopped) = (JoinSet::new(), stop.clone().cancelled_owned());
    task.spawn(async move { drop(host.run(stopped).await.expect("a run")) });
    // Block 0 makes no request.
    node.mine(3);
    let call = soon(current_call(&status)).await;
    let url = node.http_url();
    let found = (call.kind, call.method, call.endpoint.as_deref());
    assert_eq!(
        found,
        (HostCallKind::Chain, "eth_getBalance", Some(url.trim_end_matches('/')))
    );
    let endpoints = status.time_use().endpoints;
    let used: Vec<_> = endpoints.iter().map(|used| (&*used.endpoint, used.calls)).collect();
    assert_eq!(used, [(url.trim_end_matches('/'), 1)]);
    stop.cancel();
}
