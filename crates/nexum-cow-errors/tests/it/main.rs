//! The table of errors, and their classification.
#![allow(missing_docs, reason = "tests")]

use std::collections::BTreeSet;
use std::time::Duration;

use nexum_cow_errors::{Class, Conditional, ERRORS, classify, classify_part, find};

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
fn without_a_known_word_the_status_decides_and_no_order_is_forgotten() {
    let wait = |seconds| Class::BackOff(Duration::from_secs(seconds));
    for (status, without_word, with_word) in [
        (400, wait(60), wait(60)),
        (401, wait(60), wait(60)),
        (403, wait(60), wait(60)),
        (404, wait(600), wait(60)),
        (408, wait(15), wait(15)),
        (409, wait(60), wait(60)),
        (413, Class::StopOrder, Class::StopOrder),
        (422, wait(60), wait(60)),
        (429, wait(15), wait(15)),
        (500, wait(15), wait(15)),
        (503, wait(15), wait(15)),
    ] {
        assert_eq!(classify(status, None), without_word, "{status}");
        assert_eq!(classify(status, Some("SomethingNew")), with_word, "{status}");
        let part = match status {
            413 => Conditional::NextPart,
            _ => Conditional::Retry,
        };
        assert_eq!(classify_part(status, None), part, "{status}");
        assert_eq!(classify_part(status, Some("SomethingNew")), part, "{status}");
    }
}

#[test]
fn a_late_part_is_not_the_end_of_a_conditional_order() {
    for (error_type, expected) in [
        ("DuplicatedOrder", Conditional::Placed),
        ("InsufficientValidTo", Conditional::NextPart),
        ("Forbidden", Conditional::NextPart),
        ("InvalidJson", Conditional::NextPart),
        ("InsufficientBalance", Conditional::Retry),
        ("QuoteNotFound", Conditional::Retry),
        ("SameBuyAndSellToken", Conditional::Stop),
    ] {
        assert_eq!(classify_part(400, Some(error_type)), expected, "{error_type}");
    }
    for row in ERRORS {
        let fits = match row.class {
            Class::Accepted => row.conditional == Conditional::Placed,
            Class::StopOrder => matches!(row.conditional, Conditional::NextPart | Conditional::Stop),
            Class::OurBug => row.conditional == Conditional::NextPart,
            _ => row.conditional == Conditional::Retry,
        };
        assert!(fits, "{row:?}");
        assert!(!row.may_hide_existing || row.class.may_pass(), "{row:?}");
    }
}

#[test]
fn waits_double_up_to_an_hour() {
    let class = Class::BackOff(Duration::from_secs(60));
    let waits: Vec<_> = [0, 1, 2, 3, 6, 7, 8, 33, u32::MAX]
        .map(|failures| class.wait(failures).unwrap().as_secs())
        .into();
    assert_eq!(waits, [60, 60, 120, 240, 1_920, 3_600, 3_600, 3_600, 3_600]);
    assert_eq!(Class::StopOrder.wait(1), None);
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
