//! Accounts and rules from the text of an `engine.toml`.

use std::path::Path;
use std::sync::Arc;

use nexum_accounts::{Account, Accounts, AccountsConfig, Grant};
use nexum_config::document::{ConfigErrors, Document, Environment};
use nexum_config::hint::Hint as _;
use nexum_config::names::ModuleName;
use tempfile::TempDir;

/// The address of the key in `tests/data/foundry.json`.
pub(crate) const ADDRESS: &str = "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23";

/// The private key in that file, in no text of nexum.
pub(crate) const KEY: &str = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";

/// The password of that file.
pub(crate) const PASSWORD: &str = "correct horse";

/// An address without a key in these tests.
pub(crate) const OTHER: &str = "0x9008D19f58AAbD9eD0D60971565AA8510560ab41";

pub(crate) fn parse_in(
    directory: &Path,
    text: &str,
    variables: &[(&str, &str)],
) -> Result<AccountsConfig, ConfigErrors> {
    let environment = Environment::from_pairs(variables.iter().copied());
    let document = Document::parse(&directory.join("engine.toml"), text.as_bytes(), &environment)?;
    let section = |key| document.root().section(key).expect("a table");
    AccountsConfig::from_sections(section("accounts").as_ref(), section("identity").as_ref())
}

pub(crate) fn parse(text: &str) -> Result<AccountsConfig, ConfigErrors> {
    parse_in(Path::new(""), text, &[])
}

/// The errors of a text, each with its hint.
pub(crate) fn errors_of(text: &str, variables: &[(&str, &str)]) -> String {
    let errors = parse_in(Path::new(""), text, variables).expect_err("errors");
    let lines = errors.iter().map(|error| match error.hint() {
        Some(hint) => format!("{error}\n  hint: {hint}\n"),
        None => format!("{error}\n"),
    });
    lines.collect()
}

/// The grant of the module `m` for the account `keeper` with these rules.
pub(crate) fn grant(rules: &str) -> Grant {
    let text = format!(
        "[accounts.keeper]\naddress = \"{ADDRESS}\"\nsigner = {{ web3signer = \"http://127.0.0.1:1\" }}\n\
         [identity.m.keeper]\n{rules}\n"
    );
    let accounts = Accounts::new(parse(&text).unwrap_or_else(|errors| panic!("{errors}")));
    let module: ModuleName = "m".parse().unwrap();
    accounts.of(&module).first().expect("a grant").clone()
}

/// An account with a keystore of `tests/data`, and the directory with its files.
pub(crate) fn keystore(file: &str, address: &str, password: &str) -> (Arc<Account>, TempDir) {
    let json = std::fs::read_to_string(data(file)).unwrap();
    keystore_of(&json, address, password)
}

pub(crate) fn data(file: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

/// An account with this keystore.
pub(crate) fn keystore_of(json: &str, address: &str, password: &str) -> (Arc<Account>, TempDir) {
    let directory = TempDir::new().unwrap();
    std::fs::write(directory.path().join("key.json"), json).unwrap();
    std::fs::write(directory.path().join("password"), password).unwrap();
    let text = format!(
        "[accounts.keeper]\naddress = \"{address}\"\nsigner = {{ keystore = \"key.json\", password_file = \"password\" }}\n"
    );
    (account_in(directory.path(), &text, &[]), directory)
}

/// The only account of a text.
pub(crate) fn account_in(directory: &Path, text: &str, variables: &[(&str, &str)]) -> Arc<Account> {
    let config = parse_in(directory, text, variables).unwrap_or_else(|errors| panic!("{errors}"));
    let accounts = Accounts::new(config);
    accounts.all().next().expect("an account").clone()
}
