// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Order, Orders} from "./Order.sol";

/// A conditional order: its handler, and the handler's input.
struct Params {
    Handler handler;
    bytes32 salt;
    bytes staticInput;
}

/// The part of a signature that names the conditional order of a discrete one.
struct Payload {
    bytes32[] proof;
    Params params;
    bytes offchainInput;
}

/// The answers of a handler without an order.
error OrderNotValid(string reason);
error PollTryNextBlock(string reason);
error PollTryAtBlock(uint256 blockNumber, string reason);
error PollTryAtEpoch(uint256 timestamp, string reason);
error PollNever(string reason);

interface Erc165 {
    function supportsInterface(bytes4 id) external view returns (bool);
}

interface Erc1271 {
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4);
}

/// Makes discrete orders. Its ERC-165 identifier is the selector of this function.
interface Generator {
    function getTradeableOrder(
        address owner,
        address sender,
        bytes32 ctx,
        bytes calldata staticInput,
        bytes calldata offchainInput
    ) external view returns (Order memory);
}

/// Makes discrete orders, and says whether a discrete order is one of its own.
interface Handler is Generator, Erc165 {
    function verify(
        address owner,
        address sender,
        bytes32 digest,
        bytes32 domainSeparator,
        bytes32 ctx,
        bytes calldata staticInput,
        bytes calldata offchainInput,
        Order calldata order
    ) external view;
}

/// A handler that accepts exactly the order that it makes at the moment.
abstract contract BaseHandler is Handler {
    function verify(
        address owner,
        address sender,
        bytes32 digest,
        bytes32 domainSeparator,
        bytes32 ctx,
        bytes calldata staticInput,
        bytes calldata offchainInput,
        Order calldata
    ) external view {
        Order memory order = this.getTradeableOrder(owner, sender, ctx, staticInput, offchainInput);
        if (Orders.digest(order, domainSeparator) != digest) revert OrderNotValid("invalid hash");
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == type(Generator).interfaceId || id == type(Erc165).interfaceId;
    }
}
