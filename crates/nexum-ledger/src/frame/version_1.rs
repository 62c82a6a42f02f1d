//! The first version of the format, which nexum still reads.

use nexum_core::ledger::ModuleVersion;
use serde::Deserialize;

use super::{Body, StoredRow};

/// A body of the first version.
#[derive(Deserialize)]
pub(super) struct Body1 {
    versions: Vec<ModuleVersion1>,
    rows: Vec<StoredRow>,
}

/// A module in the first version, whose entries have no revision of the configuration.
#[derive(Deserialize)]
struct ModuleVersion1 {
    name: String,
    version: Option<String>,
    digest: [u8; 32],
    manifest: Option<[u8; 32]>,
    since_ms: u64,
    subscriptions: Vec<String>,
    limits: Vec<(String, u64)>,
}

impl From<Body1> for Body {
    fn from(body: Body1) -> Self {
        let version = |version: ModuleVersion1| ModuleVersion {
            name: version.name,
            version: version.version,
            digest: version.digest,
            manifest: version.manifest,
            revision: None,
            since_ms: version.since_ms,
            subscriptions: version.subscriptions,
            limits: version.limits,
        };
        Self {
            versions: body.versions.into_iter().map(version).collect(),
            rows: body.rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nexum_config::topic::{ChainTopic, Topic};
    use nexum_core::ledger::{AttemptEntry, Entry};
    use nexum_core::source::{EventId, EventKind, Position};

    use super::super::{LEVEL, MAGIC, MAGIC_1, Row, decode, encode, encode_head, put};
    use super::*;

    #[test]
    fn a_frame_of_the_first_version_has_no_revision() {
        let entry = Entry::Attempt(Box::new(AttemptEntry {
            module: Arc::default(),
            event: EventId {
                topic: Topic::Chain(ChainTopic::latest(1)),
                position: Position::at_ms(7),
                kind: EventKind::Block,
            },
            attempt: 1,
            seen: None,
            waits: Default::default(),
            matched: 0,
            begun_ms: 0,
            took_us: 0,
            outcome: Default::default(),
            used: Vec::new(),
            time: Default::default(),
            is_detailed: false,
            calls: Vec::new(),
            calls_left_out: 0,
            records: Vec::new(),
            writes: Vec::new(),
            writes_left_out: 0,
            effects: Vec::new(),
            commit: None,
        }));
        let mut row = Row {
            number: 5,
            at_ms: 9,
            entry,
        };
        let head = encode_head(std::slice::from_ref(&row)).expect("a head");
        // A structure is its fields.
        let manifest = None::<[u8; 32]>;
        let (subscriptions, limits) = (vec!["blocks of 1"], vec![("fuel", 3_u64)]);
        let version = ("a", Some("1.2.3"), [7_u8; 32], manifest, 11_u64, subscriptions, limits);
        let stored = StoredRow {
            at_ms: row.at_ms,
            version: 0,
            entry: row.entry.clone(),
        };
        let raw = postcard::to_allocvec(&(vec![version], vec![stored])).expect("a body");
        let body = zstd::bulk::compress(&raw, LEVEL).expect("a body");
        let mut bytes = Vec::new();
        put(MAGIC_1, &head, &body, &mut bytes);
        if let Entry::Attempt(attempt) = &mut row.entry {
            attempt.module = Arc::new(ModuleVersion {
                name: "a".to_owned(),
                version: Some("1.2.3".to_owned()),
                digest: [7; 32],
                manifest: None,
                revision: None,
                since_ms: 11,
                subscriptions: vec!["blocks of 1".to_owned()],
                limits: vec![("fuel".to_owned(), 3)],
            });
        }
        assert_eq!(decode(&bytes), [row.clone()]);
        // The next seal writes it in the present version.
        let again = encode(&[row.clone()]);
        assert!(again.starts_with(&MAGIC));
        assert_eq!(decode(&again), [row]);
    }
}
