// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.36;

/// @title Counter
/// @notice One hot slot: transactions that touch it form a chain of conflicts. Also the ways a transaction can end badly, on demand.
contract Counter {
    uint256 public count;
    mapping(uint256 index => bytes32) public cellAt;
    mapping(address account => uint256) public countOf;

    event Counted(address indexed account, uint256 count);
    event Appended(uint256 indexed index, bytes32 value);

    error AlwaysFails(address caller, uint256 count);
    error UnexpectedCount(uint256 count, uint256 expected);

    /// @notice Conflicts with every other use of `count`.
    function increment() external {
        _set(count + 1);
    }

    function add(uint256 amount) external {
        _set(count + amount);
    }

    /// @notice Panics at zero.
    function decrement() external {
        _set(count - 1);
    }

    /// @notice Succeeds only when run exactly at its turn: the order of a block is visible in which of these revert.
    function advance(uint256 expected) external {
        if (count != expected) revert UnexpectedCount(count, expected);
        _set(expected + 1);
    }

    /// @notice Writes a slot whose position depends on the hot slot, so that a stale read also means a wrong write set.
    function append(bytes32 value) external returns (uint256 index) {
        index = count;
        count = index + 1;
        cellAt[index] = value;
        emit Appended(index, value);
    }

    /// @notice Touches only the caller's own slot: free of conflicts.
    function incrementOwn() external {
        emit Counted(msg.sender, ++countOf[msg.sender]);
    }

    /// @notice Writes the hot slot, then reverts with a custom error.
    function fail() external {
        ++count;
        revert AlwaysFails(msg.sender, count);
    }

    /// @notice Writes the hot slot, then halts on INVALID, which takes all the gas.
    function halt() external {
        ++count;
        assembly ("memory-safe") {
            invalid()
        }
    }

    /// @notice Burns gas: `rounds` keccaks, each over the one before. Reads and writes no storage.
    function spin(uint256 rounds) external pure returns (bytes32 digest) {
        for (uint256 i = 0; i < rounds; ++i) {
            // In the scratch space: `abi.encode` would take new memory each round.
            assembly ("memory-safe") {
                mstore(0x00, digest)
                mstore(0x20, i)
                digest := keccak256(0x00, 0x40)
            }
        }
    }

    function _set(uint256 value) private {
        count = value;
        emit Counted(msg.sender, value);
    }
}
