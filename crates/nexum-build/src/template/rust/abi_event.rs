//! Logs the event `{{name_of_event}}` of the contract `{{contract}}`, and counts it.

use nexum_sdk::{Decoded, Result, info, module, sol, store};

// The functions, events and errors of the contract. `{{contract}}::new(address, chain)` calls it.
sol!(
    #[sol(rpc, all_derives)]
    {{contract}},
    "abi/{{contract}}.json"
);

/// The number of events. nexum keeps it when the module restarts.
const EVENTS: store::Counter = store::Counter::new("events");

#[derive(Default)]
struct EventWatch;

#[module]
impl EventWatch {
    // All contracts with this event. `address = "0x..."` selects one.
    #[on_event({{contract}}::{{event}}, chain_id = 31337)]
    fn on_event(&mut self, found: Decoded<{{contract}}::{{event}}>) -> Result {
        let count = EVENTS.add(1)?;
        info!(
            count = count,
            contract = found.log.address,
            "{:?}",
            found.event
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use nexum_sdk::Address;
    use nexum_sdk::testing::Harness;

    use super::*;

    #[test]
    fn logs_the_event() -> Result {
        let mut watch = Harness::<EventWatch>::new(&[])?;
        watch.emit(Address::ZERO, &{{contract}}::{{event}}::default())?;
        let logged = watch.host.messages_logged();
        assert!(logged[0].starts_with("{{name_of_event}}"), "{logged:?}");
        Ok(())
    }
}
