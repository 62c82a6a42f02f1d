//! Pools without a supervisor.

use nexum_config::engine::ModuleConfig;
use nexum_config::hint::Hint as _;
use nexum_core::{BuildError, Capture, Host};
use nexum_host_store::LocalStore;
use nexum_testing::guests;

use super::{NAME, ask, fails};

#[tokio::test]
async fn a_pool_answers_without_a_supervisor_and_its_output_is_captured() {
    let (stdout, stderr) = (Capture::new(1_024), Capture::new(1_024));
    let host = Host::builder()
        .with(LocalStore)
        .module(ModuleConfig::new(guests::component(NAME)))
        .stdout(stdout.clone())
        .stderr(stderr.clone());
    let pools = host.query_pools().await.expect("pools");
    let [pool] = &pools[..] else { panic!("one pool") };
    assert_eq!(ask(pool, "hello").await, "hello");
    assert_eq!(ask(pool, "get a").await, "none");
    assert_eq!(ask(pool, "print a line").await, "done");
    assert_eq!((stdout.take(), stderr.take()), (b"a line\n".to_vec(), Vec::new()));
    assert_eq!(fails(pool, "trap").await.kind(), "trapped");
    let said = String::from_utf8(stderr.take()).expect("text");
    assert!(said.contains("it was told to"), "{said}");
    assert_eq!(stdout.take(), b"");
}

#[tokio::test]
async fn there_is_no_pool_of_a_module_that_reacts_to_events() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("noop.wasm");
    std::fs::copy(guests::component("noop"), &path).expect("a copy");
    let refused = Host::builder().module(ModuleConfig::new(path)).query_pools().await;
    let refused = refused.expect_err("a refusal");
    assert!(
        matches!(&refused, BuildError::NoQueries(name) if name.as_str() == "noop"),
        "{refused}"
    );
    assert!(refused.hint().is_some());
}
