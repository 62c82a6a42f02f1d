//! Rows as bytes: any damage shortens the history, and nothing else.

use nexum_ledger::{decode, encode};
use proptest::prelude::*;

use crate::rows::any_rows;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_survive_their_bytes(rows in any_rows()) {
        prop_assert_eq!(decode(&encode(&rows)), rows);
    }

    #[test]
    fn a_truncated_file_has_the_first_rows(rows in any_rows(), more in any_rows(), cut in any::<prop::sample::Index>()) {
        let mut bytes = encode(&rows);
        let whole = bytes.len();
        bytes.extend(encode(&more));
        bytes.truncate(cut.index(bytes.len() + 1));
        let decoded = decode(&bytes);
        let all: Vec<_> = rows.iter().chain(&more).cloned().collect();
        prop_assert!(all.starts_with(&decoded));
        prop_assert!(bytes.len() < whole || decoded.starts_with(&rows), "a whole frame is readable");
    }

    #[test]
    fn a_flipped_bit_costs_the_rows_from_its_frame_on(
        rows in any_rows(),
        more in any_rows(),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let mut bytes = encode(&rows);
        let whole = bytes.len();
        bytes.extend(encode(&more));
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let decoded = decode(&bytes);
        let expected = if at < whole { &[] } else { &*rows };
        prop_assert_eq!(&*decoded, expected);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        decode(&bytes);
        for magic in [b"NXLF", b"NXL2"] {
            decode(&[magic, &*bytes].concat());
        }
    }
}
