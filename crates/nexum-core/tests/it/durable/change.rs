//! Another configuration for a running host: it happens or not.

use std::collections::BTreeSet;

use nexum_config::engine::ModuleConfig;
use nexum_config::limits::Limit;
use nexum_config::restart::Restart;
use nexum_core::supervisor::SteerError;
use nexum_core::{Change, ChangeError, CommandError};
use nexum_testing::guests;

use super::{Site, act};
use crate::hosts::{Running, config, name};

/// The configured modules, with the settings and chains of the run.
fn change(run: &Running, modules: &[ModuleConfig]) -> Change {
    Change {
        modules: modules.to_vec(),
        settings: run.handle.settings(),
        chains: run.handle.chains(),
    }
}

/// A keeper with this script in each block, and this one in `init`.
fn keeper(module: &str, every: &str, init: &str) -> ModuleConfig {
    ModuleConfig {
        name: Some(name(module)),
        config: [("every", every), ("init", init)]
            .map(|(key, value)| (key.into(), value.into()))
            .into(),
        ..ModuleConfig::new(guests::component("keeper"))
    }
}

#[tokio::test]
async fn modules_are_added_changed_and_removed_in_one_step() {
    let site = Site::new();
    let first = keeper("first", "set a 1", "");
    let run = site
        .run_with(&["noop", "panic"], |host| host.module(first.clone()))
        .await;
    run.until("modules", || run.modules() == ["first", "noop", "panic"])
        .await;
    let prepared = run
        .handle
        .prepare(change(&run, &[config("noop"), first.clone(), config("panic")]))
        .await;
    let prepared = prepared.expect("a sound change");
    assert!(prepared.difference().is_empty(), "{:?}", prepared.difference());
    drop(prepared);

    let other = keeper("first", "set b 1", "");
    let modules = [config("noop"), other, config("recorder")];
    let prepared = run
        .handle
        .prepare(change(&run, &modules))
        .await
        .expect("a sound change");
    let difference = prepared.difference().clone();
    assert_eq!(difference.added, [name("recorder")]);
    assert_eq!(difference.reloaded, [(name("first"), vec!["configuration"])]);
    assert_eq!(difference.removed, [name("panic")]);
    assert_eq!(run.modules(), ["first", "noop", "panic"]);
    assert_eq!(prepared.apply().await.expect("a change"), difference);
    assert_eq!(run.modules(), ["first", "noop", "recorder"]);
    assert_eq!(run.loading(), []);
    run.chain.mine(1);
    run.handles("recorder").await;
    run.handles("first").await;
    let status = run.handle.module(&name("first")).expect("a module");
    assert_eq!(status.module().meta.config[0].1, "set b 1");
    assert_eq!(run.handle.configured().len(), 3);

    let mut limited = change(&run, &modules);
    limited.settings.limits = limited.settings.limits.with(Limit::Fuel, 1_000_000);
    limited.settings.restart = Restart {
        attempts_max: 2,
        ..limited.settings.restart
    };
    let prepared = run.handle.prepare(limited).await.expect("a sound change");
    let names: Vec<_> = prepared
        .difference()
        .reloaded
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    assert_eq!(names, ["noop", "first", "recorder"]);
    prepared.apply().await.expect("a change");
    let status = run.handle.module(&name("noop")).expect("a module");
    assert_eq!(status.module().meta.limits[Limit::Fuel], 1_000_000);
    assert_eq!(run.handle.settings().restart.attempts_max, 2);
    assert_eq!(run.stop().await, 3);
}

#[tokio::test]
async fn one_module_that_refuses_the_change_keeps_every_other_as_it_was() {
    let site = Site::new();
    let entries = ["first", "second"].map(|module| keeper(module, "set a 1", ""));
    let run = site
        .run_with(&["noop"], |host| {
            entries.iter().cloned().fold(host, nexum_core::HostBuilder::module)
        })
        .await;
    run.until("modules", || run.modules() == ["first", "noop", "second"])
        .await;
    run.chain.mine(1);
    run.handles("first").await;
    run.handles("second").await;

    // The second module's `init` fails. The first one is ready by then.
    let modules = [
        keeper("first", "set b 1", ""),
        keeper("second", "set b 1", "fail"),
        config("recorder"),
    ];
    let mut refused = change(&run, &modules);
    refused.settings.restart.attempts_max = 2;
    let applied = run.handle.prepare(refused).await.expect("a sound change").apply().await;
    match &applied {
        Err(ChangeError::Refused {
            module,
            error: SteerError::Command(CommandError::Init(_)),
        }) => {
            assert_eq!(*module, name("second"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(run.modules(), ["first", "noop", "second"]);
    assert_ne!(run.handle.settings().restart.attempts_max, 2);
    for module in ["first", "second"] {
        let status = run.handle.module(&name(module)).expect("a module");
        assert_eq!(status.module().meta.config[0].1, "set a 1");
        let before = status.handled();
        run.chain.mine(1);
        run.until("event", || status.handled() > before).await;
    }

    // A module that does not compile, or a file that is missing, changes nothing either.
    let missing = [config("noop"), ModuleConfig::new("/nowhere/missing.wasm")];
    let prepared = run.handle.prepare(change(&run, &missing)).await;
    assert!(matches!(prepared, Err(ChangeError::Module(_))), "{prepared:?}");
    assert_eq!(run.modules(), ["first", "noop", "second"]);
    assert_eq!(run.stop().await, 3);
}

#[tokio::test]
async fn a_change_leaves_what_the_operator_wants() {
    let site = Site::new();
    let run = site.run(&["noop", "panic"]).await;
    run.until("modules", || run.modules() == ["noop", "panic"]).await;
    run.handle
        .operator(act())
        .remove(&name("panic"))
        .await
        .expect("a removal");
    run.handle.operator(act()).stop(&name("noop")).await.expect("a stop");
    run.handle
        .operator(act())
        .load(keeper("loaded", "", ""))
        .await
        .expect("a load");
    let mut wanted = change(&run, &[config("noop"), config("panic"), config("recorder")]);
    wanted.settings.limits = wanted.settings.limits.with(Limit::Fuel, 1_000_000);
    let prepared = run.handle.prepare(wanted).await.expect("a sound change");
    let difference = prepared.apply().await.expect("a change");
    assert_eq!((difference.added, difference.removed), (vec![name("recorder")], vec![]));
    assert_eq!(run.modules(), ["loaded", "noop", "recorder"]);
    let status = run.handle.module(&name("noop")).expect("a module");
    assert_eq!(status.stage(), nexum_core::Stage::Stopped);
    assert_eq!(status.module().meta.limits[Limit::Fuel], 1_000_000);
    let chains: BTreeSet<_> = run.handle.chains();
    assert!(chains.contains(&nexum_testing::TEST_CHAIN_ID));
    assert_eq!(run.stop().await, 2);
}

#[tokio::test]
async fn the_memory_of_replaced_modules_does_not_count_twice() {
    let site = Site::new();
    let entry = keeper("first", "", "");
    let bytes = 100 << 20;
    let run = site
        .run_with(&[], |host| host.module(entry.clone()).total_memory_bytes(Some(bytes)))
        .await;
    run.until("module", || run.modules() == ["first"]).await;
    let other = keeper("first", "set b 1", "");
    let prepared = run
        .handle
        .prepare(change(&run, std::slice::from_ref(&other)))
        .await
        .expect("a change that fits");
    prepared.apply().await.expect("a change");
    let second = keeper("second", "", "");
    let prepared = run.handle.prepare(change(&run, &[other, second])).await;
    assert!(matches!(prepared, Err(ChangeError::Module(_))), "{prepared:?}");
    assert_eq!(run.stop().await, 1);
}
