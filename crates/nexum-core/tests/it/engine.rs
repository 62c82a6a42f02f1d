//! The engine: the allocation of instances, the limits of the machine, and the number of
//! compilations.

use std::future::{Future, poll_fn};
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use nexum_config::component::ComponentFile;
use nexum_config::engine::Pooling;
use nexum_config::hint::Hint;
use nexum_config::names::Digest;
use nexum_core::engine::{ChildProgram, CompileError, Compiler, Demand, Engine, EngineConfig, EngineError};
use nexum_core::module::Candidate;
use nexum_testing::{Records, guests};
use wasmtime::component::Component;

use crate::support::Setup;

fn engine(pooling: Pooling, demand: Demand) -> Result<Engine, EngineError> {
    Engine::new(&EngineConfig {
        cache_dir: None,
        pooling,
        demand,
        ..EngineConfig::default()
    })
}

fn with_cache(directory: &Path) -> Engine {
    let config = EngineConfig {
        cache_dir: Some(directory.into()),
        ..EngineConfig::default()
    };
    Engine::new(&config).expect("an engine")
}

#[test]
fn takes_instances_from_a_pool_unless_told_not_to() {
    let demand = Demand {
        instances: 100,
        components: 100,
        memories: 100,
        ..Demand::default()
    };
    assert!(engine(Pooling::Auto, demand.clone()).expect("an engine").is_pooled());
    assert!(!engine(Pooling::Off, demand).expect("an engine").is_pooled());
}

#[test]
fn goes_without_a_pool_where_none_fits_and_says_so() {
    let (records, _capture) = Records::capture();
    // More than the address space of a process, at four gigabytes each.
    let demand = Demand {
        instances: 1,
        memories_max: 1_000_000,
        ..Demand::default()
    };
    assert!(!engine(Pooling::Auto, demand).expect("an engine").is_pooled());
    let record = records
        .find("nexum creates instances on demand")
        .expect("a line in the log");
    assert_eq!(record.level, tracing::Level::INFO);
    assert!(record.fields.contains_key("error"), "{record:?}");
}

#[test]
fn refuses_more_modules_than_the_kernel_has_maps_for() {
    for pooling in [Pooling::Auto, Pooling::Off] {
        let demand = Demand {
            instances: 10_000_000,
            memories: 10_000_000,
            ..Demand::default()
        };
        let error = engine(pooling, demand).expect_err("too many modules");
        assert!(matches!(error, EngineError::Maps(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with("10000000 module instances need about "), "{text}");
        let hint = error.hint().expect("a remedy");
        assert!(hint.contains("sysctl vm.max_map_count="), "{hint}");
        assert_eq!(hint.contains("pooling"), pooling == Pooling::Off, "{hint}");
    }
}

#[tokio::test]
async fn a_second_engine_finds_the_component_compiled() {
    let directory = tempfile::tempdir().expect("a directory");
    let bytes = std::fs::read(guests::component("noop")).expect("the component");
    for expected in [(0, 1), (1, 0)] {
        let engine = with_cache(directory.path());
        engine
            .compile(Digest::of(&bytes), Arc::new(bytes.clone()))
            .await
            .expect("a component");
        assert_eq!(engine.cache_hits_and_misses(), expected);
    }
}

#[tokio::test]
async fn copies_of_one_component_are_compiled_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let engine = with_cache(directory.path());
    let names = ["a", "b", "c"].map(|name| format!("name = \"{name}\""));
    let setup = names
        .iter()
        .fold(Setup::new(), |setup, name| setup.module_with("noop", name));
    let config = setup.parse_config();
    let loader = setup.loader(&config);
    let inspect = |module| loader.inspect(module).expect("a good module");
    let candidates: Vec<Candidate> = config.modules.iter().map(inspect).collect();
    let demand = Candidate::demand(&candidates);
    assert_eq!((demand.instances, demand.components), (3, 1));
    let mut modules = Vec::new();
    for candidate in candidates {
        modules.push(loader.load(&engine, candidate).await.expect("a module"));
    }
    assert_eq!((engine.cache_hits_and_misses(), engine.components()), ((0, 1), 1));
    drop(modules);
    assert_eq!(engine.components(), 0, "a component without modules is forgotten");
}

#[tokio::test]
async fn compiles_away_from_the_async_thread() {
    let engine = engine(Pooling::Off, Demand::default()).expect("an engine");
    let bytes = std::fs::read(guests::component("balance-watch")).expect("the component");
    let mut compiling = pin!(engine.compile(Digest::of(&bytes), Arc::new(bytes)));
    // The runtime has only this thread, so a compilation on it would have finished.
    assert!(is_pending(compiling.as_mut()).await);
    compiling.await.expect("a component");
}

/// Compiles a component with a shell script in place of the compiler.
async fn compile_with(script: &str) -> Result<(), CompileError> {
    let directory = tempfile::tempdir().expect("a directory");
    let config = EngineConfig {
        cache_dir: Some(directory.path().into()),
        compiler: Compiler::Child(ChildProgram {
            program: "sh".into(),
            args: ["-c", script].map(Into::into).into(),
        }),
        ..EngineConfig::default()
    };
    let engine = Engine::new(&config).expect("an engine");
    let bytes = wat::parse_str("(component)").expect("a valid text");
    engine.compile(Digest::of(&bytes), Arc::new(bytes)).await.map(drop)
}

#[tokio::test]
async fn a_compiler_that_ends_without_a_result_refuses_the_component() {
    compile_with("cat > /dev/null & exit 0").await.expect("compiled");
    let error = compile_with("echo not wasm >&2; exit 2").await.expect_err("invalid");
    assert!(
        matches!(&error, CompileError::Invalid(source) if source.to_string() == "not wasm"),
        "{error:?}"
    );
    let error = compile_with("kill -ABRT $$").await.expect_err("ended");
    let expected = "the component does not compile within 2048 MiB of memory (signal: 6 (SIGABRT)";
    assert!(error.to_string().starts_with(expected), "{error}");
}

async fn is_pending<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

/// The counts for which a pool is made must match the components.
fn check_counts(name: &str, bytes: Vec<u8>) {
    let file = ComponentFile::parse(Path::new(name), bytes).expect("a component");
    let engine = engine(Pooling::Off, Demand::default()).expect("an engine");
    let component = Component::new(engine.wasmtime(), &file.bytes).expect("a component");
    let required = component.resources_required().expect("no imported modules");
    assert_eq!(
        (file.summary.memories, file.summary.tables),
        (required.num_memories, required.num_tables),
        "{name}"
    );
}

#[test]
fn counts_what_wasmtime_makes_of_the_guests() {
    for name in guests::names() {
        check_counts(&name, std::fs::read(guests::component(&name)).expect("the component"));
    }
}

#[test]
fn counts_what_wasmtime_makes_of_nested_components() {
    let text = r#"(component
        (core module $one (memory 1) (table 1 funcref))
        (component $two
            (alias outer 1 $one (core module $outer))
            (core module $own (memory 1) (memory 1))
            (core instance (instantiate $outer))
            (core instance (instantiate $own)))
        (component $never (core module $unused (memory 1)) (core instance (instantiate $unused)))
        (instance (instantiate $two))
        (instance (instantiate $two))
        (core instance (instantiate $one)))"#;
    check_counts("nested", wat::parse_str(text).expect("a valid text"));
}

#[tokio::test]
async fn limits_hold_in_a_pool_and_without() {
    for pooling in [Pooling::Auto, Pooling::Off] {
        for (fixture, limit) in [
            ("memory-bomb", "memory_bytes"),
            ("memory-bomb-many", "memory_bytes"),
            ("table-bomb", "table_elements"),
        ] {
            let mut setup = Setup::new()
                .module(fixture)
                .config("[engine.limits]\ntable_elements = 1000\n");
            setup.pooling = pooling;
            let run = setup.start().await;
            run.chain.mine(1);
            run.failed(fixture, 1).await;
            let trip = run
                .records
                .find("a limit was exceeded")
                .expect("the record of the limit");
            assert_eq!(trip.fields["limit"], limit, "{fixture}, {pooling:?}");
        }
    }
}
