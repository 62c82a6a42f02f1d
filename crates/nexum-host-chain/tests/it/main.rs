//! Behaviours of the chain capability and its source, against a scripted node and a real one.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod absent;
mod anvil;
mod anvil_logs;
mod batch;
mod blooms;
mod captured;
mod config;
mod effects;
mod endpoints;
mod failover;
mod failures;
mod finality;
mod gaps;
mod gaps_of_the_past;
mod handshake;
mod hostile_logs;
mod journals;
mod large_answers;
mod logs;
mod made_up_gaps;
mod methods;
mod metrics;
mod open;
mod pin;
mod pin_by_number;
mod probe;
mod proxy;
mod receipts;
mod refusals;
mod replace;
mod replay;
mod replay_reorg;
mod report;
mod request;
mod schedules;
mod secrecy;
mod several_endpoints;
mod sharing;
mod source;
mod source_faults;
mod status;
mod submit;
mod support;
mod tls;
mod wanted;
mod withheld;
