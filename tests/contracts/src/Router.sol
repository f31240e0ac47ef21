// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.36;

import {IERC20} from "./IERC20.sol";
import {Pair} from "./Pair.sol";

/// @title Router
/// @notice Trades and pays on behalf of its caller through other contracts. It has no storage and holds nothing between calls.
/// @dev Up to three frames deep: Router, Pair, Token.
contract Router {
    event Routed(address indexed account, uint256 hops, uint256 amountIn, uint256 amountOut);
    event Skipped(address indexed to, bytes reason);

    error TransferFailed();
    error EmptyPath();
    error NoRecipients();
    error PathMismatch(uint256 pairs, uint256 directions);
    error InsufficientOutput(uint256 amountOut, uint256 minOut);
    error PaymentFailed(address to);

    /// @notice Sells `amountIn` of the caller's tokens in one open pair.
    function swapExactIn(Pair pair, bool zeroForOne, uint256 amountIn, uint256 minOut)
        external
        returns (uint256 amountOut)
    {
        _pull(pair, zeroForOne, amountIn);
        amountOut = _hop(pair, zeroForOne, amountIn, msg.sender);
        _finish(1, amountIn, amountOut, minOut);
    }

    /// @notice Sells `amountIn` along a path of open pairs; what one gives is what the next takes.
    function swapPath(Pair[] calldata pairs, bool[] calldata zeroForOne, uint256 amountIn, uint256 minOut)
        external
        returns (uint256 amountOut)
    {
        uint256 hops = pairs.length;
        if (hops == 0) revert EmptyPath();
        if (hops != zeroForOne.length) revert PathMismatch(hops, zeroForOne.length);

        _pull(pairs[0], zeroForOne[0], amountIn);
        amountOut = amountIn;
        for (uint256 i = 0; i < hops; ++i) {
            amountOut = _hop(pairs[i], zeroForOne[i], amountOut, i + 1 == hops ? msg.sender : address(this));
        }
        _finish(hops, amountIn, amountOut, minOut);
    }

    /// @notice What `swapPath` would give now if no pair occurred twice.
    function quotePath(Pair[] calldata pairs, bool[] calldata zeroForOne, uint256 amountIn)
        external
        view
        returns (uint256 amountOut)
    {
        if (pairs.length != zeroForOne.length) revert PathMismatch(pairs.length, zeroForOne.length);
        amountOut = amountIn;
        for (uint256 i = 0; i < pairs.length; ++i) {
            amountOut = pairs[i].quote(zeroForOne[i], amountOut);
        }
    }

    /// @notice Pays `value` of the caller's tokens to each account, passing over those that the token refuses.
    function payEach(IERC20 token, address[] calldata to, uint256 value) external returns (uint256 paid) {
        for (uint256 i = 0; i < to.length; ++i) {
            try token.transferFrom(msg.sender, to[i], value) returns (bool done) {
                if (!done) revert TransferFailed();
                ++paid;
            } catch (bytes memory reason) {
                emit Skipped(to[i], reason);
            }
        }
    }

    /// @notice Splits the sent ether evenly; what does not divide goes to the first.
    function split(address[] calldata to) external payable {
        if (to.length == 0) revert NoRecipients();
        uint256 part = msg.value / to.length;
        for (uint256 i = 0; i < to.length; ++i) {
            uint256 value = i == 0 ? part + msg.value % to.length : part;
            (bool paid,) = to[i].call{value: value}("");
            if (!paid) revert PaymentFailed(to[i]);
        }
    }

    function _pull(Pair pair, bool zeroForOne, uint256 amountIn) private {
        IERC20 token = zeroForOne ? pair.token0() : pair.token1();
        if (!token.transferFrom(msg.sender, address(this), amountIn)) revert TransferFailed();
    }

    function _hop(Pair pair, bool zeroForOne, uint256 amountIn, address to) private returns (uint256 amountOut) {
        IERC20 token = zeroForOne ? pair.token0() : pair.token1();
        if (!token.approve(address(pair), amountIn)) revert TransferFailed();
        pair.deposit(zeroForOne, amountIn);
        amountOut = pair.swap(zeroForOne, amountIn, 0);
        pair.withdraw(!zeroForOne, amountOut, to);
    }

    function _finish(uint256 hops, uint256 amountIn, uint256 amountOut, uint256 minOut) private {
        if (amountOut < minOut) revert InsufficientOutput(amountOut, minOut);
        emit Routed(msg.sender, hops, amountIn, amountOut);
    }
}
