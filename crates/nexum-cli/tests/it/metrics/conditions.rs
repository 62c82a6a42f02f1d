//! The metrics of conditions that need the operator.

use nexum_testing::{Anvil, guests};

use super::{Exporting, module};
use crate::Dir;

fn chain(anvil: &Anvil) -> String {
    format!("[chains.11155111]\nrpc_url = {:?}\n", anvil.ws_url())
}

#[tokio::test]
async fn lost_notifications_have_a_series_before_the_first_message() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    let notify = "[notify]\ncommand = [\"/bin/cat\"]\n";
    let running = Exporting::start(&dir, &format!("{notify}{}{}", chain(&anvil), module("noop")));
    let text = running.get("/metrics").1;
    for outcome in ["delivered", "failed", "dropped"] {
        let series = format!("nexum_notifications_total{{outcome=\"{outcome}\"}} 0\n");
        assert!(text.contains(&series), "{series}{text}");
    }
    running.stop();
}

#[tokio::test]
async fn refused_modules_are_counted_until_they_are_loaded() {
    let anvil = Anvil::start();
    let dir = Dir::new();
    dir.write("broken.wasm", "this is no module");
    let broken = "[[modules]]\npath = \"broken.wasm\"\n";
    let running = Exporting::start(&dir, &format!("{}{}{broken}", chain(&anvil), module("noop")));
    let counts = |count: u32| move |_: u16, text: &str| text.contains(&format!("nexum_modules_refused {count}\n"));
    running.until("/metrics", counts(1)).await;
    std::fs::copy(guests::component("noop"), dir.path().join("broken.wasm")).expect("a copy");
    let loaded = dir.nexum(&["module", "load", "broken.wasm"]);
    assert_eq!(loaded.code, Some(0), "{}", loaded.stderr);
    running.until("/metrics", counts(0)).await;
    running.stop();
}
