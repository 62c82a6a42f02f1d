// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Order, Orders} from "./Order.sol";
import {Erc1271, Erc165, Generator, Params, Payload} from "./ConditionalOrder.sol";
import {Muxer} from "./Owners.sol";

/// Where the proofs of a merkle root are, and the data of that place.
struct Proof {
    uint256 location;
    bytes data;
}

/// Restricts the discrete orders of an owner.
interface SwapGuard {
    function verify(Order calldata order, bytes32 ctx, Params calldata params, bytes calldata offchainInput)
        external
        view
        returns (bool);
}

/// Makes the value of a context.
interface ValueFactory {
    function getValue(bytes calldata data) external view returns (bytes32);
}

interface Domain {
    function domainSeparator() external view returns (bytes32);
}

/// The registry of conditional orders, behind the interface of ComposableCoW.
contract ComposableCow {
    event MerkleRootSet(address indexed owner, bytes32 root, Proof proof);
    event ConditionalOrderCreated(address indexed owner, Params params);
    event SwapGuardSet(address indexed owner, SwapGuard swapGuard);

    error ProofNotAuthed();
    error SingleOrderNotAuthed();
    error SwapGuardRestricted();
    error InvalidHandler();
    error InvalidFallbackHandler();
    error InterfaceNotSupported();

    bytes32 public immutable domainSeparator;
    mapping(address => bytes32) public roots;
    mapping(address => mapping(bytes32 => bool)) public singleOrders;
    mapping(address => SwapGuard) public swapGuards;
    mapping(address => mapping(bytes32 => bytes32)) public cabinet;

    constructor(Domain settlement) {
        domainSeparator = settlement.domainSeparator();
    }

    function setRoot(bytes32 root, Proof calldata proof) public {
        roots[msg.sender] = root;
        emit MerkleRootSet(msg.sender, root, proof);
    }

    function setRootWithContext(bytes32 root, Proof calldata proof, ValueFactory factory, bytes calldata data)
        external
    {
        setRoot(root, proof);
        cabinet[msg.sender][bytes32(0)] = factory.getValue(data);
    }

    function create(Params calldata params, bool dispatch) public {
        if (address(params.handler) == address(0)) revert InvalidHandler();
        singleOrders[msg.sender][hash(params)] = true;
        if (dispatch) emit ConditionalOrderCreated(msg.sender, params);
    }

    function createWithContext(Params calldata params, ValueFactory factory, bytes calldata data, bool dispatch)
        external
    {
        create(params, dispatch);
        cabinet[msg.sender][hash(params)] = factory.getValue(data);
    }

    function remove(bytes32 id) external {
        singleOrders[msg.sender][id] = false;
        cabinet[msg.sender][id] = bytes32(0);
    }

    function setSwapGuard(SwapGuard swapGuard) external {
        swapGuards[msg.sender] = swapGuard;
        emit SwapGuardSet(msg.sender, swapGuard);
    }

    /// The discrete order of a conditional one at this block, and its signature.
    function getTradeableOrderWithSignature(
        address owner,
        Params calldata params,
        bytes calldata offchainInput,
        bytes32[] calldata proof
    ) external view returns (Order memory order, bytes memory signature) {
        bytes32 ctx = authorised(owner, params, proof);
        try params.handler.supportsInterface(type(Generator).interfaceId) returns (bool supported) {
            if (!supported) revert InterfaceNotSupported();
        } catch {
            revert InterfaceNotSupported();
        }
        order = params.handler.getTradeableOrder(owner, msg.sender, ctx, params.staticInput, offchainInput);
        checkGuard(owner, order, ctx, params, offchainInput);
        Payload memory payload = Payload(proof, params, offchainInput);
        try Erc165(owner).supportsInterface(type(Muxer).interfaceId) returns (bool supported) {
            if (!supported) revert InvalidFallbackHandler();
            signature = abi.encodeWithSignature(
                "safeSignature(bytes32,bytes32,bytes,bytes)",
                domainSeparator,
                Orders.TYPE_HASH,
                abi.encode(order),
                abi.encode(payload)
            );
        } catch {
            signature = abi.encode(order, payload);
        }
    }

    /// Answers a fallback handler of a Safe, or a forwarder wallet.
    function isValidSafeSignature(
        address safe,
        address sender,
        bytes32 digest,
        bytes32 separator,
        bytes32,
        bytes calldata encodedOrder,
        bytes calldata encodedPayload
    ) external view returns (bytes4) {
        Payload memory payload = abi.decode(encodedPayload, (Payload));
        Order memory order = abi.decode(encodedOrder, (Order));
        bytes32 ctx = authorised(safe, payload.params, payload.proof);
        checkGuard(safe, order, ctx, payload.params, payload.offchainInput);
        payload.params.handler.verify(
            safe, sender, digest, separator, ctx, payload.params.staticInput, payload.offchainInput, order
        );
        return Erc1271.isValidSignature.selector;
    }

    function hash(Params memory params) public pure returns (bytes32) {
        return keccak256(abi.encode(params));
    }

    /// The context of an authorised conditional order: 0 in a tree, or else its id.
    function authorised(address owner, Params memory params, bytes32[] memory proof)
        private
        view
        returns (bytes32 ctx)
    {
        bytes32 id = hash(params);
        if (proof.length == 0) {
            if (!singleOrders[owner][id]) revert SingleOrderNotAuthed();
            return id;
        }
        bytes32 node = keccak256(bytes.concat(id));
        for (uint256 i = 0; i < proof.length; i++) {
            node = node < proof[i]
                ? keccak256(bytes.concat(node, proof[i]))
                : keccak256(bytes.concat(proof[i], node));
        }
        if (node != roots[owner]) revert ProofNotAuthed();
    }

    function checkGuard(
        address owner,
        Order memory order,
        bytes32 ctx,
        Params memory params,
        bytes memory offchainInput
    ) private view {
        SwapGuard guard = swapGuards[owner];
        if (address(guard) != address(0) && !guard.verify(order, ctx, params, offchainInput)) {
            revert SwapGuardRestricted();
        }
    }
}

/// The context value of an order that starts in the block of its creation.
contract CurrentBlockTimestampFactory is ValueFactory {
    function getValue(bytes calldata) external view returns (bytes32) {
        return bytes32(block.timestamp);
    }
}

/// Permits only orders whose bought tokens go to the owner.
contract ReceiverLock is SwapGuard {
    function verify(Order calldata order, bytes32, Params calldata, bytes calldata) external pure returns (bool) {
        return order.receiver == address(0);
    }
}
