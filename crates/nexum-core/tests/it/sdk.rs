//! The cost of modules that are written with the SDK: the sizes of the components, and the fuel of
//! their handlers. Both are exact for a compiler and a lock file.

use std::fs;

use nexum_testing::bench::{self, Guest};
use nexum_testing::guests;
use wasmtime::Engine;
use wasmtime::component::Component;

/// The largest component of the smallest module, in bytes. A quarter of it is the section of names,
/// which traces need.
const HELLO_BYTES_MAX: u64 = 40_000;

/// The largest component of a module with typed settings, an event, joined calls and a counter.
const TRANSFER_WATCH_BYTES_MAX: u64 = 180_000;

/// The most fuel of a contract call among ten or more that are joined: the encoding of the arguments, JSON and hex in both
/// directions, the decoding of the answer, and its part of the batch.
const CALL_FUEL_MAX: u64 = 8_000;

/// The most fuel of a block of the smallest module.
const HELLO_FUEL_MAX: u64 = 2_000;

#[test]
fn a_component_of_the_sdk_stays_small() {
    for (guest, bytes_max) in [("hello", HELLO_BYTES_MAX), ("transfer-watch", TRANSFER_WATCH_BYTES_MAX)] {
        let bytes = fs::metadata(guests::component(guest)).expect("the component").len();
        assert!(
            bytes < bytes_max,
            "{guest} has {bytes} bytes, {bytes_max} or more: see `twiggy top` or its section of names for the functions that grew"
        );
    }
}

/// The SDK binds the whole contract, and the linker drops what a module does not call.
#[test]
fn a_component_imports_only_what_it_calls() {
    let engine = Engine::default();
    for (guest, expected) in [
        ("hello", &["nexum:host/logging@0.2.0"][..]),
        (
            "transfer-watch",
            &[
                "nexum:host/chain@0.2.0",
                "nexum:host/local-store@0.2.0",
                "nexum:host/logging@0.2.0",
            ],
        ),
    ] {
        let component = Component::from_file(&engine, guests::component(guest)).expect("a component");
        let component = component.component_type();
        let imports = component.imports(&engine).map(|(name, _)| name.to_owned());
        // The interface of types has no function.
        let mut imports: Vec<_> = imports.filter(|name| name != "nexum:host/types@0.2.0").collect();
        imports.sort();
        assert_eq!(imports, expected, "{guest}");
    }
}

#[tokio::test]
async fn a_block_of_the_smallest_module_takes_little_fuel() {
    let fuel = fuel("hello", &[]).await;
    assert!(fuel <= HELLO_FUEL_MAX, "{fuel} units of fuel");
}

#[tokio::test]
async fn a_contract_call_takes_little_fuel() {
    let none = fuel("transfer-watch", &settings(0)).await;
    for count in [10, 100] {
        let each = (fuel("transfer-watch", &settings(count)).await - none) / count;
        assert!(each <= CALL_FUEL_MAX, "{each} units of fuel for each of {count} calls");
    }
}

/// The fuel of a second block. The first one makes room that the others use.
async fn fuel(guest: &str, config: &[(String, String)]) -> u64 {
    let mut guest = Guest::new(guest, true);
    guest.start(config).await.expect("it starts");
    for number in 1..=2 {
        guest
            .on_event(bench::event(&bench::block(number)))
            .await
            .expect("handled");
    }
    guest.fuel_used()
}

fn settings(owners: u64) -> Vec<(String, String)> {
    let token = format!("0x{:040x}", 1);
    let owners: Vec<_> = (0..owners).map(|owner| format!("0x{owner:040x}")).collect();
    [("token", token), ("owners", owners.join(",")), ("least", "1".into())]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec()
}
