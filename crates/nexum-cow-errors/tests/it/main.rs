//! The table of errors, and their classification.
#![allow(missing_docs, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use nexum_cow_errors::{Class, ERRORS, classify, find};

#[test]
fn each_word_has_one_row_with_a_reason() {
    let words: BTreeSet<_> = ERRORS.iter().map(|row| row.error_type).collect();
    assert_eq!(words.len(), ERRORS.len());
    for row in ERRORS {
        assert!(row.error_type.chars().all(|c| c.is_ascii_alphanumeric()), "{row:?}");
        assert!(!row.reason.is_empty() && !row.reason.ends_with('.'), "{row:?}");
        assert_eq!(find(row.error_type), Some(row));
    }
}

#[test]
fn a_known_word_stands_whatever_the_status() {
    for row in ERRORS {
        for status in [400, 403, 404, 429, 500] {
            assert_eq!(
                classify(status, Some(row.error_type)),
                row.class,
                "{row:?} with {status}"
            );
        }
    }
}

#[test]
fn without_a_known_word_the_status_decides() {
    for (status, name) in [
        (400, "stop_order"),
        (401, "back_off"),
        (403, "back_off"),
        (404, "stop_order"),
        (408, "back_off"),
        (422, "our_bug"),
        (429, "back_off"),
        (500, "back_off"),
        (503, "back_off"),
    ] {
        assert_eq!(classify(status, None).name(), name, "{status}");
        // A firewall sends no `errorType`, so one with a 401 or 403 comes from the order book.
        let with_word = if matches!(status, 401 | 403) {
            "stop_owner"
        } else {
            name
        };
        assert_eq!(classify(status, Some("SomethingNew")).name(), with_word, "{status}");
    }
}

#[test]
fn words_without_a_description_have_their_classes() {
    for (error_type, class) in [("InvalidReplacement", Class::StopOrder), ("InvalidJson", Class::OurBug)] {
        for status in [400, 401, 403] {
            assert_eq!(classify(status, Some(error_type)), class, "{error_type} with {status}");
        }
    }
}

#[test]
fn what_may_pass_says_when() {
    for row in ERRORS {
        let waits = match row.class {
            Class::BackOff(wait) => wait >= Duration::from_secs(1) && wait <= Duration::from_secs(3_600),
            _ => true,
        };
        assert!(waits, "{row:?}");
        let passes = matches!(row.class, Class::NextBlock | Class::BackOff(_));
        assert_eq!(row.class.may_pass(), passes, "{row:?}");
    }
}
