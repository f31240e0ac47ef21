// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.36;

import {Owned} from "./Owned.sol";

/// @title Loan
/// @notice Fixed-term loans of credit against ether, one for each borrower and independent of the others.
/// @dev Ether is sent back by `claim` alone, the one function that calls; all others run in a single frame.
contract Loan is Owned {
    uint256 public constant WAD = 1e18;
    /// @notice Least value of the collateral, of the principal, when a loan is opened.
    uint256 public constant COLLATERAL_RATIO = 1.5e18;
    uint256 public constant TERM = 30 days;
    /// @notice Charged at once, of the principal.
    uint256 public constant FEE = 0.01e18;

    /// @dev Two slots: collateral and principal; dueAt. There is no loan where dueAt is zero.
    struct Position {
        uint128 collateral;
        uint128 principal;
        uint64 dueAt;
    }

    /// @notice Credit for one ether, as a WAD.
    uint256 public price;
    mapping(address borrower => Position) public positionOf;
    mapping(address account => uint256) public creditOf;
    /// @notice Ether to be claimed.
    mapping(address account => uint256) public claimOf;

    event PriceSet(uint256 price);
    event CreditSent(address indexed from, address indexed to, uint256 amount);
    event Opened(address indexed borrower, uint256 collateral, uint256 principal, uint256 dueAt);
    event CollateralAdded(address indexed borrower, uint256 amount);
    event Repaid(address indexed borrower, uint256 amount);
    event Seized(address indexed borrower, address indexed by, uint256 collateral);
    event Claimed(address indexed account, uint256 amount);

    error LoanExists(address borrower);
    error NoLoan(address borrower);
    error NotDue(address borrower, uint256 dueAt);
    error InsufficientCollateral(uint256 value, uint256 needed);
    error InsufficientCredit(address account, uint256 credit, uint256 needed);
    error AmountOverflow(uint256 amount);
    error NothingToClaim(address account);
    error PaymentFailed(address to);

    constructor(uint256 price_) {
        price = price_;
    }

    function setPrice(uint256 newPrice) external onlyOwner {
        price = newPrice;
        emit PriceSet(newPrice);
    }

    /// @notice Locks the sent ether and gives the caller `principal` of credit.
    function open(uint256 principal) external payable {
        Position storage position = positionOf[msg.sender];
        if (position.dueAt != 0) revert LoanExists(msg.sender);
        if (principal > type(uint128).max) revert AmountOverflow(principal);
        uint256 value = msg.value * price / WAD;
        uint256 needed = principal * COLLATERAL_RATIO / WAD;
        if (value < needed) revert InsufficientCollateral(value, needed);

        uint256 dueAt = block.timestamp + TERM;
        position.collateral = uint128(msg.value);
        position.principal = uint128(principal);
        position.dueAt = uint64(dueAt);
        creditOf[msg.sender] += principal;
        emit Opened(msg.sender, msg.value, principal, dueAt);
    }

    function addCollateral() external payable {
        Position storage position = _position(msg.sender);
        position.collateral += uint128(msg.value);
        emit CollateralAdded(msg.sender, msg.value);
    }

    /// @notice Pays the loan off with credit; the collateral can then be claimed.
    function repay() external {
        Position memory position = _position(msg.sender);
        uint256 owed = owedBy(msg.sender);
        _debit(owed);
        delete positionOf[msg.sender];
        claimOf[msg.sender] += position.collateral;
        emit Repaid(msg.sender, owed);
    }

    /// @notice Pays an overdue loan off for its borrower, and takes the collateral.
    function seize(address borrower) external {
        Position memory position = _position(borrower);
        if (block.timestamp < position.dueAt) revert NotDue(borrower, position.dueAt);
        _debit(owedBy(borrower));
        delete positionOf[borrower];
        claimOf[msg.sender] += position.collateral;
        emit Seized(borrower, msg.sender, position.collateral);
    }

    function sendCredit(address to, uint256 amount) external {
        _debit(amount);
        creditOf[to] += amount;
        emit CreditSent(msg.sender, to, amount);
    }

    /// @notice Sends the caller the ether that is due.
    function claim() external {
        uint256 amount = claimOf[msg.sender];
        if (amount == 0) revert NothingToClaim(msg.sender);
        delete claimOf[msg.sender];
        emit Claimed(msg.sender, amount);
        (bool paid,) = msg.sender.call{value: amount}("");
        if (!paid) revert PaymentFailed(msg.sender);
    }

    function owedBy(address borrower) public view returns (uint256) {
        uint256 principal = positionOf[borrower].principal;
        return principal + principal * FEE / WAD;
    }

    function _position(address borrower) private view returns (Position storage position) {
        position = positionOf[borrower];
        if (position.dueAt == 0) revert NoLoan(borrower);
    }

    function _debit(uint256 amount) private {
        uint256 credit = creditOf[msg.sender];
        if (credit < amount) revert InsufficientCredit(msg.sender, credit, amount);
        unchecked {
            creditOf[msg.sender] = credit - amount;
        }
    }
}
