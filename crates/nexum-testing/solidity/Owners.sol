// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Order, Orders} from "./Order.sol";
import {Erc1271, Erc165, Payload} from "./ConditionalOrder.sol";

/// Says whether a Safe accepts typed data of one domain.
interface Verifier {
    function isValidSafeSignature(
        address safe,
        address sender,
        bytes32 digest,
        bytes32 domainSeparator,
        bytes32 typeHash,
        bytes calldata fields,
        bytes calldata payload
    ) external view returns (bytes4);
}

/// A Safe's verifiers, one for each domain.
interface Muxer {
    function domainVerifiers(address safe, bytes32 domainSeparator) external view returns (Verifier);

    function setDomainVerifier(bytes32 domainSeparator, Verifier verifier) external;
}

interface SafeSignature {
    function safeSignature(bytes32 domainSeparator, bytes32 typeHash, bytes calldata fields, bytes calldata payload)
        external;
}

/// A fallback handler of Safes that asks the verifier of a domain for signatures, behind the
/// interface of ExtensibleFallbackHandler. It does not know the signatures of a Safe's owners.
contract SafeHandler is Muxer, Erc1271, Erc165 {
    mapping(address => mapping(bytes32 => Verifier)) public domainVerifiers;

    /// A Safe appends its caller to the input of its handler.
    modifier onlySafe() {
        require(address(bytes20(msg.data[msg.data.length - 20:])) == msg.sender, "only the Safe itself");
        _;
    }

    function setDomainVerifier(bytes32 domainSeparator, Verifier verifier) external onlySafe {
        domainVerifiers[msg.sender][domainSeparator] = verifier;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        require(bytes4(signature) == SafeSignature.safeSignature.selector, "an unknown signature");
        (bytes32 domainSeparator, bytes32 typeHash, bytes memory fields, bytes memory payload) =
            abi.decode(signature[4:], (bytes32, bytes32, bytes, bytes));
        Verifier verifier = domainVerifiers[msg.sender][domainSeparator];
        require(address(verifier) != address(0), "the domain has no verifier");
        require(Orders.typedDigest(domainSeparator, typeHash, fields) == digest, "another digest");
        address sender = address(bytes20(msg.data[msg.data.length - 20:]));
        return verifier.isValidSafeSignature(
            msg.sender, sender, digest, domainSeparator, typeHash, fields, payload
        );
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == type(Muxer).interfaceId || id == type(Erc165).interfaceId || id == type(Erc1271).interfaceId;
    }
}

/// A wallet that is not a Safe, and forwards signatures to the registry of conditional orders. Every
/// account can use it.
contract Forwarder is Erc1271 {
    error InvalidHash();

    Verifier public immutable registry;
    bytes32 public immutable domainSeparator;

    constructor(Verifier registry_, bytes32 domainSeparator_) {
        registry = registry_;
        domainSeparator = domainSeparator_;
    }

    /// Calls a contract as the wallet.
    function execute(address to, bytes calldata data) external {
        (bool succeeded, bytes memory result) = to.call(data);
        require(succeeded, string(result));
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (Order memory order, Payload memory payload) = abi.decode(signature, (Order, Payload));
        if (Orders.digest(order, domainSeparator) != digest) revert InvalidHash();
        return registry.isValidSafeSignature(
            address(this), msg.sender, digest, domainSeparator, Orders.TYPE_HASH, abi.encode(order), abi.encode(payload)
        );
    }
}

/// A forwarder wallet that answers ERC-165, and says no to the interface of a Safe's handler.
contract DenyingForwarder is Forwarder {
    constructor(Verifier registry_, bytes32 domainSeparator_) Forwarder(registry_, domainSeparator_) {}

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == type(Erc165).interfaceId;
    }
}

/// A forwarder wallet whose fallback accepts every call and returns nothing.
contract SilentForwarder is Forwarder {
    constructor(Verifier registry_, bytes32 domainSeparator_) Forwarder(registry_, domainSeparator_) {}

    fallback() external {}
}
