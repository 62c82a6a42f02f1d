//! Checks that the rows of a store are consistent.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, ControlFlow};

use nexum_config::names::ModuleName;

use crate::state::module::ProgressRow;
use crate::state::rows::{self, Kind};
use crate::state::{DeadLetter, Effect, ModuleId, Part, Usage, operator, owner, undo};
use crate::store::{StoreError, View};

/// The most reported faults. A longer list does not help to repair the store.
pub const FAULTS_MAX: usize = 100;

/// An inconsistency in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The module of the row. `None` if the row names no module.
    pub module: Option<ModuleName>,
    /// The inconsistency.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.module {
            Some(module) => write!(f, "{module}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Reads every row, and returns the inconsistencies: counts of keys and bytes, cursors, undo
/// records, rows without a module. Calls `progress` with the number of rows read, every 1,024 rows.
/// Needs a frozen view.
///
/// # Errors
///
/// Fails if the store is not readable.
pub fn verify(view: &dyn View, progress: &mut dyn FnMut(u64)) -> Result<Vec<Fault>, StoreError> {
    let mut check = Check::default();
    let mut rows = 0;
    view.scan((Bound::Unbounded, Bound::Unbounded), &mut |key, value| {
        rows += 1;
        if rows % 1_024 == 0 {
            progress(rows);
        }
        check.row(key, value);
        if check.faults.len() < FAULTS_MAX {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    progress(rows);
    rows::scan(view, &rows::modules(), &mut |key, value| {
        if let (Ok(name), Ok(number)) = (rows::name_of(key), rows::number(value)) {
            check.names.entry(ModuleId(number)).or_insert(name);
        }
        ControlFlow::Continue(())
    })?;
    Ok(check.end())
}

#[derive(Default)]
struct Check {
    names: BTreeMap<ModuleId, ModuleName>,
    claimed: BTreeMap<ModuleId, Usage>,
    found: BTreeMap<ModuleId, Usage>,
    orphans: Vec<ModuleId>,
    last_undo: Option<(ModuleId, u64)>,
    /// The modules have no names before the scan has reached the rows of the names.
    faults: Vec<(Option<ModuleId>, String)>,
}

impl Check {
    /// Checks one row. The rows come in the order of their keys.
    fn row(&mut self, key: &[u8], value: &[u8]) {
        let kind = rows::kind_of(key);
        let checked = match kind {
            Kind::Format | Kind::NextModule => rows::number(value).map(drop),
            Kind::Module => rows::name_of(key).and_then(|name| self.name(name, value)),
            Kind::Progress => self.progress(key, value),
            Kind::State => self.state(key, value),
            Kind::Undo => self.undo(key, value),
            Kind::DeadLetter => self.dead_letter(key, value),
            Kind::Effect | Kind::Stranded => self.effect(key, value),
            Kind::Transcript => self.transcript(key, value),
            Kind::Header if value.is_empty() => rows::block_of(key).map(drop),
            Kind::Header => rows::block_of(key).and(rows::hash(value)).map(drop),
            Kind::Orphan => rows::id_of(key).map(|id| self.orphans.push(id)),
            Kind::Operator => rows::name_of(key).and(operator::decode(value)).map(drop),
            // The capability alone knows its format.
            Kind::Capability => Ok(()),
            Kind::Unknown => Err(StoreError::Damaged("a row of unknown kind".to_owned())),
        };
        if let Err(error) = checked {
            self.fault(owner(key), error.to_string());
        }
    }

    fn name(&mut self, name: ModuleName, value: &[u8]) -> Result<(), StoreError> {
        let id = ModuleId(rows::number(value)?);
        if let Some(other) = self.names.insert(id, name) {
            self.fault(Some(id), format!("has the number of {other}"));
        }
        Ok(())
    }

    fn progress(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let row: ProgressRow = rows::decode(value, "a module's cursors")?;
        self.claimed.insert(rows::id_of(key)?, row.usage);
        Ok(())
    }

    fn state(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let usage = self.found.entry(rows::id_of(key)?).or_default();
        usage.keys += 1;
        usage.bytes += (rows::guest_key(key).len() + value.len()) as u64;
        Ok(())
    }

    fn undo(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let (id, sequence) = (rows::id_of(key)?, rows::sequence_of(key)?);
        undo::decode(value)?;
        if let Some((last_id, last)) = self.last_undo.replace((id, sequence))
            && last_id == id
            && last + 1 != sequence
        {
            self.fault(Some(id), format!("its undo records jump from {last} to {sequence}"));
        }
        self.found.entry(id).or_default();
        Ok(())
    }

    fn dead_letter(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let id = rows::id_of(key)?;
        let letter = DeadLetter::decode(value)?;
        if rows::dead_letter(id, &letter.id) != key {
            self.fault(
                Some(id),
                format!("the dead letter {} has the key of another event", letter.id),
            );
        }
        self.found.entry(id).or_default();
        Ok(())
    }

    fn effect(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let id = rows::id_of(key)?;
        let effect = Effect::decode(value)?;
        if effect.row(id) != key {
            let Effect { event, number, .. } = effect;
            self.fault(
                Some(id),
                format!("the record of effect {number} of {event} has the key of another one"),
            );
        }
        self.found.entry(id).or_default();
        Ok(())
    }

    fn transcript(&mut self, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let id = rows::id_of(key)?;
        let part = Part::decode(value)?;
        if part.row(id) != key {
            let Part { event, number, .. } = part;
            self.fault(
                Some(id),
                format!("part {number} of the transcript of {event} has the key of another one"),
            );
        }
        self.found.entry(id).or_default();
        Ok(())
    }

    fn end(mut self) -> Vec<Fault> {
        let found = std::mem::take(&mut self.found);
        for (id, usage) in &found {
            if self.orphans.contains(id) {
                continue;
            }
            if !self.names.contains_key(id) {
                self.fault(
                    None,
                    format!("{} keys of a module without a name, number {}", usage.keys, id.0),
                );
                continue;
            }
            let claimed = self.claimed.get(id).copied().unwrap_or_default();
            self.compare(*id, *usage, claimed);
        }
        let claimed = std::mem::take(&mut self.claimed);
        for (id, usage) in claimed {
            if !found.contains_key(&id) && !self.orphans.contains(&id) {
                self.compare(id, Usage::default(), usage);
            }
        }
        let Self { names, faults, .. } = self;
        let fault = |(id, what): (Option<ModuleId>, String)| Fault {
            module: id.and_then(|id| names.get(&id).cloned()),
            what,
        };
        faults.into_iter().map(fault).collect()
    }

    fn compare(&mut self, id: ModuleId, found: Usage, claimed: Usage) {
        if found != claimed {
            let what = format!(
                "its recorded usage is {} keys and {} bytes, but its state has {} and {}",
                claimed.keys, claimed.bytes, found.keys, found.bytes
            );
            self.fault(Some(id), what);
        }
    }

    fn fault(&mut self, id: Option<ModuleId>, what: String) {
        self.faults.push((id, what));
    }
}

#[cfg(test)]
mod tests {
    use nexum_config::topic::{ChainTopic, Topic};

    use super::*;
    use crate::event::{EventId, EventKind, Position};
    use crate::state::{EffectClass, EffectState, intern};
    use crate::store::{Batch, MemoryStore, StateStore};

    fn effect() -> Effect {
        let position = Position {
            number: 7,
            hash: [1; 32],
        };
        Effect {
            event: EventId {
                topic: Topic::Chain(ChainTopic::latest(1)),
                position,
                kind: EventKind::Block,
            },
            number: 1,
            kind: "http".to_owned(),
            target: "https://api.example.org".to_owned(),
            digest: [2; 32],
            class: EffectClass::Once,
            is_strict: false,
            request: b"POST".to_vec().into(),
            request_bytes: 4,
            key: [3; 16],
            attempt: 1,
            at_ms: 5,
            state: EffectState::Intent,
            is_over: false,
            is_stranded: false,
            is_reported: false,
        }
    }

    #[test]
    fn the_record_of_an_effect_has_the_key_of_its_event_and_number() {
        let module = "m".parse().unwrap();
        let (right, other) = (effect(), Effect { number: 2, ..effect() });
        let stranded = Effect {
            is_stranded: true,
            ..effect()
        };
        let of_another = "the record of effect 1 of 1:7:block has the key of another one";
        for (key_of, row, expected) in [
            (&right, right.encode(), None),
            (&stranded, stranded.encode(), None),
            (&other, right.encode(), Some(of_another)),
            (&stranded, right.encode(), Some(of_another)),
            (&right, vec![0xff], Some("the record of an effect")),
        ] {
            let store = MemoryStore::new();
            let id = intern(&store, std::slice::from_ref(&module)).unwrap()[0];
            let mut batch = Batch::default();
            batch.set(key_of.row(id), row);
            store.write(&batch).unwrap();
            let faults = verify(&*store.frozen().unwrap(), &mut |_| {}).unwrap();
            let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
            assert_eq!(faults.len(), usize::from(expected.is_some()), "{faults:?}");
            let is_expected =
                |fault: &String| expected.is_some_and(|expected| fault.starts_with("m: ") && fault.contains(expected));
            assert!(faults.iter().all(is_expected), "{faults:?}");
        }
    }

    #[test]
    fn the_part_of_a_transcript_has_the_key_of_its_event_and_number() {
        let store = MemoryStore::new();
        let id = intern(&store, &["m".parse().unwrap()]).unwrap()[0];
        let part = |number| Part {
            event: effect().event,
            number,
            start: 0,
            entries: Vec::new(),
        };
        let mut batch = Batch::default();
        batch.set(part(0).row(id), rows::encode(&part(0)));
        batch.set(part(1).row(id), rows::encode(&part(2)));
        batch.set(part(3).row(id), vec![0xff]);
        store.write(&batch).unwrap();
        let faults = verify(&*store.frozen().unwrap(), &mut |_| {}).unwrap();
        let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
        let expected = "m: part 2 of the transcript of 1:7:block has the key of another one";
        assert_eq!((faults.len(), faults[0].as_str()), (2, expected), "{faults:?}");
        assert!(faults[1].contains("a part of a transcript"), "{faults:?}");
    }

    #[test]
    fn a_fault_names_its_module_also_if_the_list_is_full_before_the_names() {
        let store = MemoryStore::new();
        let id = intern(&store, &["m".parse().unwrap()]).unwrap()[0];
        let mut batch = Batch::default();
        for number in 0..=u32::try_from(FAULTS_MAX).unwrap() {
            batch.set(Effect { number, ..effect() }.row(id), vec![0xff]);
        }
        store.write(&batch).unwrap();
        let faults = verify(&*store.frozen().unwrap(), &mut |_| {}).unwrap();
        assert_eq!(faults.len(), FAULTS_MAX);
        assert!(faults.iter().all(|fault| fault.module.is_some()), "{faults:?}");
    }
}
