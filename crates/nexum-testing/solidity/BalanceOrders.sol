// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Order, Orders} from "./Order.sol";
import {BaseHandler, OrderNotValid, PollTryNextBlock} from "./ConditionalOrder.sol";
import {Balances} from "./Tokens.sol";

/// The end of the current interval of this many seconds. Discrete orders of one interval are equal.
function endOfInterval(uint256 seconds_) view returns (uint256) {
    return (block.timestamp / seconds_ + 1) * seconds_;
}

/// Sells the whole balance whenever it reaches a threshold.
contract TradeAboveThreshold is BaseHandler {
    struct Data {
        address sellToken;
        address buyToken;
        address receiver;
        uint256 validityBucketSeconds;
        uint256 threshold;
        bytes32 appData;
    }

    function getTradeableOrder(address owner, address, bytes32, bytes calldata staticInput, bytes calldata)
        external
        view
        returns (Order memory order)
    {
        Data memory data = abi.decode(staticInput, (Data));
        uint256 balance = Balances(data.sellToken).balanceOf(owner);
        if (balance < data.threshold) revert PollTryNextBlock("balance insufficient");
        order = Orders.sell(data.sellToken, data.buyToken, balance, 1, endOfInterval(data.validityBucketSeconds));
        order.receiver = data.receiver;
        order.appData = data.appData;
    }
}

/// Trades the larger balance of two tokens of one value for the other token, with a spread.
contract PerpetualStableSwap is BaseHandler {
    struct Data {
        address tokenA;
        address tokenB;
        uint256 validityBucketSeconds;
        uint256 halfSpreadBps;
        bytes32 appData;
    }

    uint256 private constant BPS = 10_000;
    uint256 private constant ONE = 1e18;

    function getTradeableOrder(address owner, address, bytes32, bytes calldata staticInput, bytes calldata)
        external
        view
        returns (Order memory order)
    {
        Data memory data = abi.decode(staticInput, (Data));
        (uint256 valueA, uint256 valueB) = (value(data.tokenA, owner), value(data.tokenB, owner));
        bool sellsA = valueA > valueB;
        (address sold, address bought) = sellsA ? (data.tokenA, data.tokenB) : (data.tokenB, data.tokenA);
        uint256 buyValue = (sellsA ? valueA : valueB) * (BPS + data.halfSpreadBps) / BPS;
        order = Orders.sell(
            sold,
            bought,
            Balances(sold).balanceOf(owner),
            buyValue * 10 ** Balances(bought).decimals() / ONE,
            endOfInterval(data.validityBucketSeconds)
        );
        if (order.sellAmount == 0) revert OrderNotValid("not funded");
        order.appData = data.appData;
    }

    /// A balance with 18 decimals.
    function value(address token, address owner) private view returns (uint256) {
        return Balances(token).balanceOf(owner) * ONE / 10 ** Balances(token).decimals();
    }
}
