use nexum_config::hint::Hint as _;

use crate::support::grant;

#[test]
fn a_message_needs_a_prefix_and_a_length() {
    let grant = grant("messages = { prefixes = [\"login: \", \"vote: \"], max_bytes = 40 }");
    assert_eq!(
        grant.check_message(b"vote: yes").unwrap().rule,
        "identity.m.keeper.messages"
    );
    assert!(grant.check_message(b"login: ").is_ok());
    for (message, reason) in [
        ("", "the message begins with none of the prefixes"),
        ("Vote: yes", "the message begins with none of the prefixes"),
        (" login: a", "the message begins with none of the prefixes"),
        (
            "login: 0123456789012345678901234567890123456789",
            "the message has 47 bytes, and max_bytes is 40",
        ),
        // A prefix does not make a hash of it.
        (
            "login: 0123456789012345678901234",
            "a message of 32 bytes can be the hash of anything",
        ),
    ] {
        let refusal = grant.check_message(message.as_bytes()).unwrap_err();
        assert_eq!(refusal.reason, reason, "{message}");
        assert_eq!(refusal.rule, "identity.m.keeper.messages");
        assert!(refusal.hint().is_some());
    }
}

#[test]
fn a_message_of_32_bytes_needs_its_name() {
    let hashes = grant("messages = { hashes = true }");
    assert!(hashes.check_message(&[0xff; 32]).is_ok());
    assert!(hashes.check_message(&[0xff; 31]).is_err());
    let prefixes = grant("messages = { prefixes = [\"a\"] }");
    assert!(prefixes.check_message(&[b'a'; 31]).is_ok());
    assert!(prefixes.check_message(&[b'a'; 32]).is_err());
    assert!(prefixes.check_message(&[b'a'; 33]).is_ok());
}

#[test]
fn no_rule_allows_no_message() {
    let refusal = grant("").check_message(b"login: a").unwrap_err();
    assert_eq!(refusal.to_string(), "no rule allows messages (identity.m.keeper)");
}
