//! Accounts with keystores, which every [`Anvil`](crate::Anvil) has with funds.

/// An account of every `anvil`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestAccount {
    /// The address.
    pub address: &'static str,
    /// The keystore file's content. Few rounds protect it, so that a debug build opens it at once.
    pub keystore: &'static str,
}

/// The password of the keystores.
pub const PASSWORD: &str = "correct horse";

/// The first two accounts of `anvil`.
pub const ACCOUNTS: [TestAccount; 2] = [
    TestAccount {
        address: "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        keystore: include_str!("accounts/first.json"),
    },
    TestAccount {
        address: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        keystore: include_str!("accounts/second.json"),
    },
];
