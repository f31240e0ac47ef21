// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.36;

import {IERC20} from "./IERC20.sol";
import {Owned} from "./Owned.sol";

/// @title Pair
/// @notice Constant-product market whose two ledgers live in its own storage, so that trading runs in a single frame.
/// @dev A closed pair has no tokens behind it (both addresses are zero) and its owner grants credit. An open pair is
/// filled and emptied by `deposit` and `withdraw` alone, the two functions that call another contract.
contract Pair is Owned {
    uint256 public constant MINIMUM_SHARES = 1000;
    uint256 private constant FEE_NUMERATOR = 997;
    uint256 private constant FEE_DENOMINATOR = 1000;

    /// @dev One slot: reserve0 in the low 112 bits, then reserve1, then the time of the last change.
    uint112 public reserve0;
    uint112 public reserve1;
    uint32 public updatedAt;

    mapping(address account => uint256) public balance0Of;
    mapping(address account => uint256) public balance1Of;

    uint256 public totalShares;
    mapping(address account => uint256) public sharesOf;

    IERC20 public token0;
    IERC20 public token1;

    event Credit(address indexed account, uint256 amount0, uint256 amount1);
    event Deposit(address indexed account, bool indexed isToken0, uint256 amount);
    event Withdrawal(address indexed account, address indexed to, bool indexed isToken0, uint256 amount);
    event LiquidityAdded(address indexed account, uint256 amount0, uint256 amount1, uint256 shares);
    event LiquidityRemoved(address indexed account, uint256 amount0, uint256 amount1, uint256 shares);
    event Swap(address indexed account, bool indexed zeroForOne, uint256 amountIn, uint256 amountOut);
    event Sync(uint112 reserve0, uint112 reserve1);

    error PairIsOpen();
    error PairIsClosed();
    error TransferFailed();
    error InsufficientBalance(address account, uint256 balance, uint256 needed);
    error InsufficientShares(address account, uint256 shares, uint256 needed);
    error InsufficientOutput(uint256 amountOut, uint256 minOut);
    error InsufficientLiquidity();
    error ReserveOverflow();

    constructor(IERC20 token0_, IERC20 token1_) {
        token0 = token0_;
        token1 = token1_;
    }

    /// @notice Grants balance in a closed pair.
    function credit(address account, uint256 amount0, uint256 amount1) external onlyOwner {
        if (_isOpen()) revert PairIsOpen();
        balance0Of[account] += amount0;
        balance1Of[account] += amount1;
        emit Credit(account, amount0, amount1);
    }

    /// @notice Takes `amount` of a token from the caller (by allowance) into the caller's balance.
    function deposit(bool isToken0, uint256 amount) external {
        if (!_isOpen()) revert PairIsClosed();
        IERC20 token = isToken0 ? token0 : token1;
        _ledger(isToken0)[msg.sender] += amount;
        emit Deposit(msg.sender, isToken0, amount);
        if (!token.transferFrom(msg.sender, address(this), amount)) revert TransferFailed();
    }

    /// @notice Pays `amount` of the caller's balance out to `to`.
    function withdraw(bool isToken0, uint256 amount, address to) external {
        if (!_isOpen()) revert PairIsClosed();
        IERC20 token = isToken0 ? token0 : token1;
        _debit(_ledger(isToken0), amount);
        emit Withdrawal(msg.sender, to, isToken0, amount);
        if (!token.transfer(to, amount)) revert TransferFailed();
    }

    /// @notice Sells `amountIn` of one side of the caller's balance for at least `minOut` of the other.
    function swap(bool zeroForOne, uint256 amountIn, uint256 minOut) external returns (uint256 amountOut) {
        uint256 held0 = reserve0;
        uint256 held1 = reserve1;
        if (zeroForOne) {
            amountOut = _amountOut(amountIn, held0, held1);
            _update(held0 + amountIn, held1 - amountOut);
        } else {
            amountOut = _amountOut(amountIn, held1, held0);
            _update(held0 - amountOut, held1 + amountIn);
        }
        if (amountOut < minOut) revert InsufficientOutput(amountOut, minOut);

        _debit(_ledger(zeroForOne), amountIn);
        _ledger(!zeroForOne)[msg.sender] += amountOut;
        emit Swap(msg.sender, zeroForOne, amountIn, amountOut);
    }

    /// @notice Moves the caller's balance into the reserves. A first provider sets the price; a later one should keep to it,
    /// as the smaller side decides how many shares are given.
    function addLiquidity(uint256 amount0, uint256 amount1) external returns (uint256 shares) {
        uint256 held0 = reserve0;
        uint256 held1 = reserve1;
        uint256 supply = totalShares;
        if (supply == 0) {
            uint256 root = _sqrt(amount0 * amount1);
            if (root <= MINIMUM_SHARES) revert InsufficientLiquidity();
            unchecked {
                shares = root - MINIMUM_SHARES;
            }
            // Locked for good, so that one share cannot be made to cost a fortune.
            sharesOf[address(0)] = MINIMUM_SHARES;
            totalShares = root;
        } else {
            uint256 by0 = amount0 * supply / held0;
            uint256 by1 = amount1 * supply / held1;
            shares = by0 < by1 ? by0 : by1;
            if (shares == 0) revert InsufficientLiquidity();
            totalShares = supply + shares;
        }

        _debit(balance0Of, amount0);
        _debit(balance1Of, amount1);
        sharesOf[msg.sender] += shares;
        _update(held0 + amount0, held1 + amount1);
        emit LiquidityAdded(msg.sender, amount0, amount1, shares);
    }

    /// @notice Turns `shares` back into balance.
    function removeLiquidity(uint256 shares) external returns (uint256 amount0, uint256 amount1) {
        uint256 own = sharesOf[msg.sender];
        if (own < shares) revert InsufficientShares(msg.sender, own, shares);
        uint256 held0 = reserve0;
        uint256 held1 = reserve1;
        uint256 supply = totalShares;
        if (supply == 0) revert InsufficientLiquidity();
        amount0 = shares * held0 / supply;
        amount1 = shares * held1 / supply;

        unchecked {
            sharesOf[msg.sender] = own - shares;
            totalShares = supply - shares;
        }
        balance0Of[msg.sender] += amount0;
        balance1Of[msg.sender] += amount1;
        _update(held0 - amount0, held1 - amount1);
        emit LiquidityRemoved(msg.sender, amount0, amount1, shares);
    }

    /// @notice What `swap` would give now.
    function quote(bool zeroForOne, uint256 amountIn) external view returns (uint256 amountOut) {
        (uint256 held0, uint256 held1) = (reserve0, reserve1);
        return zeroForOne ? _amountOut(amountIn, held0, held1) : _amountOut(amountIn, held1, held0);
    }

    function _isOpen() private view returns (bool) {
        return address(token0) != address(0);
    }

    function _ledger(bool isToken0) private view returns (mapping(address => uint256) storage) {
        return isToken0 ? balance0Of : balance1Of;
    }

    function _debit(mapping(address => uint256) storage ledger, uint256 amount) private {
        uint256 balance = ledger[msg.sender];
        if (balance < amount) revert InsufficientBalance(msg.sender, balance, amount);
        unchecked {
            ledger[msg.sender] = balance - amount;
        }
    }

    function _update(uint256 held0, uint256 held1) private {
        if (held0 > type(uint112).max || held1 > type(uint112).max) revert ReserveOverflow();
        reserve0 = uint112(held0);
        reserve1 = uint112(held1);
        updatedAt = uint32(block.timestamp);
        emit Sync(uint112(held0), uint112(held1));
    }

    function _amountOut(uint256 amountIn, uint256 reserveIn, uint256 reserveOut) private pure returns (uint256) {
        if (reserveIn == 0 || reserveOut == 0) revert InsufficientLiquidity();
        uint256 paid = amountIn * FEE_NUMERATOR;
        return paid * reserveOut / (reserveIn * FEE_DENOMINATOR + paid);
    }

    /// @dev Newton's method from above; it falls until it reaches the floor of the root.
    function _sqrt(uint256 x) private pure returns (uint256 root) {
        root = x;
        uint256 next = x / 2 + 1;
        while (next < root) {
            root = next;
            next = (x / next + next) / 2;
        }
    }
}
