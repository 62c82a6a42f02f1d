//! The metrics of conditions that need the operator.

use nexum_testing::Anvil;

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
