//! The functions and types of EthFlow.
#![allow(
    missing_docs,
    clippy::all,
    clippy::doc_markdown,
    reason = "the names are those of the contracts"
)]

alloy_sol_types::sol! {
    #[derive(Debug, PartialEq, Eq)]
    struct EthFlowOrder {
        address buyToken;
        address receiver;
        uint256 sellAmount;
        uint256 buyAmount;
        bytes32 appData;
        uint256 feeAmount;
        uint32 validTo;
        bool partiallyFillable;
        int64 quoteId;
    }

    error IncorrectEthAmount();
    error NotAllowedToInvalidateOrder(bytes32 digest);
    error OrderIsAlreadyExpired();
    error OrderIsAlreadyOwned(bytes32 digest);
    error ReceiverMustBeSet();
    error EthTransferFailed();

    function createOrder(EthFlowOrder order) returns (bytes32 digest);
    function invalidateOrder(EthFlowOrder order);
    function invalidateOrdersIgnoringNotAllowed(EthFlowOrder[] orders);
    function wrapAll();
    function orders(bytes32 digest) returns (address owner, uint32 validTo);
    function isValidSignature(bytes32 digest, bytes signature) returns (bytes4 magic);

    interface PickyUser {
        function setAccepts(bool accepts);
        function createOrder(address ethflow, EthFlowOrder order);
    }
}
