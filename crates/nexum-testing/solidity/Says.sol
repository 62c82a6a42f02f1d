// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Order, Orders} from "./Order.sol";
import "./ConditionalOrder.sol";

/// A handler whose static input is its answer: `abi.encode(uint256 answer, uint256 number, string reason)`.
contract Says is BaseHandler {
    /// An order sells `number` for one atom of the bought token, for the next hour.
    enum Answer {
        Order,
        OrderNotValid,
        NextBlock,
        AtBlock,
        AtEpoch,
        Never,
        ErrorString,
        Panic,
        EmptyRevert,
        UnknownError,
        Endless,
        Truncated,
        BadOffset,
        ShortReturn,
        LongRevert
    }

    error Unknown(uint256 number);

    address public immutable sellToken;
    address public immutable buyToken;

    constructor(address sellToken_, address buyToken_) {
        (sellToken, buyToken) = (sellToken_, buyToken_);
    }

    function getTradeableOrder(address, address, bytes32, bytes calldata staticInput, bytes calldata)
        external
        view
        returns (Order memory order)
    {
        (Answer answer, uint256 number, string memory reason) = abi.decode(staticInput, (Answer, uint256, string));
        if (answer == Answer.OrderNotValid) revert OrderNotValid(reason);
        if (answer == Answer.NextBlock) revert PollTryNextBlock(reason);
        if (answer == Answer.AtBlock) revert PollTryAtBlock(number, reason);
        if (answer == Answer.AtEpoch) revert PollTryAtEpoch(number, reason);
        if (answer == Answer.Never) revert PollNever(reason);
        if (answer == Answer.ErrorString) revert(reason);
        if (answer == Answer.Panic) assert(false);
        if (answer == Answer.EmptyRevert) revert();
        if (answer == Answer.UnknownError) revert Unknown(number);
        if (answer == Answer.Endless) while (true) {}
        if (answer == Answer.Truncated) fail(abi.encodePacked(PollTryAtEpoch.selector, uint128(0)));
        if (answer == Answer.BadOffset) {
            fail(abi.encodePacked(OrderNotValid.selector, uint256(type(uint128).max), uint256(5)));
        }
        // The memory holds zeros.
        if (answer == Answer.LongRevert) fail(new bytes(number));
        if (answer == Answer.ShortReturn) succeed(abi.encode(uint256(0)));
        return Orders.sell(sellToken, buyToken, number, 1, block.timestamp + 1 hours);
    }

    function fail(bytes memory data) private pure {
        assembly {
            revert(add(data, 32), mload(data))
        }
    }

    function succeed(bytes memory data) private pure {
        assembly {
            return(add(data, 32), mload(data))
        }
    }
}

/// A contract without an interface.
contract Mute {}

/// A contract that supports no interface.
contract Unsupporting is Erc165 {
    function supportsInterface(bytes4) external pure returns (bool) {
        return false;
    }
}

/// Calls a contract many times. Every account can use it.
contract Repeater {
    function repeat(address to, bytes calldata data, uint256 times) external {
        for (uint256 i = 0; i < times; i++) {
            (bool succeeded,) = to.call(data);
            require(succeeded, "a call failed");
        }
    }
}
