//! The addresses of the contracts on a [`CowChain`](super::CowChain).

use alloy_primitives::{Address, address};

pub use crate::order_book::SETTLEMENT;

/// The contract that takes the sold tokens from their owners.
pub const VAULT_RELAYER: Address = address!("C92E8bdf79f0507f65a392b0ab4667716BFE0110");

/// The list of the accounts that may settle.
pub const ALLOW_LIST: Address = address!("2c4c28DDBdAc9C5E7055b4C863b72eA0149D8aFE");

/// The account that may change the list.
pub(super) const ALLOW_LIST_MANAGER: Address = address!("6Fb5916c0f57f88004d5b5EB25f6f4D77353a1eD");

/// The implementation behind [`ALLOW_LIST`].
pub(super) const ALLOW_LIST_IMPLEMENTATION: Address = address!("9E7Ae8Bdba9AA346739792d219a808884996Db67");

/// The vault that the settlement names. It has no code here.
pub(super) const VAULT: Address = address!("BA12222222228d8Ba445958a75a0704d566BF2C8");

/// The contract that deploys others by `CREATE2`, which anvil has.
pub(super) const DEPLOYER: Address = address!("4e59b44847b379578588920cA78FbF26c0B4956C");

/// Calls several contracts at once.
pub const MULTICALL3: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");

/// The registry of conditional orders.
pub const COMPOSABLE_COW: Address = address!("fdaFc9d1902f4e0b84f65F49f244b32b31013b74");

/// The fallback handler of the Safes.
pub const SAFE_HANDLER: Address = address!("2f55e8b20D0B9FEFA187AA7d00B6Cbe563605bF5");

/// Gives the time of the block as the value of a context.
pub const TIMESTAMP_FACTORY: Address = address!("52eD56Da04309Aca4c3FECC595298d80C2f16BAc");

/// The code that Safes share.
pub const SAFE: Address = address!("41675C099F32341bf84BFc5382aF534df5C7461a");

/// Makes Safes.
pub const SAFE_FACTORY: Address = address!("4e1DCf7AD4e460CfD30791CCC4F9c8a4f820ec67");

/// The handler of a Safe that knows no conditional orders.
pub const COMPATIBILITY_HANDLER: Address = address!("fd0732Dc9E303f09fCEf3a7388Ad10A83459Ec99");

/// The handler of TWAPs.
pub const TWAP: Address = address!("6cF1e9cA41f7611dEf408122793c358a3d11E5a5");

/// The handler of orders that start at a time.
pub const GOOD_AFTER_TIME: Address = address!("daF33924925E03C9cC3a10D434016D6cFad0aDd5");

/// The first version of [`GOOD_AFTER_TIME`].
pub const GOOD_AFTER_TIME_V1: Address = address!("d3338f21c89745E46AF56Aeaf553cF96ba9BC66f");

/// The handler of orders that wait for a price.
pub const STOP_LOSS: Address = address!("412c36e5011CD2517016D243a2dfB37f73A242E7");

/// The first version of [`STOP_LOSS`].
pub const STOP_LOSS_V1: Address = address!("E8212F30C28B4AAB467DF3725C14d6e89C2eB967");

/// The handler of orders that wait for a balance.
pub const TRADE_ABOVE_THRESHOLD: Address = address!("812308712a6D1367f437E1c1e4af85C854E1e9f6");

/// The handler of orders between two tokens of one value, without an end.
pub const PERPETUAL_STABLE_SWAP: Address = address!("519BA24e959E33b3B6220CA98bd353d8c2D89920");

/// A handler whose static input is its answer. It exists on no public chain.
pub const SAYS: Address = address!("322813Fd9A801c5507c9de605d63CEA4f2CE6c44");

/// A swap guard that permits only orders without a receiver. It exists on no public chain.
pub const RECEIVER_LOCK: Address = address!("67d269191c92Caf3cD7723F116c85e6E9bf55933");

/// The token that the orders of this crate sell, with 18 decimals. It exists on no public chain.
pub const SELL_TOKEN: Address = address!("3Aa5ebB10DC797CAC828524e59A333d0A371443c");

/// The token that the orders of this crate buy, with 6 decimals. It exists on no public chain.
pub const BUY_TOKEN: Address = address!("c6e7DF5E7b4f2A278906862b61205850344D4e7d");
