// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Order, Orders} from "./Order.sol";
import {BaseHandler, OrderNotValid, PollTryNextBlock} from "./ConditionalOrder.sol";
import {PriceOracle} from "./Tokens.sol";

/// Trades once when the price of the sold token in the bought one is at or below the strike.
abstract contract StopLossBase is BaseHandler {
    struct Data {
        address sellToken;
        address buyToken;
        uint256 sellAmount;
        uint256 buyAmount;
        bytes32 appData;
        address receiver;
        bool isSellOrder;
        bool isPartiallyFillable;
        uint256 validTo;
        PriceOracle sellTokenPriceOracle;
        PriceOracle buyTokenPriceOracle;
        int256 strike;
        uint256 maxTimeSinceLastOracleUpdate;
    }

    /// The unit of the strike.
    int256 private constant ONE = 1e18;

    function getTradeableOrder(address, address, bytes32, bytes calldata staticInput, bytes calldata)
        external
        view
        returns (Order memory order)
    {
        Data memory data = abi.decode(staticInput, (Data));
        checkTime(data.validTo);
        int256 sold = price(data.sellTokenPriceOracle, data.maxTimeSinceLastOracleUpdate);
        int256 bought = price(data.buyTokenPriceOracle, data.maxTimeSinceLastOracleUpdate);
        if (sold * ONE / bought > data.strike) wait("strike not reached");
        order = Orders.sell(data.sellToken, data.buyToken, data.sellAmount, data.buyAmount, data.validTo);
        order.receiver = data.receiver;
        order.appData = data.appData;
        order.partiallyFillable = data.isPartiallyFillable;
        if (!data.isSellOrder) order.kind = Orders.BUY;
    }

    function checkTime(uint256 validTo) internal view virtual;

    /// Says that the order can become tradeable.
    function wait(string memory reason) internal view virtual;

    /// A fresh price with 18 decimals.
    function price(PriceOracle oracle, uint256 ageMax) private view returns (int256) {
        (, int256 answer,, uint256 updatedAt,) = oracle.latestRoundData();
        if (answer <= 0) revert OrderNotValid("oracle invalid price");
        if (updatedAt + ageMax < block.timestamp) wait("oracle stale price");
        return answer * ONE / int256(10 ** oracle.decimals());
    }
}

/// The second version, which ends with the order and says what can pass.
contract StopLoss is StopLossBase {
    function checkTime(uint256 validTo) internal view override {
        if (block.timestamp > validTo) revert OrderNotValid("order expired");
    }

    function wait(string memory reason) internal pure override {
        revert PollTryNextBlock(reason);
    }
}

/// The first version.
contract StopLossV1 is StopLossBase {
    function checkTime(uint256) internal view override {}

    function wait(string memory reason) internal pure override {
        revert OrderNotValid(reason);
    }
}
