// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Order, Orders} from "./Order.sol";
import {Erc1271} from "./ConditionalOrder.sol";
import {Token} from "./Tokens.sol";

/// An order as its user gives it.
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

/// How an order of a contract is signed.
struct OnchainSignature {
    uint8 scheme;
    bytes data;
}

interface EthFlowSettlement {
    function domainSeparator() external view returns (bytes32);

    function vaultRelayer() external view returns (address);

    function filledAmount(bytes calldata uid) external view returns (uint256);
}

/// Ether as a token.
contract WrappedEther is Token(18) {
    receive() external payable {
        deposit();
    }

    function deposit() public payable {
        totalSupply += msg.value;
        balanceOf[msg.sender] += msg.value;
        emit Transfer(address(0), msg.sender, msg.value);
    }

    function withdraw(uint256 value) external {
        balanceOf[msg.sender] -= value;
        totalSupply -= value;
        emit Transfer(msg.sender, address(0), value);
        (bool success,) = msg.sender.call{value: value}("");
        require(success, "the caller refuses ether");
    }
}

/// Sells ether for its users, behind the interface of CoWSwapEthFlow.
contract EthFlow is Erc1271 {
    event OrderPlacement(address indexed sender, Order order, OnchainSignature signature, bytes data);
    event OrderInvalidation(bytes orderUid);
    event OrderRefund(bytes orderUid, address indexed refunder);

    error OrderIsAlreadyOwned(bytes32 orderHash);
    error OrderIsAlreadyExpired();
    error IncorrectEthAmount();
    error NotAllowedZeroSellAmount();
    error NotAllowedToInvalidateOrder(bytes32 orderHash);
    error EthTransferFailed();
    error ReceiverMustBeSet();

    struct Placed {
        address owner;
        uint32 validTo;
    }

    /// The owner of an order that was cancelled or refunded.
    address private constant INVALIDATED = address(type(uint160).max);
    /// The settlement enforces no end. This contract enforces the user's.
    uint32 private constant FOREVER = type(uint32).max;
    /// The scheme of a signature by a contract.
    uint8 private constant EIP1271 = 0;

    EthFlowSettlement public immutable cowSwapSettlement;
    WrappedEther public immutable wrappedNativeToken;
    bytes32 private immutable separator;

    mapping(bytes32 => Placed) public orders;

    constructor(EthFlowSettlement settlement, WrappedEther wrapped) {
        cowSwapSettlement = settlement;
        wrappedNativeToken = wrapped;
        separator = settlement.domainSeparator();
        wrapped.approve(settlement.vaultRelayer(), type(uint256).max);
    }

    receive() external payable {}

    function createOrder(EthFlowOrder calldata order) external payable returns (bytes32 digest) {
        if (msg.value != order.sellAmount + order.feeAmount) revert IncorrectEthAmount();
        if (order.sellAmount == 0) revert NotAllowedZeroSellAmount();
        if (order.validTo < block.timestamp) revert OrderIsAlreadyExpired();
        if (order.receiver == address(0)) revert ReceiverMustBeSet();
        Order memory signed = settled(order);
        digest = Orders.digest(signed, separator);
        if (orders[digest].owner != address(0)) revert OrderIsAlreadyOwned(digest);
        orders[digest] = Placed(msg.sender, order.validTo);
        OnchainSignature memory signature = OnchainSignature(EIP1271, abi.encodePacked(address(this)));
        emit OrderPlacement(msg.sender, signed, signature, abi.encodePacked(order.quoteId, order.validTo));
    }

    /// Cancels an order of the caller, or refunds an expired order of any account.
    function invalidateOrder(EthFlowOrder calldata order) external {
        bytes32 digest = Orders.digest(settled(order), separator);
        if (!invalidate(order, digest)) revert NotAllowedToInvalidateOrder(digest);
    }

    function invalidateOrdersIgnoringNotAllowed(EthFlowOrder[] calldata list) external {
        for (uint256 index = 0; index < list.length; index++) {
            invalidate(list[index], Orders.digest(settled(list[index]), separator));
        }
    }

    function wrapAll() external {
        wrappedNativeToken.deposit{value: address(this).balance}();
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        Placed memory placed = orders[digest];
        bool isValid = isOwned(placed) && placed.validTo >= block.timestamp;
        return isValid ? Erc1271.isValidSignature.selector : bytes4(0xffffffff);
    }

    function isOwned(Placed memory placed) private pure returns (bool) {
        return placed.owner != address(0) && placed.owner != INVALIDATED;
    }

    /// The order as the settlement has it.
    function settled(EthFlowOrder calldata order) private view returns (Order memory result) {
        result = Orders.sell(
            address(wrappedNativeToken), order.buyToken, order.sellAmount, order.buyAmount, FOREVER
        );
        result.receiver = order.receiver;
        result.appData = order.appData;
        result.feeAmount = order.feeAmount;
        result.partiallyFillable = order.partiallyFillable;
    }

    function invalidate(EthFlowOrder calldata order, bytes32 digest) private returns (bool) {
        Placed memory placed = orders[digest];
        bool isOpen = placed.validTo >= block.timestamp;
        if (!isOwned(placed) || (isOpen && placed.owner != msg.sender)) return false;
        orders[digest].owner = INVALIDATED;
        bytes memory uid = abi.encodePacked(digest, address(this), FOREVER);
        if (isOpen) emit OrderInvalidation(uid);
        else emit OrderRefund(uid, msg.sender);

        uint256 unsold = order.sellAmount - cowSwapSettlement.filledAmount(uid);
        payBack(placed.owner, unsold + (order.feeAmount * unsold) / order.sellAmount);
        return true;
    }

    function payBack(address owner, uint256 amount) private {
        uint256 balance = address(this).balance;
        if (balance < amount) wrappedNativeToken.withdraw(amount - balance);
        (bool success,) = owner.call{value: amount}("");
        if (!success) revert EthTransferFailed();
    }
}

/// A user of EthFlow that receives ether only when it wants to.
contract PickyUser {
    bool public accepts;

    receive() external payable {
        require(accepts, "no ether, please");
    }

    function setAccepts(bool accepts_) external {
        accepts = accepts_;
    }

    function createOrder(EthFlow ethflow, EthFlowOrder calldata order) external payable {
        ethflow.createOrder{value: msg.value}(order);
    }
}
