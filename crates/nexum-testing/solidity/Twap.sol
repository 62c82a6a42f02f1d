// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Order, Orders} from "./Order.sol";
import {BaseHandler, OrderNotValid} from "./ConditionalOrder.sol";

interface Cabinet {
    function cabinet(address owner, bytes32 ctx) external view returns (bytes32);
}

/// Sells equal parts, one in each interval.
contract Twap is BaseHandler {
    struct Data {
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

    uint256 private constant FREQUENCY_MAX = 365 days;

    Cabinet public immutable registry;

    constructor(Cabinet registry_) {
        registry = registry_;
    }

    function getTradeableOrder(address owner, address, bytes32 ctx, bytes calldata staticInput, bytes calldata)
        external
        view
        returns (Order memory order)
    {
        Data memory twap = abi.decode(staticInput, (Data));
        if (twap.t0 == 0) twap.t0 = uint256(registry.cabinet(owner, ctx));
        check(twap);
        order = Orders.sell(twap.sellToken, twap.buyToken, twap.partSellAmount, twap.minPartLimit, end(twap));
        order.receiver = twap.receiver;
        order.appData = twap.appData;
        if (block.timestamp > order.validTo) revert OrderNotValid("not within span");
    }

    function check(Data memory twap) private pure {
        if (twap.sellToken == twap.buyToken) revert OrderNotValid("same token");
        if (twap.sellToken == address(0) || twap.buyToken == address(0)) revert OrderNotValid("invalid token");
        if (twap.partSellAmount == 0) revert OrderNotValid("invalid part sell amount");
        if (twap.minPartLimit == 0) revert OrderNotValid("invalid min part limit");
        if (twap.t0 > type(uint32).max) revert OrderNotValid("invalid start time");
        if (twap.n < 2 || twap.n > type(uint32).max) revert OrderNotValid("invalid num parts");
        if (twap.t == 0 || twap.t > FREQUENCY_MAX) revert OrderNotValid("invalid frequency");
        if (twap.span > twap.t) revert OrderNotValid("invalid span");
    }

    /// The last second of the current part.
    function end(Data memory twap) private view returns (uint256) {
        if (block.timestamp < twap.t0) revert OrderNotValid("before twap start");
        uint256 part = (block.timestamp - twap.t0) / twap.t;
        if (part >= twap.n) revert OrderNotValid("after twap finish");
        uint256 start = twap.t0 + part * twap.t;
        return start + (twap.span == 0 ? twap.t : twap.span) - 1;
    }
}
