// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.36;

import {Owned} from "./Owned.sol";

/// @title Nft
/// @notice ERC-721 without the safe transfers, so that every function runs in a single frame. Anyone mints for the price.
contract Nft is Owned {
    string public constant name = "Lockstep Items";
    string public constant symbol = "ITEM";

    /// @notice Tokens so far, and the id of the last one: ids start at 1.
    uint256 public totalSupply;
    uint256 public price;
    mapping(uint256 id => address) private _ownerOf;
    mapping(address account => uint256) public balanceOf;
    mapping(uint256 id => address) public getApproved;
    mapping(address account => mapping(address operator => bool)) public isApprovedForAll;

    event Transfer(address indexed from, address indexed to, uint256 indexed id);
    event Approval(address indexed account, address indexed spender, uint256 indexed id);
    event ApprovalForAll(address indexed account, address indexed operator, bool approved);

    error NonexistentToken(uint256 id);
    error IncorrectOwner(address from, uint256 id, address holder);
    error InsufficientApproval(address operator, uint256 id);
    error InvalidReceiver(address to);
    error WrongPrice(uint256 paid, uint256 price);

    function setPrice(uint256 newPrice) external onlyOwner {
        price = newPrice;
    }

    function mint(address to) external payable returns (uint256 id) {
        if (msg.value != price) revert WrongPrice(msg.value, price);
        if (to == address(0)) revert InvalidReceiver(to);
        id = ++totalSupply;
        unchecked {
            ++balanceOf[to];
        }
        _ownerOf[id] = to;
        emit Transfer(address(0), to, id);
    }

    function transferFrom(address from, address to, uint256 id) external {
        address holder = ownerOf(id);
        if (holder != from) revert IncorrectOwner(from, id, holder);
        if (to == address(0)) revert InvalidReceiver(to);
        if (msg.sender != from && !isApprovedForAll[from][msg.sender] && msg.sender != getApproved[id]) {
            revert InsufficientApproval(msg.sender, id);
        }
        delete getApproved[id];
        unchecked {
            --balanceOf[from];
            ++balanceOf[to];
        }
        _ownerOf[id] = to;
        emit Transfer(from, to, id);
    }

    function approve(address spender, uint256 id) external {
        address holder = ownerOf(id);
        if (msg.sender != holder && !isApprovedForAll[holder][msg.sender]) revert InsufficientApproval(msg.sender, id);
        getApproved[id] = spender;
        emit Approval(holder, spender, id);
    }

    function setApprovalForAll(address operator, bool approved) external {
        isApprovedForAll[msg.sender][operator] = approved;
        emit ApprovalForAll(msg.sender, operator, approved);
    }

    function ownerOf(uint256 id) public view returns (address holder) {
        holder = _ownerOf[id];
        if (holder == address(0)) revert NonexistentToken(id);
    }

    function tokenURI(uint256 id) external view returns (string memory) {
        ownerOf(id);
        return string.concat("lockstep:item/", _decimal(id));
    }

    function supportsInterface(bytes4 interfaceId) external pure returns (bool) {
        return interfaceId == 0x01ffc9a7 || interfaceId == 0x5b5e139f; // ERC-165, ERC-721 metadata
    }

    function _decimal(uint256 value) private pure returns (string memory) {
        uint256 length = 1;
        for (uint256 rest = value; rest >= 10; rest /= 10) {
            ++length;
        }
        bytes memory digits = new bytes(length);
        for (uint256 i = length; i > 0; --i) {
            digits[i - 1] = bytes1(uint8(48 + value % 10));
            value /= 10;
        }
        return string(digits);
    }
}
