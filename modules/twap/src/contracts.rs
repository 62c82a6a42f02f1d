//! The contracts of conditional orders: ComposableCoW, its handlers, the settlement and Multicall3.

use nexum_sdk::{Address, address, sol};

sol! {
    /// The parameters of a conditional order.
    #[derive(Debug, Default, PartialEq)]
    struct ConditionalOrderParams { address handler; bytes32 salt; bytes staticInput; }

    /// Where the leaves of a root are.
    #[derive(Debug)]
    struct Proof { uint256 location; bytes data; }

    #[derive(Debug)]
    event ConditionalOrderCreated(address indexed owner, ConditionalOrderParams params);
    #[derive(Debug)]
    event MerkleRootSet(address indexed owner, bytes32 root, Proof proof);
    #[derive(Debug)]
    event SwapGuardSet(address indexed owner, address swapGuard);

    /// A discrete order, as the settlement has it.
    #[derive(Debug, Default, PartialEq)]
    struct OrderData {
        address sellToken; address buyToken; address receiver; uint256 sellAmount; uint256 buyAmount;
        uint32 validTo; bytes32 appData; uint256 feeAmount; bytes32 kind; bool partiallyFillable;
        bytes32 sellTokenBalance; bytes32 buyTokenBalance;
    }

    function getTradeableOrderWithSignature(
        address owner, ConditionalOrderParams params, bytes offchainInput, bytes32[] proof
    ) external view returns (OrderData order, bytes signature);
    function cabinet(address owner, bytes32 context) external view returns (bytes32 value);
    function filledAmount(bytes uid) external view returns (uint256 amount);
    function isValidSignature(bytes32 digest, bytes signature) external view returns (bytes4 magic);

    struct Call3 { address target; bool allowFailure; bytes callData; }
    struct Returned { bool success; bytes returnData; }
    function aggregate3(Call3[] calls) external payable returns (Returned[] returned);

    /// The errors of a poll.
    #[derive(Debug)]
    interface Poll {
        error OrderNotValid(string reason);
        error PollTryNextBlock(string reason);
        error PollTryAtBlock(uint256 blockNumber, string reason);
        error PollTryAtEpoch(uint256 timestamp, string reason);
        error PollNever(string reason);
        error SingleOrderNotAuthed();
        error ProofNotAuthed();
        error SwapGuardRestricted();
        error InvalidFallbackHandler();
        error InterfaceNotSupported();
    }
}

/// ComposableCoW, on every chain.
pub const COMPOSABLE_COW: Address = address!("0xfdaFc9d1902f4e0b84f65F49f244b32b31013b74");

/// Multicall3, on nearly all chains.
pub const MULTICALL3: Address = address!("0xcA11bde05977b3631167028862bE2a173976CA11");

/// The answer of `isValidSignature` for a valid signature (EIP-1271).
pub const VALID_SIGNATURE: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

/// The code that makes the discrete orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    Twap,
    GoodAfterTime,
    StopLoss,
    TradeAboveThreshold,
    PerpetualStableSwap,
    /// A contract that anyone may have deployed.
    Unknown,
}

impl Handler {
    /// The handler at an address. Both deployments of a handler have one layout of static input.
    pub fn at(address: Address) -> Self {
        const TWAP: Address = address!("0x6cF1e9cA41f7611dEf408122793c358a3d11E5a5");
        const GAT_1: Address = address!("0xd3338f21c89745E46AF56Aeaf553cF96ba9BC66f");
        const GAT_2: Address = address!("0xdaF33924925E03C9cC3a10D434016D6cFad0aDd5");
        const STOP_LOSS_1: Address = address!("0xE8212F30C28B4AAB467DF3725C14d6e89C2eB967");
        const STOP_LOSS_2: Address = address!("0x412c36e5011CD2517016D243a2dFB37f73A242E7");
        const THRESHOLD_1: Address = address!("0x44569Cbd4E10dd5e97293337964Eff32d58ed352");
        const THRESHOLD_2: Address = address!("0x812308712a6D1367f437E1c1e4af85C854E1e9f6");
        const STABLE_SWAP: Address = address!("0x519BA24e959E33b3B6220CA98bd353d8c2D89920");
        match address {
            TWAP => Self::Twap,
            GAT_1 | GAT_2 => Self::GoodAfterTime,
            STOP_LOSS_1 | STOP_LOSS_2 => Self::StopLoss,
            THRESHOLD_1 | THRESHOLD_2 => Self::TradeAboveThreshold,
            STABLE_SWAP => Self::PerpetualStableSwap,
            _ => Self::Unknown,
        }
    }

    pub fn is_known(self) -> bool {
        self != Self::Unknown
    }
}
