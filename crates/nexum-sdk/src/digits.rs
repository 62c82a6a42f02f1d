//! Hexadecimal digits, eight at a time.
//!
//! nexum counts each instruction of a module as fuel. A loop over bytes takes about 30 instructions
//! for each byte when it is optimised for size, so this code computes eight digits in one number.

/// Bytes, each in a half of 16 bits.
const LOW_HALVES: u64 = 0x00ff_00ff_00ff_00ff;
const NIBBLES: u64 = 0x0f0f_0f0f_0f0f_0f0f;
const ONES: u64 = 0x0101_0101_0101_0101;

/// The distance from the digit after `9` to `a`.
const TO_LETTERS: u64 = 0x27;

/// Adds the digits of bytes, in lower case.
pub(crate) fn push(text: &mut Vec<u8>, bytes: &[u8]) {
    let start = text.len();
    text.resize(start + 2 * bytes.len(), 0);
    let (_, added) = text.split_at_mut(start);
    let (chunks, rest) = bytes.as_chunks::<4>();
    let (digits, rest_digits) = added.as_chunks_mut::<8>();
    for (digits, chunk) in digits.iter_mut().zip(chunks) {
        *digits = letters(nibbles(*chunk)).to_le_bytes();
    }
    if !rest.is_empty() {
        let padded = letters(nibbles(padded(rest, 0))).to_le_bytes();
        rest_digits.copy_from_slice(padded.get(..rest_digits.len()).unwrap_or_default());
    }
}

/// The bytes of digits. `None` for an odd number of digits, or for another character.
pub(crate) fn read(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let mut bytes = vec![0; digits.len() / 2];
    let (chunks, rest) = digits.as_bytes().as_chunks::<8>();
    let (words, rest_bytes) = bytes.as_chunks_mut::<4>();
    for (word, chunk) in words.iter_mut().zip(chunks) {
        *word = values(*chunk)?;
    }
    if !rest.is_empty() {
        let last = values(padded(rest, b'0'))?;
        rest_bytes.copy_from_slice(last.get(..rest_bytes.len()).unwrap_or_default());
    }
    Some(bytes)
}

/// The first bytes of `rest`, and `padding` behind them.
fn padded<const N: usize>(rest: &[u8], padding: u8) -> [u8; N] {
    let mut padded = [padding; N];
    for (to, from) in padded.iter_mut().zip(rest) {
        *to = *from;
    }
    padded
}

/// The eight halves of four bytes, each in a byte, the high half of a byte first.
fn nibbles(bytes: [u8; 4]) -> u64 {
    let mut spread = u64::from(u32::from_le_bytes(bytes));
    spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    spread = (spread | spread << 8) & LOW_HALVES;
    (spread >> 4 | spread << 8) & NIBBLES
}

/// The digits of eight numbers up to 15.
fn letters(nibbles: u64) -> u64 {
    let is_letter = ((nibbles + 6 * ONES) >> 4) & ONES;
    nibbles + u64::from(b'0') * ONES + is_letter * TO_LETTERS
}

/// The four bytes of eight digits.
fn values(digits: [u8; 8]) -> Option<[u8; 4]> {
    let digits = u64::from_le_bytes(digits);
    // Letters have the bit 0x40, and the bit 0x20 in lower case.
    let is_letter = (digits >> 6) & ONES;
    let nibbles = (digits & NIBBLES) + is_letter * 9;
    let is_small = nibbles & !NIBBLES == 0;
    if !is_small || letters(nibbles) != digits | is_letter << 5 {
        return None;
    }
    let mut bytes = (nibbles << 4 | nibbles >> 8) & LOW_HALVES;
    bytes = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    let [a, b, c, d, ..] = (bytes | bytes >> 16).to_le_bytes();
    Some([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;
    use proptest::prelude::*;

    use super::*;

    fn digits(bytes: &[u8]) -> String {
        let mut text = Vec::new();
        push(&mut text, bytes);
        String::from_utf8(text).expect("ASCII")
    }

    /// Each character at each place of the eight.
    #[test]
    fn knows_every_character() {
        for place in 0..8 {
            for c in 0..=u8::MAX {
                let mut eight = *b"00000000";
                eight[place] = c;
                assert_eq!(values(eight).is_some(), c.is_ascii_hexdigit(), "{c:#x}");
            }
        }
    }

    proptest! {
        #[test]
        fn writes_and_reads_what_the_library_does(bytes: Vec<u8>) {
            let text = digits(&bytes);
            prop_assert_eq!(&text, &hex::encode(&bytes));
            prop_assert_eq!(read(&text), Some(bytes.clone()));
            prop_assert_eq!(read(&text.to_uppercase()), Some(bytes));
        }

        #[test]
        fn reads_no_other_text(text: String, digits in "[0-9a-fA-F]{0,8}", at in 0..9_usize, other in "[^0-9a-fA-F]") {
            prop_assert_eq!(read(&text), hex::decode(text.replace("0x", "zz")).ok());
            let mut mixed = digits;
            mixed.insert_str(at.min(mixed.len()), &other);
            prop_assert_eq!(read(&mixed), None);
        }
    }
}
