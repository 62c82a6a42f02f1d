//! The functions and types of the contracts.
#![allow(
    missing_docs,
    clippy::all,
    clippy::doc_markdown,
    reason = "the names are those of the contracts"
)]

pub use alloy_sol_types::SolCall;

alloy_sol_types::sol! {
    #[derive(Debug, PartialEq, Eq)]
    struct Params { address handler; bytes32 salt; bytes staticInput; }

    #[derive(Debug, PartialEq, Eq)]
    struct Proof { uint256 location; bytes data; }

    #[derive(Debug, PartialEq, Eq)]
    struct Order {
        address sellToken;
        address buyToken;
        address receiver;
        uint256 sellAmount;
        uint256 buyAmount;
        uint32 validTo;
        bytes32 appData;
        uint256 feeAmount;
        bytes32 kind;
        bool partiallyFillable;
        bytes32 sellTokenBalance;
        bytes32 buyTokenBalance;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct TwapData {
        address sellToken;
        address buyToken;
        address receiver;
        uint256 partSellAmount;
        uint256 minPartLimit;
        uint256 t0;
        uint256 n;
        uint256 t;
        uint256 span;
        bytes32 appData;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct GoodAfterTimeData {
        address sellToken;
        address buyToken;
        address receiver;
        uint256 sellAmount;
        uint256 minSellBalance;
        uint256 startTime;
        uint256 endTime;
        bool allowPartialFill;
        bytes priceCheckerPayload;
        bytes32 appData;
    }

    struct StopLossData {
        address sellToken;
        address buyToken;
        uint256 sellAmount;
        uint256 buyAmount;
        bytes32 appData;
        address receiver;
        bool isSellOrder;
        bool isPartiallyFillable;
        uint256 validTo;
        address sellTokenPriceOracle;
        address buyTokenPriceOracle;
        int256 strike;
        uint256 maxTimeSinceLastOracleUpdate;
    }

    struct Trade {
        uint256 sellTokenIndex;
        uint256 buyTokenIndex;
        address receiver;
        uint256 sellAmount;
        uint256 buyAmount;
        uint32 validTo;
        bytes32 appData;
        uint256 feeAmount;
        uint256 flags;
        uint256 executedAmount;
        bytes signature;
    }

    struct Interaction { address target; uint256 value; bytes callData; }

    // ComposableCoW
    event ConditionalOrderCreated(address indexed owner, Params params);
    event MerkleRootSet(address indexed owner, bytes32 root, Proof proof);
    function create(Params params, bool dispatch);
    function createWithContext(Params params, address factory, bytes data, bool dispatch);
    function remove(bytes32 id);
    function setRoot(bytes32 root, Proof proof);
    function setRootWithContext(bytes32 root, Proof proof, address factory, bytes data);
    function setSwapGuard(address swapGuard);
    function getTradeableOrderWithSignature(
        address owner,
        Params params,
        bytes offchainInput,
        bytes32[] proof
    ) returns (Order order, bytes signature);

    // Safe, its factory, and its handler
    event ProxyCreation(address indexed proxy, address singleton);
    function createProxyWithNonce(address singleton, bytes initializer, uint256 saltNonce);
    function setup(
        address[] owners,
        uint256 threshold,
        address to,
        bytes data,
        address fallbackHandler,
        address paymentToken,
        uint256 payment,
        address paymentReceiver
    );
    function setDomainVerifier(bytes32 domainSeparator, address verifier);
    function isValidSignature(bytes32 digest, bytes signature) returns (bytes4 magic);

    // GPv2Settlement and its allow list
    function domainSeparator() returns (bytes32 separator);
    function filledAmount(bytes uid) returns (uint256 amount);
    function invalidateOrder(bytes uid);
    function addSolver(address solver);
    function settle(address[] tokens, uint256[] prices, Trade[] trades, Interaction[][3] interactions);

    // Multicall3
    struct Call3 { address target; bool allowFailure; bytes callData; }
    struct Returned { bool success; bytes returnData; }
    function aggregate3(Call3[] calls) returns (Returned[] returned);

    // Repeater
    function repeat(address to, bytes data, uint256 times);

    // Tokens and oracles
    function mint(address to, uint256 value);
    function approve(address spender, uint256 value);
    function transfer(address to, uint256 value);
    function balanceOf(address account) returns (uint256 balance);
    function set(int256 answer, uint256 updatedAt);
}
