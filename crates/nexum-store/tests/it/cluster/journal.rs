//! The writes of modules, and their writers.

use std::collections::BTreeMap;

use nexum_core::store::{Batch, StateStore, StoreError, View};
use parking_lot::Mutex;

/// A module of the tests, by its number. Its name is `module-NUMBER`.
pub(crate) type Module = u32;

/// A step of a module adds one to its value, and writes a line about the step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) node: String,
    /// The number of the ownership.
    pub(crate) number: u64,
}

/// The steps that a store has acknowledged, by module and value.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    acknowledged: Mutex<BTreeMap<(Module, u64), Line>>,
    /// The steps that were acknowledged again. A panic of a step would not end the test.
    repeated: Mutex<Vec<(Module, u64, Line)>>,
}

impl Journal {
    /// Makes a step of a module.
    pub(crate) fn step(&self, store: &dyn StateStore, module: Module, line: &Line) -> Result<u64, StoreError> {
        let value = value(&*store.view()?, module)? + 1;
        let mut batch = Batch::default();
        batch.set(value_key(module), value.to_be_bytes().to_vec());
        batch.set(
            line_key(module, value),
            format!("{} {}", line.number, line.node).into_bytes(),
        );
        store.write(&batch)?;
        self.acknowledge(module, value, line.clone());
        Ok(value)
    }

    /// Adds an acknowledged step.
    pub(crate) fn acknowledge(&self, module: Module, value: u64, line: Line) {
        if self.acknowledged.lock().insert((module, value), line.clone()).is_some() {
            self.repeated.lock().push((module, value, line));
        }
    }

    /// The number of acknowledged steps of a module.
    pub(crate) fn steps(&self, module: Module) -> usize {
        let acknowledged = self.acknowledged.lock();
        acknowledged.range((module, 0)..=(module, u64::MAX)).count()
    }

    /// Checks that the database has every acknowledged step, and that no ownership wrote after a later one began.
    pub(crate) fn check(&self, view: &dyn View, modules: Module) {
        assert_eq!(*self.repeated.lock(), [], "two nodes have made a step");
        let acknowledged = self.acknowledged.lock();
        for module in 0..modules {
            let last = value(view, module).unwrap();
            let mut newest = 0;
            for value in 1..=last {
                let line = view
                    .get(&line_key(module, value))
                    .unwrap()
                    .expect("a line for each step");
                let text = String::from_utf8(line).unwrap();
                let (number, node) = text.split_once(' ').unwrap();
                let number: u64 = number.parse().unwrap();
                assert!(
                    number >= newest,
                    "ownership {number} of module {module} wrote after {newest} began"
                );
                newest = number;
                if let Some(line) = acknowledged.get(&(module, value)) {
                    assert_eq!(
                        (line.number, &*line.node),
                        (number, node),
                        "step {value} of module {module}"
                    );
                }
            }
            let missing = acknowledged.range((module, last + 1)..=(module, u64::MAX)).next();
            assert_eq!(missing, None, "the database has {last} steps of module {module}");
        }
    }
}

/// The value of a module: the number of its steps.
pub(crate) fn value(view: &dyn View, module: Module) -> Result<u64, StoreError> {
    let found = view.get(&value_key(module))?;
    Ok(found.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap())))
}

/// Keys of state, which the cache of the store has.
fn value_key(module: Module) -> Vec<u8> {
    [&b"s"[..], &module.to_be_bytes(), b"value"].concat()
}

fn line_key(module: Module, value: u64) -> Vec<u8> {
    [&b"s"[..], &module.to_be_bytes(), b"line", &value.to_be_bytes()].concat()
}
