//! The journals of fjall: never a panic, and nothing is lost when the rest after the last whole batch is removed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nexum_store::journal::{Journal, Rest};

fuzz_target!(|bytes: &[u8]| {
    let journal = Journal::read(bytes, None);
    let kept = Journal::read(&bytes[..journal.end()], None);
    assert_eq!((&kept.last, kept.number), (&journal.last, journal.number));
    assert_eq!(kept.rest, Rest::Empty);
    let is_zero = bytes[journal.end()..].iter().all(|byte| *byte == 0);
    assert_eq!(is_zero, journal.rest == Rest::Empty);
});
