//! The parts of an entry, made of what the runner knows.

use std::time::Duration;

use nexum_config::harmless::harmless;
use nexum_config::limits::{Limit, LimitUsage, saturating_u32};
use nexum_config::manifest::Subscription;

use super::Draft;
use crate::capability::activity::TracedCall;
use crate::ledger::{AttemptEntry, Exceeded, HostCallEntry, ModuleVersion, SentEffect, Use, Write};
use crate::module::failure::Failure;
use crate::module::loader::Module;
use crate::state::{Change, Changes, EffectChanges};

/// The most changed keys of an entry. An event that changes more mostly changes keys of one kind.
const WRITES_MAX: usize = 16;

/// The most bytes of a key in an entry.
const KEY_BYTES_MAX: usize = 96;

/// The most log records of an entry, the last ones, and the most bytes of each: what a person reads first.
const RECORDS_MAX: usize = 10;
const RECORD_BYTES_MAX: usize = 512;

/// The most effects of an entry.
const EFFECTS_MAX: usize = 32;

impl AttemptEntry {
    /// Adds the effects of a handler call.
    pub(in crate::runner) fn note_effects(&mut self, effects: Option<&EffectChanges>) {
        let set = effects.into_iter().flat_map(|effects| &effects.set);
        self.effects = set
            .take(EFFECTS_MAX)
            .map(|effect| SentEffect {
                kind: effect.kind.clone(),
                target: effect.target.clone(),
                state: effect.state.name().to_owned(),
            })
            .collect();
    }

    /// Adds the last log records.
    pub(in crate::runner) fn note_records(&mut self, records: &[String]) {
        let last = records
            .get(records.len().saturating_sub(RECORDS_MAX)..)
            .unwrap_or_default();
        let cut = |record: &String| record[..record.floor_char_boundary(RECORD_BYTES_MAX)].to_owned();
        self.records = last.iter().map(cut).collect();
    }
}

impl From<TracedCall> for HostCallEntry {
    fn from(call: TracedCall) -> Self {
        Self {
            kind: call.kind,
            method: call.method.into(),
            endpoint: call.endpoint.as_deref().map(str::to_owned),
            start_us: us(call.start),
            took_us: us(call.took),
            bytes: call.bytes,
            error: call.error.map(Into::into),
            count: call.count,
        }
    }
}

/// Adds the effects of a failed attempt.
pub(in crate::runner) fn with_effects(mut draft: Draft, effects: Option<&EffectChanges>) -> Draft {
    draft.iter_mut().for_each(|draft| draft.attempt.note_effects(effects));
    draft
}

/// The limit that a failed attempt exceeded.
pub(in crate::runner) fn exceeded(failure: &Failure) -> Option<Exceeded> {
    match failure {
        Failure::Limit(exceeded) => Some(Exceeded {
            limit: exceeded.limit.name().into(),
            bound: exceeded.bound,
            used: exceeded.used,
        }),
        _ => None,
    }
}

pub(super) fn version(module: &Module, now_ms: u64) -> ModuleVersion {
    let meta = &module.meta;
    ModuleVersion {
        name: meta.name.to_string(),
        version: meta.version.clone(),
        digest: *meta.digest.as_bytes(),
        manifest: meta.manifest.as_ref().map(|digest| *digest.as_bytes()),
        revision: Some(meta.revision),
        since_ms: now_ms,
        subscriptions: module.subscriptions.iter().map(Subscription::to_string).collect(),
        limits: Limit::all()
            .map(|limit| (limit.name().to_owned(), meta.limits[limit]))
            .collect(),
    }
}

pub(super) fn uses(used: &LimitUsage) -> Vec<Use> {
    let of = |limit: Limit| Use {
        limit: limit.name().into(),
        used: used[limit],
    };
    Limit::all().filter(|limit| used[*limit] > 0).map(of).collect()
}

/// The first changed keys, and the number of the others.
pub(super) fn writes(changes: &Changes) -> (Vec<Write>, u32) {
    let left_out = changes.keys.len().saturating_sub(WRITES_MAX);
    let first = changes.keys.iter().take(WRITES_MAX).map(written);
    (first.collect(), saturating_u32(left_out as u64))
}

fn written((key, change): (&Vec<u8>, &Change)) -> Write {
    let key = String::from_utf8_lossy(&key[..key.len().min(KEY_BYTES_MAX)]);
    Write {
        key: harmless(&key).into_owned(),
        bytes: change.new.as_ref().map(|value| value.len() as u64),
    }
}

/// Bit N for item N, of the first 64 ones.
pub(super) fn bits(items: impl Iterator<Item = bool>) -> u64 {
    items
        .take(64)
        .enumerate()
        .fold(0, |bits, (index, item)| bits | u64::from(item) << index)
}

pub(super) fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

pub(super) fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
