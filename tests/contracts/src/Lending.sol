// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.36;

import {Owned} from "./Owned.sol";

/// @title Lending
/// @notice Pool that lends cash against collateral at a yearly rate. Both ledgers live in its own storage, so that every
/// function runs in a single frame.
/// @dev Supplying collateral touches the caller's slots only; borrowing conflicts in `cash` and the index.
contract Lending is Owned {
    uint256 public constant WAD = 1e18;
    uint256 public constant RAY = 1e27;
    /// @notice Part of the collateral's value that may be owed before a position is unhealthy.
    uint256 public constant LIQUIDATION_THRESHOLD = 0.8e18;
    /// @notice What a liquidator receives, of the value repaid.
    uint256 public constant LIQUIDATION_BONUS = 1.05e18;
    /// @dev 5 % a year, by the second.
    uint256 private constant RATE_PER_SECOND = uint256(0.05e27) / 365 days;

    /// @dev One slot. Debt is kept divided by the index at the time, so that all debts grow with one write.
    struct Position {
        uint128 collateral;
        uint128 scaledDebt;
    }

    /// @notice Cash for one unit of collateral, as a WAD.
    uint256 public price;
    /// @dev One slot: the index, a RAY, in the low 128 bits.
    uint128 public index;
    uint64 public accruedAt;
    /// @notice Cash that can be borrowed.
    uint256 public cash;
    mapping(address account => Position) public positionOf;
    mapping(address account => uint256) public collateralBalanceOf;
    mapping(address account => uint256) public cashBalanceOf;

    event Credit(address indexed account, uint256 collateral, uint256 cash);
    event PriceSet(uint256 price);
    event Accrued(uint256 index);
    event Supplied(address indexed account, uint256 amount);
    event Withdrawn(address indexed account, uint256 amount);
    event Borrowed(address indexed account, uint256 amount);
    event Repaid(address indexed account, address indexed payer, uint256 amount);
    event Liquidated(address indexed account, address indexed liquidator, uint256 repaid, uint256 seized);

    error InsufficientBalance(address account, uint256 balance, uint256 needed);
    error InsufficientCollateral(address account, uint256 collateral, uint256 needed);
    error InsufficientCash(uint256 cash, uint256 needed);
    error Unhealthy(address account, uint256 healthFactor);
    error Healthy(address account, uint256 healthFactor);
    error AmountOverflow(uint256 amount);

    constructor(uint256 price_, uint256 cash_) {
        price = price_;
        cash = cash_;
        index = uint128(RAY);
        accruedAt = uint64(block.timestamp);
    }

    function credit(address account, uint256 collateralAmount, uint256 cashAmount) external onlyOwner {
        collateralBalanceOf[account] += collateralAmount;
        cashBalanceOf[account] += cashAmount;
        emit Credit(account, collateralAmount, cashAmount);
    }

    function setPrice(uint256 newPrice) external onlyOwner {
        price = newPrice;
        emit PriceSet(newPrice);
    }

    function supply(uint256 amount) external {
        _debit(collateralBalanceOf, amount);
        positionOf[msg.sender].collateral += _toUint128(amount);
        emit Supplied(msg.sender, amount);
    }

    function withdraw(uint256 amount) external {
        _accrue();
        _takeCollateral(msg.sender, amount);
        _requireHealthy(msg.sender);
        emit Withdrawn(msg.sender, amount);
    }

    function borrow(uint256 amount) external {
        uint256 current = _accrue();
        uint256 available = cash;
        if (available < amount) revert InsufficientCash(available, amount);
        unchecked {
            cash = available - amount;
        }
        // Rounded up, against the borrower.
        positionOf[msg.sender].scaledDebt += _toUint128((amount * RAY + current - 1) / current);
        cashBalanceOf[msg.sender] += amount;
        _requireHealthy(msg.sender);
        emit Borrowed(msg.sender, amount);
    }

    /// @notice Repays at most what is owed.
    function repay(uint256 amount) external returns (uint256 repaid) {
        repaid = _repay(msg.sender, amount);
    }

    /// @notice Repays the debt of an unhealthy position for its collateral and a bonus.
    function liquidate(address account, uint256 amount) external returns (uint256 seized) {
        _accrue();
        uint256 factor = healthFactor(account);
        if (factor >= WAD) revert Healthy(account, factor);
        uint256 repaid = _repay(account, amount);
        seized = repaid * LIQUIDATION_BONUS / price;
        _takeCollateral(account, seized);
        emit Liquidated(account, msg.sender, repaid, seized);
    }

    function debtOf(address account) public view returns (uint256) {
        return (positionOf[account].scaledDebt * currentIndex() + RAY - 1) / RAY;
    }

    /// @notice Healthy from 1 WAD up; the maximum value without debt.
    function healthFactor(address account) public view returns (uint256) {
        uint256 debt = debtOf(account);
        if (debt == 0) return type(uint256).max;
        uint256 value = positionOf[account].collateral * price / WAD;
        return value * LIQUIDATION_THRESHOLD / debt;
    }

    function currentIndex() public view returns (uint256) {
        return index + index * (block.timestamp - accruedAt) * RATE_PER_SECOND / RAY;
    }

    function _accrue() private returns (uint256 current) {
        current = currentIndex();
        if (block.timestamp != accruedAt) {
            index = _toUint128(current);
            accruedAt = uint64(block.timestamp);
            emit Accrued(current);
        }
    }

    function _repay(address account, uint256 amount) private returns (uint256 repaid) {
        uint256 current = _accrue();
        uint256 debt = debtOf(account);
        repaid = amount < debt ? amount : debt;
        _debit(cashBalanceOf, repaid);
        cash += repaid;

        Position storage position = positionOf[account];
        if (repaid == debt) position.scaledDebt = 0;
        else position.scaledDebt -= uint128(repaid * RAY / current);
        emit Repaid(account, msg.sender, repaid);
    }

    /// @dev Collateral goes back to the caller's balance.
    function _takeCollateral(address account, uint256 amount) private {
        Position storage position = positionOf[account];
        uint256 held = position.collateral;
        if (held < amount) revert InsufficientCollateral(account, held, amount);
        unchecked {
            position.collateral = uint128(held - amount);
        }
        collateralBalanceOf[msg.sender] += amount;
    }

    function _debit(mapping(address => uint256) storage ledger, uint256 amount) private {
        uint256 balance = ledger[msg.sender];
        if (balance < amount) revert InsufficientBalance(msg.sender, balance, amount);
        unchecked {
            ledger[msg.sender] = balance - amount;
        }
    }

    function _requireHealthy(address account) private view {
        uint256 factor = healthFactor(account);
        if (factor < WAD) revert Unhealthy(account, factor);
    }

    function _toUint128(uint256 amount) private pure returns (uint128) {
        if (amount > type(uint128).max) revert AmountOverflow(amount);
        return uint128(amount);
    }
}
