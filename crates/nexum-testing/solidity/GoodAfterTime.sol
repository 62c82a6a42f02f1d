// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Order, Orders} from "./Order.sol";
import {BaseHandler, OrderNotValid, PollTryAtEpoch} from "./ConditionalOrder.sol";
import {Balances} from "./Tokens.sol";

/// Sells once from a time on. The bought amount is in the off-chain input. It knows no price
/// checkers.
abstract contract GoodAfterTimeBase is BaseHandler {
    struct Data {
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

    function getTradeableOrder(
        address owner,
        address,
        bytes32,
        bytes calldata staticInput,
        bytes calldata offchainInput
    ) external view returns (Order memory order) {
        Data memory data = abi.decode(staticInput, (Data));
        if (block.timestamp < data.startTime) early(data.startTime);
        if (Balances(data.sellToken).balanceOf(owner) < data.minSellBalance) {
            revert OrderNotValid("balance insufficient");
        }
        uint256 buyAmount = abi.decode(offchainInput, (uint256));
        order = Orders.sell(data.sellToken, data.buyToken, data.sellAmount, buyAmount, data.endTime);
        order.receiver = data.receiver;
        order.appData = data.appData;
        order.partiallyFillable = data.allowPartialFill;
    }

    function early(uint256 startTime) internal view virtual;
}

/// The second version, which says when to ask again.
contract GoodAfterTime is GoodAfterTimeBase {
    function early(uint256 startTime) internal pure override {
        revert PollTryAtEpoch(startTime, "too early");
    }
}

/// The first version.
contract GoodAfterTimeV1 is GoodAfterTimeBase {
    function early(uint256) internal pure override {
        revert OrderNotValid("too early");
    }
}
