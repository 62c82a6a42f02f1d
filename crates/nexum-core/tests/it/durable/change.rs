//! Another configuration for a running host: it happens or not.

use std::collections::BTreeSet;
use std::sync::Arc;

use nexum_config::engine::ModuleConfig;
use nexum_config::limits::Limit;
use nexum_config::restart::Restart;
use nexum_core::supervisor::SteerError;
use nexum_core::{Change, ChangeError, CommandError, Stage};
use nexum_testing::{ScriptedSource, guests};

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

#[tokio::test]
async fn a_module_that_waits_for_its_chain_is_changed_without_its_init() {
    let site = Site::new();
    let manifests = tempfile::tempdir().expect("a directory");
    let manifest = manifests.path().join("waits.toml");
    let text = format!(
        "[chains]\nrequired = [137]\noptional = [{chain_id}]\n[capabilities]\nrequired = [\"store\"]\n\
         [[subscription]]\nkind = \"block\"\nchain_id = {chain_id}\n",
        chain_id = nexum_testing::TEST_CHAIN_ID
    );
    std::fs::write(&manifest, text).expect("a manifest");
    let waits = |every: &str, init: &str| ModuleConfig {
        manifest: Some(manifest.clone().into()),
        ..keeper("waits", every, init)
    };
    let down = ScriptedSource::new(137).not_ready("no endpoint");
    down.set_trouble(Some(("1 of 1 endpoints down", 7)));
    let (first, source) = (waits("set a 1", ""), down.clone());
    let run = site
        .run_with(&["noop"], |host| host.module(first).source(Arc::new(source)))
        .await;
    run.until("modules", || run.modules() == ["noop", "waits"]).await;
    let status = || run.handle.module(&name("waits")).expect("a module");
    run.until("a wait", || status().stage() == Stage::WaitingForChain).await;

    // A load during the outage waits too, and its `init` would fail.
    let other = ModuleConfig {
        name: Some(name("loaded")),
        ..waits("", "")
    };
    run.handle.operator(act()).load(other).await.expect("a load");
    let loaded = run.handle.module(&name("loaded")).expect("a module").condition();
    assert_eq!(loaded.stage, Stage::WaitingForChain);
    assert!(loaded.reason.text.starts_with("chain 137: "), "{loaded:?}");

    let changed = [config("noop"), waits("set b 1", "fail")];
    let prepared = run
        .handle
        .prepare(change(&run, &changed))
        .await
        .expect("a sound change");
    prepared.apply().await.expect("a change");
    assert_eq!((status().stage(), status().failed()), (Stage::WaitingForChain, 0));
    assert_eq!(status().module().meta.config[0].1, "set b 1");
    down.set_trouble(None);
    down.come_up();
    run.until("a failed init", || status().failed() > 0).await;
    run.until("a load that runs", || {
        run.handle
            .module(&name("loaded"))
            .is_ok_and(|status| status.stage() == Stage::Running)
    })
    .await;
    run.stop().await;
}

#[tokio::test]
async fn a_change_that_waits_for_a_task_on_the_state_keeps_no_module_from_its_events() {
    let site = Site::new();
    let first = keeper("first", "set a 1", "");
    let run = site.run_with(&[], |host| host.module(first)).await;
    run.until("modules", || run.modules() == ["first"]).await;
    let status = run.handle.module(&name("first")).expect("a module");
    let held = run.handle.supervisor().hold_loads("a test").await;
    let wanted = [keeper("first", "set b 1", ""), config("recorder")];
    let prepared = run.handle.prepare(change(&run, &wanted)).await.expect("a sound change");
    let mut applied = Box::pin(prepared.apply());
    for _ in 0..3 {
        let before = status.handled();
        run.chain.mine(1);
        tokio::select! {
            biased;
            applied = &mut applied => panic!("{applied:?} while a task holds the loads"),
            () = run.until("an event", || status.handled() > before) => {}
        }
    }
    assert_eq!(status.module().meta.config[0].1, "set a 1");
    drop(held);
    applied.await.expect("a change");
    assert_eq!(run.modules(), ["first", "recorder"]);
    let status = run.handle.module(&name("first")).expect("a module");
    assert_eq!(status.module().meta.config[0].1, "set b 1");
    run.stop().await;
}
