use nexum_sdk::{Error, ErrorKind, Result, sol};

sol! {
    interface IVault {
        error TooSmall(uint256 least);
        error Closed();
    }
}

#[test]
fn the_question_mark_takes_every_error() {
    fn number(text: &str) -> Result<u8> {
        Ok(text.parse()?)
    }
    let error = number("x").expect_err("no number");
    assert_eq!(error.to_string(), "internal: invalid digit found in string");
}

/// Some errors have a source with their own text.
#[test]
fn the_text_of_a_source_is_shown_once() {
    let inner = std::io::Error::other("inner");
    let outer = std::io::Error::other(inner);
    assert_eq!(Error::from(outer).message(), "inner");
}

#[test]
fn shows_where_an_error_comes_from() {
    let error = Error::new(ErrorKind::Denied, "no").with_code(403).context("order 7");
    assert_eq!(
        format!("{error} / {error:?}"),
        "denied (403): order 7: no / denied (403): order 7: no"
    );
}

#[test]
fn only_what_passes_by_itself_is_retryable() {
    use ErrorKind::*;
    let kinds = [
        Unsupported,
        Unavailable,
        Denied,
        RateLimited,
        Timeout,
        InvalidInput,
        Internal,
    ];
    let retryable: Vec<_> = kinds
        .into_iter()
        .filter(|kind| Error::new(*kind, "").is_retryable())
        .collect();
    assert_eq!(retryable, [Unavailable, RateLimited, Timeout]);
}

#[test]
fn decodes_reverts() {
    let data = "0x9fb71c02";
    let error = Error::new(ErrorKind::InvalidInput, "reverted");
    assert!(error.decode_revert::<IVault::IVaultErrors>().is_none());
    assert!(
        error
            .clone()
            .with_data(data)
            .decode_revert::<IVault::IVaultErrors>()
            .is_none()
    );
    assert!(error.clone().with_data("not hex").revert_data().is_none());
    let closed = nexum_sdk::sol_types::SolError::abi_encode(&IVault::Closed {});
    let error = error.with_data(nexum_sdk::Bytes::from(closed).to_string());
    assert!(matches!(error.decode_revert(), Some(IVault::IVaultErrors::Closed(_))));
}
