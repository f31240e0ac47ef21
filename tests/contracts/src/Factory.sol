// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.36;

import {IERC20} from "./IERC20.sol";
import {Pair} from "./Pair.sol";

/// @title Factory
/// @notice Creates contracts: pairs by CREATE2 at an address known beforehand, clones (EIP-1167) by CREATE.
contract Factory {
    mapping(IERC20 token0 => mapping(IERC20 token1 => Pair)) public pairOf;
    address[] public clones;

    event PairCreated(IERC20 indexed token0, IERC20 indexed token1, Pair pair);
    event Cloned(address indexed implementation, address clone);

    error IdenticalTokens(IERC20 token);
    error PairExists(Pair pair);
    error CloneFailed();

    function createPair(IERC20 tokenA, IERC20 tokenB) external returns (Pair pair) {
        if (address(tokenA) == address(tokenB)) revert IdenticalTokens(tokenA);
        (IERC20 token0, IERC20 token1) = address(tokenA) < address(tokenB) ? (tokenA, tokenB) : (tokenB, tokenA);
        pair = pairOf[token0][token1];
        if (address(pair) != address(0)) revert PairExists(pair);

        pair = new Pair{salt: keccak256(abi.encode(token0, token1))}(token0, token1);
        pairOf[token0][token1] = pair;
        emit PairCreated(token0, token1, pair);
    }

    /// @notice Creates a proxy that runs `implementation` by DELEGATECALL on its own storage.
    function clone(address implementation) external returns (address instance) {
        bytes memory creationCode =
            abi.encodePacked(hex"3d602d80600a3d3981f3363d3d373d3d3d363d73", implementation, hex"5af43d82803e903d91602b57fd5bf3");
        assembly ("memory-safe") {
            instance := create(0, add(creationCode, 0x20), mload(creationCode))
        }
        if (instance == address(0)) revert CloneFailed();
        clones.push(instance);
        emit Cloned(implementation, instance);
    }
}
