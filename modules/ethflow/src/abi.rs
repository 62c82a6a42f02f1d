//! The contracts.

use nexum_sdk::sol;

sol! {
    /// An order as the settlement contract has it.
    struct Placed {
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

    /// How the contract signs an order.
    struct Signature {
        uint8 scheme;
        bytes data;
    }

    /// An order as its user gives it to `createOrder`.
    #[derive(Debug, PartialEq, Eq)]
    struct Input {
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

    #[sol(rpc)]
    interface IEthFlow {
        error EthTransferFailed();

        event OrderPlacement(address indexed sender, Placed order, Signature signature, bytes data);
        event OrderInvalidation(bytes orderUid);
        event OrderRefund(bytes orderUid, address indexed refunder);

        function orders(bytes32 digest) external view returns (address owner, uint32 validTo);
        function invalidateOrdersIgnoringNotAllowed(Input[] orders) external;
    }

    #[sol(rpc)]
    interface ISettlement {
        function filledAmount(bytes orderUid) external view returns (uint256);
    }
}
