// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// An order of GPv2Settlement, in the settlement's own layout.
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

/// The constants and the hash of an order.
library Orders {
    bytes32 internal constant TYPE_HASH = keccak256(
        "Order(address sellToken,address buyToken,address receiver,uint256 sellAmount,uint256 buyAmount,"
        "uint32 validTo,bytes32 appData,uint256 feeAmount,string kind,bool partiallyFillable,"
        "string sellTokenBalance,string buyTokenBalance)"
    );
    bytes32 internal constant SELL = keccak256("sell");
    bytes32 internal constant BUY = keccak256("buy");
    bytes32 internal constant ERC20 = keccak256("erc20");

    /// An order that sells exactly `sellAmount` of plain ERC-20 balances, without app data.
    function sell(address sellToken, address buyToken, uint256 sellAmount, uint256 buyAmount, uint256 validTo)
        internal
        pure
        returns (Order memory order)
    {
        order.sellToken = sellToken;
        order.buyToken = buyToken;
        order.sellAmount = sellAmount;
        order.buyAmount = buyAmount;
        order.validTo = uint32(validTo);
        order.kind = SELL;
        order.sellTokenBalance = ERC20;
        order.buyTokenBalance = ERC20;
    }

    /// The digest that the owner of an order signs.
    function digest(Order memory order, bytes32 domainSeparator) internal pure returns (bytes32) {
        return typedDigest(domainSeparator, TYPE_HASH, abi.encode(order));
    }

    /// The digest of typed data whose fields are encoded already.
    function typedDigest(bytes32 domainSeparator, bytes32 typeHash, bytes memory fields)
        internal
        pure
        returns (bytes32)
    {
        bytes32 structHash = keccak256(abi.encodePacked(typeHash, fields));
        return keccak256(abi.encodePacked(hex"1901", domainSeparator, structHash));
    }
}
