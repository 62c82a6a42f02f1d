//! The segments of the event ledger: never a panic, and what is read survives another round.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nexum_ledger::{decode, encode};

fuzz_target!(|bytes: &[u8]| {
    let rows = decode(bytes);
    assert_eq!(decode(&encode(&rows)), rows);
});
