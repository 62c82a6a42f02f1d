//! Watches the balances of accounts, in a token or in ether, and logs each change.
//!
//! Configuration:
//! - `accounts`: addresses, separated by commas;
//! - `token`: the address of an ERC-20 token; without it the balances are those in ether.

wit_bindgen::generate!({ path: "../../../wit/nexum-host", world: "event-module" });

mod rpc;
mod settings;

use std::{cell::RefCell, collections::HashMap};

use alloy_primitives::{Address, U256};
use nexum::host::{
    chain,
    logging::{self, Level},
    types::HostErrorKind,
};
use settings::Settings;

struct BalanceWatch;

/// The state of an instance. nexum creates a new instance after a failure, so the module must work
/// without this state.
#[derive(Default)]
struct Watch {
    settings: Settings,
    last: HashMap<Address, U256>,
}

thread_local! {
    static WATCH: RefCell<Watch> = RefCell::default();
}

impl Guest for BalanceWatch {
    fn init(config: Config) -> Result<(), HostError> {
        let settings = Settings::parse(&config).map_err(|error| failure(HostErrorKind::InvalidInput, error))?;
        WATCH.replace(Watch {
            settings,
            ..Watch::default()
        });
        Ok(())
    }

    fn on_event(event: Event) -> Result<(), HostError> {
        // The manifest subscribes only to blocks.
        let Event::Block(block) = event else { return Ok(()) };
        WATCH.with_borrow_mut(|watch| {
            let Settings { token, accounts } = &watch.settings;
            let requests: Vec<_> = accounts
                .iter()
                .map(|account| rpc::balance_request(*token, *account, &block.hash))
                .collect();
            // One batch for all accounts, because each request takes time of the event's deadline.
            let answers = chain::request_batch(block.chain_id, &requests)?;
            for (account, answer) in accounts.iter().zip(answers) {
                let balance = rpc::read_balance(*token, answer)?;
                tell_change(*account, watch.last.insert(*account, balance), balance);
            }
            Ok(())
        })
    }
}

fn tell_change(account: Address, before: Option<U256>, now: U256) {
    match before {
        Some(before) if before == now => {}
        Some(before) => logging::log(Level::Info, &format!("{account}: {before} -> {now}")),
        None => logging::log(Level::Info, &format!("{account}: {now}")),
    }
}

/// An error of this module, in contrast to an error from the host.
fn failure(kind: HostErrorKind, message: impl ToString) -> HostError {
    HostError {
        domain: "balance-watch".into(),
        kind,
        code: 0,
        message: message.to_string(),
        data: None,
    }
}

export!(BalanceWatch);
