//! Builds and runs the example as its readers do.

use std::process::Command;

use nexum_testing::{Anvil, guests};

#[tokio::test]
async fn runs_a_module_with_a_capability_of_its_own() {
    let anvil = Anvil::start();
    anvil.mine(3).await;
    let module = guests::component("price-watch");
    let output = Command::new(env!("CARGO_BIN_EXE_embed"))
        .args([anvil.ws_url().as_str(), &module.display().to_string(), "1"])
        .output()
        .expect("the example runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    assert!(log.contains("ETH costs 3123.45 at block"), "{log}");
    assert!(log.contains("price-watch handled 1 blocks"), "{log}");
}
