//! The rows of the store: their keys and values.
//!
//! Numbers in keys are big-endian, so that the order of the bytes is the order of the numbers.
//! Values with several fields have the postcard format of their types.

use std::ops::Bound;

use nexum_config::names::ModuleName;
use nexum_config::topic::{ChainId, ChainTopic, Finality, ScheduleId, Topic};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::{BlockHash, EventId, Position};
use crate::store::{Range, StoreError, View, Visit, VisitAsync};

/// A module's number in a store. Every row of the module has it in its key, so that modules are
/// isolated from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(pub u32);

/// The row with the format's version, a number.
const FORMAT: u8 = b'f';
/// A module's name -> its number.
const MODULE: u8 = b'm';
/// The row with the next module's number, once a module has got its number from it.
const NEXT_MODULE: u8 = b'i';
/// A module's number -> its cursors and usage.
const PROGRESS: u8 = b'c';
/// A module's number, a key -> the value.
const STATE: u8 = b's';
/// A module's number, a sequence number -> the undo record of an event.
const UNDO: u8 = b'u';
/// A module's number, an event's id -> the dead letter.
const DEAD_LETTER: u8 = b'd';
/// A module's number, an event's id, a number -> the record of an effect.
const EFFECT: u8 = b'e';
/// A module's number, a digest, an event's id, a number -> the record of a stranded effect.
const STRANDED: u8 = b'x';
/// A module's number, an event's id, a number -> a part of the transcript of an event.
const TRANSCRIPT: u8 = b'r';
/// A chain, a block's number and hash -> its parent's hash.
const HEADER: u8 = b'h';

/// A module's name -> what the operator wants of it.
const OPERATOR: u8 = b'o';

/// The name of a capability, its key -> its value.
const CAPABILITY: u8 = b'a';

/// The number of an incomplete import or removal, whose rows belong to no module -> nothing.
const ORPHAN: u8 = b'n';

pub(crate) fn format() -> Vec<u8> {
    vec![FORMAT]
}

pub(crate) fn modules() -> Vec<u8> {
    vec![MODULE]
}

pub(crate) fn next_module() -> Vec<u8> {
    vec![NEXT_MODULE]
}

pub(crate) fn module(name: &ModuleName) -> Vec<u8> {
    key(MODULE, &[name.as_str().as_bytes()])
}

/// The prefix of the operator's rows.
pub(crate) fn operators() -> Vec<u8> {
    vec![OPERATOR]
}

pub(crate) fn operator(name: &ModuleName) -> Vec<u8> {
    key(OPERATOR, &[name.as_str().as_bytes()])
}

/// The key of a capability's row. A name has no zero byte, so no name's keys begin with those of another one.
pub(crate) fn capability(name: &str, key_of_row: &[u8]) -> Vec<u8> {
    key(CAPABILITY, &[name.as_bytes(), &[0], key_of_row])
}

/// The prefix of the rows of all capabilities.
pub(crate) fn capabilities() -> Vec<u8> {
    vec![CAPABILITY]
}

/// The capability's name and its key in the key of a row.
pub(crate) fn capability_of(row: &[u8]) -> Result<(&str, &[u8]), StoreError> {
    let damaged = || StoreError::Damaged("the key of a capability's row".to_owned());
    let row = row.get(1..).ok_or_else(damaged)?;
    let end = row.iter().position(|byte| *byte == 0).ok_or_else(damaged)?;
    let name = std::str::from_utf8(&row[..end]).map_err(|_| damaged())?;
    Ok((name, &row[end + 1..]))
}

pub(crate) fn progress(id: ModuleId) -> Vec<u8> {
    key(PROGRESS, &[&id.0.to_be_bytes()])
}

pub(crate) fn state(id: ModuleId, guest_key: &[u8]) -> Vec<u8> {
    key(STATE, &[&id.0.to_be_bytes(), guest_key])
}

/// The guest's key in the key of a state row.
pub(crate) fn guest_key(row: &[u8]) -> &[u8] {
    row.get(1 + size_of::<u32>()..).unwrap_or_default()
}

/// The prefix of a module's keys and values.
pub(crate) fn states(id: ModuleId) -> Vec<u8> {
    state(id, &[])
}

/// The prefix of a module's undo records.
pub(crate) fn undos(id: ModuleId) -> Vec<u8> {
    key(UNDO, &[&id.0.to_be_bytes()])
}

pub(crate) fn undo(id: ModuleId, sequence: u64) -> Vec<u8> {
    key(UNDO, &[&id.0.to_be_bytes(), &sequence.to_be_bytes()])
}

/// The sequence number in an undo record's key.
pub(crate) fn sequence_of(row: &[u8]) -> Result<u64, StoreError> {
    let bytes = row.get(1 + size_of::<u32>()..).unwrap_or_default();
    Ok(u64::from_be_bytes(array(bytes)?))
}

/// The prefix of a module's dead letters.
pub(crate) fn dead_letters(id: ModuleId) -> Vec<u8> {
    key(DEAD_LETTER, &[&id.0.to_be_bytes()])
}

/// The key of a dead letter. The keys are in the order of the topics, blocks and events.
pub(crate) fn dead_letter(id: ModuleId, event: &EventId) -> Vec<u8> {
    dead_letter_of(id, &event_key(event))
}

/// [`dead_letter`] for an event's part of a key.
pub(crate) fn dead_letter_of(id: ModuleId, event: &[u8]) -> Vec<u8> {
    key(DEAD_LETTER, &[&id.0.to_be_bytes(), event])
}

/// The event's part of the key of a dead letter.
pub(crate) fn event_of_letter(row: &[u8]) -> &[u8] {
    row.get(1 + size_of::<u32>()..).unwrap_or_default()
}

/// The bytes of an event in the keys of a module's rows.
pub(crate) const EVENT_KEY_BYTES: usize = TOPIC_KEY_BYTES + 8 + 1 + 32;

/// The bytes of a topic in the key of an event.
const TOPIC_KEY_BYTES: usize = 1 + 8 + 8;

/// The event's part of a key. Its order is the order of the topics, blocks and events.
pub(crate) fn event_key(event: &EventId) -> [u8; EVENT_KEY_BYTES] {
    let EventId { topic, position, kind } = event;
    let mut bytes = [0; EVENT_KEY_BYTES];
    let (of_topic, of_block) = bytes.split_at_mut(TOPIC_KEY_BYTES);
    of_topic.copy_from_slice(&topic_key(*topic));
    of_block[..8].copy_from_slice(&position.number.to_be_bytes());
    of_block[8] = *kind as u8;
    of_block[9..].copy_from_slice(&position.hash);
    bytes
}

/// The topic's part of an event's key.
fn topic_key(topic: Topic) -> [u8; TOPIC_KEY_BYTES] {
    let (what, of, rest) = match topic {
        Topic::Chain(ChainTopic { chain_id, finality }) => match finality {
            Finality::Latest => (0, chain_id, 0),
            Finality::Confirmations(count) => (0, chain_id, count.get()),
            Finality::Safe => (0, chain_id, u64::MAX - 1),
            Finality::Finalized => (0, chain_id, u64::MAX),
        },
        Topic::Schedule(ScheduleId(id)) => (1, id, 0),
    };
    let mut bytes = [what; TOPIC_KEY_BYTES];
    bytes[1..9].copy_from_slice(&of.to_be_bytes());
    bytes[9..].copy_from_slice(&rest.to_be_bytes());
    bytes
}

/// The prefix of the records of a module's effects.
pub(crate) fn effects(id: ModuleId) -> Vec<u8> {
    key(EFFECT, &[&id.0.to_be_bytes()])
}

/// The prefix of the records of one event's effects. `event` is an event's part of a key.
pub(crate) fn effects_of(id: ModuleId, event: &[u8]) -> Vec<u8> {
    key(EFFECT, &[&id.0.to_be_bytes(), event])
}

pub(crate) fn effect(id: ModuleId, event: &EventId, number: u32) -> Vec<u8> {
    key(EFFECT, &[&id.0.to_be_bytes(), &event_key(event), &number.to_be_bytes()])
}

/// The prefix of the records of a module's stranded effects.
pub(crate) fn all_stranded(id: ModuleId) -> Vec<u8> {
    key(STRANDED, &[&id.0.to_be_bytes()])
}

pub(crate) fn stranded(id: ModuleId, digest: &[u8; 32], event: &EventId, number: u32) -> Vec<u8> {
    key(
        STRANDED,
        &[&id.0.to_be_bytes(), digest, &event_key(event), &number.to_be_bytes()],
    )
}

/// The prefix of a module's transcripts.
pub(crate) fn transcripts(id: ModuleId) -> Vec<u8> {
    key(TRANSCRIPT, &[&id.0.to_be_bytes()])
}

/// The prefix of the parts of one event's transcript. `event` is an event's part of a key.
pub(crate) fn transcripts_of(id: ModuleId, event: &[u8]) -> Vec<u8> {
    key(TRANSCRIPT, &[&id.0.to_be_bytes(), event])
}

pub(crate) fn transcript(id: ModuleId, event: &[u8], number: u32) -> Vec<u8> {
    key(TRANSCRIPT, &[&id.0.to_be_bytes(), event, &number.to_be_bytes()])
}

/// The prefix of a chain's headers.
pub(crate) fn headers(chain_id: ChainId) -> Vec<u8> {
    key(HEADER, &[&chain_id.to_be_bytes()])
}

pub(crate) fn header(chain_id: ChainId, position: Position) -> Vec<u8> {
    key(
        HEADER,
        &[&chain_id.to_be_bytes(), &position.number.to_be_bytes(), &position.hash],
    )
}

/// The chain and the block in a header's key.
pub(crate) fn block_of(row: &[u8]) -> Result<(ChainId, Position), StoreError> {
    let numbers = row.get(1..).unwrap_or_default();
    let (chain_id, rest) = numbers.split_at_checked(size_of::<u64>()).unwrap_or_default();
    let (number, hash) = rest.split_at_checked(size_of::<u64>()).unwrap_or_default();
    let position = Position {
        number: u64::from_be_bytes(array(number)?),
        hash: array(hash)?,
    };
    Ok((u64::from_be_bytes(array(chain_id)?), position))
}

/// The prefix of the numbers without a module.
pub(crate) fn orphans() -> Vec<u8> {
    vec![ORPHAN]
}

pub(crate) fn orphan(id: ModuleId) -> Vec<u8> {
    key(ORPHAN, &[&id.0.to_be_bytes()])
}

/// The number in the key of a row of [`orphans`], or of any row of a module.
pub(crate) fn id_of(row: &[u8]) -> Result<ModuleId, StoreError> {
    let bytes = row.get(1..1 + size_of::<u32>()).unwrap_or_default();
    number(bytes).map(ModuleId)
}

/// The kind of the row with this key.
pub(crate) fn kind_of(row: &[u8]) -> Kind {
    match row.first() {
        Some(&FORMAT) => Kind::Format,
        Some(&MODULE) => Kind::Module,
        Some(&NEXT_MODULE) => Kind::NextModule,
        Some(&PROGRESS) => Kind::Progress,
        Some(&STATE) => Kind::State,
        Some(&UNDO) => Kind::Undo,
        Some(&DEAD_LETTER) => Kind::DeadLetter,
        Some(&EFFECT) => Kind::Effect,
        Some(&STRANDED) => Kind::Stranded,
        Some(&TRANSCRIPT) => Kind::Transcript,
        Some(&HEADER) => Kind::Header,
        Some(&ORPHAN) => Kind::Orphan,
        Some(&OPERATOR) => Kind::Operator,
        Some(&CAPABILITY) => Kind::Capability,
        _ => Kind::Unknown,
    }
}

/// The kinds of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Format,
    Module,
    NextModule,
    Progress,
    State,
    Undo,
    DeadLetter,
    Effect,
    Stranded,
    Transcript,
    Header,
    Orphan,
    Operator,
    Capability,
    Unknown,
}

pub(crate) fn hash(value: &[u8]) -> Result<BlockHash, StoreError> {
    array(value)
}

pub(crate) fn number(value: &[u8]) -> Result<u32, StoreError> {
    Ok(u32::from_be_bytes(array(value)?))
}

pub(crate) fn name_of(row: &[u8]) -> Result<ModuleName, StoreError> {
    let name = row.get(1..).and_then(|name| std::str::from_utf8(name).ok());
    name.and_then(|name| name.parse().ok())
        .ok_or_else(|| StoreError::Damaged("a module's name is not valid".to_owned()))
}

#[expect(clippy::expect_used, reason = "rows are plain data: numbers, bytes, lists")]
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain data can be encoded")
}

pub(crate) fn decode<T: DeserializeOwned>(value: &[u8], what: &str) -> Result<T, StoreError> {
    postcard::from_bytes(value).map_err(|error| StoreError::Damaged(format!("{what}: {error}")))
}

/// Passes the rows whose key starts with `prefix` to `visit`.
pub(crate) fn scan(view: &dyn View, prefix: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
    let end = end_of(prefix);
    view.scan(range(prefix, end.as_deref(), None), visit)
}

/// [`scan`] for host functions. With `after`, starts after that key.
pub(crate) async fn scan_async(
    view: &dyn View,
    prefix: &[u8],
    after: Option<&[u8]>,
    visit: &mut VisitAsync<'_>,
) -> Result<(), StoreError> {
    let end = end_of(prefix);
    view.scan_async(range(prefix, end.as_deref(), after), visit).await
}

/// The keys from `prefix` to `end`, or those after `after`.
fn range<'a>(prefix: &'a [u8], end: Option<&'a [u8]>, after: Option<&'a [u8]>) -> Range<'a> {
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    (from, end.map_or(Bound::Unbounded, Bound::Excluded))
}

/// The first key after all keys that start with `prefix`. `None` if there is no such key.
pub(super) fn end_of(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn key(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let bytes = parts.iter().map(|part| part.len()).sum::<usize>();
    let mut key = Vec::with_capacity(1 + bytes);
    key.push(kind);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes
        .try_into()
        .map_err(|_| StoreError::Damaged(format!("{} bytes instead of {N}", bytes.len())))
}
