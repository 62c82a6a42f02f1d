//! The deadline of a shutdown.

use std::time::Duration;

use nexum_config::limits::{Limit, Limits};
use nexum_core::ChangeError;
use nexum_core::supervisor::{Shutdown, SteerError};
use tokio_util::sync::CancellationToken;

use super::Site;
use crate::hosts::{config, name};
use crate::support::SilentChain;

/// A deadline that a module without an event in progress keeps, also on a busy machine.
const SHORT: Duration = Duration::from_secs(1);

/// A shutdown with this deadline, and the token that ends it at once.
fn shutdown(deadline: Duration) -> (Shutdown, CancellationToken) {
    let now = CancellationToken::new();
    let shutdown = Shutdown {
        deadline,
        now: now.clone(),
    };
    (shutdown, now)
}

#[tokio::test]
async fn the_first_event_is_handled_after_the_restart_if_a_shutdown_abandons_it() {
    let site = Site::new();
    let with = |chain: &SilentChain, deadline: Duration| {
        let (chain, (shutdown, _)) = (chain.clone(), shutdown(deadline));
        move |host: nexum_core::HostBuilder| host.with(chain).shutdown(shutdown).module(config("journal"))
    };
    let hanging = SilentChain::default();
    let mut run = site.run_with(&["slow-host"], with(&hanging, SHORT)).await;
    run.until("modules", || run.modules() == ["journal", "slow-host"]).await;
    run.chain.mine(1);
    run.handles("journal").await;
    run.until("request", || hanging.asked() == 1).await;
    run.cancel();
    let (report, _) = run.ended().await;
    let abandoned: Vec<_> = report
        .abandoned
        .iter()
        .map(|abandoned| abandoned.module.clone())
        .collect();
    assert_eq!(abandoned, [name("slow-host")]);
    let abandoned = &report.abandoned[0];
    assert_eq!(abandoned.is_durable, Some(false));
    let handling = abandoned.handling.as_ref().expect("an event");
    let handler = handling.handler.to_string();
    assert!(
        handler.starts_with("on-event") && handler.ends_with(":0:block"),
        "{handler}"
    );
    assert!(!report.failed());

    let answering = SilentChain::default();
    answering.open();
    let mut run = site
        .run_with(&["slow-host"], with(&answering, Duration::from_secs(60)))
        .await;
    // The abandoned event, and then a new one.
    run.chain.mine(1);
    let handled = || {
        let status = run.handle.module(&name("slow-host"));
        status.is_ok_and(|status| status.handled() == 2)
    };
    run.until("events", handled).await;
    assert_eq!(answering.asked(), 2);
    run.cancel();
    let (report, _) = run.ended().await;
    assert!(report.abandoned.is_empty(), "{:?}", report.abandoned);
}

#[tokio::test]
async fn a_second_request_to_stop_ends_a_shutdown_at_once() {
    let site = Site::new();
    let hanging = SilentChain::default();
    let (long, now) = shutdown(Duration::from_secs(600));
    let chain = hanging.clone();
    let mut run = site
        .run_with(&["slow-host"], |host| host.with(chain).shutdown(long))
        .await;
    run.until("module", || run.modules() == ["slow-host"]).await;
    run.chain.mine(1);
    run.until("request", || hanging.asked() == 1).await;
    run.cancel();
    now.cancel();
    let (report, _) = run.ended().await;
    assert_eq!(report.abandoned.len(), 1);
}

#[tokio::test]
async fn a_short_shutdown_abandons_a_guest_that_computes() {
    let site = Site::new();
    let (short, _) = shutdown(SHORT);
    // More fuel than a module uses up within the deadline of the shutdown.
    let limits = Limits::default().with(Limit::Fuel, 100_000_000_000_000);
    let mut run = site
        .run_with(&["spin", "noop"], |host| host.shutdown(short).limits(limits))
        .await;
    run.until("modules", || run.modules() == ["noop", "spin"]).await;
    // It spins at the second block.
    run.chain.mine(2);
    let [noop, spin] = ["noop", "spin"].map(|module| run.handle.module(&name(module)).expect("a module"));
    let spins = || spin.handled() == 1 && spin.handling().is_some();
    run.until("events", || noop.handled() == 2 && spins()).await;
    run.cancel();
    let (report, _) = run.ended().await;
    let abandoned: Vec<_> = report
        .abandoned
        .iter()
        .map(|abandoned| abandoned.module.clone())
        .collect();
    assert_eq!(abandoned, [name("spin")]);
}

#[tokio::test]
async fn a_store_that_hangs_does_not_hold_a_shutdown() {
    let site = Site::new();
    let (zero, _) = shutdown(Duration::ZERO);
    let mut run = site.run_with(&["journal"], |host| host.shutdown(zero)).await;
    run.until("module", || run.modules() == ["journal"]).await;
    site.store.hold_writes(true);
    run.chain.mine(1);
    run.until("write", || site.store.held() == 1).await;
    run.cancel();
    let (report, _) = run.ended().await;
    let [abandoned] = &report.abandoned[..] else {
        panic!("{:?}", report.abandoned)
    };
    assert!(
        abandoned.handling.is_none() && abandoned.is_durable.is_none(),
        "{abandoned:?}"
    );
    site.store.hold_writes(false);
}

#[tokio::test]
async fn a_load_that_waits_for_the_store_holds_neither_a_shutdown_nor_the_watchdog() {
    let site = Site::new();
    let (zero, _) = shutdown(Duration::ZERO);
    let mut run = site.run_with(&["noop"], |host| host.shutdown(zero)).await;
    run.until("module", || run.modules() == ["noop"]).await;
    site.store.hold_writes(true);
    let handle = run.handle.clone();
    let ended = async {
        run.until("write", || site.store.held() == 1).await;
        run.handle.supervisor().responds().await;
        run.cancel();
        run.ended().await
    };
    let (loaded, _) = tokio::join!(handle.load(config("journal")), ended);
    site.store.hold_writes(false);
    assert!(
        matches!(loaded, Err(ChangeError::Host(SteerError::NotRunning))),
        "{loaded:?}"
    );
}
